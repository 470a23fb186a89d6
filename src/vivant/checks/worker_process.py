"""A process that measures segments of clips, one clip after another.

It ends when the connection to its parent closes, however the parent ends.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from multiprocessing.connection import Connection
from typing import Final

import cv2

from vivant.checks.frame import AnalyzedFrame
from vivant.checks.frame_analyzer import (
    FrameAnalyzer,
    FrameSchedule,
    SegmentState,
    has_steps,
    is_frame_only,
)
from vivant.checks.metrics.registry import all_metrics
from vivant.checks.worker_frames import SharedFrames
from vivant.checks.worker_messages import (
    REFERENCE_SLOT,
    Answer,
    BusySeconds,
    ClipStarted,
    CloseSegment,
    EndClip,
    Frame,
    FrameMeasured,
    MeasureFrameOnly,
    OpenSegment,
    Order,
    SegmentStartState,
    StartClip,
    StepMeasured,
    WorkerFailed,
)
from vivant.picture.faces import FaceReader

NICENESS: Final = 5
"""The encoder comes first where both want the same core: checks wait for its last frames anyway."""


IDLE_SECONDS: Final = 0.3
"""Without an order; an engine that needs longer for its first frame leaves time to prepare."""


class SegmentWorker:
    """Measures segments of one clip.

    Args:
        connection: to the pool.
        reader: finds faces.
        clip: what to measure.
    """

    def __init__(self, connection: Connection, reader: FaceReader, clip: StartClip) -> None:
        self._connection = connection
        self._pixels = SharedFrames.receive(connection, clip.shape).pixels
        self._pixels.flags.writeable = False
        self._face = clip.face
        self._states: dict[int, SegmentState] = {}
        self._waiting: deque[Frame | EndClip] = deque()
        self._before: AnalyzedFrame | None = None
        self._state: SegmentState | None = None
        self._busy = 0.0
        reference = clip.reference(reader, self._pixels[REFERENCE_SLOT])
        metrics = all_metrics(reference, clip.fps)
        self._analyzer = FrameAnalyzer(FrameSchedule(clip.num_frames), reference, metrics, reader)
        connection.send(ClipStarted(reference.embedding if clip.embed else None))

    def run(self) -> None:
        """Work until the clip ends."""
        if not self._connection.poll(IDLE_SECONDS):
            self._prepare()
        while True:
            order = self._waiting.popleft() if self._waiting else self._receive_frame()
            if isinstance(order, EndClip):
                self._connection.send(EndClip())
                return
            began = time.process_time()
            frame = self._analyzer.frame(order.index, self._pixels[order.slot])
            answers = self._measure(order, frame)
            self._busy += time.process_time() - began
            # busy time first: who has the last answer does not wait for more
            for answer in (BusySeconds(self._busy), *answers):
                self._connection.send(answer)

    def _prepare(self) -> None:
        """Measure the picture: what metrics keep of it is there when the first frame comes."""
        frame = self._analyzer.frame(0, self._pixels[REFERENCE_SLOT])
        frame.face = self._face
        self._analyzer.measure_frame(frame, self._analyzer.initial_state, is_frame_only)

    def _measure(self, order: Frame, frame: AnalyzedFrame) -> list[Answer]:
        if isinstance(order, OpenSegment):
            return self._open(frame)
        if isinstance(order, MeasureFrameOnly):
            frame.face = order.face
            found = self._analyzer.measure_frame(frame, order.state, is_frame_only)
            return [FrameMeasured(frame.index, found, None)]
        assert self._before is not None and self._state is not None  # noqa: S101
        step = self._analyzer.measure_step(self._before, frame, self._state)
        if isinstance(order, CloseSegment):
            self._before = None
            return [StepMeasured(frame.index, step)]
        self._before = frame
        found = self._analyzer.measure_frame(frame, self._state)
        return [StepMeasured(frame.index, step), FrameMeasured(frame.index, found, None)]

    def _open(self, frame: AnalyzedFrame) -> list[Answer]:
        """The first frame of a segment; waits for what the segment before it found."""
        while frame.index not in self._states:
            received = self._receive()
            if received is not None:
                self._waiting.append(received)
        state = self._analyzer.search(frame, self._states.pop(frame.index))
        after = self._analyzer.schedule.next_searched(frame.index)
        # now: the next segment waits for it, and the worker that measures the frame's other part
        self._connection.send(SegmentStartState(after, state, frame.index, frame.face))
        self._before, self._state = frame, state
        exact = None if frame.index else self._analyzer.is_exact(frame)
        found = self._analyzer.measure_frame(frame, state, has_steps)
        return [FrameMeasured(frame.index, found, exact)]

    def _receive_frame(self) -> Frame | EndClip:
        while (received := self._receive()) is None:
            pass
        return received

    def _receive(self) -> Frame | EndClip | None:
        """The next order; None where it was a state, which is kept."""
        order: Order = self._connection.recv()
        match order:
            case SegmentStartState(index, state):
                self._states[index] = state
                return None
            case StartClip():
                raise TypeError("a clip starts before another one ended")
        return order


def main(descriptor: int) -> None:
    """Measure clips until the connection on this file descriptor closes."""
    connection = Connection(descriptor)
    os.dup2(2, 1)  # what a library prints must not end in the parent's output
    os.nice(NICENESS)
    cv2.setNumThreads(1)
    try:
        reader = FaceReader()
        reader.warm()  # now, while there is nothing else to do
        while True:
            SegmentWorker(connection, reader, connection.recv()).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass
    except BaseException as error:  # noqa: BLE001 - raised again where the answer is awaited
        with contextlib.suppress(OSError):
            connection.send(WorkerFailed(f"{type(error).__name__}: {error}"))
    sys.stderr.flush()
    os._exit(0)  # nothing to clean up, and no reason to wait for it
