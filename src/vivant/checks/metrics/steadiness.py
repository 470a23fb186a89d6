"""Does the picture hold still where it should: flicker, cuts, jelly, a flash at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.flow import Flow, cell_means, places
from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.limits import Limit, limits
from vivant.checks.median import median
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.checks.metrics.far_flow import far_flow, step_flow
from vivant.checks.oscillation import Oscillation
from vivant.checks.robust_fit import robust_fit
from vivant.types import Box, Score

FLICKER: Final = Spec("flicker", "quality", "%")
LOCAL_FLICKER: Final = Spec("local_flicker", "quality", "levels")
CUT: Final = Spec("cut", "quality", "levels")
ENDING: Final = Spec("ending", "ai_feel", "%")
JELLY: Final = Spec("global_jelly", "fidelity", "% of height")
TOO_MUCH: Final = Spec("motion_speed", "quality", "% of height/s")
MOTION: Final = Spec("motion", "quality", "% of height")

GAIN_CELLS: Final = 12
"""Brightness is compared in this many by this many cells; the median ignores what moves."""

FLICKERING: Final = 0.95
"""Of the cells, those that flicker least: a face that is a fifth of the height covers a twentieth
of them."""

FLICKER_STEPS: Final = 12
"""Steps from which something can be told to flicker all the time: half a second."""

LEVEL: Final = 100
"""Brightness of cells is kept in hundredths of a level."""

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

CAMERA: Final = 0.25
"""Percent of the height by which a camera must shift, turn or zoom some part of the first frame to
be taken out of the motion: a picture that is zoomed by 1 % comes to 0.5 and more."""

MOST: Final = 0.9
"""Share of the textured cells that stay within the motion without the camera's: single cells lie
where something is covered or leaves the picture."""

STILL_CAMERA: Final = Limit(
    "below", None, 0.11,
    "by hand, percent of the height: stills of 12 people zoomed by 1 % come to 0.04 … 0.08, by 5 % "
    "to 0.07 … 0.24; clips of the engine living with small faces to 0.136 and more, real ones to "
    "0.37",
)  # fmt: skip
"""Instead of the limit for ``motion`` where a camera moves. It fails nothing: a camera that moves
over a still picture is what the engine ``camera`` makes without parallax, and says so."""

END_SECONDS: Final = 0.5
"""Seconds; the end that must not flash or fade."""

Floats = npt.NDArray[np.float64]


class _BackgroundBasis(NamedTuple):
    """What a camera can do with the cells of the first frame, and how much each one shows."""

    model: Floats
    weights: Floats


class _Moved(NamedTuple):
    """How far things have moved since the first frame, in percent of the height.

    ``camera`` is what a camera has shifted, turned or zoomed, where that is most, ``alone`` what
    moves beside it; both are NaN where they are not asked or cannot be seen.
    """

    most: float
    camera: float = np.nan
    alone: float = np.nan


class _FlowStep(NamedTuple):
    """From one frame to the next."""

    levels: npt.NDArray[np.uint16]
    gain: float
    error: float
    speed: float
    row: npt.NDArray[np.float32] | None
    carried: npt.NDArray[np.float32] | None


class Steadiness(Metric):
    """Seven answers from one flow per frame."""

    parallel = True
    specs = (JELLY, FLICKER, LOCAL_FLICKER, CUT, MOTION, TOO_MUCH, ENDING)

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._flow = Flow("fast")
        self._far = Flow("fast")
        self._ground: _BackgroundBasis | None = None
        self._oscillation: Oscillation | None = None
        self._shake: Oscillation | None = None
        self._levels: list[npt.NDArray[np.uint16]] = []
        self._gains: list[float] = []
        self._errors: list[float] = []
        self._speeds: list[float] = []
        self._moved: list[tuple[int, _Moved]] = []

    def anchor(self, frame: AnalyzedFrame) -> Luma:
        """The first frame."""
        return frame.small_luma

    def measure_frame(self, frame: AnalyzedFrame, first: Luma) -> Floats | _Moved | None:
        """Of frame 0 the cells' weights; of searched frames how far things have moved since."""
        if not frame.index:
            return self._on(first).weights
        if not frame.searched:
            return None
        ground = self._on(first)
        cells = cell_means(far_flow(self._far, first, frame))
        raw = _longest(cells, ground.weights > 0, first.shape[0])
        if not frame.sparse or ground.weights.sum() < FEWEST:
            return _Moved(raw)
        return _Moved(raw, *self._beside_camera(first, frame.small_luma, cells, ground))

    def _beside_camera(
        self, first: Luma, now: Luma, cells: npt.NDArray[np.float32], ground: _BackgroundBasis
    ) -> tuple[float, float]:
        """How far the camera has moved, and what else, seen where its movement is taken back."""
        height, width = first.shape
        moves, _ = _camera(_flat(cells), ground)
        carried = np.hypot(*np.split(ground.model @ moves, 2)).max() / height * 100
        grown, turned = moves[2:] / height
        middle = np.asarray([(width - 1) / 2, (height - 1) / 2])
        linear = np.asarray([[1 + grown, -turned], [turned, 1 + grown]])
        shift = middle + moves[:2] - linear @ middle
        there = np.column_stack([linear, shift]).astype(np.float32)
        back = cv2.warpAffine(
            now, there, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.uint8, copy=False)  # fmt: skip
        inside = cv2.warpAffine(
            np.ones_like(now), there, (width, height), flags=cv2.WARP_INVERSE_MAP
        )
        seen = (cell_means(inside).ravel() >= 1) & (ground.weights > 0)
        if seen.sum() < FEWEST:
            return np.nan, np.nan
        left = _flat(cell_means(self._far.between(first, back)))
        # flow falls short of large movements: once more, what a camera explains is taken out
        _, left = _camera(left, ground._replace(weights=np.where(seen, ground.weights, 0)))
        lengths = np.hypot(*np.split(left, 2))[seen]
        return float(carried), float(np.quantile(lengths, MOST)) / height * 100

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
        levels = (np.exp(_levels(now)) * LEVEL).astype(np.uint16)
        return _FlowStep(levels, gain, error, speed, *self._row(cells, self._on(first), height))

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
        flow = _flat(cells)
        _, residual = _camera(flow, ground)
        percent = residual / height * 100
        moved = np.split((flow - residual) / height * 100, 2)
        carried = np.asarray([[part.mean() for part in moved]], np.float32)
        return np.stack(np.split(percent, 2), axis=1).astype(np.float32), carried

    def add(self, index: int, step: _FlowStep | None, found: Floats | _Moved | None) -> None:
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
        self._levels.append(step.levels)
        self._gains.append(step.gain)
        self._errors.append(step.error)
        self._speeds.append(step.speed)
        if self._oscillation is not None and step.row is not None:
            self._oscillation.add(step.row)
            if self._shake is not None:
                self._shake.add(step.carried)

    def finish(self, reference: Reference) -> Sequence[Score]:
        """Seven scores."""
        if len(self._gains) < 4:
            raise CannotMeasure("too_short")
        return (
            self._jelly(),
            self._flicker(),
            self._local_flicker(reference),
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

    def _local_flicker(self, reference: Reference) -> Score:
        """What of a cell's brightness is back one frame later, in the cells that flicker most.

        What moves on past a cell, and what is shown twice, does not come back. In levels: in
        percent grain would flicker in the dark.
        """
        if len(self._levels) < FLICKER_STEPS:
            return unmeasured(LOCAL_FLICKER, CannotMeasure("too_short"))
        levels = np.stack(self._levels).astype(np.float32) / LEVEL
        now, around = levels[1:-1], (levels[:-2] + levels[2:]) / 2
        back = np.abs(now - around) - np.abs(levels[2:] - levels[:-2]) / 2
        back = np.maximum(back, 0)
        cells = np.median(back, axis=0)
        value = float(np.quantile(cells, FLICKERING))
        flickers = cells >= max(value, 1e-6)
        height, width = reference.pixels.shape[:2]
        rows, columns = (np.flatnonzero(flickers.any(axis=axis)) for axis in (1, 0))
        region = None
        if len(rows):
            down, across = height / GAIN_CELLS, width / GAIN_CELLS
            region = Box(
                columns[0] * across, rows[0] * down,
                (columns[-1] + 1 - columns[0]) * across, (rows[-1] + 1 - rows[0]) * down,
            )  # fmt: skip
        steps = back[:, flickers].mean(axis=1) if flickers.any() else back.mean(axis=(1, 2))
        series = [(i + 2, float(v)) for i, v in enumerate(steps)]
        frame = max(series, key=lambda pair: pair[1])[0]
        return judged(LOCAL_FLICKER, value, series=series, frame=frame, region=region)

    def _cut(self) -> Score:
        errors = np.asarray(self._errors)
        series = [(i + 1, float(v)) for i, v in enumerate(errors)]
        top = int(errors.argmax())
        return judged(CUT, float(errors[top] - np.median(errors)), series=series, frame=top + 1)

    def _motion(self) -> Score:
        if not self._moved:
            return unmeasured(MOTION, CannotMeasure("too_short"))
        series = [(index, found.most) for index, found in self._moved]
        if not any(found.camera >= CAMERA for _, found in self._moved):
            return judged(MOTION, max(value for _, value in series), series=series)
        alone = [(i, found.alone) for i, found in self._moved if np.isfinite(found.alone)]
        value = max(value for _, value in alone)
        message = f"{MOTION.name}.camera_{STILL_CAMERA.judge(value)}"
        return judged(MOTION, value, series=alone, message=message, limit=STILL_CAMERA)

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


def _flat(cells: npt.NDArray[np.float32]) -> Floats:
    """``[2N]``: all x, then all y."""
    return np.concatenate([cells[..., 0].ravel(), cells[..., 1].ravel()]).astype(np.float64)


def _camera(flow: Floats, ground: _BackgroundBasis) -> tuple[Floats, Floats]:
    """Shift, growth and turn that explain most cells, and what they leave."""
    seen = ground.weights > 0
    return robust_fit(
        flow, ground.model, ground.weights, rounds=3,
        scale=lambda length: median(length[seen]) + 0.02,
    )  # fmt: skip


def _longest(cells: npt.NDArray[np.float32], seen: npt.NDArray[np.bool_], height: int) -> float:
    """Of the cells that show something, percent of the height."""
    lengths = np.hypot(cells[..., 0], cells[..., 1]).ravel()
    if seen.sum() >= FEWEST:  # without texture, noise seems to move
        lengths = lengths[seen]
    return float(lengths.max()) / height * 100


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
