"""Do brightness, contrast and colour stay even: pumping, slow changes, frames of another colour.

There are two ways to a level for every frame. From one thumbnail to the next, the median over all
cells is what the whole picture does, and these steps are added up (*summed*). And frames are
compared with the first one directly (*direct*, see :mod:`vivant.checks.metrics.light_change`),
in the cells past which nothing has moved in between. Errors add up in the first, a camera that
moves away blinds the second, so they are used together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.median import median
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.checks.metrics.light_change import (
    OFFSET,
    FirstLight,
    LightChange,
    first_light,
    light_change,
    still_cells,
)
from vivant.checks.metrics.timing import thumbnail
from vivant.types import Score

PUMPING: Final = Spec("exposure_pumping", "quality", "%")
CONTRAST: Final = Spec("contrast_pumping", "quality", "%")
GLITCH: Final = Spec("color_glitch", "quality", "%")
BRIGHTNESS: Final = Spec("brightness_shift", "ai_feel", "%")
COLOR: Final = Spec("color_shift", "ai_feel", "%")

AROUND: Final = 8
"""Frames on each side whose median is the usual colour: a glitch is shorter than this."""

RETURN_SECONDS: Final = 2.0
"""A swell that does not fall again within this is a change of light, not pumping."""

SMOOTHED_SECONDS: Final = 1 / 8
"""What is shorter is flicker, which has its own check."""

SHIFT_SECONDS: Final = 0.5
"""A shift is a mean over this, so that flicker and single frames do not count."""

SUMMED_ALONE: Final = {"exposure_pumping": 1.8 / 3.2, "contrast_pumping": 2.0 / 4.0}
"""What a swell that only the summed steps show counts for: of 63 clean clips they come to 1.6 %
(brightness) and 2.8 % (contrast), what both ways show to 1.6 % and 0.9 %."""

COMPARABLE: Final = 1 / 3
"""Share of the frames that must show enough of the first one's cells to tell a shift."""

ROUNDS: Final = 4
"""Of reweighted least squares (Cauchy's weights)."""

Floats = npt.NDArray[np.float64]


class _Change(NamedTuple):
    """From one frame to the next, as logarithms: brightness of red, green and blue; contrast.

    Beside them the cells past which nothing moved, packed.
    """

    gains: tuple[float, ...]
    contrast: float
    still: bytes


class _Cells(NamedTuple):
    """A thumbnail: ``[3, N]`` logarithms of red, green and blue, and ``[N]`` means of the three."""

    logarithms: Floats
    means: Floats


def _prepared(frame: AnalyzedFrame) -> _Cells:
    """Computed once for a frame, which two steps ask for."""
    if "exposure" not in frame.cache:
        cells = thumbnail(frame).astype(np.float64).reshape(-1, 3)
        planes = np.ascontiguousarray(cells.T)
        frame.cache["exposure"] = _Cells(np.log(planes + OFFSET), planes.mean(axis=0))
    found: _Cells = frame.cache["exposure"]
    return found


