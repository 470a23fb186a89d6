"""``docs/calibration.md``: how often every check catches and alarms at the limits that ship.

Verdicts are taken again from the measured values, so a limit may be changed after the run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from calibration_shipped import HARMLESS, looks, wilson
from choose import AIMS, Record, alarms, label, value

Limits = Mapping[str, Mapping[str, Any]]

SHOWN: Final = 8
"""Checks that are named for one defect."""

MADE: Final = {"jump/skip": "reversed_motion"}
"""Checks that a defect's making fails, not the defect: a clip without its middle second is walked
back from its end to keep its length."""

OFTEN: Final = 0.3
MOST: Final = 4
"""Defects without a check of their own are told for a check that fails this share of them."""

HEAD = """# Calibration of the checks

How often each check finds the defect it is for, and how often it alarms where there is none, at the
limits in `src/vivant/checks/limits.json`. This page is written by
`python bench/calibrate.py --records CACHE` from the values of a run, so it fits the present
limits; do not edit it by hand. How the limits were found, and earlier tables:
[checks added later](calibration-added.md), [all defects](calibration-shipped.md), the
[first calibration](calibration-first.md).

**What this rests on.** {people} people in clips of 97 frames, {count} measured clips; defects of
`bench/corruptions.py`, encoded (x264, CRF 18). The clips are samples of 22 public repositories
(news, webcams, stock, a few talking avatars), each cut to one shot; nearly all are real, eight
people are East Asian. **Nothing was chosen from these people.** All were edited, nine to eleven of
them spoiled in each way. Most pictures are small, 256 to 720 px: what needs more of an eye or of
lips than they have is not measured, and counts as not found in the second table; the third counts
only where a check can measure. Intervals are Wilson's, 95 %.
What came before: [earlier tables](calibration-earlier.md).
{changed}"""

SEEN = """## People whose clips were seen while limits were set

{people} other people, {count} measured clips (examples of LivePortrait, SadTalker, LatentSync,
VideoReTalking, V-Express, VASA-1, AniPortrait, EchoMimic, MuseTalk), 480 to 1280 px; without
checks that were changed after this run.
"""


def checks_page(
    records: Sequence[Record],
    limits: Limits,
    changed: Collection[str] = (),
    seen: Sequence[Record] = (),
) -> str:
    """The page.

    Args:
        records: measured clips, of people from whom nothing was chosen.
        limits: name of a score → its limit.
        changed: scores whose check was changed after the run; they are left out and named.
        seen: measured clips of people whose clips were seen while limits were set.
    """
    known = {name: limit for name, limit in limits.items() if name not in changed}
    people = len({record["person"] for record in records})
    note = ""
    if changed:
        names = ", ".join(f"`{name}`" for name in sorted(changed))
        note = (
            f"\nLeft out, since they were changed after this run: {names}. What was seen of\n"
            "them is in [checks added later]"
            "(calibration-added.md#false-alarms-trails-and-close-ups).\n"
        )
    return "\n".join(
        (
            HEAD.format(people=people, count=len(records), changed=note),
            _harmless(records, known),
            _defects(records, known),
            _caught(records, known),
            *_seen(seen, known),
            _limits(limits),
        )
    )


def _seen(records: Sequence[Record], limits: Limits) -> tuple[str, ...]:
    """What must not alarm, for people whose clips were seen while limits were set."""
    if not records:
        return ()
    people = len({record["person"] for record in records})
    return SEEN.format(people=people, count=len(records)), _harmless(records, limits, "###")


def _share(found: int, count: int) -> str:
    low, high = wilson(found, count)
    return f"{found}/{count} ({low:.0%} … {high:.0%})"


def _groups(records: Sequence[Record], *, harmless: bool) -> list[tuple[str, list[Record]]]:
    """Records by defect and dose, with a defect or without one."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if label(record).startswith(HARMLESS) == harmless:
            groups[label(record)].append(record)
    return sorted(groups.items())


def _failed(members: Sequence[Record], limits: Limits) -> tuple[str, str, str]:
    """How many fail, how many have at least a look, and by which checks they fail."""
    failed = [alarms(record, limits) for record in members]
    seen = sum(bool(f or looks(r, limits)) for f, r in zip(failed, members, strict=True))
    by = Counter(name for names in failed for name in names)
    most = ", ".join(f"{name} {count}" for name, count in by.most_common(SHOWN))
    count = len(members)
    return _share(sum(map(bool, failed)), count), _share(seen, count), most or "–"


