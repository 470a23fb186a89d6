"""Choose the limits from the measured suite, and report what they catch.

The rule, for every score: its worst value over the clean, re-encoded and resized clips, and the
weakest value of the defects it is meant for, at the dose it must catch; the limit stands between
the two (:data:`SHARE` of the way), and at least a margin away from the clean ones. Knows
only numbers: no frames, no checks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

Record = Mapping[str, Any]

SHARE: Final = 0.4
"""Of the way from the worst clean clip to the weakest defect."""

WEAKEST: Final = 25.0
"""Percentile of the defect's values that counts as its weakest: single duds do not pull."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a score is for.

    Attributes:
        side: ``above`` or ``below``: where the bad values are.
        target: labels of the defects it must catch; a prefix is enough.
        margin: factor between the worst clean value and the limit, at least; for ``below``
            the limit is at most the worst clean value divided by it.
        floor: limits never come closer to harmless than this, whatever seven clips say.
        near: warnings start at this share of the way from the worst clean value to the limit;
            None for no warnings.
        share: of the way from the worst clean clip to the weakest defect.
        warn_only: it never fails a clip.
    """

    side: str
    target: tuple[str, ...]
    floor: float
    margin: float = 1.1
    near: float | None = 0.7
    share: float = SHARE
    warn_only: bool = False


SOFT: Final = (
    "blur/gauss@1.2",
    "blur/gauss@2",
    *(f"half_resolution/{kind}@0.5" for kind in ("area", "cubic", "lanczos")),
)
"""What every check of sharpness is for."""

AIMS: Final[Mapping[str, Aim]] = {
    "identity_mean": Aim("below", ("swap/paste@0", "blend/paste@0.5"), 0.55),
    "identity_min": Aim("below", ("swap/", "blend/paste@0.5"), 0.35, margin=1.2),
    "identity_first_last": Aim("below", ("swap/clip@0.5", "melt/random@0.3"), 0.45),
    "identity_drift": Aim("above", ("melt/random@0.3", "melt/sine@0.3"), 0.4),
    "identity_first_frame": Aim("below", ("swap/paste@0", "blend/paste@0.5"), 0.6),
    "identity_jump": Aim("above", (), 0.45, near=None),
    "mouth_detail": Aim("below", ("mouth/smear@0.08",), 0.42, near=0.5),
    "mouth_shape": Aim("above", ("mouth/melt@0.08",), 2.2, near=0.5),
    "eye_gaze": Aim("above", ("eye/crossed@0.1",), 3.5, near=0.5),
    "eyelids": Aim("above", ("eye/lid@0.09",), 2.8, near=0.5),
    "iris_color": Aim("above", ("eye/iris@1",), 15.0, share=0.2, near=0.5),
    "nose_shape": Aim("above", ("face_shape/nose@0.1",), 5.2),
    "jaw_shape": Aim("above", ("face_shape/jaw@0.15",), 8.0),
    "brow_shape": Aim("above", ("face_shape/brow@0.12",), 7.2),
    "eye_shape": Aim("above", ("glasses/bent@0.08",), 5.6),
    "face_warp": Aim("above", ("melt/random@0.15", "glasses/bent@0.08"), 3.6),
    "face_shift": Aim("above", ("face_slide/",), 8.6),
    "hair_shape": Aim("above", ("hair/outline@0.15",), 7.2, near=0.5),
    "skin_brightness": Aim("above", ("skin/lighter@25",), 4.5, share=0.3, near=0.5),
    "skin_texture_end": Aim("below", ("skin_trend/",), 0.71, near=0.5),
    "face_presence": Aim("below", (), 0.5),
    "face_deformation": Aim("above", ("melt/random@0.15", "melt/sine@0.15"), 3.2, margin=1.15),
    "face_stretch": Aim("above", ("melt/sine@0.15", "melt/droop@0.3"), 3.7, margin=1.25, share=0.2),
    "face_wobble": Aim(
        "above", ("wobble/sine@0.015", "wobble/random@0.015"), 0.2, share=0.2, near=None
    ),
    "face_jitter": Aim("above", (), 0.3),
    "global_jelly": Aim(
        "above", ("jelly/standing@0.006", "jelly/travelling@0.003"), 0.08, share=0.3
    ),
    "flicker": Aim("above", ("flicker/random@0.02", "flicker/sine@0.02"), 0.5),
    "local_flicker": Aim("above", ("local_flicker/",), 0.35, near=None),
    "cut": Aim("above", ("cut/mirror", "swap/clip@0.5"), 8.0, share=0.15),
    "motion": Aim("below", ("frozen/",), 0.2, near=0.5),
    "motion_speed": Aim("above", (), 250.0, warn_only=True),
    "ending": Aim("above", ("ending/",), 6.0, share=0.2),
    "freeze": Aim("above", (), 9.0),
    "repeated_frames": Aim("above", ("low_rate/repeated@4",), 34.0, share=0.2),
    "stutter": Aim("above", ("stutter/held@4",), 8.0, share=0.2, near=0.5),
    "jump": Aim("above", (), 1.65),
    "odd_frame": Aim("above", ("odd_frame/garbage@0.25", "odd_frame/rows@0.25"), 7.5, near=None),
    "reversed_motion": Aim("below", ("reversed/",), 0.5, near=0.5),
    "exposure_pumping": Aim("above", ("pumping/exposure@0.03",), 2.2),
    "contrast_pumping": Aim("above", ("pumping/contrast@0.05",), 2.2),
    "color_glitch": Aim("above", ("color_glitch/tint@0.05",), 4.2, near=0.5),
    "sharpness": Aim("below", SOFT, 0.86, margin=1.07),
    "face_sharpness": Aim("below", SOFT, 0.86, margin=1.07),
    "detail": Aim("below", SOFT, 0.88, margin=1.07),
    "sharpness_end": Aim("below", (), 0.6, warn_only=True),
    "noise": Aim("above", ("noise/color@6", "noise/luma@6"), 0.9),
    "ringing": Aim("above", ("ringing/unsharp@2",), 1.1),
    "banding": Aim("above", ("banding/levels@16",), 22.0),
    "seams": Aim("above", ("seams/offset@4",), 1.3),
    "grid": Aim("above", ("grid/cells@5",), 0.35),
    "grid_lines": Aim("above", ("grid/lines@2",), 0.35),
    "background_swim": Aim("above", ("swim/water@0.01",), 0.12),
    "background_change": Aim("above", ("gibberish/melting@0.02",), 0.33),
    "torn_layers": Aim("above", (), 22.0),
    "resolution": Aim("below", tuple(s for s in SOFT if s.startswith("half")), 0.19),
    "edge_rim": Aim("above", ("torn/rim@0.7",), 14.0),
    "ghost": Aim("above", ("ghost/contour@0.35",), 22.0),
    "ghost_trail": Aim("above", ("ghost/trail@0.35",), 0.13, near=0.5),
    "cartoon": Aim("below", ("cartoon/",), 0.8, margin=1.12),
    "plastic_skin": Aim("below", (), 0.55, margin=1.05),
    "saturation": Aim(
        "above", ("saturation/hsv@1.25", "saturation/linear@1.25"), 1.08, margin=1.06, share=0.3
    ),
    "faded_colors": Aim("below", ("desaturation/linear@0.6",), 0.82),
    "color_cast": Aim("above", (), 6.0),
    "color_drift": Aim("above", ("drift/warm@16", "drift/dark@32"), 5.0),
    "brightness_shift": Aim("above", ("drift/brighter@0.1", "drift/dark@16"), 3.7),
    "color_shift": Aim("above", ("drift/warm@8",), 2.4),
}
"""Score → what it is for. Floors are what experience outside this folder says: dlib's distances
between and within people, YouTube's and encoders' usual losses, how much talking people move."""

CLEAN: Final = (
    "clean/", "reencode/libx264@18", "reencode/libx264@23", "reencode/libx264@28", "resize/",
    "rate_converted/", "overlay/", "bars/", "cropped/",
)  # fmt: skip
"""Labels that must not fail."""

GENTLE: Final = 100.0
"""Clips that move faster (percent of the height a second) are not gentle."""


def label(record: Record) -> str:
    """E.g. ``melt/random@0.3``."""
    return f"{record['defect']}/{record['variant']}@{record['dose']:g}"


def is_clean(record: Record) -> bool:
    """Whether nothing must fail."""
    return label(record).startswith(CLEAN)


def value(record: Record, name: str) -> float | None:
    """The score's value; None where it was not measured."""
    entry = record["values"].get(name)
    return None if entry is None or not isinstance(entry[0], int | float) else float(entry[0])