class Exposure(Metric):
    """Three answers from every step, two from every third frame."""

    parallel = True
    specs = (PUMPING, CONTRAST, GLITCH, BRIGHTNESS, COLOR)

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._changes: list[_Change] = []
        self._found: list[tuple[int, LightChange]] = []
        self._compared = 0
        self._first: FirstLight | None = None
        self._still: npt.NDArray[np.uint8] | None = None

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> npt.NDArray[np.float16] | None:
        """The thumbnail of every third frame."""
        return thumbnail(frame).astype(np.float16) if frame.compared else None

    def measure_step(self, before: AnalyzedFrame, now: AnalyzedFrame, _: object) -> _Change:
        """What the whole picture does."""
        one, other = _prepared(before), _prepared(now)
        gains = [median(row) for row in other.logarithms - one.logarithms]
        slope = _slope(one.means, other.means)
        still = still_cells(one.means, other.means)
        return _Change(tuple(gains), float(np.log(slope)), still)

    def add(self, index: int, step: _Change | None, found: npt.NDArray[np.float16] | None) -> None:
        """Keep the step; compare the thumbnail with the first one where nothing has moved."""
        if step is not None:
            self._changes.append(step._replace(still=b""))
            still = np.frombuffer(step.still, np.uint8)
            self._still = still if self._still is None else self._still & still
        if found is None:
            return
        self._compared += 1
        cells = found.astype(np.float32)
        if self._first is None:
            self._first = first_light(cells)
        kept = np.ones(cells.shape[:2], np.bool_)
        if self._still is not None:
            kept = np.unpackbits(self._still, count=kept.size).reshape(kept.shape) > 0
        change = light_change(self._first, cells, kept)
        if change is not None:
            self._found.append((index, change))

    def finish(self, _: Reference) -> Sequence[Score]:
        """Five scores."""
        if len(self._changes) < 2 * AROUND:
            raise CannotMeasure("too_short")
        levels = _summed([change.gains for change in self._changes])
        contrast = _summed([(change.contrast,) for change in self._changes])
        direct = self._direct(len(levels))
        return (
            self._pumping(PUMPING, levels.mean(axis=1), direct[:, 0]),
            self._pumping(CONTRAST, contrast[:, 0], direct[:, 3]),
            _glitch(levels),
            self._shift(BRIGHTNESS, direct[:, :1]),
            self._shift(COLOR, direct[:, 1:3]),
        )

    def _direct(self, count: int) -> Floats:
        """``[T, 4]``: the :class:`LightChange` of every frame; the last known one after it."""
        if not self._found:
            return np.zeros((count, 4))
        at = [index for index, _ in self._found]
        rows = np.asarray([change for _, change in self._found], np.float64)
        frames = np.arange(count)
        return np.stack([np.interp(frames, at, column) for column in rows.T], axis=1)

    def _pumping(self, spec: Spec, summed: Floats, direct: Floats) -> Score:
        """The milder of both ways, or what the sum alone shows, which counts for less."""
        one, other = (self._swells(level) for level in (summed, direct))
        values = np.maximum(
            np.minimum(one, _widest(other, self._width)), one * SUMMED_ALONE[spec.name]
        )
        series = [(i, float(v)) for i, v in enumerate(values)]
        return judged(spec, float(values.max()), series=series, frame=int(values.argmax()))

    @property
    def _width(self) -> int:
        return max(1, round(self._fps * SMOOTHED_SECONDS))

    def _swells(self, level: Floats) -> Floats:
        smooth = _smoothed(level, self._width)
        return _swells(smooth, round(RETURN_SECONDS * self._fps)) * 100

    def _shift(self, spec: Spec, levels: Floats) -> Score:
        """How far the whole picture gets from the first frame."""
        if len(self._found) < COMPARABLE * self._compared:
            return unmeasured(spec, CannotMeasure("light_incomparable"))
        half = max(1, round(self._fps * SHIFT_SECONDS / 2))
        smooth = np.stack([_smoothed(level, half) for level in levels.T])
        values = np.abs(smooth).max(axis=0) * 100
        series = [(i, float(v)) for i, v in enumerate(values)]
        return judged(spec, float(values.max()), series=series, frame=int(values.argmax()))


def _smoothed(level: Floats, width: int) -> Floats:
    """Means over ``width`` frames on each side."""
    kernel = np.ones(2 * width + 1) / (2 * width + 1)
    return np.convolve(np.pad(level, width, mode="edge"), kernel, "valid")


def _widest(values: Floats, width: int) -> Floats:
    """The largest of ``width`` frames on each side: both ways see a swell a little apart."""
    padded = np.pad(values, width, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * width + 1)
    return np.asarray(windows.max(axis=1), np.float64)


def _summed(changes: Sequence[tuple[float, ...]]) -> Floats:
    """``[T, N]`` level of every frame; that of the first is zero."""
    steps = np.asarray(changes, np.float64)
    return np.concatenate([np.zeros((1, steps.shape[1])), np.cumsum(steps, axis=0)])


def _slope(x: Floats, y: Floats) -> float:
    """Slope of the line through most cells, at least 0.1."""
    weights = np.ones_like(x)
    slope = 1.0
    for _ in range(ROUNDS):
        total = float(weights.sum())
        across, up = float(weights @ x) / total, float(weights @ y) / total
        spread = float(weights @ (x - across) ** 2)
        slope = float(weights @ ((x - across) * (y - up))) / spread if spread > 1e-6 else 1.0
        error = np.abs(y - up - slope * (x - across))
        weights = 1 / (1 + (error / (1.5 * (median(error) + 0.05))) ** 2)
    return max(0.1, slope)


def _swells(level: Floats, reach: int) -> Floats:
    """For every frame how far its level stands out of both sides, up or down, within ``reach``."""
    out = np.zeros(len(level))
    for i, value in enumerate(level):
        before, after = level[max(0, i - reach) : i + 1], level[i : i + reach + 1]
        up = min(value - before.min(), value - after.min())
        down = min(before.max() - value, after.max() - value)
        out[i] = max(up, down)
    return out


def _glitch(levels: Floats) -> Score:
    """The frame whose brightness or colour is furthest from the frames around it."""
    apart = np.zeros(len(levels))
    for i, level in enumerate(levels):
        usual = np.median(levels[max(0, i - AROUND) : i + AROUND + 1], axis=0)
        apart[i] = np.abs(level - usual).max() * 100
    series = [(i, float(v)) for i, v in enumerate(apart)]
    return judged(GLITCH, float(apart.max()), series=series, frame=int(apart.argmax()))