def _harmless(records: Sequence[Record], limits: Limits, level: str = "##") -> str:
    one = {name: limit for name, limit in limits.items() if name == "repeated_frames"}
    repeating = {
        record["person"]
        for record in records
        if label(record) == "clean/as_is@0" and alarms(record, one)
    }
    lines = [
        f"{level} What must not alarm", "",
        f"By all checks together. {len(repeating)} of the clips repeat more than a third of their",
        "frames as they come, and are failed for that. *Others*: without these.", "",
        "| clips without a defect | fail | others: fail | at least a look | fail by |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, members in _groups(records, harmless=True):
        others = [record for record in members if record["person"] not in repeating]
        every, _, _ = _failed(members, limits)
        lines.append(f"| {name} | {every} | {' | '.join(_failed(others, limits))} |")
    return "\n".join(lines) + "\n"


def _defects(records: Sequence[Record], limits: Limits) -> str:
    lines = [
        "## Each defect", "",
        "Of all clips with the defect, also where the check that is for it cannot measure (a small",
        "face, a plain background). For most defects only the checks of their family were run",
        "(`FAMILIES` in `bench/calibrate.py`).", "",
        "| defect @ dose | fail | at least a look | fail by |",
        "|---|---|---|---|",
    ]  # fmt: skip
    lines += [
        f"| {name} | {' | '.join(_failed(members, _without(limits, name)))} |"
        for name, members in _groups(records, harmless=False)
    ]
    return "\n".join(lines) + "\n"


def _without(limits: Limits, defect: str) -> Limits:
    left_out = MADE.get(defect.split("@")[0])
    return {name: limit for name, limit in limits.items() if name != left_out}


def _caught(records: Sequence[Record], limits: Limits) -> str:
    clean = [record for record in records if label(record).startswith(HARMLESS)]
    lines = [
        "## Each check", "",
        "*Caught*: clips with a defect it is for, where it can measure: failed / tried.",
        "Where no defect is named for a check, those that it fails most. *Alarms*: clips and edits",
        "without a defect that it fails, of those it can measure. –: not run.", "",
        "| check | defect @ dose | caught | alarms |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for name, limit in limits.items():
        one = {name: limit}
        measured = [record for record in clean if value(record, name) is not None]
        if limit["fail"] is None or not measured:
            continue
        false = f"{sum(bool(alarms(r, one)) for r in measured)}/{len(measured)}"
        for index, (defect, members) in enumerate(_targets(records, name, one) or [("–", [])]):
            tried = [r for r in members if value(r, name) is not None]
            found = sum(bool(alarms(r, one)) for r in tried)
            caught = _share(found, len(tried)) if tried else "–"
            shown = (f"`{name}`", false) if index == 0 else ("", "")
            lines.append(f"| {shown[0]} | {defect} | {caught} | {shown[1]} |")
    return "\n".join(lines) + "\n"


def _targets(records: Sequence[Record], name: str, one: Limits) -> list[tuple[str, list[Record]]]:
    """Defects that the score is for, at every dose that was measured."""
    aim = AIMS.get(name)
    kinds = tuple(target.split("@")[0].rstrip("/") for target in aim.target) if aim else ()
    groups = _groups(records, harmless=False)
    if kinds:
        return [(defect, m) for defect, m in groups if defect.split("@")[0].startswith(kinds)]
    shares = [(sum(bool(alarms(r, one)) for r in m) / len(m), defect, m) for defect, m in groups]
    most = sorted((found for found in shares if found[0] >= OFTEN), key=lambda found: -found[0])
    return [(defect, members) for _, defect, members in most[:MOST]]


def _limits(limits: Limits) -> str:
    lines = [
        "## Limits", "",
        "| check | fails | look | how the limit was got |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for name, limit in limits.items():
        fail, warn = (
            "–" if limit[key] is None else f"{limit['side']} {limit[key]:g}"
            for key in ("fail", "warn")
        )
        lines.append(f"| `{name}` | {fail} | {warn} | {limit['how']} |")
    return "\n".join(lines) + "\n"
