"""A table of how the limits that ship do on people that none of them was chosen from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from choose import CLEAN, Record, alarms, label, value

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
    """Markdown: per defect and dose, failed, looked at and tried."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[label(record)].append(record)
    lines = [
        "| defect / variant @ dose | fails | 95 % interval | at least a look | by |",
        "|---|---|---|---|---|",
    ]
    order = sorted(groups, key=lambda name: (not name.startswith(CLEAN), name))
    for name in order:
        members = groups[name]
        failed, seen = 0, 0
        by: dict[str, int] = defaultdict(int)
        for record in members:
            found = alarms(record, limits)
            failed += bool(found)
            seen += bool(found or looks(record, limits))
            for score in found or looks(record, limits):
                by[score] += 1
        low, high = wilson(failed, len(members))
        most = ", ".join(f"{n} {c}" for n, c in sorted(by.items(), key=lambda p: -p[1])[:3])
        lines.append(
            f"| {name} | {failed}/{len(members)} | {low:.0%} … {high:.0%} "
            f"| {seen}/{len(members)} | {most or '–'} |"
        )
    return "\n".join(lines) + "\n"
