"""Does an earlier frame shine through, so that whatever moves leaves a trail.

Where a share of the frame of ``k`` frames ago is mixed into each frame, the brightness of every
cell has an echo in time. That makes waves in the spectrum, whatever moves and however fast, and
the inverse transform of the spectrum's logarithm (the cepstrum: Bogert, Healy and Tukey, 1963) has
a peak at ``k`` of about the share over the rest. ``ghost.py`` looks for the same in the plane.

What comes again every ``k`` frames, such as an encoder's groups of pictures, is no echo: it makes
lines in the spectrum, so there is a peak at ``2 k``, too, where an echo has a small dip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.flow import patch_of_most
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.checks.metrics.timing import thumbnail
from vivant.types import Box, Score

TRAIL: Final = Spec("ghost_trail", "quality")

WINDOW: Final = 48
"""Frames of a window: two seconds at 24 fps. Windows start every half of it."""

SHORTEST: Final = 28
"""Frames that a clip needs."""

LAGS: Final = (3, 10)
"""Frames from which to which a trail may be behind: nearer is motion blur, further off an encoder's
groups of pictures, half a second long, come to 0.17."""

AROUND: Final = (-2, -1, 1, 2)
"""Lags that a peak is held against."""

MOST: Final = 0.3
"""Of the cells, those that change most: the others hold an encoder's noise."""

CHANGES: Final = 1.0
"""Levels of standard deviation from which a cell shows that something moves."""

FEWEST: Final = 20
"""Cells that change, which a window needs."""

AGAIN: Final = 2.0
"""Times the peak at twice the lag, that is taken off: lines which are some bins wide have a lower
peak there than at the lag. Slow clips of ten people, encoded in four ways, come to 0.07 instead of
0.2."""

REPEATED: Final = 0.15
"""Of the median step of the last :data:`STEPS` others, below which a frame repeats the one before:
clips are measured with repeated frames and without, as those come again and again as well."""

STEPS: Final = 10

FAINT: Final = 0.03
"""Power, in squared levels, that is added before logarithms are taken: below it is an encoder's."""

PATCH: Final = 7
"""Cells; side of the patch that is marked."""

Floats = npt.NDArray[np.float32]


class _Window(NamedTuple):
    """What one window shows.

    Attributes:
        middle: frame in its middle.
        cepstrum: of the cells that change most, ``[WINDOW // 2]``.
    """

    middle: int
    cepstrum: Floats


