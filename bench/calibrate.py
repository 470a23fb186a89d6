"""Calibrate the checks: spoil clean clips in every listed way, measure, choose, report.

    python bench/calibrate.py CLIPS            measure, choose the limits, write them and the page
    python bench/calibrate.py CLIPS --quick    only the doses of the issue's table, a clip a person

One file in CLIPS is one person. Measured numbers are kept in ``--cache`` and a run goes on where
the last one stopped. Limits go to ``src/vivant/checks/limits.json``, the page to
``docs/calibration.md``. Knows the checks only by their names and values.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from calibration_page import page, summary
from choose import choose
from corruptions import Material, cases, recode
from vivant.checks.inspector import Inspector
from vivant.checks.metric import Metric
from vivant.checks.sample import Reference
from vivant.checks.track import find_faces
from vivant.faces import FaceReader
from vivant.grid import cover_crop
from vivant.media import open_clip, probe
from vivant.types import Box, ClipFacts, Face, Frames, Image, Portrait, Source

ROOT = Path(__file__).resolve().parent.parent
LIMITS = ROOT / "src" / "vivant" / "checks" / "limits.json"
PAGE = ROOT / "docs" / "calibration.md"
FRAMES = 97
ENCODED_CRF = 18
"""Every case is encoded and decoded once, as a finished clip is."""

ESSENTIAL = (
    "clean/as_is@0", "reencode/libx264@23",
    "melt/random@0.15", "melt/sine@0.15", "melt/random@0.3", "melt/sine@0.3",
    "wobble/random@0.015", "wobble/sine@0.015", "blend/paste@0.5", "swap/clip@0.5", "swap/paste@0",
    "plastic/bilateral@40", "plastic/guided@25", "plastic/edge@25", "plastic/bilateral@75",
    "noise/color@6", "noise/luma@6", "saturation/hsv@1.25", "saturation/linear@1.25",
    "blur/gauss@1.2", "blur/gauss@2",
    "half_resolution/area@0.5", "half_resolution/cubic@0.5", "half_resolution/lanczos@0.5",
    "frozen/still@1", "frozen/noisy@1", "flicker/random@0.02", "flicker/sine@0.02",
    "resize/area@0.5", "resize/cubic@0.5", "resize/linear@1.5", "resize/area@0.75",
    "jelly/standing@0.003", "jelly/travelling@0.003", "jelly/standing@0.006",
    "cartoon/bilateral@1", "cartoon/posterize@1", "ringing/unsharp@2", "seams/offset@4",
    "seams/lines@4", "ending/fade@0.4", "ending/flash@0.4", "cut/skip@0.25", "cut/mirror@0.25",
    "drift/warm@16", "drift/dark@16", "banding/levels@8",
    "melt/droop@0.3", "melt/droop@0.15", "wobble/fast@0.015", "wobble/slow@0.015",
    "desaturation/linear@0.6", "stylize/stylize@0.45", "reencode/libx264@18", "reencode/libx264@28",
)  # fmt: skip
"""The doses of the issue's table and one of each other defect, the most important first."""

STILL = (
    "blur", "half_resolution", "noise", "saturation", "desaturation", "plastic", "cartoon",
    "stylize", "ringing", "seams", "banding",
)  # fmt: skip
"""Defects of single frames: a third of the clip shows them as well."""

FAMILIES = {
    "melt": ("face_deformation", "motion_speed"),
    "wobble": ("face_deformation", "motion_speed"),
    "jelly": ("motion_speed",), "frozen": ("motion_speed",), "flicker": ("motion_speed",),
    "ending": ("motion_speed",), "cut": ("motion_speed",), "drift": ("saturation",),
    **dict.fromkeys(STILL, ("sharpness", "seams", "saturation")),
}  # fmt: skip
"""Checks that are run, by one of their scores, for defects that leave the rest alone."""


def segments(folder: Path, per_person: int) -> Iterator[tuple[str, str, Frames, float]]:
    """``(person, name, frames, fps)`` of up to ``per_person`` stretches of every clip."""
    for path in sorted(folder.glob("*.mp4")):
        facts = probe(path)
        if facts.num_frames < FRAMES:
            continue
        starts = np.arange(0, facts.num_frames - FRAMES + 1, FRAMES)
        if len(starts) > per_person:
            starts = starts[np.linspace(0, len(starts) - 1, per_person).round().astype(int)]
        for start in starts:
            kept: list[Image] = []
            seen = 0
            for chunk in open_clip(path).chunks:
                for frame in chunk:
                    if start <= seen < start + FRAMES:
                        kept.append(frame)
                    seen += 1
                if seen >= start + FRAMES:
                    break
            yield path.stem, f"{path.stem}_{start:04d}", np.stack(kept), float(facts.fps)


def track(reader: FaceReader, frames: Frames, stride: int = 3) -> list[Face] | None:
    """The face in every frame: found on every third, in between on a straight line."""
    known: dict[int, Face] = {}
    for index in sorted({*range(0, len(frames), stride), len(frames) - 1}):
        faces = find_faces(reader, frames[index])
        if faces:
            last = known[max(known)].box.center if known else faces[0].box.center
            known[index] = min(
                faces,
                key=lambda f: float(np.hypot(f.box.center[0] - last[0], f.box.center[1] - last[1])),
            )
    if not known:
        return None
    indices = sorted(known)
    rows = np.asarray(
        [
            [known[i].box.left, known[i].box.top, known[i].box.width, known[i].box.height,
             *np.ravel(known[i].landmarks)]
            for i in indices
        ]
    )  # fmt: skip
    out = []
    for index in range(len(frames)):
        row = [float(np.interp(index, indices, rows[:, column])) for column in range(rows.shape[1])]
        points = tuple((row[4 + 2 * i], row[5 + 2 * i]) for i in range(5))
        out.append(Face(Box(*row[:4]), 1.0, points))
    return out


