"""A process that watches runs of frames, of one clip after another, and how one talks with it.

Messages go over its standard input and output: a pickled tuple, and where the tuple says so the
bytes of a frame after it. When its input ends, it ends: nothing is left behind however the
process that started it dies. Knows nothing of which worker watches what.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import sys
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import IO, Any

import cv2
import numpy as np

from vivant.checks.frame import Reference, Sample
from vivant.checks.frame_analyzer import FrameAnalyzer, Known, Plan
from vivant.picture.faces import FaceReader
from vivant.types import Face, Image

_HEADER = struct.Struct("<IQ")
"""Bytes of the pickled tuple, bytes of the frame."""

START = (
    "import os,sys,json;os.putenv('OPENBLAS_NUM_THREADS','1');os.putenv('OMP_NUM_THREADS','1');"
    "sys.path[:]=json.loads(sys.argv[1]);from vivant.checks.worker_process import main;main()"
)
"""What the interpreter is told to run; the argument is the module path of its parent."""


Answer = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What a worker is told once: see :class:`vivant.checks.frame.Reference`."""

    pixels: Image
    face: Face | None
    detail: float
    num_frames: int
    fps: float
    others: int

    def reference(self, reader: FaceReader) -> Reference:
        """The input picture again."""
        return Reference(
            pixels=self.pixels,
            face=self.face,
            detail=self.detail,
            num_frames=self.num_frames,
            fps=self.fps,
            reader=reader,
            others=self.others,
        )


def packed(message: tuple[Any, ...]) -> bytes:
    """A message as :func:`send` writes it: once, where it goes to many."""
    return pickle.dumps(message, pickle.HIGHEST_PROTOCOL)


def send(stream: IO[bytes], message: tuple[Any, ...] | bytes, pixels: Image | None = None) -> None:
    """Write a message, and a C-contiguous frame after it.

    Raises:
        OSError: the other side has gone.
    """
    data = message if isinstance(message, bytes) else packed(message)
    _write(stream, _HEADER.pack(len(data), 0 if pixels is None else pixels.nbytes))
    _write(stream, data)
    if pixels is not None:
        _write(stream, pixels.data.cast("B"))


def receive(stream: IO[bytes]) -> tuple[tuple[Any, ...], bytearray]:
    """The next message, and the bytes after it.

    Raises:
        EOFError: the other side has gone.
    """
    size, more = _HEADER.unpack(_read(stream, _HEADER.size))
    return pickle.loads(_read(stream, size)), _read(stream, more)  # noqa: S301 - our own process


def _write(stream: IO[bytes], data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[stream.write(view) :]


def _read(stream: IO[bytes], size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        view = view[count:]
    return data


class _Worker:
    """Reads orders, watches, answers; one clip long."""

    def __init__(
        self, inbox: IO[bytes], outbox: IO[bytes], reader: FaceReader, task: Task, *, first: bool
    ) -> None:
        from vivant.checks.metrics.registry import all_metrics

        self._inbox, self._outbox = inbox, outbox
        self._waiting: deque[tuple[tuple[Any, ...], bytearray]] = deque()
        self._told: dict[int, Known] = {}
        self._before: Sample | None = None
        self._known: Known | None = None
        self._busy = 0.0
        reference = task.reference(reader)
        metrics = all_metrics(reference, task.fps)
        self._watch = FrameAnalyzer(Plan(task.num_frames), reference, metrics, reader)
        self._size = reference.pixels.shape
        send(outbox, ("ready", reference.embedding if first else None))

    def work(self) -> None:
        """Until the clip is over."""
        while True:
            (kind, *what), data = self._next()
            began = time.process_time()
            if kind == "known":
                self._told[what[0]] = what[1]
                continue
            if kind == "end":
                send(self._outbox, ("free",))
                return
            pixels = np.frombuffer(data, np.uint8).reshape(self._size)
            answers = getattr(self, f"_{kind}")(*what, pixels)
            self._busy += time.process_time() - began
            # first: who has the last answer does not wait for more
            for answer in (("done", self._busy), *answers):
                send(self._outbox, answer)

    def _next(self) -> tuple[tuple[Any, ...], bytearray]:
        return self._waiting.popleft() if self._waiting else receive(self._inbox)

    def _open(self, index: int, pixels: Image) -> Iterable[Answer]:
        """The first frame of a run; the run before tells what is known."""
        sample = self._watch.sample(index, pixels)
        while index not in self._told:
            message, data = receive(self._inbox)
            if message[0] == "known":
                self._told[message[1]] = message[2]
            else:
                self._waiting.append((message, data))
        known = self._watch.search(sample, self._told.pop(index))
        send(self._outbox, ("known", index, known))
        exact = self._watch.exact(sample) if not index else None
        self._before, self._known = sample, known
        return [("look", index, self._watch.look(sample, known), exact)]

    def _go(self, index: int, pixels: Image) -> Iterable[Answer]:
        """A frame inside the run."""
        assert self._before is not None and self._known is not None  # noqa: S101
        sample = self._watch.sample(index, pixels)
        step = self._watch.step(self._before, sample, self._known)
        self._before = sample
        return [("step", index, step), ("look", index, self._watch.look(sample, self._known), None)]

    def _close(self, index: int, pixels: Image) -> Iterable[Answer]:
        """The first frame of the next run: only the way there."""
        assert self._before is not None and self._known is not None  # noqa: S101
        sample = self._watch.sample(index, pixels)
        before, self._before = self._before, None
        return [("step", index, self._watch.step(before, sample, self._known))]


def main() -> None:
    """Work until the input ends."""
    inbox = os.fdopen(os.dup(0), "rb", buffering=0)
    outbox = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints is no message
    cv2.setNumThreads(1)
    try:
        reader = FaceReader()
        reader.warm()  # now, while there is nothing else to do
        while True:
            (task, first), _ = receive(inbox)
            _Worker(inbox, outbox, reader, task, first=first).work()
    except (EOFError, BrokenPipeError):
        pass
    except BaseException as error:  # noqa: BLE001 - raised again where the answer is awaited
        with contextlib.suppress(OSError):
            send(outbox, ("failed", f"{type(error).__name__}: {error}"))
    sys.stderr.flush()
    os._exit(0)  # nothing to clean up, and no reason to wait for it
