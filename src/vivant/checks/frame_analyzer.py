"""Run all metrics on frames, in any process.

A *segment* of a clip goes from one searched frame (where the face is looked for) to the next.
Given the :class:`SegmentState` it starts from, a segment can be measured in any process: the
results are the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from vivant.checks.face_tracker import Tracker
from vivant.checks.frame import COMPARED_EVERY, AnalyzedFrame, Reference, same_picture
from vivant.checks.metric import Metric
from vivant.grid import checked_frames
from vivant.picture.faces import FaceReader
from vivant.types import Face, Image

SEGMENTS: Final = 16
"""A clip is cut into about this many segments."""

MAX_STRIDE: Final = 12
"""Frames of a segment at most: half a second at 24 fps, so that long clips have no blind spots."""

Measurements = tuple[Any, ...]
"""What each metric found, in the order of the metrics."""

MetricFilter = Callable[[Metric], bool]
"""Which metrics measure."""


def every_metric(_: Metric) -> bool:
    """The filter that takes all."""
    return True


def is_frame_only(metric: Metric) -> bool:
    """Metrics that measure no steps, see :attr:`vivant.checks.metric.Metric.frame_only`."""
    return metric.frame_only


def has_steps(metric: Metric) -> bool:
    """The metrics that :func:`is_frame_only` leaves out."""
    return not metric.frame_only


def is_parallel(metric: Metric) -> bool:
    """Metrics for a second thread, see :attr:`vivant.checks.metric.Metric.parallel`."""
    return metric.parallel


def is_not_parallel(metric: Metric) -> bool:
    """The metrics that :func:`is_parallel` leaves out."""
    return not metric.parallel


@dataclass(frozen=True, slots=True)
class SegmentState:
    """What a segment must know of the frames before it: a few kilobytes.

    Attributes:
        face: of the last searched frame that showed one.
        anchors: what each metric compares with; None where there is nothing yet.
    """

    face: Face | None
    anchors: Measurements


class FrameSchedule:
    """Which frames are measured how closely.

    Args:
        num_frames: of the clip.
    """

    def __init__(self, num_frames: int) -> None:
        self.num_frames = num_frames
        self.stride = max(1, min(MAX_STRIDE, round((num_frames - 1) / SEGMENTS)))
        self._checked = frozenset(checked_frames(max(1, num_frames)))

    def searched(self, index: int) -> bool:
        """Whether the face is looked for in this frame."""
        return index % self.stride == 0 or index == self.num_frames - 1

    def next_searched(self, index: int) -> int:
        """The searched frame after the searched frame ``index``, also beyond the clip's end."""
        after = index + 1
        while not self.searched(after):
            after += 1
        return after

    def frame(self, index: int, pixels: Image, reader: FaceReader) -> AnalyzedFrame:
        """Frame ``index`` for the metrics."""
        last = index == self.num_frames - 1
        return AnalyzedFrame(
            index=index,
            pixels=np.ascontiguousarray(pixels),
            searched=self.searched(index),
            sparse=index % (2 * self.stride) == 0 or last,
            rare=index % (4 * self.stride) == 0 or last,
            checked=index in self._checked,
            compared=index % COMPARED_EVERY == 0 or last,
            reader=reader,
        )


class FrameAnalyzer:
    """Measures frames for all metrics. Keeps nothing of a frame; for one thread at a time.

    Args:
        schedule: of the clip.
        reference: the input picture.
        metrics: asked for their measurements; nothing is added to them here.
        reader: finds faces.
    """

    def __init__(
        self,
        schedule: FrameSchedule,
        reference: Reference,
        metrics: Sequence[Metric],
        reader: FaceReader,
    ) -> None:
        self.schedule = schedule
        self._reference = reference
        self._metrics = metrics
        self._reader = reader
        self._tracker = Tracker(reader, reference.face, lambda: reference.embedding)

    @property
    def initial_state(self) -> SegmentState:
        """The state before the first frame."""
        return SegmentState(None, (None,) * len(self._metrics))

    def frame(self, index: int, pixels: Image) -> AnalyzedFrame:
        """Frame ``index``, ``[H, W, 3]`` uint8."""
        return self.schedule.frame(index, pixels, self._reader)

    def search(self, frame: AnalyzedFrame, state: SegmentState) -> SegmentState:
        """Find the face in a searched frame; the state of the segment that starts with it."""
        frame.face = self._tracker.find(frame.pixels, state.face)
        anchors = tuple(
            metric.anchor(frame) if anchor is None else anchor
            for metric, anchor in zip(self._metrics, state.anchors, strict=True)
        )
        return SegmentState(frame.face or state.face, anchors)

    def measure_frame(
        self, frame: AnalyzedFrame, state: SegmentState, only: MetricFilter = every_metric
    ) -> Measurements:
        """What each metric measures in a frame; :meth:`search` comes first for a searched one.

        Args:
            frame: to measure.
            state: of its segment.
            only: which metrics measure; the others' entries are None. :func:`merge` puts the
                results of two complementary calls together.
        """
        return tuple(
            metric.measure_frame(frame, anchor) if only(metric) else None
            for metric, anchor in zip(self._metrics, state.anchors, strict=True)
        )

    def measure_step(
        self,
        before: AnalyzedFrame,
        now: AnalyzedFrame,
        state: SegmentState,
        only: MetricFilter = every_metric,
    ) -> Measurements:
        """What each metric measures between two frames of a segment, or its last and the next.

        ``only`` as in :meth:`measure_frame`.
        """
        return tuple(
            metric.measure_step(before, now, anchor) if only(metric) else None
            for metric, anchor in zip(self._metrics, state.anchors, strict=True)
        )

    def is_exact(self, frame: AnalyzedFrame) -> bool:
        """Whether a frame, the first one, is the input picture."""
        return same_picture(frame.small_luma, self._reference.small_luma)


def merge(one: Measurements, other: Measurements) -> Measurements:
    """One row of two results of the same frame or step, of complementary metrics."""
    return tuple(b if a is None else a for a, b in zip(one, other, strict=True))
