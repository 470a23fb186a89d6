"""How the limits that ship do: tables of edits that must not alarm, and of all defects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from choose import CLEAN, Record, alarms, label, value

HARMLESS = (*CLEAN, "faded/")
"""Labels of what is no defect. Fades are none, but no limit is chosen by them."""

Z: float = 1.96
"""Of a two-sided 95 % interval."""


def wilson(found: int, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share (1927)."""
    share = found / count
    middle = share + Z**2 / (2 * count)
    spread = Z * sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    whole = 1 + Z**2 / count
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def looks(record: Record, limits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Names of the scores in the band between pass and fail."""
    out = []
    for name, limit in limits.items():
        found, warn = value(record, name), limit["warn"]
        if found is None or warn is None or name in alarms(record, limits):
            continue
        if found > warn if limit["side"] == "above" else found < warn:
            out.append(name)
    return out


def shipped(records: Sequence[Record], limits: Mapping[str, Mapping[str, Any]]) -> str:
    """Markdown: what must not alarm, then per defect and dose, failed, looked at and tried."""
    harmless = [r for r in records if label(r).startswith(HARMLESS)]
    spoiled = [r for r in records if not label(r).startswith(HARMLESS)]
    people = len({r["person"] for r in records})
    return (
        f"{people} people, {len(records)} clips.\n\n"
        + f"{_rows('clips without a defect', harmless, limits)}\n"
        + _rows("defect / variant @ dose", spoiled, limits)
    )


def _rows(title: str, records: Sequence[Record], limits: Mapping[str, Mapping[str, Any]]) -> str:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[label(record)].append(record)
    lines = [
        f"| {title} | fails | 95 % interval | at least a look | 95 % interval | by |",
        "|---|---|---|---|---|---|",
    ]
    for name, members in sorted(groups.items()):
        failed, seen, count = 0, 0, len(members)
        by: dict[str, int] = defaultdict(int)
        for record in members:
            found = alarms(record, limits)
            failed += bool(found)
            seen += bool(found or looks(record, limits))
            for score in found or looks(record, limits):
                by[score] += 1
        most = ", ".join(f"{n} {c}" for n, c in sorted(by.items(), key=lambda p: -p[1])[:4])
        lines.append(
            f"| {name} | {failed}/{count} | {_interval(failed, count)} "
            f"| {seen}/{count} | {_interval(seen, count)} | {most or '–'} |"
        )
    return "\n".join(lines) + "\n"


def _interval(found: int, count: int) -> str:
    low, high = wilson(found, count)
    return f"{low:.0%} … {high:.0%}"
