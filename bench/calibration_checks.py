"""``docs/calibration.md``: how often every check catches and alarms at the limits that ship.

Verdicts are taken again from the measured values, so a limit may be changed after the run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from calibration_shipped import HARMLESS, looks, wilson
from choose import AIMS, Record, alarms, label, value

Limits = Mapping[str, Mapping[str, Any]]

HEAD = """# Calibration of the checks

How often each check finds the defect it is for, and how often it alarms where there is none, at the
limits in `src/vivant/checks/limits.json`. This page is written by
`python bench/calibrate.py --records RECORDS` from the values of a run, so it fits the present
limits; do not edit it by hand. How the limits were found, and earlier tables:
[checks added later](calibration-added.md), [all defects](calibration-shipped.md), the
[first calibration](calibration-first.md).

**What this rests on.** {people} people in real and generated clips of 97 frames (examples of
LivePortrait, SadTalker, LatentSync, VideoReTalking, V-Express, VASA-1, AniPortrait, EchoMimic,
MuseTalk), {count} measured clips; defects of `bench/corruptions.py`, encoded (x264, CRF 18).
Their results were seen while some limits were set: **the limits have seen these clips.** Intervals
are Wilson's, 95 %.
{changed}"""


def checks_page(records: Sequence[Record], limits: Limits, changed: Collection[str] = ()) -> str:
    """The page.

    Args:
        records: measured clips.
        limits: name of a score → its limit.
        changed: scores whose check was changed after the run; they are left out and named.
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
            _caught(records, known),
            _limits(limits),
        )
    )


def _share(found: int, count: int) -> str:
    low, high = wilson(found, count)
    return f"{found}/{count} ({low:.0%} … {high:.0%})"


def _harmless(records: Sequence[Record], limits: Limits) -> str:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if label(record).startswith(HARMLESS):
            groups[label(record)].append(record)
    lines = [
        "## What must not alarm", "",
        "By all checks together. Clips that do have what they are failed for are counted too: six",
        "repeat more than a third of their frames.", "",
        "| clips without a defect | fail | at least a look | failed by |",
        "|---|---|---|---|",
    ]  # fmt: skip
    for name, members in sorted(groups.items()):
        by: dict[str, int] = defaultdict(int)
        failed = [alarms(record, limits) for record in members]
        for names in failed:
            for score in names:
                by[score] += 1
        seen = sum(bool(f or looks(r, limits)) for f, r in zip(failed, members, strict=True))
        most = ", ".join(f"{n} {c}" for n, c in sorted(by.items(), key=lambda pair: -pair[1]))
        lines.append(
            f"| {name} | {_share(sum(map(bool, failed)), len(members))} "
            f"| {_share(seen, len(members))} | {most or '–'} |"
        )
    return "\n".join(lines) + "\n"


def _caught(records: Sequence[Record], limits: Limits) -> str:
    clean = [record for record in records if label(record).startswith(HARMLESS)]
    lines = [
        "## Each check", "",
        "*Caught*: clips with a defect it is for, where it can measure: failed / tried.",
        "*Any check*: failed by this or another one, of all clips with the defect. *Alarms*: clips",
        "and edits without a defect that it fails, of those it can measure. –: not run.", "",
        "| check | defect @ dose | caught | any check | alarms |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for name, limit in limits.items():
        one = {name: limit}
        measured = [record for record in clean if value(record, name) is not None]
        if limit["fail"] is None or not measured:
            continue
        false = f"{sum(bool(alarms(r, one)) for r in measured)}/{len(measured)}"
        for index, (defect, members) in enumerate(_targets(records, name) or [("–", [])]):
            tried = [r for r in members if value(r, name) is not None]
            found = sum(bool(alarms(r, one)) for r in tried)
            other = sum(bool(alarms(r, limits)) for r in members)
            caught = _share(found, len(tried)) if tried else "–"
            anyone = _share(other, len(members)) if members else "–"
            shown = (f"`{name}`", false) if index == 0 else ("", "")
            lines.append(f"| {shown[0]} | {defect} | {caught} | {anyone} | {shown[1]} |")
    return "\n".join(lines) + "\n"


def _targets(records: Sequence[Record], name: str) -> list[tuple[str, list[Record]]]:
    """Defects that the score is for, at every dose that was measured."""
    aim = AIMS.get(name)
    kinds = tuple(target.split("@")[0].rstrip("/") for target in aim.target) if aim else ()
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if kinds and label(record).split("@")[0].startswith(kinds):
            groups[label(record)].append(record)
    return sorted(groups.items())


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