def choose(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Limits for every score, from these records alone."""
    return {name: _limit(name, aim, records) for name, aim in AIMS.items()}


def _limit(name: str, aim: Aim, records: Sequence[Record]) -> dict[str, Any]:
    sign = 1.0 if aim.side == "above" else -1.0
    known = [(r, v) for r in records if (v := value(r, name)) is not None]
    clean = [sign * v for r, v in known if is_clean(r)]
    defects = [sign * v for r, v in known if aim.target and label(r).startswith(aim.target)]
    worst = max(clean, default=sign * aim.floor)
    how = f"floor {aim.floor:g}: no clip of the suite comes near"
    limit = sign * aim.floor
    if aim.warn_only:
        how = "a mark for the reader; it never fails a clip"
        return _entry(aim, None, aim.floor, how)
    if not clean:
        return _entry(aim, aim.floor, aim.floor, f"floor {aim.floor:g}: no clean clip was measured")
    missing = [t for t in aim.target if not any(label(r).startswith(t) for r, _ in known)]
    if missing:
        defects = []
        how = f"floor {aim.floor:g}: {', '.join(missing)} not measured yet"
    apart = worst * aim.margin if worst > 0 else worst / aim.margin
    if defects:
        weakest = float(np.percentile(np.asarray(defects), WEAKEST))
        between = worst + aim.share * max(0.0, weakest - worst)
        if between > limit:
            limit = between
            how = (
                f"{aim.share:.0%} of the way from the worst clean clip ({sign * worst:.3g}) "
                f"to the weak end of {', '.join(aim.target)} ({sign * weakest:.3g})"
            )
        else:
            how = (
                f"floor {aim.floor:g}; worst clean clip {sign * worst:.3g}, weak end of "
                f"{', '.join(aim.target)} {sign * weakest:.3g}"
            )
    if apart > limit:
        limit, how = apart, f"{aim.margin:g} times off the worst clean clip ({sign * worst:.3g})"
    warn = None if aim.near is None else _rounded(sign * (worst + aim.near * (limit - worst)))
    return _entry(aim, _rounded(sign * limit), warn, how)


def _entry(aim: Aim, fail: float | None, warn: float | None, how: str) -> dict[str, Any]:
    return {"side": aim.side, "fail": fail, "warn": warn, "how": how}


def _rounded(number: float) -> float:
    return float(f"{number:.3g}")


def alarms(record: Record, limits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the scores that fail this clip under ``limits``."""
    out = []
    for name, limit in limits.items():
        found, fail = value(record, name), limit["fail"]
        if found is None or fail is None:
            continue
        if found > fail if limit["side"] == "above" else found < fail:
            out.append(name)
    return out


@dataclass(frozen=True, slots=True)
class Row:
    """How one entry of the suite fared."""

    label: str
    clips: int
    caught: int
    by: str

    @property
    def share(self) -> float:
        """Caught of all."""
        return self.caught / self.clips if self.clips else float("nan")


def table(
    records: Iterable[Record], limits_for: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> list[Row]:
    """Every label, with the limits that go with each record's person."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[label(record)].append(record)
    rows = []
    for name, members in sorted(groups.items()):
        caught = 0
        by: dict[str, int] = defaultdict(int)
        for record in members:
            names = alarms(record, limits_for[record["person"]])
            caught += bool(names)
            for score in names:
                by[score] += 1
        most = sorted(by.items(), key=lambda pair: -pair[1])[:4]
        rows.append(Row(name, len(members), caught, ", ".join(f"{n} {c}" for n, c in most)))
    return rows


def leave_one_out(records: Sequence[Record]) -> dict[str, dict[str, dict[str, Any]]]:
    """For every person, the limits chosen without them."""
    people = sorted({r["person"] for r in records})
    return {p: choose([r for r in records if r["person"] != p]) for p in people}


def halves(records: Sequence[Record]) -> tuple[list[str], list[str]]:
    """Every other person, in alphabetical order: tuned on, held out."""
    people = sorted({r["person"] for r in records})
    return people[0::2], people[1::2]


def is_gentle(record: Record) -> bool:
    """Whether the person moves as somebody who talks does."""
    speed = value(record, "motion_speed")
    return speed is None or speed <= GENTLE
