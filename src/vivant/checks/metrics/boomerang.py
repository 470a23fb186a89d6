"""Does the clip play backwards from some frame on: what follows a frame is what came before it.

People nod and sway there and back, but never through the very same pictures. Around the frame where
a clip turns, pictures at the same distance before and after are equal; pictures a few frames beside
them are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Luma, reduced
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.types import Score

REVERSED: Final = Spec("reversed_motion", "quality")

SIDE: Final = 28
"""Pixels; longest side of the pictures that are compared."""

SHIFTS: Final = (3, 4, 5, 6)
"""Frames beside a picture whose difference shows how much moves."""

PAIRS: Final = 12
"""Pairs of pictures around a turn, at least: half a second at 24 fps."""

MOST: Final = 48
"""Pairs of pictures around a turn, at most."""

APART: Final = 3
"""Frames from the turn to the nearest pictures that are compared."""

NOISE: Final = 0.1
"""Levels of difference that an encoder makes between equal pictures this small."""

LONGEST: Final = 1500
"""Frames of a clip that are compared; later ones are left out."""

Floats = npt.NDArray[np.float64]


class Boomerang(Metric):
    """One answer from small pictures of all frames."""

    parallel = True
    specs = (REVERSED,)

    def __init__(self) -> None:
        self._seen: list[npt.NDArray[np.uint8]] = []

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> npt.NDArray[np.uint8] | None:
        """The frame's small picture, without its brightness."""
        return _small(frame.small_luma) if frame.index < LONGEST else None

    def add(self, index: int, _: None, found: npt.NDArray[np.uint8] | None) -> None:  # noqa: ARG002
        """Keep it."""
        if found is not None:
            self._seen.append(found)

    def finish(self, _: object) -> Sequence[Score]:
        """One score: what mirrored pictures differ by, over what pictures nearby do."""
        count = len(self._seen)
        if count < 2 * (PAIRS + APART + SHIFTS[-1]):
            raise CannotMeasure("too_short")
        apart = _differences(np.stack(self._seen).astype(np.int16))
        values = [(_mirrored(apart, turn, count), turn) for turn in range(PAIRS, count - PAIRS)]
        value, turn = min(values)
        return (judged(REVERSED, value, frame=turn, series=[(t, v) for v, t in values]),)


def _small(luma: Luma) -> npt.NDArray[np.uint8]:
    small = reduced(luma, SIDE).astype(np.float32)
    return np.asarray(np.clip(small - small.mean() + 128, 0, 255), np.uint8).ravel()


def _differences(pictures: npt.NDArray[np.int16]) -> Floats:
    """``[distance, frame]`` levels between a frame and the one so many frames later."""
    count = len(pictures)
    out = np.full((2 * MOST + SHIFTS[-1] + 2, count), np.nan)
    for distance in range(min(len(out), count)):
        later, earlier = pictures[distance:], pictures[: count - distance]
        out[distance, : count - distance] = np.abs(later - earlier).mean(axis=1)
    return out


def _mirrored(apart: Floats, turn: int, count: int) -> float:
    """Difference of mirrored pictures around a frame over that of pictures nearby: 1 is usual.

    A clip may also turn between two frames: the better of both counts.
    """
    return min(_ratio(apart, turn, turn, count), _ratio(apart, turn, turn + 1, count))


def _ratio(apart: Floats, before: int, after: int, count: int) -> float:
    margin = SHIFTS[-1]
    reach = min(MOST, before - margin, count - 1 - margin - after)
    steps = np.arange(APART, reach + 1)
    if len(steps) < PAIRS:
        return 1.0
    one, distance = before - steps, after - before + 2 * steps
    equal = float(apart[distance, one].mean())
    beside = min(
        float(np.mean([apart[distance - sign * s, one + sign * s].mean() for s in SHIFTS]))
        for sign in (-1, 1)
    )
    return (equal + NOISE) / (beside + NOISE)
