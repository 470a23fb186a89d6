"""Does it move, and how much: the user's frame difference, and the frozen clip.

Knows nothing of faces' identities, files or encoders.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from vivant.checks.flow import Flow
from vivant.checks.limits import limits
from vivant.checks.metric import Spec, judged
from vivant.checks.sample import Luma, Reference, Sample
from vivant.types import Score

DIFFERENCE_MAX: Final = Spec("frame_difference_max", "fidelity", "/255")
DIFFERENCE_MEAN: Final = Spec("frame_difference_mean", "fidelity", "/255")
MOTION: Final = Spec("motion", "quality", "% of height")

PERCENTILE: Final = 95.0
"""Of the flow's length over the frame: a moving face may be a small part of the picture."""


class FrameDifference:
    """The user's own check: mean absolute pixel difference to the picture, on five frames.

    It measures motion: a frozen clip of a stranger's face scores better than a person who
    nods. Reported because users know it; it never fails a clip.
    """

    specs = (DIFFERENCE_MAX, DIFFERENCE_MEAN)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._series: list[tuple[int, float]] = []

    def look(self, sample: Sample) -> None:
        """Compare a checked frame, at full size, over all three channels."""
        if sample.checked:
            apart = cv2.absdiff(sample.pixels, self._reference.pixels)
            self._series.append((sample.index, float(np.mean(cv2.mean(apart)[:3]))))

    def finish(self, _: Reference) -> Sequence[Score]:
        """The largest and the average difference."""
        values = [value for _, value in self._series]
        frame = max(self._series, key=lambda pair: pair[1])[0]
        return (
            judged(DIFFERENCE_MAX, max(values), series=self._series, frame=frame),
            judged(DIFFERENCE_MEAN, float(np.mean(values))),
        )


class Motion:
    """Largest displacement from the first frame: near nothing in a frozen clip."""

    specs = (MOTION,)

    def __init__(self) -> None:
        self._flow = Flow()
        self._first: Luma | None = None
        self._series: list[tuple[int, float]] = []

    def look(self, sample: Sample) -> None:
        """Flow from the first frame to a grid frame."""
        if self._first is None:
            self._first = sample.small_luma
        if not sample.gridded:
            return
        flow = self._flow.between(self._first, sample.small_luma)
        length = np.hypot(flow[..., 0], flow[..., 1])
        value = float(np.percentile(length, PERCENTILE)) / self._first.shape[0] * 100
        self._series.append((sample.index, value))

    def finish(self, _: Reference) -> Sequence[Score]:
        """One score."""
        value = max(v for _, v in self._series)
        return (judged(MOTION, value, series=self._series),)


def frame_difference_lines(scores: Sequence[Score]) -> tuple[str, ...]:
    """The user's own lines, ``Frame  24: diff=14.56 [OK]``, one per checked frame."""
    lines = []
    for found in scores:
        if found.name == DIFFERENCE_MAX.name:
            limit = limits()[found.name]
            for index, value in found.series:
                mark = "OK" if limit.judge(value) == "pass" else "MOVES"
                lines.append(f"Frame {index:3d}: diff={value:.2f} [{mark}]")
    return tuple(lines)
