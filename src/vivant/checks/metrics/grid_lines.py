"""Do thin lines lie over the picture at every so many pixels: the joints of a generator's patches.

A line of one pixel is darker or brighter than both its neighbours. Averaged along whole columns
and rows, with its sign, what the picture shows cancels out and a line stays, however faint it is.
"""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.metric import Spec
from vivant.checks.metrics.lattice import PERIODS, RareGrid, folded

GRID_LINES: Final = Spec("grid_lines", "quality", "levels")

MOST: Final = 12
"""Levels; a stronger line is an edge of the picture and counts as this much."""

EVERY: Final = 2
"""Every so many rows, or columns, are looked at."""

Floats = npt.NDArray[np.float64]


class GridLines(RareGrid):
    """Thin lines at every so many columns or rows."""

    specs = (GRID_LINES,)

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self._reference = reference

    @cached_property
    def _pictured(self) -> tuple[Floats, Floats]:
        return _thin(self._reference.luma)

    def prepare(self) -> None:
        """Measure the picture."""
        _ = self._pictured

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> float | None:
        """Levels by which the strongest grid of lines stands out in a rare frame."""
        if not frame.rare:
            return None
        both = zip(_thin(frame.luma), self._pictured, strict=True)
        return float(np.minimum(*(_combs(line - own) for line, own in both)).max())


def _thin(luma: Luma) -> tuple[Floats, Floats]:
    """By how many levels each column, and each row, is brighter than both its neighbours."""
    return _column_means(luma[::EVERY]), _column_means(np.ascontiguousarray(luma[:, ::EVERY].T))


def _column_means(luma: Luma) -> Floats:
    levels = luma.astype(np.int16)
    bent = levels[:, 1:-1] - ((levels[:, :-2] + levels[:, 2:]) >> 1)
    out = np.zeros(luma.shape[1])
    out[1:-1] = np.clip(bent, -MOST, MOST, out=bent).mean(axis=0)
    return out


def _combs(line: Floats) -> Floats:
    """``[len(PERIODS)]``: of all lines at every so many pixels, three in four stand out so much."""
    out = np.zeros(len(PERIODS))
    for i, lines in folded(line):
        dark, bright = np.percentile(lines, (75, 25), axis=0)
        out[i] = max(-dark.min(), bright.max())
    return out