class _Echoes:
    """The windows of a clip, from a ring of its last frames."""

    def __init__(self) -> None:
        self.count = 0
        self.windows: list[_Window] = []
        self.cells: Floats = np.zeros(1, np.float32)  # [lags, h, w], the sum of all windows
        self._recent: npt.NDArray[np.float16] | None = None  # [WINDOW, h, w], the next at count
        self._indices = [0] * WINDOW
        self._until = 0

    def add(self, index: int, levels: npt.NDArray[np.float16]) -> None:
        """Keep the last window; measure it when it is full and half of it is new."""
        if self._recent is None:
            self._recent = np.zeros((WINDOW, *levels.shape), np.float16)
        self._recent[self.count % WINDOW] = levels
        self._indices[self.count % WINDOW] = index
        self.count += 1
        if self.count >= WINDOW and self.count - self._until >= WINDOW // 2:
            self._measure(self._recent)

    def finish(self) -> None:
        """Measure what is left."""
        if self._recent is not None and self._until < self.count:
            self._measure(self._recent)

    def peaks(self) -> Floats:
        """Those of the mean cepstrum."""
        shortest = min(len(window.cepstrum) for window in self.windows)
        return _peaks(np.mean([window.cepstrum[:shortest] for window in self.windows], axis=0))

    def _measure(self, recent: npt.NDArray[np.float16]) -> None:
        """Measure the last frames: an even number of them, for the transform."""
        self._until = self.count
        length = min(WINDOW, self.count - self.count % 2)
        places = np.arange(self.count - length, self.count) % WINDOW
        middle = self._indices[places[length // 2]]
        found = _window(recent[places].astype(np.float32), middle)
        if found is not None:
            window, echoes = found
            self.windows.append(window)
            self.cells = self.cells + echoes


class Trail(Metric):
    """One answer from every frame's thumbnail."""

    parallel = True
    specs = (TRAIL,)

    def __init__(self, reference: Reference) -> None:
        self._size = reference.pixels.shape[:2]
        self._all = _Echoes()
        self._new: _Echoes | None = None  # without repeated frames, from the first of them on
        self._before: npt.NDArray[np.float16] | None = None
        self._steps: deque[float] = deque(maxlen=STEPS)

    def measure_frame(self, frame: AnalyzedFrame, _: object) -> npt.NDArray[np.float16]:
        """Brightness of the thumbnail's cells."""
        levels: npt.NDArray[np.float16] = thumbnail(frame).mean(axis=-1).astype(np.float16)
        return levels

    def add(self, index: int, __: object, found: npt.NDArray[np.float16]) -> None:
        """Keep the frame, with those that are new where it does not repeat the one before."""
        repeats = self._repeats(found)
        if repeats and self._new is None:
            self._new = deepcopy(self._all)
        self._all.add(index, found)
        if self._new is not None and not repeats:
            self._new.add(index, found)
        self._before = found

    def _repeats(self, levels: npt.NDArray[np.float16]) -> bool:
        if self._before is None:
            return False
        step = float(np.abs(levels.astype(np.float32) - self._before).mean())
        known = len(self._steps) == STEPS
        if known and step < REPEATED * float(np.median(self._steps)):
            return True
        self._steps.append(step)
        return False

    def finish(self, _: Reference) -> Sequence[Score]:
        """The highest peak, of all frames or of those that are new: the lower of both."""
        if self._all.count < SHORTEST:
            raise CannotMeasure("too_short")
        kinds = [self._all]
        if self._new is not None and self._new.count >= SHORTEST:
            kinds.append(self._new)
        for kind in kinds:
            kind.finish()
        kinds = [kind for kind in kinds if kind.windows]
        if not kinds:
            raise CannotMeasure("too_little_motion")
        lowest = min(kinds, key=lambda kind: float(kind.peaks().max()))
        peaks = lowest.peaks()
        best = int(peaks.argmax())
        window = max(lowest.windows, key=lambda one: float(_peaks(one.cepstrum)[best]))
        return (
            judged(
                TRAIL, max(0.0, float(peaks[best])), frame=window.middle,
                region=self._region(lowest.cells[best]), facts={"lag": float(best + LAGS[0])},
            ),
        )  # fmt: skip

    def _region(self, echoes: Floats) -> Box:
        """The patch whose cells have the strongest echo."""
        patches = cv2.blur(echoes, (PATCH, PATCH), borderType=cv2.BORDER_CONSTANT)
        return patch_of_most(patches, PATCH, self._size)


def _window(levels: Floats, middle: int) -> tuple[_Window, Floats] | None:
    """The window ``[frames, h, w]``, and the echoes of every cell that changes, ``[lags, h, w]``.

    None where too little changes.
    """
    count, rows, columns = levels.shape
    cells = levels.reshape(count, -1) - levels.reshape(count, -1).mean(axis=0)
    change = cells.std(axis=0)
    moving = np.flatnonzero(change >= CHANGES)
    if len(moving) < FEWEST:
        return None
    tapered = cells[:, moving] * np.hanning(count + 2)[1:-1, None].astype(np.float32)
    powers = np.log(np.abs(np.fft.rfft(tapered, axis=0)) ** 2 / count + FAINT)
    most = change[moving] >= np.quantile(change, 1 - MOST)
    cepstrum = np.fft.irfft(powers[:, most].mean(axis=1))[: count // 2]
    waves = _waves(count)
    echoes = np.zeros((len(waves), rows * columns), np.float32)
    echoes[:, moving] = waves @ powers
    window = _Window(middle, cepstrum.astype(np.float32))
    return window, echoes.reshape(-1, rows, columns)


@cache
def _waves(count: int) -> npt.NDArray[np.float64]:
    """``[lags, frequencies]``: what turns a logarithmic spectrum into its cepstrum's peaks."""
    rows = np.fft.irfft(np.eye(count // 2 + 1), axis=0)[: count // 2]
    lags = np.arange(LAGS[0], LAGS[1] + 1)
    around = np.mean([rows[lags + near] for near in AROUND], axis=0)
    return np.asarray(rows[lags] - around, np.float64)


def _peaks(cepstrum: Floats) -> Floats:
    """How far each of :data:`LAGS` stands out, beyond what comes again every so many frames.

    What alternates from lag to lag comes from frames of two kinds, such as an encoder's or
    repeated ones: a dip behind a peak is taken off.
    """

    def over(lags: npt.NDArray[np.signedinteger]) -> Floats:
        around = np.median([cepstrum[lags + near] for near in AROUND], axis=0)
        return np.asarray(cepstrum[lags] - around, np.float32)

    lags = np.arange(LAGS[0], LAGS[1] + 2)
    one = over(lags)
    out = one[:-1] - np.maximum(0, -one[1:])
    twice = 2 * lags[:-1]
    inside = twice + max(AROUND) < len(cepstrum)
    out[inside] -= AGAIN * np.maximum(0, over(twice[inside]))
    return out