def measure(
    image: Image,
    faces: tuple[Face, ...],
    frames: Frames,
    fps: float,
    reader: FaceReader,
    *,
    only: Sequence[str],
) -> dict[str, object]:
    """Scores as ``name -> [value, verdict]``; plotted series as ``name:series``."""
    height, width = frames.shape[1:3]
    rows, columns = image.shape[:2]
    portrait = Portrait(
        pixels=image,
        crop=cover_crop(columns, rows, width / height),
        faces=faces,
        source=Source("picture", "png", columns, rows, 0, ""),
    )

    def chosen(reference: Reference, rate: float) -> Sequence[Metric]:
        from vivant.checks.inspector import all_metrics

        found = all_metrics(reference, rate)
        return [m for m in found if not only or any(s.name in only for s in m.specs)]

    inspector = Inspector(
        portrait,
        num_frames=len(frames),
        fps=Fraction(fps).limit_denominator(1001),
        width=width,
        height=height,
        reader=reader,
        metrics=chosen,
    )
    inspector.look(frames)
    facts = ClipFacts(
        size_bytes=1, container="mp4", codec="h264", profile="High", pixel_format="yuv420p",
        width=width, height=height, fps=Fraction(24), num_frames=len(frames), seconds=4.0,
        bit_rate=8_000_000, color_primaries="bt709", color_transfer="bt709", color_space="bt709",
        color_range="tv", constant_rate=True, closed_gop=True, max_gop=97, moov_first=True,
        edit_list=False, audio=False,
    )  # fmt: skip
    out: dict[str, object] = {}
    for score in inspector.finish(facts).scores:
        if score.group not in ("delivery", "performance"):
            out[score.name] = [score.value, score.verdict]
            if len(score.series) <= 40:
                out[f"{score.name}:series"] = [[i, round(v, 4)] for i, v in score.series]
    return out


def run(
    folder: Path, cache: Path, *, quick: bool, only: Sequence[str], part: tuple[int, int]
) -> None:
    """Fill the cache."""
    cache.mkdir(parents=True, exist_ok=True)
    reader = FaceReader()
    material: dict[str, Material] = {}
    for person, name, frames, fps in segments(folder, 4):
        found = track(reader, frames)
        if found is None:
            print(f"{name}: no face, left out")
            continue
        material[name] = Material(person, name, frames, fps, found)
    firsts: dict[str, str] = {}
    for name, item in material.items():
        firsts.setdefault(item.person, name)
    jobs = []
    for case in cases(only):
        rank = ESSENTIAL.index(case.label) if case.label in ESSENTIAL else len(ESSENTIAL)
        everywhere = case.label in ESSENTIAL[:2]
        if not quick or rank < len(ESSENTIAL):
            jobs += [
                (rank + 100 * (name not in firsts.values() and rank > 0), case, name)
                for name in material
                if everywhere or name in firsts.values()
            ]
    jobs.sort(key=lambda job: job[0])
    for _, case, name in jobs[part[0] :: part[1]]:
        target = cache / f"{name}__{case.label.replace('/', '_')}.json"
        if target.exists():
            continue
        item = material[name]
        if case.defect in STILL:
            third = FRAMES // 3 + 1
            item = Material(item.person, name, item.frames[:third], item.fps, item.track[:third])
        seed = zlib.crc32(f"{name} {case.label}".encode())
        others = [n for n in sorted(material) if material[n].person != item.person]
        spoiled = case.apply(
            item, material[others[seed % len(others)]], np.random.default_rng(seed)
        )
        crf = 0 if case.defect == "reencode" else ENCODED_CRF
        finished = recode(spoiled, item.fps, crf=crf) if crf else spoiled
        values = measure(
            item.frames[0], (item.track[0],), finished, item.fps, reader,
            only=FAMILIES.get(case.defect, ()),
        )  # fmt: skip
        record = {"person": item.person, "segment": name, "defect": case.defect,
                  "variant": case.variant, "dose": case.dose, "values": values}  # fmt: skip
        partial = target.with_suffix(".part")
        partial.write_text(json.dumps(record))
        partial.rename(target)


def finish(cache: Path) -> None:
    """Choose the limits from everything measured; write them and the page."""
    records = [json.loads(path.read_text()) for path in sorted(cache.glob("*.json"))]
    limits = choose(records)
    text = json.dumps({"limits": limits}, indent=1, ensure_ascii=False) + "\n"
    LIMITS.write_text(text, encoding="utf-8")
    PAGE.write_text(page(records, limits), encoding="utf-8")
    print(summary(records))


def main() -> None:
    """Parse, measure, choose, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "calibration")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", default=[], help="defects to measure")
    parser.add_argument("--part", default="0/1", help="k/n: the k-th of n parallel runs")
    parser.add_argument("--no-measure", action="store_true", help="from the cache alone")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    first, of = (int(text) for text in options.part.split("/"))
    if not options.no_measure:
        run(
            options.clips,
            options.cache,
            quick=options.quick,
            only=options.only,
            part=(first, of),
        )
    if of == 1:
        finish(options.cache)


if __name__ == "__main__":
    main()
