"""What the checks see in frames: the work itself, whoever does it and in which order.

A *run* goes from one searched frame to the next. Given what is known when it starts, a run can
be watched anywhere: everything it yields is computed the same way, to the bit. Knows nothing of
processes, of which checks there are, or of scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from vivant.checks.face_tracker import Tracker
from vivant.checks.frame import Reference, Sample, same_picture
from vivant.checks.metric import Metric
from vivant.grid import checked_frames
from vivant.picture.faces import FaceReader
from vivant.types import Face, Image

GRID: Final = 16
"""The expensive checks look at this many frames evenly, and at the last one."""

MAX_STRIDE: Final = 12
"""Frames between two of them at most: half a second, so that long clips have no blind spots."""

Found = tuple[Any, ...]
"""What each metric found, in their order."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a run must know of the frames before it: a face, and pictures of a few kilobytes.

    Attributes:
        face: of the last searched frame that showed one.
        anchors: what each metric compares with; None where it has seen nothing yet.
    """

    face: Face | None
    anchors: Found


class Plan:
    """Which frames are looked at how closely."""

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames
        self.stride = max(1, min(MAX_STRIDE, round((num_frames - 1) / GRID)))
        self._checked = frozenset(checked_frames(max(1, num_frames)))

    def searched(self, index: int) -> bool:
        """Whether the face is looked for in this frame."""
        return index % self.stride == 0 or index == self.num_frames - 1

    def sample(self, index: int, pixels: Image, reader: FaceReader) -> Sample:
        """Frame ``index`` as the checks want it."""
        last = index == self.num_frames - 1
        return Sample(
            index=index,
            pixels=np.ascontiguousarray(pixels),
            gridded=self.searched(index),
            sparse=index % (2 * self.stride) == 0 or last,
            rare=index % (4 * self.stride) == 0 or last,
            checked=index in self._checked,
            reader=reader,
        )


class FrameAnalyzer:
    """Looks at frames for all metrics. Keeps nothing of a frame; one thread at a time.

    Args:
        plan: of the clip.
        reference: the input picture.
        metrics: asked for what they see; nothing is added to them here.
        reader: finds faces.
    """

    def __init__(
        self, plan: Plan, reference: Reference, metrics: Sequence[Metric], reader: FaceReader
    ) -> None:
        self._plan = plan
        self._reference = reference
        self._metrics = metrics
        self._reader = reader
        self._tracker = Tracker(reader, reference.face)

    @property
    def nothing(self) -> Known:
        """What is known before the first frame."""
        return Known(None, (None,) * len(self._metrics))

    def sample(self, index: int, pixels: Image) -> Sample:
        """Frame ``index``, ``[H, W, 3]`` uint8."""
        return self._plan.sample(index, pixels, self._reader)

    def search(self, sample: Sample, known: Known) -> Known:
        """Find the face of a searched frame: what the run that starts with it must know."""
        sample.face = self._tracker.find(sample.pixels, known.face)
        anchors = tuple(
            metric.anchor(sample) if anchor is None else anchor
            for metric, anchor in zip(self._metrics, known.anchors, strict=True)
        )
        return Known(sample.face or known.face, anchors)

    def look(self, sample: Sample, known: Known) -> Found:
        """What each metric sees in a frame; a searched one has been searched."""
        return tuple(
            metric.look(sample, anchor)
            for metric, anchor in zip(self._metrics, known.anchors, strict=True)
        )

    def step(self, before: Sample, now: Sample, known: Known) -> Found:
        """What each metric sees between two frames of a run, or its last one and the next run."""
        return tuple(
            metric.step(before, now, anchor)
            for metric, anchor in zip(self._metrics, known.anchors, strict=True)
        )

    def exact(self, sample: Sample) -> bool:
        """Whether a frame, the first one, is the input picture."""
        return same_picture(sample.small_luma, self._reference.small_luma)
