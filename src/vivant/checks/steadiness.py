"""Does the picture hold still where it should: flicker, cuts, jelly, a flash at the end.

Knows nothing of faces or of the input picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.flow import Flow
from vivant.checks.metric import CannotMeasure, Spec, judged, unmeasured
from vivant.checks.oscillation import Oscillation
from vivant.checks.sample import Luma, Reference, Sample
from vivant.types import Score

FLICKER: Final = Spec("flicker", "quality", "%")
CUT: Final = Spec("cut", "quality", "levels")
ENDING: Final = Spec("ending", "ai_feel", "%")
JELLY: Final = Spec("global_jelly", "fidelity", "% of height")
TOO_MUCH: Final = Spec("motion_speed", "quality", "% of height/s")
MOTION: Final = Spec("motion", "quality", "% of height")

CELL: Final = 8
"""Pixels of a flow cell."""

GAIN_CELLS: Final = 12
"""Brightness is compared in this many by this many cells; the median ignores what moves."""

JELLY_HERTZ: Final = (1.8, 8.0)
"""Hz; where jelly wobbles."""

TEXTURE: Final = 3.0
"""Mean gradient in levels below which a cell cannot show that it moves."""

END_SECONDS: Final = 0.5
"""Seconds; the end that must not flash or fade."""

Floats = npt.NDArray[np.float64]


class Steadiness:
    """Six answers from one flow per frame."""

    specs = (JELLY, FLICKER, CUT, MOTION, TOO_MUCH, ENDING)

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._flow = Flow("fast")
        self._far = Flow("fast")
        self._previous: Luma | None = None
        self._first: Luma | None = None
        self._oscillation: Oscillation | None = None
        self._model: Floats | None = None
        self._gains: list[float] = []
        self._errors: list[float] = []
        self._speeds: list[float] = []
        self._moved: list[tuple[int, float]] = []
        self._log: Floats | None = None

    def look(self, sample: Sample) -> None:
        """Compare with the frame before; on the grid also with the first frame."""
        small = sample.small_luma
        log = np.log(
            cv2.resize(
                small.astype(np.float32), (GAIN_CELLS, GAIN_CELLS), interpolation=cv2.INTER_AREA
            ).astype(np.float64)
            + 8.0
        )
        if self._previous is None or self._log is None:
            self._first = small
            self._start(small)
        else:
            self._gains.append(float(np.median(log - self._log)))
            self._compare(self._previous, small)
        if sample.gridded and sample.index and self._first is not None:
            field = self._far.between(self._first, small)
            cells = _cells(field)
            moved = float(np.hypot(cells[..., 0], cells[..., 1]).max())
            self._moved.append((sample.index, moved / small.shape[0] * 100))
        self._previous, self._log = small, log

    def _start(self, small: Luma) -> None:
        x = cv2.Sobel(small, cv2.CV_32F, 1, 0)
        y = cv2.Sobel(small, cv2.CV_32F, 0, 1)
        gradient = _cells(np.stack([np.abs(x), np.abs(y)], axis=-1) / 4)
        # Both directions: along an edge flow is not seen.
        weights = (gradient.min(axis=-1) > TEXTURE / 2).astype(np.float64).ravel()
        rows, columns = gradient.shape[:2]
        v, u = np.mgrid[0:rows, 0:columns].astype(np.float64)
        u, v = (u - (columns - 1) / 2).ravel() / rows, (v - (rows - 1) / 2).ravel() / rows
        one, none = np.ones_like(u), np.zeros_like(u)
        pairs = ((one, none), (none, one), (u, v), (-v, u))
        self._model = np.stack([np.concatenate(pair) for pair in pairs], axis=1)
        self._weights = weights
        if weights.sum() >= 8:
            low, high = JELLY_HERTZ
            self._oscillation = Oscillation(self._fps, low=low, high=high, weights=weights)

    def _compare(self, before: Luma, now: Luma) -> None:
        field = self._flow.between(before, now)
        height, width = now.shape
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        back = cv2.remap(
            now, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        self._errors.append(float(np.mean(cv2.absdiff(back, before))))
        cells = _cells(field)
        lengths = np.hypot(cells[..., 0], cells[..., 1])
        self._speeds.append(float(np.percentile(lengths, 90)) / height * 100 * self._fps)
        if self._oscillation is None or self._model is None:
            return
        flow = np.concatenate([cells[..., 0].ravel(), cells[..., 1].ravel()]).astype(np.float64)
        weights = np.tile(self._weights, 2)
        residual = flow
        for _ in range(3):
            root = np.sqrt(weights)
            found = np.linalg.lstsq(self._model * root[:, None], flow * root, rcond=None)[0]
            residual = flow - self._model @ found
            length = np.hypot(*np.split(residual, 2))
            scale = float(np.median(length[self._weights > 0])) + 0.02
            weights = np.tile(self._weights * np.minimum(1, scale / np.maximum(length, 1e-9)), 2)
        percent = residual / height * 100
        self._oscillation.add(np.stack(np.split(percent, 2), axis=1).astype(np.float32))

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


def _cells(field: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Means over cells."""
    size = (max(2, field.shape[1] // CELL), max(2, field.shape[0] // CELL))
    return cv2.resize(field.astype(np.float32), size, interpolation=cv2.INTER_AREA).astype(
        np.float32, copy=False
    )
