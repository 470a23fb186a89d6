"""Does the picture hold still where it should: flicker, cuts, jelly, a flash at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.flow import Flow, cell_means, places
from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.limits import limits
from vivant.checks.median import median
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.checks.metrics.far_flow import far_flow, step_flow
from vivant.checks.oscillation import Oscillation
from vivant.checks.robust_fit import robust_fit
from vivant.types import Score

FLICKER: Final = Spec("flicker", "quality", "%")
CUT: Final = Spec("cut", "quality", "levels")
ENDING: Final = Spec("ending", "ai_feel", "%")
JELLY: Final = Spec("global_jelly", "fidelity", "% of height")
TOO_MUCH: Final = Spec("motion_speed", "quality", "% of height/s")
MOTION: Final = Spec("motion", "quality", "% of height")

GAIN_CELLS: Final = 12
"""Brightness is compared in this many by this many cells; the median ignores what moves."""

CUT_SHARE: Final = 0.7
CUT_TIMES: Final = 2.0
"""A step is not larger than so many times what this share of the cells stays below: a cut changes
more than three tenths of the picture, a caption strip that comes less: one of an eighth of the
height also disturbs what moves beside it, a quarter of the cells in all."""

JELLY_HERTZ: Final = (1.8, 8.0)
"""Hz; where jelly wobbles."""

TEXTURE: Final = 3.0
"""Mean gradient in levels below which a cell cannot show that it moves."""

FEWEST: Final = 8
"""Cells with texture that jelly needs to be seen."""

SHAKEN: Final = 1.3
"""Times the jelly, by which the whole picture swings where a camera shakes in a hand. 1.7 in such a
clip, up to 0.7 in people who nod before jelly."""

END_SECONDS: Final = 0.5
"""Seconds; the end that must not flash or fade."""

Floats = npt.NDArray[np.float64]


class _BackgroundBasis(NamedTuple):
    """What a camera can do with the cells of the first frame, and how much each one shows."""

    model: Floats
    weights: Floats


class _FlowStep(NamedTuple):
    """From one frame to the next."""

    gain: float
    error: float
    speed: float
    row: npt.NDArray[np.float32] | None
    carried: npt.NDArray[np.float32] | None


class Steadiness(Metric):
    """Six answers from one flow per frame."""

    parallel = True
    specs = (JELLY, FLICKER, CUT, MOTION, TOO_MUCH, ENDING)

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._flow = Flow("fast")
        self._far = Flow("fast")
        self._ground: _BackgroundBasis | None = None
        self._oscillation: Oscillation | None = None
        self._shake: Oscillation | None = None
        self._gains: list[float] = []
        self._errors: list[float] = []
        self._speeds: list[float] = []
        self._moved: list[tuple[int, float]] = []

    def anchor(self, frame: AnalyzedFrame) -> Luma:
        """The first frame."""
        return frame.small_luma

    def measure_frame(self, frame: AnalyzedFrame, first: Luma) -> Floats | float | None:
        """Of frame 0 the cells' weights; of searched frames how far things have moved since."""
        if not frame.index:
            return self._on(first).weights
        if not frame.searched:
            return None
        cells = cell_means(far_flow(self._far, first, frame))
        lengths = np.hypot(cells[..., 0], cells[..., 1]).ravel()
        textured = self._on(first).weights > 0
        if textured.sum() >= FEWEST:  # without texture, noise seems to move
            lengths = lengths[textured]
        return float(lengths.max()) / float(first.shape[0]) * 100

    def measure_step(self, before: AnalyzedFrame, now: AnalyzedFrame, first: Luma) -> _FlowStep:
        """Compare with the frame before."""
        gain = median(_levels(now) - _levels(before))
        one, other = before.small_luma, now.small_luma
        field = step_flow(self._flow, before, now)
        height, width = other.shape
        back = cv2.remap(
            other, places(height, width) + field, np.empty(0, np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        error = _step_size(cv2.absdiff(back, one))
        cells = cell_means(field)
        lengths = np.hypot(cells[..., 0], cells[..., 1])
        speed = float(np.percentile(lengths, 90)) / height * 100 * self._fps
        return _FlowStep(gain, error, speed, *self._row(cells, self._on(first), height))

    def _on(self, first: Luma) -> _BackgroundBasis:
        if self._ground is None:
            self._ground = _ground(first)
        return self._ground

    def _row(
        self, cells: npt.NDArray[np.float32], ground: _BackgroundBasis, height: int
    ) -> tuple[npt.NDArray[np.float32] | None, npt.NDArray[np.float32] | None]:
        """What no camera movement explains, and the mean of what one does, percent of height."""
        if ground.weights.sum() < FEWEST:
            return None, None
        flow = np.concatenate([cells[..., 0].ravel(), cells[..., 1].ravel()]).astype(np.float64)
        seen = ground.weights > 0
        _, residual = robust_fit(
            flow, ground.model, ground.weights, rounds=3,
            scale=lambda length: median(length[seen]) + 0.02,
        )  # fmt: skip
        percent = residual / height * 100
        moved = np.split((flow - residual) / height * 100, 2)
        carried = np.asarray([[part.mean() for part in moved]], np.float32)
        return np.stack(np.split(percent, 2), axis=1).astype(np.float32), carried

    def add(self, index: int, step: _FlowStep | None, found: Floats | float | None) -> None:
        """Keep a frame's numbers."""
        if isinstance(found, np.ndarray):
            if found.sum() >= FEWEST:
                low, high = JELLY_HERTZ
                self._oscillation = Oscillation(self._fps, low=low, high=high, weights=found)
                self._shake = Oscillation(self._fps, low=low, high=high, weights=np.ones(1))
        elif found is not None:
            self._moved.append((index, found))
        if step is None:
            return
        self._gains.append(step.gain)
        self._errors.append(step.error)
        self._speeds.append(step.speed)
        if self._oscillation is not None and step.row is not None:
            self._oscillation.add(step.row)
            if self._shake is not None:
                self._shake.add(step.carried)

    def finish(self, _: Reference) -> Sequence[Score]:
        """Six scores."""
        if len(self._gains) < 4:
            raise CannotMeasure("too_short")
        return (
            self._jelly(),
            self._flicker(),
            self._cut(),
            self._motion(),
            judged(TOO_MUCH, float(np.percentile(self._speeds, 90))),
            self._ending(),
        )

    def _jelly(self) -> Score:
        if self._oscillation is None:
            return unmeasured(JELLY, CannotMeasure("no_texture"))
        swing = self._oscillation.finish()
        if swing is None:
            return unmeasured(JELLY, CannotMeasure("too_short"))
        shake = None if self._shake is None else self._shake.finish()
        shaken = shake is not None and shake.amplitude > SHAKEN * swing.amplitude
        if shaken and limits()[JELLY.name].judge(swing.amplitude) != "pass":
            # a camera in a hand: depth and the rows of its sensor bend the picture
            return unmeasured(JELLY, CannotMeasure("shaken"))
        return judged(JELLY, swing.amplitude, frame=swing.frame, facts={"hertz": swing.hertz})

    def _flicker(self) -> Score:
        steps = np.abs(np.diff(np.asarray(self._gains))) * 100
        series = [(i + 1, float(v)) for i, v in enumerate(steps)]
        frame = max(series, key=lambda pair: pair[1])[0]
        return judged(FLICKER, float(np.median(steps)), series=series, frame=frame)

    def _cut(self) -> Score:
        errors = np.asarray(self._errors)
        series = [(i + 1, float(v)) for i, v in enumerate(errors)]
        top = int(errors.argmax())
        return judged(CUT, float(errors[top] - np.median(errors)), series=series, frame=top + 1)

    def _motion(self) -> Score:
        if not self._moved:
            return unmeasured(MOTION, CannotMeasure("too_short"))
        return judged(MOTION, max(value for _, value in self._moved), series=self._moved)

    def _ending(self) -> Score:
        levels = np.concatenate([[0.0], np.cumsum(self._gains)]) * 100
        count = max(2, round(END_SECONDS * self._fps))
        if len(levels) < 3 * count:
            return unmeasured(ENDING, CannotMeasure("too_short"))
        before = levels[-3 * count : -count]
        usual = float(np.median(before))
        apart = np.abs(levels - usual)
        series = [(i, float(v)) for i, v in enumerate(apart)]
        end = apart[-count:]
        frame = len(levels) - count + int(end.argmax())
        return judged(ENDING, float(end.max()), series=series[-4 * count :], frame=frame)


def _step_size(apart: npt.NDArray[np.generic]) -> float:
    """Mean of the levels between two frames, at most :data:`CUT_TIMES` those of most cells."""
    sides = (GAIN_CELLS, GAIN_CELLS)
    cells = cv2.resize(apart.astype(np.float32), sides, interpolation=cv2.INTER_AREA)
    most = float(np.sort(cells, axis=None)[round(CUT_SHARE * cells.size)])
    return min(float(cells.mean()), CUT_TIMES * most)


def _levels(frame: AnalyzedFrame) -> Floats:
    """Logarithm of the brightness of every part."""
    if "levels" not in frame.cache:
        small = cv2.resize(
            frame.small_luma.astype(np.float32),
            (GAIN_CELLS, GAIN_CELLS),
            interpolation=cv2.INTER_AREA,
        )
        frame.cache["levels"] = np.log(small.astype(np.float64) + 8.0)
    levels: Floats = frame.cache["levels"]
    return levels


def _ground(first: Luma) -> _BackgroundBasis:
    x = cv2.Sobel(first, cv2.CV_32F, 1, 0)
    y = cv2.Sobel(first, cv2.CV_32F, 0, 1)
    gradient = cell_means(np.stack([np.abs(x), np.abs(y)], axis=-1) / 4)
    # Both directions: along an edge flow is not seen.
    weights = (gradient.min(axis=-1) > TEXTURE / 2).astype(np.float64).ravel()
    rows, columns = gradient.shape[:2]
    v, u = np.mgrid[0:rows, 0:columns].astype(np.float64)
    u, v = (u - (columns - 1) / 2).ravel() / rows, (v - (rows - 1) / 2).ravel() / rows
    one, none = np.ones_like(u), np.zeros_like(u)
    pairs = ((one, none), (none, one), (u, v), (-v, u))
    return _BackgroundBasis(np.stack([np.concatenate(pair) for pair in pairs], axis=1), weights)
