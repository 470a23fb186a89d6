"""Does a second, fainter copy of the picture shine through beside the first.

A copy at a distance makes waves in the spectrum, so the inverse transform of the logarithm of the
spectrum (the cepstrum: Bogert, Healy and Tukey, 1963) has a peak at this distance. Spectra of
overlapping squares are averaged, and the picture's own is taken out. What moves does not matter.
A copy of the whole picture shows in all of its squares. Letters of a caption or a small picture in
a corner repeat themselves in some: the mildest of all rows, those without the first and those
without the last one counts. The square that is marked lies where rows and columns show the peak
most.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.types import Box, Score

GHOST: Final = Spec("ghost", "quality", "times the usual")

SQUARE: Final = 256
"""Pixels; side of the squares, or :data:`SMALL_SQUARE` in smaller pictures."""

SMALL_SQUARE: Final = 128

NEAREST: Final = 4
FURTHEST: Final = 48
"""Pixels between a picture and its copy."""

AROUND: Final = 2
"""Pixels; a peak is held against the median of its surroundings."""

FAINT: Final = 30.0
"""Power below which a frequency holds an encoder's noise only."""

Cepstra = npt.NDArray[np.float16]
"""``[rows + columns, down, across]``: one for every row of squares, then for every column."""

Floats = npt.NDArray[np.float32]


class _Squares(NamedTuple):
    """Side of the overlapping squares, and where their rows and columns start."""

    side: int
    tops: npt.NDArray[np.intp]
    lefts: npt.NDArray[np.intp]


class Ghost(Metric):
    """One answer from the rare frames."""

    parallel = True
    specs = (GHOST,)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._seen: list[tuple[int, Cepstra]] = []

    @cached_property
    def _pictured(self) -> npt.NDArray[np.float64]:
        return _log_spectra(self._reference.medium_luma)

    def prepare(self) -> None:
        """Measure the picture."""
        _ = self._pictured

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> Cepstra | None:
        """The cepstra of a rare frame, beyond the picture's own."""
        if not frame.rare or not frame.index:
            return None
        cepstra = np.fft.irfft2(_log_spectra(frame.medium_luma) - self._pictured)
        reach = FURTHEST + AROUND
        rows = np.arange(-reach, reach + 1)
        return cepstra[:, rows][:, :, np.arange(-AROUND, reach + 1)].astype(np.float16)

    def add(self, index: int, _: None, found: Cepstra | None) -> None:
        """Keep it."""
        if found is not None:
            self._seen.append((index, found))

    def finish(self, _: Reference) -> Sequence[Score]:
        """The highest peak of the mean, in deviations of all others."""
        if len(self._seen) < 2:
            raise CannotMeasure("too_short")
        mean = np.mean([found.astype(np.float32) for _, found in self._seen], axis=0)
        squares = _squares(self._reference.medium_luma.shape)
        count = len(squares.tops)
        rows = mean[:count]
        parts = [rows, rows[1:], rows[:-1]] if count > 1 else [rows]
        value, best = min(_peak(np.asarray(part.mean(axis=0), np.float32)) for part in parts)
        peaks = mean.reshape(len(mean), -1)[:, best]
        top = squares.tops[int(peaks[:count].argmax())]
        left = squares.lefts[int(peaks[count:].argmax())]
        scale = self._reference.pixels.shape[1] / self._reference.medium_luma.shape[1]
        height, width = self._reference.medium_luma.shape
        high, wide = min(squares.side, height), min(squares.side, width)
        frame = max(
            self._seen,
            key=lambda pair: float(pair[1][:count].mean(axis=0, dtype=np.float32).ravel()[best]),
        )[0]
        region = Box(float(left), float(top), float(wide), float(high)).scaled(scale)
        return (judged(GHOST, max(0.0, value), frame=frame, region=region),)


def _peak(mean: Floats) -> tuple[float, int]:
    """The highest peak in deviations of all others, and where it is."""
    usable = _distances()
    peaks = mean - cv2.medianBlur(mean, 2 * AROUND + 1)
    others = peaks[usable]
    spread = 1.4826 * float(np.median(np.abs(others - np.median(others))))
    best = int(np.where(usable, peaks, -np.inf).argmax())
    return float(peaks.ravel()[best]) / max(spread, 1e-9), best


@cache
def _distances() -> npt.NDArray[np.bool_]:
    """Where a copy is near enough and far enough; each distance once."""
    reach = FURTHEST + AROUND
    y, x = np.mgrid[-reach : reach + 1, -AROUND : reach + 1]
    length = np.hypot(y, x)
    half = (x > 0) | ((x == 0) & (y > 0))
    return np.asarray((length >= NEAREST) & (length <= FURTHEST) & half)


def _squares(shape: tuple[int, ...]) -> _Squares:
    side = SQUARE if min(shape) >= SQUARE else SMALL_SQUARE
    tops, lefts = (
        np.linspace(0, max(0, n - side), max(1, -(-2 * n // side) - 1)).astype(np.intp)
        for n in shape
    )
    return _Squares(side, tops, lefts)


def _log_spectra(luma: Luma) -> npt.NDArray[np.float64]:
    """Mean logarithm of the power of the squares of every row, then of every column."""
    side, tops, lefts = _squares(luma.shape)
    levels = luma.astype(np.float32)
    if min(levels.shape) < side:
        levels = np.pad(levels, [(0, max(0, side - n)) for n in levels.shape], mode="reflect")
    window = np.outer(np.hanning(side), np.hanning(side)).astype(np.float32)
    rows, columns = (np.zeros((len(ends), side, side // 2 + 1)) for ends in (tops, lefts))
    for row, top in zip(rows, tops, strict=True):
        for column, left in zip(columns, lefts, strict=True):
            part = levels[top : top + side, left : left + side]
            power = np.abs(np.fft.rfft2((part - part.mean()) * window)) ** 2 / side**2
            logarithm = np.log(power + FAINT)
            row += logarithm
            column += logarithm
    return np.concatenate([rows / len(lefts), columns / len(tops)])
