"""Several processes that measure segments of one clip side by side; results in frame order.

The first frame of a segment goes to three workers: one ends its segment with it, the other starts
the next. As soon as that has found the face, the segment's state goes to the worker of the segment
after it, so that segments overlap, and to a third worker, which measures what looks at this frame
alone: that takes longer than all other frames of the segment.

Starting a worker takes more than a second of processor time, so whoever makes many clips keeps
them (:func:`keep_workers`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from vivant.checks.frame_analyzer import FrameSchedule, Measurements, SegmentState, merge
from vivant.checks.worker_frames import SharedFrames
from vivant.checks.worker_handle import WorkerHandle, end_workers
from vivant.checks.worker_messages import (
    REFERENCE_SLOT,
    Answer,
    BusySeconds,
    ClipStarted,
    CloseSegment,
    EndClip,
    FrameMeasured,
    MeasureFrameOnly,
    NextFrame,
    OpenSegment,
    SegmentStartState,
    StartClip,
    StepMeasured,
    WorkerFailed,
)
from vivant.errors import MachineError
from vivant.picture.embedding import Embedding
from vivant.types import Image

FRAMES_IN_FLIGHT: Final = 8
"""Per worker: one segment of a clip of 97 frames, and what waits for it."""

BYTES_IN_FLIGHT: Final = 600_000_000
"""Of frames, for all workers together, however large frames are."""

POLL_SECONDS: Final = 0.1
"""Between two looks at whether a worker has failed."""

MIN_PIXELS: Final = 20 * 1920 * 1080
"""Pixels of a clip below which it is over before workers are ready."""

LONG_CLIP: Final = 300
"""Frames from which two workers pay on two cores: getting one ready takes more than a second of
processor time, as much as 40 frames of 1080p."""

MAX_WORKERS: Final = 16
"""A clip of 97 frames is 16 segments and one frame; each worker takes about 120 MB."""


def worker_count(
    cores: int, num_frames: int, width: int, height: int, *, alone: bool = False
) -> int:
    """How many processes should check a clip; 0 for the caller's own thread.

    Args:
        cores: that may be used.
        num_frames: of the clip.
        width: pixels.
        height: pixels.
        alone: nothing else is computed at the same time but the decoding of the clip.
    """
    if num_frames * width * height < MIN_PIXELS:
        return 0
    if alone and 1 < cores < 4:
        return 2 if num_frames >= LONG_CLIP else 0
    return 0 if cores < 4 else min(MAX_WORKERS, cores * 3 // 4)


class WorkerPool:
    """Workers on one clip.

    They are started at once, unless some are kept, so that they are ready when the first frame
    is. One thread submits frames in order; one thread takes results.

    Args:
        clip: what to measure.
        picture: the clip's picture, ``[height, width, 3]`` uint8.
        initial_state: of the segment that starts with frame 0.
        workers: how many, 1 or more.

    Attributes:
        embedding: of the picture's face, once a worker has computed it.

    Raises:
        OSError: no process can be started.
    """

    def __init__(
        self, clip: StartClip, picture: Image, initial_state: SegmentState, workers: int
    ) -> None:
        self.embedding: Embedding | None = None
        self._schedule = FrameSchedule(clip.num_frames)
        most = min(FRAMES_IN_FLIGHT * workers, BYTES_IN_FLIGHT // picture.nbytes, clip.num_frames)
        self._in_flight = max(2, most)
        # beside the picture and those in flight, the frame that is submitted and the last one taken
        count = self._in_flight + 3
        self._shared = SharedFrames.create(picture.shape, count)
        self._shared.pixels[REFERENCE_SLOT] = picture
        self._free = deque(slot for slot in range(count) if slot != REFERENCE_SLOT)
        self._slots: dict[int, int] = {}
        self._opened: dict[int, tuple[int, int]] = {}
        self._condition = threading.Condition()
        self._failure: MachineError | None = None
        self._closed = False
        self._steps: dict[int, Measurements] = {}
        self._frames: dict[int, FrameMeasured] = {}
        self._partial_frames: dict[int, FrameMeasured] = {}
        self._states: dict[int, SegmentState] = {0: initial_state}
        self._awaiting_state: dict[int, WorkerHandle] = {}
        self._submitted = 0
        self._taken = 0
        self._segment = -1
        self._busy: dict[WorkerHandle, float] = {}
        self._workers = _idle.take(workers)
        try:
            while len(self._workers) < workers:
                self._workers.append(WorkerHandle())
            for number, worker in enumerate(self._workers):
                worker.assign(self.receive)
                worker.post(replace(clip, embed=number == 0), self._shared)
        except BaseException:
            self.close()
            raise

    @property
    def busy(self) -> float:
        """Seconds of computing, of all workers."""
        return sum(self._busy.values())

    def submit(self, index: int, pixels: Image) -> None:
        """Frame ``index``, which is copied; waits while many are waiting.

        Raises:
            MachineError: a worker has died.
        """
        with self._condition:
            while index - self._taken >= self._in_flight and not self._failure:
                if self._result_ready():
                    break  # the caller must take it first
                self._condition.wait(POLL_SECONDS)
        self._check()
        slot = self._slot(index)
        self._shared.pixels[slot] = pixels
        if self._schedule.searched(index):
            self._change_segment(index, slot)
        else:
            self._worker().post(NextFrame(index, slot))
        self._submitted = index + 1

    def results(
        self, *, wait: bool
    ) -> Iterator[tuple[Measurements | None, Measurements, bool | None]]:
        """Measurements in the order of the frames: of the step to it, of the frame, if exact.

        Args:
            wait: for all submitted frames; else only what is there.

        Raises:
            MachineError: a worker has died.
        """
        while True:
            with self._condition:
                while not self._result_ready():
                    self._check()
                    if not wait or self._taken == self._submitted:
                        return
                    self._condition.wait(POLL_SECONDS)
                index = self._taken
                step = self._steps.pop(index, None)
                frame = self._frames.pop(index)
                self._taken += 1
                self._condition.notify_all()
            yield step, frame.measurements, frame.exact

    def release(self) -> None:
        """All results have been taken: keep the workers for the next clip, or kill them."""
        with self._condition:
            self._closed = True
        self._workers = [worker for worker in self._workers if not _idle.keep(worker)]
        for worker in self._workers:
            worker.kill()

    def close(self) -> None:
        """Kill every worker that was not released, and wait until it is gone."""
        with self._condition:
            self._closed = True
        end_workers(self._workers)

    def receive(self, worker: WorkerHandle, answer: Answer) -> None:
        """Called by a worker's reading thread."""
        with self._condition:
            match answer:
                case BusySeconds(seconds):
                    self._busy[worker] = seconds
                case FrameMeasured(index):
                    self._keep_measurements(answer)
                case StepMeasured(index, measurements):
                    self._steps[index] = measurements
                case SegmentStartState(index, state, opened, face):
                    segment, slot = self._opened.pop(opened)
                    other_worker = self._workers[
                        (segment + len(self._workers) // 2) % len(self._workers)
                    ]
                    other_worker.post(MeasureFrameOnly(opened, slot, face, state))
                    if (waiting := self._awaiting_state.pop(index, None)) is None:
                        self._states[index] = state
                    else:
                        waiting.post(answer)
                case ClipStarted(embedding):
                    self.embedding = self.embedding if embedding is None else embedding
                case WorkerFailed(reason):
                    if not self._closed and self._failure is None:
                        self._failure = MachineError(
                            f"verification stopped: {reason}; free memory, or use fewer cores"
                        )
                case EndClip():
                    pass
            self._condition.notify_all()

    def _slot(self, index: int) -> int:
        """Room for frame ``index``: that of a frame which no worker needs any more.

        The step to the next frame is the last thing that a frame is read for.
        """
        if not self._free:
            oldest = min(self._slots)
            assert oldest + 1 < self._taken  # noqa: S101 - there is room for all in flight
            self._free.append(self._slots.pop(oldest))
        self._slots[index] = slot = self._free.popleft()
        return slot

    def kept_frame(self, index: int) -> Image | None:
        """Frame ``index`` as it was submitted, if its memory was not used again."""
        slot = self._slots.get(index)
        return None if slot is None else self._shared.pixels[slot]

    def _keep_measurements(self, answer: FrameMeasured) -> None:
        """Keep what one or two workers have measured of a frame."""
        index = answer.index
        if not self._schedule.searched(index):
            self._frames[index] = answer
        elif (other := self._partial_frames.pop(index, None)) is None:
            self._partial_frames[index] = answer
        else:
            exact = answer.exact if other.exact is None else other.exact
            both = merge(answer.measurements, other.measurements)
            self._frames[index] = FrameMeasured(index, both, exact)

    def _change_segment(self, index: int, slot: int) -> None:
        """End the segment before frame ``index`` and start the one from there."""
        if self._segment >= 0:
            self._worker().post(CloseSegment(index, slot))
        self._segment += 1
        worker = self._worker()
        with self._condition:
            self._opened[index] = self._segment, slot
        worker.post(OpenSegment(index, slot))
        with self._condition:
            state = self._states.pop(index, None)
            if state is None:
                self._awaiting_state[index] = worker
        if state is not None:
            worker.post(SegmentStartState(index, state))

    def _worker(self) -> WorkerHandle:
        """The worker of the current segment."""
        return self._workers[self._segment % len(self._workers)]

    def _result_ready(self) -> bool:
        index = self._taken
        return index in self._frames and (index == 0 or index in self._steps)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure


class IdleWorkers:
    """Workers between two clips, while some block of :func:`keep_workers` is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._workers: list[WorkerHandle] = []

    def take(self, count: int) -> list[WorkerHandle]:
        """Up to ``count`` of them, without those that have died."""
        with self._lock:
            taken, self._workers = self._workers[:count], self._workers[count:]
        end_workers([worker for worker in taken if not worker.alive])
        return [worker for worker in taken if worker.alive]

    def keep(self, worker: WorkerHandle) -> bool:
        """Keep one that is done with its clip; False where it should end."""
        with self._lock:
            if not self._blocks or len(self._workers) >= MAX_WORKERS:
                return False
            worker.post(EndClip())
            self._workers.append(worker)
            return True

    def enter_block(self) -> None:
        """Keep workers from now on."""
        with self._lock:
            self._blocks += 1

    def leave_block(self) -> None:
        """End the workers when the last block is left."""
        with self._lock:
            self._blocks -= 1
            ending: list[WorkerHandle] = []
            if not self._blocks:
                ending, self._workers = self._workers, ending
        end_workers(ending)


_idle = IdleWorkers()


@contextmanager
def keep_workers() -> Iterator[None]:
    """Inside, workers that are done with a clip wait for the next one, at about 120 MB each.

    Starting them costs more processor time than what they do for one clip. They end when the last
    such block of this process is left.
    """
    _idle.enter_block()
    try:
        yield
    finally:
        _idle.leave_block()
