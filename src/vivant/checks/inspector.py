"""All checks of one clip: frames go in as they come, the verification comes out at the end."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from types import TracebackType
from typing import Final, NamedTuple, Self

from vivant.checks.face_tracker import faces_in_frame
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.frame_analyzer import (
    FrameAnalyzer,
    FrameSchedule,
    Measurements,
    SegmentState,
    every_metric,
    is_not_parallel,
    is_parallel,
    merge,
)
from vivant.checks.metric import CannotMeasure, Metric, unmeasured
from vivant.checks.metrics.delivery import ExpectedFile, delivery
from vivant.checks.metrics.performance import Performance, performance_scores
from vivant.checks.metrics.registry import all_metrics
from vivant.checks.metrics.sound import sound_score
from vivant.checks.sentences import reason
from vivant.checks.worker_messages import StartClip
from vivant.checks.worker_pool import WorkerPool
from vivant.errors import ClipError
from vivant.picture.faces import FaceReader
from vivant.picture.framing import crop_pixels, face_in_frame
from vivant.types import ClipFacts, Face, Frames, Image, Portrait, Score, Verification

MAX_PENDING_FRAMES: Final = 3
"""Frames that the second thread may be behind: 23 MB at 1080p, with each frame's half size."""


class _PendingFrame(NamedTuple):
    """A frame that this thread has measured, and what the second thread makes of it."""

    step: Measurements | None
    found: Measurements
    frame: AnalyzedFrame
    other: Future[tuple[Measurements | None, Measurements]]


