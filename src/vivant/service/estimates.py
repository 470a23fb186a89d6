"""How long a clip will take and what it will cost, from clips this service has made.

Pure arithmetic over finished clips' timings. Knows nothing of clocks or databases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

OVERHEAD = 1.0
"""Seconds of a clip that do not grow with it: reading the picture, writing the report."""


ALIKE = 4.0
"""How many times larger or smaller a clip may be that is preferred for an estimate."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, or None where this service has not made such a clip.

    Attributes:
        device: of the clips looked at; empty where there are none.
        basis: what the figures rest on.
    """

    seconds: float | None
    low: float | None
    high: float | None
    device: str
    basis: str


def estimate(
    measured: Sequence[Mapping[str, Any]], *, num_frames: int, pixels: int, recipe: str
) -> Estimate:
    """Scale the medians of finished clips by frames × pixels.

    Args:
        measured: timings, newest first.
        num_frames: of the clip asked about.
        pixels: of one of its frames.
        recipe: clips of the same recipe are preferred; others are better than nothing.
    """
    same = [row for row in measured if row["recipe"] == recipe]
    rows = _alike(same or list(measured), num_frames * pixels)
    if not rows:
        return Estimate(
            None, None, None, "", "not measured on this machine yet: the first clip tells"
        )
    work = num_frames * pixels
    guesses = sorted(
        OVERHEAD
        + max(0.0, row["seconds"] - OVERHEAD) * work / max(1, row["num_frames"] * row["pixels"])
        for row in rows
    )
    basis = f"measured here ({len(rows)} {'clip' if len(rows) == 1 else 'clips'})"
    if not same:
        basis += " with another recipe"
    return Estimate(median(guesses), guesses[0], guesses[-1], rows[0]["device"], basis)


def _alike(rows: Sequence[Mapping[str, Any]], work: int) -> Sequence[Mapping[str, Any]]:
    """Those of about this size, where there are any: a small clip says little of a large one."""
    near = [
        row
        for row in rows
        if 1 / ALIKE <= work / max(1, row["num_frames"] * row["pixels"]) <= ALIKE
    ]
    return near or rows


def weights(
    measured: Sequence[Mapping[str, Any]], recipe: str, usual: Mapping[str, float]
) -> dict[str, float]:
    """Stage label → seconds it is busy: the median of finished clips, else ``usual``."""
    same = [row for row in measured if row["recipe"] == recipe][:5]
    if not same:
        return dict(usual)
    labels = same[0]["stages"]
    return {
        name: max(0.01, median(row["stages"].get(name, 0.0) for row in same)) for name in labels
    }
