"""Measure the frames of one clip in several threads of this process, for few cores.

The caller's thread finds the face and measures the metrics that follow it. A second and a third
thread measure the others, and a fourth makes the small copies of the next frames.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple

from vivant.checks.frame import AnalyzedFrame
from vivant.checks.frame_analyzer import (
    FrameAnalyzer,
    Measurements,
    MetricFilter,
    SegmentState,
    is_parallel,
    merge,
    uses_mesh,
)
from vivant.checks.metric import Metric

MAX_PENDING_FRAMES: Final = 6
"""Frames that other threads may be behind: a frame whose face is searched takes the caller's thread
as long as ten others do. 46 MB at 1080p, with each frame's half size."""

MAX_PREPARED_FRAMES: Final = 2
"""Frames whose small copies are made in advance."""

_Measured = tuple[Measurements | None, Measurements]
"""Of a step, which the first frame does not have, and of the frame it leads to."""


class _PendingFrame(NamedTuple):
    """A frame that the caller's thread has measured, and what the others make of it."""

    frame: AnalyzedFrame
    own: _Measured
    others: tuple[Future[_Measured], ...]


class MeasuringThreads:
    """The threads beside the caller's. :meth:`close` ends them."""

    def __init__(self) -> None:
        self._threads: tuple[tuple[MetricFilter, ThreadPoolExecutor], ...] = (
            (is_parallel, ThreadPoolExecutor(1, "vivant-measure")),
            (uses_mesh, ThreadPoolExecutor(1, "vivant-mesh")),
        )
        self._preparing = ThreadPoolExecutor(1, "vivant-prepare")
        self._prepared: deque[tuple[AnalyzedFrame, Future[None]]] = deque()
        self._pending: deque[_PendingFrame] = deque()

    def run(self, work: Callable[[], object]) -> None:
        """Run ``work`` in a thread that measures, before the first frame.

        What it raises is ignored: the first frame raises it again.
        """
        _, thread = self._threads[0]
        thread.submit(work)

    def prepare_metric(self, metric: Metric) -> None:
        """Let a metric measure the picture, in the thread in which it will measure frames."""
        for takes, thread in self._threads:
            if takes(metric):
                thread.submit(metric.prepare)  # what it raises, the first frame raises again
                return
        metric.prepare()

    def prepare(self, frame: AnalyzedFrame) -> Iterator[AnalyzedFrame]:
        """Begin to prepare a frame; frames that are ready, in order."""
        self._prepared.append((frame, self._preparing.submit(frame.prepare)))
        return self.prepared(MAX_PREPARED_FRAMES)

    def prepared(self, left: int = 0) -> Iterator[AnalyzedFrame]:
        """Frames in order, until ``left`` are being prepared at most."""
        while len(self._prepared) > left:
            frame, done = self._prepared.popleft()
            done.result()
            yield frame

    def measure(
        self,
        analyzer: FrameAnalyzer,
        before: AnalyzedFrame | None,
        frame: AnalyzedFrame,
        state: SegmentState,
        after: SegmentState,
        own: Callable[[], _Measured],
    ) -> None:
        """Measure a frame whose face is known: ``own`` in the caller's thread.

        Args:
            analyzer: of the clip.
            before: the frame before; None for the first one.
            frame: to measure.
            state: of the segment that the step belongs to.
            after: of the segment that the frame belongs to.
            own: measures what the caller's thread does.
        """

        def others(takes: MetricFilter) -> _Measured:
            step = None if before is None else analyzer.measure_step(before, frame, state, takes)
            return step, analyzer.measure_frame(frame, after, takes)

        submitted = tuple(thread.submit(others, takes) for takes, thread in self._threads)
        self._pending.append(_PendingFrame(frame, own(), submitted))

    def measured(
        self, left: int = MAX_PENDING_FRAMES
    ) -> Iterator[tuple[AnalyzedFrame, Measurements | None, Measurements]]:
        """Frames, their steps and what was found, until ``left`` are pending at most."""
        pending = self._pending
        while pending and (len(pending) > left or all(o.done() for o in pending[0].others)):
            first = pending.popleft()
            rows = [first.own, *(other.result() for other in first.others)]
            steps = [step for step, _ in rows if step is not None]
            yield first.frame, merge(*steps) if steps else None, merge(*(row for _, row in rows))

    def close(self) -> None:
        """End the threads."""
        for thread in (self._preparing, *(thread for _, thread in self._threads)):
            thread.shutdown(cancel_futures=True)