class Inspector:
    """All checks of one clip against one picture.

    Frames are given in order to :meth:`inspect`, in chunks of any size. The answer depends neither
    on the chunks nor on how many processes ran the checks. A few numbers are kept per frame. Use
    it as a context manager where it has workers: leaving it ends them.

    Args:
        portrait: the input picture.
        num_frames: of the clip, as announced; fewer or more are coped with.
        fps: of the clip.
        width: of the clip.
        height: of the clip.
        reader: reused where given; making one takes 0.3 s.
        metrics: the checks; others than :func:`all_metrics` run only in this process.
        workers: processes that run the checks, started at once; 0: the caller's thread runs them.
        parallel: without workers, measure the metrics that are ``parallel`` in a second thread.
        pixels: the picture as the clip should show it, where that is drawn already.
    """

    def __init__(
        self,
        portrait: Portrait,
        *,
        num_frames: int,
        fps: Fraction,
        width: int,
        height: int,
        reader: FaceReader | None = None,
        metrics: Callable[[Reference, float], Sequence[Metric]] = all_metrics,
        workers: int = 0,
        pixels: Image | None = None,
        parallel: bool = False,
    ) -> None:
        self._reader = reader or FaceReader()
        self._size = (height, width)
        self._num_frames = num_frames
        self._second_thread = (
            ThreadPoolExecutor(1, "vivant-measure") if parallel and not workers else None
        )
        if self._second_thread is not None:
            self._second_thread.submit(self._reader.warm)  # while the picture is measured here
        if pixels is None:
            pixels = crop_pixels(portrait, width, height)
        self._reference = _reference(
            portrait, pixels, self._reader, num_frames=num_frames, fps=float(fps)
        )
        self._metrics = list(metrics(self._reference, float(fps)))
        self._analyzer = FrameAnalyzer(
            FrameSchedule(num_frames), self._reference, self._metrics, self._reader
        )
        self._state = self._analyzer.initial_state
        self._before: AnalyzedFrame | None = None
        self._given = self._done = 0
        self._pool: WorkerPool | None = None
        self._waiting: deque[_PendingFrame] = deque()
        if self._reference.face is not None and not workers:
            _ = self._reference.mesh  # before both threads ask for it
            if self._second_thread is None:
                self._reader.warm()  # now, while no frames take memory
        if workers and metrics is all_metrics:
            self._pool = _start_pool(self._reference, self._analyzer, workers)
        for metric in self._metrics:
            if self._second_thread is not None and metric.parallel:
                # what it raises, the first frame raises again
                self._second_thread.submit(metric.prepare)
            else:
                metric.prepare()

    @property
    def done(self) -> int:
        """Frames whose checks are over."""
        return self._done

    @property
    def busy(self) -> float:
        """Seconds that workers have computed."""
        return self._pool.busy if self._pool else 0.0

    def kept_frame(self, index: int) -> Image | None:
        """Frame ``index`` as it was given, where workers have it still."""
        return None if self._pool is None else self._pool.kept_frame(index)

    def inspect(self, frames: Frames) -> None:
        """Check the next frames.

        Args:
            frames: ``[T, height, width, 3]`` uint8 sRGB; must not be changed afterwards.

        Raises:
            ClipError: frames of another size than announced.
            MachineError: a worker has died.
        """
        if frames.shape[1:3] != self._size:
            raise ClipError(
                f"frames are {frames.shape[2]}x{frames.shape[1]} where "
                f"{self._size[1]}x{self._size[0]} was announced",
                param="clip",
            )
        for pixels in frames:
            if self._pool is None:
                self._inspect(pixels)
            else:
                self._pool.submit(self._given, pixels)
                self._collect(self._pool, wait=False)
            self._given += 1

    def wait(self) -> None:
        """Wait until every frame given has been checked.

        Raises:
            MachineError: a worker has died.
        """
        if self._pool is not None:
            self._collect(self._pool, wait=True)
        self._join(0)

    def _inspect(self, pixels: Frames) -> None:
        analyzer, before = self._analyzer, self._before
        frame = analyzer.frame(self._given, pixels)
        only = every_metric if self._second_thread is None else is_not_parallel
        state, step = self._state, None
        if before is not None:
            step = analyzer.measure_step(before, frame, state, only)
        if frame.searched:
            self._state = analyzer.search(frame, state)
        if self._second_thread is None:
            self._add(step, analyzer.measure_frame(frame, self._state), self._exact(frame))
        else:
            # Submitted before this thread goes on with the face: both work on the frame.
            other = self._second_thread.submit(
                self._measure_parallel, before, frame, state, self._state
            )
            found = analyzer.measure_frame(frame, self._state, only)
            self._waiting.append(_PendingFrame(step, found, frame, other))
            self._join(MAX_PENDING_FRAMES)
        self._before = frame

    def _exact(self, frame: AnalyzedFrame) -> bool | None:
        return None if frame.index else self._analyzer.is_exact(frame)

    def _measure_parallel(
        self,
        before: AnalyzedFrame | None,
        frame: AnalyzedFrame,
        state: SegmentState,
        after: SegmentState,
    ) -> tuple[Measurements | None, Measurements]:
        """In the second thread: the metrics that are ``parallel``."""
        analyzer = self._analyzer
        step = None if before is None else analyzer.measure_step(before, frame, state, is_parallel)
        return step, analyzer.measure_frame(frame, after, is_parallel)

    def _join(self, left: int) -> None:
        """Add frames that both threads have measured, until ``left`` of them wait at most."""
        while self._waiting and (len(self._waiting) > left or self._waiting[0].other.done()):
            half = self._waiting.popleft()
            step, found = half.other.result()
            both = None
            if half.step is not None and step is not None:
                both = merge(half.step, step)
            self._add(both, merge(half.found, found), self._exact(half.frame))

    def _collect(self, pool: WorkerPool, *, wait: bool) -> None:
        for step, found, exact in pool.results(wait=wait):
            self._add(step, found, exact)

    def _add(self, step: Measurements | None, found: Measurements, exact: bool | None) -> None:
        if exact is not None:
            self._reference.exact = exact
        steps = step or (None,) * len(self._metrics)
        for metric, *measured in zip(self._metrics, steps, found, strict=True):
            metric.add(self._done, *measured)
        self._done += 1

    def close(self) -> None:
        """End workers and threads."""
        if self._pool is not None:
            self._pool.close()
        if self._second_thread is not None:
            self._second_thread.shutdown(cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def finish(
        self,
        facts: ClipFacts,
        *,
        expected: ExpectedFile | None = None,
        performance: Performance | None = None,
    ) -> Verification:
        """The answer, after the last frame.

        Args:
            facts: of the finished file, by :func:`vivant.video.probe.probe`.
            expected: what was asked for; None for somebody else's clip.
            performance: what making it took; None where that is not known.

        Raises:
            ClipError: no frame was seen.
            MachineError: a worker has died.
        """
        self.wait()
        if self._pool is not None:
            self._pool.release()  # before the scores are computed: their memory is free sooner
            if self._pool.embedding is not None:
                # fills the cached property: a worker has computed it
                self._reference.__dict__["embedding"] = self._pool.embedding
        if self._done == 0:
            raise ClipError("the clip has no frames: there is nothing to verify", param="clip")
        scores: list[Score] = []
        for metric in self._metrics:
            scores.extend(self._finish(metric))
        scores.extend(delivery(facts, expected))
        scores.append(sound_score(facts, asked=expected is not None))
        scores.extend(performance_scores(performance))
        return Verification(scores=tuple(scores), facts=facts, warnings=self._warnings())

    def _finish(self, metric: Metric) -> Sequence[Score]:
        try:
            return metric.finish(self._reference)
        except CannotMeasure as why:
            return [unmeasured(spec, why) for spec in metric.specs]

    def _warnings(self) -> tuple[str, ...]:
        found = []
        if self._reference.face is None:
            found.append(reason({"message": "nobody"}))
        if self._reference.others:
            found.append(reason({"message": "several_people", "others": self._reference.others}))
        if self._done != self._num_frames:
            found.append(
                reason(
                    {
                        "message": "frames_differ",
                        "announced": self._num_frames,
                        "seen": self._done,
                    }
                )
            )
        return tuple(found)


def _start_pool(reference: Reference, analyzer: FrameAnalyzer, workers: int) -> WorkerPool | None:
    """Workers; None where no such process can be started."""
    clip = StartClip(
        shape=reference.pixels.shape,
        face=reference.face,
        detail=reference.detail,
        num_frames=reference.num_frames,
        fps=reference.fps,
        others=reference.others,
    )
    if sys.platform == "win32" or getattr(sys, "frozen", False) or not sys.executable:
        return None
    try:
        return WorkerPool(clip, reference.pixels, analyzer.initial_state, workers)
    except OSError:
        return None


def _reference(
    portrait: Portrait, pixels: Image, reader: FaceReader, *, num_frames: int, fps: float
) -> Reference:
    factor = pixels.shape[1] / portrait.crop.width
    # how much alike covered faces of one person are was never measured
    known = [face for face in portrait.faces if not face.covered]
    if known:
        faces: tuple[Face, ...] = tuple(
            face_in_frame(face, portrait.crop, pixels.shape[1], pixels.shape[0]) for face in known
        )
    else:
        faces = faces_in_frame(reader, pixels)
    return Reference(
        pixels=pixels,
        face=faces[0] if faces else None,
        detail=min(1.0, 1 / factor),
        num_frames=num_frames,
        fps=fps,
        reader=reader,
        others=max(0, len(faces) - 1),
    )
