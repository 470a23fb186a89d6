"""Does a grid lie over the picture: the patches of a generator, or the blocks of an encoder.

A grid makes steps in brightness at every so many columns *and* rows, whatever the picture shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.types import Score

GRID: Final = Spec("grid", "quality", "levels")

PERIODS: Final = (8, 12, 16, 20, 24, 32, 48, 64)
"""Pixels; patches of 8, 16 and 32, as they are or enlarged by 1.25, 1.5 or 2."""

MOST: Final = 8
"""Levels; a larger step is an edge of the picture and counts as this much."""

NEAR: Final = 4
"""Columns on each side that a step is compared with."""

FEWEST: Final = 6
"""Lines of a grid, at least."""

EVERY: Final = 4
"""Every so many rows, or columns, are looked at."""

Floats = npt.NDArray[np.float64]


class RareGrid(Metric):
    """One answer from the rare frames: the median of what :meth:`measure_frame` finds."""

    parallel = True

    def __init__(self) -> None:
        self._seen: list[tuple[int, float]] = []

    def add(self, index: int, _: None, found: float | None) -> None:
        """Keep it."""
        if found is not None:
            self._seen.append((index, found))

    def finish(self, _: Reference) -> Sequence[Score]:
        """One score."""
        if len(self._seen) < 2:
            raise CannotMeasure("too_short")
        value = max(0.0, float(np.median([v for _, v in self._seen])))
        frame = max(self._seen, key=lambda pair: pair[1])[0]
        return (judged(self.specs[0], value, series=self._seen, frame=frame),)


class Lattice(RareGrid):
    """Steps at every so many columns and rows."""

    specs = (GRID,)

    def __init__(self, reference: Reference) -> None:
        super().__init__()
        self._pictured = combs(reference.luma)

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> float | None:
        """The strongest grid of a rare frame, beyond the picture's own."""
        if not frame.rare:
            return None
        return float(max(0.0, (combs(frame.luma) - self._pictured).max()))


def combs(luma: Luma) -> Floats:
    """``[len(PERIODS)]`` levels by which steps stand out at every so many columns and rows."""
    across = _standing_out(luma[::EVERY])
    down = _standing_out(np.ascontiguousarray(luma[:, ::EVERY].T))
    return np.minimum(across, down)


def _standing_out(luma: Luma) -> Floats:
    steps = np.abs(np.subtract(luma[:, 1:], luma[:, :-1], dtype=np.int16))
    line = np.minimum(steps, MOST, out=steps).mean(axis=0, dtype=np.float64)
    padded = np.pad(line, NEAR, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEAR + 1)
    stands = line - np.median(windows, axis=1)
    out = np.zeros(len(PERIODS))
    for i, lines in folded(stands):
        # The lower quartile of the lines: no few edges make a grid.
        out[i] = np.percentile(lines, 25, 0).max()
    return out


def folded(line: Floats) -> Iterator[tuple[int, Floats]]:
    """By number of a period with enough lines: ``[lines, period]``, values one period apart."""
    for i, period in enumerate(PERIODS):
        whole = len(line) // period
        if whole >= FEWEST:
            yield i, line[: whole * period].reshape(whole, period)
