"""Do brightness, contrast and colour stay even: pumping, and frames of another colour.

From one thumbnail to the next, the median over all cells is what the whole picture does; what
moves in it is ignored. Steps are added up to a level for every frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.median import median
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.checks.metrics.timing import thumbnail
from vivant.types import Score

PUMPING: Final = Spec("exposure_pumping", "quality", "%")
CONTRAST: Final = Spec("contrast_pumping", "quality", "%")
GLITCH: Final = Spec("color_glitch", "quality", "%")

DARK: Final = 8.0
"""Levels that are added before logarithms are taken: black has no brightness to compare."""

AROUND: Final = 8
"""Frames on each side whose median is the usual colour: a glitch is shorter than this."""

RETURN_SECONDS: Final = 2.0
"""A swell that does not fall again within this is a change of light, not pumping."""

SMOOTHED_SECONDS: Final = 1 / 8
"""What is shorter is flicker, which has its own check."""

ROUNDS: Final = 4
"""Of reweighted least squares (Cauchy's weights)."""

Floats = npt.NDArray[np.float64]


class _Change(NamedTuple):
    """From one frame to the next, as logarithms: brightness of red, green and blue; contrast."""

    gains: tuple[float, ...]
    contrast: float


class _Cells(NamedTuple):
    """A thumbnail: ``[3, N]`` logarithms of red, green and blue, and ``[N]`` means of the three."""

    logarithms: Floats
    means: Floats


def _prepared(frame: AnalyzedFrame) -> _Cells:
    """Computed once for a frame, which two steps ask for."""
    if "exposure" not in frame.cache:
        cells = thumbnail(frame).astype(np.float64).reshape(-1, 3)
        planes = np.ascontiguousarray(cells.T)
        frame.cache["exposure"] = _Cells(np.log(planes + DARK), planes.mean(axis=0))
    found: _Cells = frame.cache["exposure"]
    return found


class Exposure(Metric):
    """Three answers from every step."""

    parallel = True
    specs = (PUMPING, CONTRAST, GLITCH)

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._changes: list[_Change] = []

    def measure_step(self, before: AnalyzedFrame, now: AnalyzedFrame, _: object) -> _Change:
        """What the whole picture does."""
        one, other = _prepared(before), _prepared(now)
        gains = [median(row) for row in other.logarithms - one.logarithms]
        slope = _slope(one.means, other.means)
        return _Change(tuple(gains), float(np.log(slope)))

    def add(self, _: int, step: _Change | None, __: object) -> None:
        """Keep it."""
        if step is not None:
            self._changes.append(step)

    def finish(self, _: Reference) -> Sequence[Score]:
        """Three scores."""
        if len(self._changes) < 2 * AROUND:
            raise CannotMeasure("too_short")
        levels = _summed([change.gains for change in self._changes])
        contrast = _summed([(change.contrast,) for change in self._changes])
        return (
            self._pumping(PUMPING, levels.mean(axis=1)),
            self._pumping(CONTRAST, contrast[:, 0]),
            _glitch(levels),
        )

    def _pumping(self, spec: Spec, level: Floats) -> Score:
        width = max(1, round(self._fps * SMOOTHED_SECONDS))
        kernel = np.ones(2 * width + 1) / (2 * width + 1)
        smooth = np.convolve(np.pad(level, width, mode="edge"), kernel, "valid")
        values = _swells(smooth, round(RETURN_SECONDS * self._fps)) * 100
        series = [(i, float(v)) for i, v in enumerate(values)]
        return judged(spec, float(values.max()), series=series, frame=int(values.argmax()))


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
