"""Does the clip have the picture's resolution, or was it enlarged from less.

Spectra are compared with the picture's at the same scale: how much of its finest third is left,
beside how much of its coarser detail. Where the first frame is the picture, what both have in
common counts (their cross-spectrum), so that an encoder's noise is not taken for detail. Later
frames are compared by energy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Luma, Reference, same_picture
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.checks.metrics.texture import reduced_by
from vivant.types import Box, Score

RESOLUTION: Final = Spec("resolution", "quality")

SIDE: Final = 64
"""Pixels; side of the squares that are compared."""

MOST: Final = 6
"""Squares that are compared: those with most fine detail."""

FINE: Final = (0.30, 0.46)
COARSE: Final = (0.06, 0.15)
"""Cycles per pixel; half the resolution ends at 0.25."""

FAINT: Final = 0.25
"""Levels, root mean square, of the picture's fine detail below which nothing can be missing."""

SHIFTS: Final = np.linspace(-1, 1, 9)
"""Pixels by which a square of the first frame may lie beside the picture's."""

SQUARES: Final = 160
"""At most so many are looked at, evenly over the picture."""

LATER: Final = 1.8
"""Allowance for later frames: a turning head and motion blur take fine detail as well."""

Floats = npt.NDArray[np.float64]
Spectra = npt.NDArray[np.complex64]


class _Power(NamedTuple):
    """Mean power of fine and coarse detail."""

    fine: float
    coarse: float

    @property
    def ratio(self) -> float:
        """Amplitude of fine over coarse detail."""
        return float(np.sqrt(self.fine / max(self.coarse, 1e-9)))


class Resolution(Metric):
    """One answer from the rare frames."""

    parallel = True
    specs = (RESOLUTION,)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._scale = reference.detail
        self._seen: list[tuple[int, float]] = []
        self._same = False

    @cached_property
    def _picture(self) -> Luma:
        return reduced_by(self._reference.luma, self._scale)

    @cached_property
    def _pictured(self) -> Spectra:
        return _spectra(_squares(self._picture))

    @cached_property
    def _wanted(self) -> _Power:
        return _power(self._pictured)

    def prepare(self) -> None:
        """Measure the picture."""
        _ = self._wanted

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> tuple[float, bool] | None:
        """The share that is left, and whether it is that of the picture itself."""
        if not frame.rare:
            return None
        luma = reduced_by(frame.luma, self._scale)
        if not frame.index and same_picture(frame.small_luma, self._reference.small_luma):
            return _kept(self._pictured, _spectra(_squares(luma))), True
        return _power(_spectra(_squares(luma))).ratio / max(self._wanted.ratio, 1e-9), False

    def add(self, index: int, _: None, found: tuple[float, bool] | None) -> None:
        """Keep it."""
        if found is not None:
            self._seen.append((index, found[0]))
            self._same = self._same or found[1]

    def kept(self) -> float | None:
        """How much of the picture's finest detail the first frame has; None where that is unknown.

        It is known where the first frame is the picture and the picture has such detail.
        """
        known = self._same and np.sqrt(self._wanted.fine) >= FAINT
        return self._seen[0][1] if known else None

    def finish(self, _: Reference) -> Sequence[Score]:
        """One score."""
        if np.sqrt(self._wanted.fine) < FAINT:
            raise CannotMeasure("picture_without_detail")
        later = [v for index, v in self._seen if index or not self._same]
        values = [float(np.median(later)) * LATER] if later else []
        if self._same:
            values.append(self._seen[0][1])
        frame = min(self._seen, key=lambda pair: pair[1])[0]
        found = judged(
            RESOLUTION, min(values), series=self._seen, frame=frame, region=self._finest()
        )
        return (found,)

    def _finest(self) -> Box:
        """Where the picture has most fine detail: that is where its loss is seen."""
        luma = self._picture
        rows, columns = max(1, luma.shape[0] // SIDE), max(1, luma.shape[1] // SIDE)
        stride = _stride(rows * columns)
        row, column = divmod(int(_best(self._pictured)[-1]) * stride, columns)
        scale = self._reference.pixels.shape[1] / luma.shape[1]
        return Box(column * SIDE, row * SIDE, SIDE, SIDE).scaled(scale)


@cache
def _rings() -> tuple[Floats, Floats, Floats]:
    """A window, and the weights of fine and coarse frequencies, for one square."""
    window = np.outer(np.hanning(SIDE), np.hanning(SIDE))
    y, x = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
    radius = np.hypot(y, x)
    fine, coarse = (
        ((radius >= low) & (radius < high)).astype(np.float64) for low, high in (FINE, COARSE)
    )
    return window / np.sqrt((window**2).mean()), fine, coarse


def _stride(count: int) -> int:
    """Every so many squares are looked at."""
    return -(-count // SQUARES)


def _squares(luma: Luma) -> npt.NDArray[np.float32]:
    """Squares of the picture, ``[N, SIDE, SIDE]``, each without its mean."""
    rows, columns = max(1, luma.shape[0] // SIDE), max(1, luma.shape[1] // SIDE)
    if min(luma.shape) < SIDE:
        luma = np.pad(luma, [(0, max(0, SIDE - n)) for n in luma.shape], mode="reflect")
    part = luma[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE)
    every = np.arange(0, rows * columns, _stride(rows * columns))
    squares = part[every // columns, :, every % columns].astype(np.float32)
    return np.asarray(squares - squares.mean(axis=(1, 2), keepdims=True), np.float32)


def _spectra(squares: npt.NDArray[np.float32]) -> Spectra:
    """In single precision, which is exact to a millionth of a level."""
    window = _rings()[0].astype(np.float32) / np.float32(SIDE**2)
    return np.asarray(np.fft.rfft2(squares * window), np.complex64)


def _energy(spectra: Spectra) -> npt.NDArray[np.float32]:
    return np.asarray(spectra.real**2 + spectra.imag**2, np.float32)


def _best(spectra: Spectra) -> npt.NDArray[np.intp]:
    """The squares with most fine detail."""
    energy = np.einsum("nyx,yx->n", _energy(spectra), _rings()[1].astype(np.float32))
    return np.argsort(energy)[-MOST:]


def _power(spectra: Spectra) -> _Power:
    power = _energy(spectra[_best(spectra)]).mean(axis=0, dtype=np.float64)
    _, fine, coarse = _rings()
    return _Power(2 * float((power * fine).sum()), 2 * float((power * coarse).sum()))


def _kept(one: Spectra, other: Spectra) -> float:
    """Gain of the picture's fine detail in the same picture, over that of its coarse detail.

    Every square may lie up to a pixel beside its place: a resized clip often does.
    """
    best = _best(one)
    cross, own = one[best].conj() * other[best], _energy(one[best]).astype(np.float64)
    turns = 2j * np.pi * SHIFTS
    down, across = (
        np.exp(np.outer(turns, f)) for f in (np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE))
    )
    gains = []
    for ring in _rings()[1:]:
        by_row = np.einsum("ay,nyx->nax", down, cross * ring)
        shifted = np.real(np.einsum("nax,bx->nab", by_row, across))
        gains.append(float(shifted.max(axis=(1, 2)).sum()) / max(float((own * ring).sum()), 1e-9))
    return max(0.0, gains[0]) / max(gains[1], 1e-3)
