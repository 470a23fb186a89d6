"""The user's own check: the frame difference, which measures motion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.metric import Metric, Spec, score
from vivant.picture.framing import mean_difference
from vivant.types import Score

DIFFERENCE_MAX: Final = Spec("frame_difference_max", "fidelity", "/255")
DIFFERENCE_MEAN: Final = Spec("frame_difference_mean", "fidelity", "/255")

MARK: Final = 16.8
"""Levels; the user's own log calls more than this a large difference."""


class FrameDifference(Metric):
    """The user's own check: mean absolute pixel difference to the picture, on five frames.

    It measures motion: a frozen clip of a stranger's face scores better than a person who
    nods. Reported because users know it; it never decides anything.
    """

    parallel = True
    specs = (DIFFERENCE_MAX, DIFFERENCE_MEAN)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._series: list[tuple[int, float]] = []

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> float | None:
        """Compare a checked frame, at full size, over all three channels."""
        if not frame.checked:
            return None
        return mean_difference(frame.pixels, self._reference.pixels)

    def add(self, index: int, _: None, found: float | None) -> None:
        """Keep the difference."""
        if found is not None:
            self._series.append((index, found))

    def finish(self, _: Reference) -> Sequence[Score]:
        """The largest and the average difference."""
        values = [value for _, value in self._series]
        frame = max(self._series, key=lambda pair: pair[1])[0]
        return (
            self._told(DIFFERENCE_MAX, max(values), frame),
            self._told(DIFFERENCE_MEAN, float(np.mean(values)), None),
        )

    def _told(self, spec: Spec, value: float, frame: int | None) -> Score:
        """For information: it passes whatever it is, and the sentence says what it means."""
        return score(
            spec,
            value,
            "pass",
            limit=MARK,
            message=f"{spec.name}.{'little' if value <= MARK else 'much'}",
            series=() if frame is None else self._series,
            frame=frame,
        )
