"""Several processes that watch runs of frames side by side; their answers in order.

The first frame of a run goes to two workers: one ends its run with it, one starts the next.
What is known goes from run to run as soon as the face is found, so runs overlap. Knows nothing
of metrics beyond what a :class:`vivant.checks.frame_analyzer.FrameAnalyzer` yields.

Getting a worker ready takes more than a second of processor time: whoever makes many clips keeps
them (:func:`keep_workers`).
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from vivant.checks.frame_analyzer import Found, Known, Plan
from vivant.checks.worker_process import START, Task, packed, receive, send
from vivant.errors import MachineError
from vivant.types import Image

AHEAD: Final = 8
"""Frames per worker that may be under way: one run of a clip of 97, and what waits for it."""

BYTES_AHEAD: Final = 600_000_000
"""Of frames that may be under way, however many workers there are and however large frames are."""

PIPE_BYTES: Final = 1 << 20
"""Of a pipe, where the system lets it be set (Linux); 64 KB means a wake-up for each."""

PATIENCE: Final = 0.1
"""Seconds between two looks at whether something has failed."""


WORTH_IT: Final = 20 * 1920 * 1080
"""Pixels of a clip below which it is over before workers are ready."""

LONG: Final = 300
"""Frames from which two workers pay on two cores: getting one ready takes more than a second of
processor time, as much as 40 frames of 1080p."""

MOST: Final = 8
"""A clip of 97 frames is 17 runs; each worker takes about 120 MB. On 16 cores twelve are slower
by a tenth: they take the cores from what feeds them."""


def worker_count(
    cores: int, num_frames: int, width: int, height: int, *, alone: bool = False
) -> int:
    """How many processes should watch a clip; 0 for the caller's own thread.

    Args:
        cores: that may be used.
        num_frames: of the clip.
        width: pixels.
        height: pixels.
        alone: nothing else is computed at the same time but the decoding of the clip.
    """
    if num_frames * width * height < WORTH_IT:
        return 0
    if alone and 1 < cores < 4:
        return 2 if num_frames >= LONG else 0
    return 0 if cores < 4 else min(MOST, cores * 3 // 4)


class WorkerPool:
    """Workers on one clip.

    Started at once, unless some are kept, so that they are ready when the first frame is. Frames
    are given by one thread in order; answers are taken by one thread.

    Args:
        task: the clip and its picture.
        nothing: what is known before the first frame.
        workers: how many, 1 or more.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self, task: Task, nothing: Known, workers: int) -> None:
        self.embedding: Any = None
        self._plan = Plan(task.num_frames)
        self._ahead = max(2, min(AHEAD * workers, BYTES_AHEAD // task.pixels.nbytes))
        self._condition = threading.Condition()
        self._failure: BaseException | None = None
        self._closed = False
        self._steps: dict[int, Found] = {}
        self._looks: dict[int, tuple[Found, bool | None]] = {}
        self._known: dict[int, Known] = {0: nothing}
        self._opened: dict[int, _Hand] = {}
        self._given = 0
        self._taken = 0
        self._run = -1
        self._busy: dict[int, float] = {}
        self._hands = _kept.take(workers)
        try:
            while len(self._hands) < workers:
                self._hands.append(_Hand())
            self._hands[0].assign(self, packed((task, True)))
            order = packed((task, False))
            for hand in self._hands[1:]:
                hand.assign(self, order)
        except BaseException:
            self.close()
            raise

    @property
    def busy(self) -> float:
        """Seconds of computing, of all workers."""
        return sum(self._busy.values())

    def give(self, index: int, pixels: Image) -> None:
        """Frame ``index``, C-contiguous and not changed afterwards; waits while too many wait.

        Raises:
            MachineError: a worker has died.
        """
        with self._condition:
            while index - self._taken >= self._ahead and not self._failure:
                if self._deliverable():
                    break  # the caller must take first
                self._condition.wait(PATIENCE)
        self._check()
        if self._plan.searched(index):
            if self._run >= 0:
                self._hand().post(("close", index), pixels)
            self._run += 1
            hand = self._hand()
            hand.post(("open", index), pixels)
            with self._condition:
                self._opened[index] = hand
                known = self._known.pop(index, None)
            if known is not None:
                hand.post(("known", index, known))
        else:
            self._hand().post(("go", index), pixels)
        self._given = index + 1

    def take(self, *, wait: bool) -> Iterator[tuple[Found | None, Found, bool | None]]:
        """Answers in the order of the frames: of the way to it, of the frame, whether exact.

        Args:
            wait: for all frames given; else only what is there.

        Raises:
            MachineError: a worker has died.
        """
        while True:
            with self._condition:
                while not self._deliverable():
                    self._check()
                    if not wait or self._taken == self._given:
                        return
                    self._condition.wait(PATIENCE)
                index = self._taken
                step = self._steps.pop(index, None)
                look, exact = self._looks.pop(index)
                self._taken += 1
                self._condition.notify_all()
            yield step, look, exact

    def dismiss(self) -> None:
        """Done: all answers have been taken. Workers are kept, or told to end without waiting."""
        with self._condition:
            self._closed = True
        self._hands = [hand for hand in self._hands if not _kept.put(hand)]
        for hand in self._hands:
            hand.kill()

    def close(self) -> None:
        """End every worker, whatever it is doing."""
        with self._condition:
            self._closed = True
        _end(self._hands)

    def _hand(self) -> _Hand:
        return self._hands[self._run % len(self._hands)]

    def _deliverable(self) -> bool:
        index = self._taken
        return index in self._looks and (index == 0 or index in self._steps)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def answer(self, hand: _Hand, kind: str, *what: Any) -> None:
        """A worker's message; called by its reading thread."""
        with self._condition:
            if kind == "done":
                self._busy[id(hand)] = what[0]
            elif kind == "look":
                index, look, exact = what
                self._looks[index] = (look, exact)
            elif kind == "step":
                self._steps[what[0]] = what[1]
            elif kind == "known":
                self._pass_on(*what)
            elif kind == "ready":
                self.embedding = what[0] if what[0] is not None else self.embedding
            elif not self._closed and self._failure is None:
                self._failure = MachineError(
                    f"verification stopped: {what[0]}; free memory, or use fewer cores"
                )
            self._condition.notify_all()

    def _pass_on(self, index: int, known: Known) -> None:
        """What the run from ``index`` on found is known to the next one."""
        after = index + 1
        while not self._plan.searched(after) and after < index + self._plan.stride:
            after += 1
        hand = self._opened.pop(after, None)
        self._opened.pop(index, None)
        if hand is None:
            self._known[after] = known
        else:
            hand.post(("known", after, known))


class _Hand:
    """One worker: its process, a thread that writes to it and one that reads from it.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", START, json.dumps([p for p in sys.path if p])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            process_group=0,  # Ctrl-C is for the parent, which ends us
        )
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        if sys.platform == "linux":
            import fcntl

            for pipe in (self._stdin, self._stdout):
                try:
                    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
                except OSError:
                    break  # above the user's limit: the default will do
        self._posts: queue.SimpleQueue[tuple[tuple[Any, ...] | bytes, Image | None] | None] = (
            queue.SimpleQueue()
        )
        self._crews: queue.SimpleQueue[WorkerPool | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=target, name="vivant-crew", daemon=True)
            for target in (self._write, self._read)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def assign(self, crew: WorkerPool, order: bytes) -> None:
        """Work for ``crew`` from now on; ``order`` says on what."""
        self._crews.put(crew)
        self._posts.put((order, None))

    def post(self, message: tuple[Any, ...], pixels: Image | None = None) -> None:
        """Send in turn, without waiting."""
        self._posts.put((message, pixels))

    def kill(self) -> None:
        """End the process."""
        self._process.kill()
        self._posts.put(None)
        self._crews.put(None)

    def join(self) -> None:
        """Wait until process and threads have gone."""
        self._process.wait()
        for thread in self._threads:
            thread.join()
        self._stdin.close()
        self._stdout.close()

    def _write(self) -> None:
        try:
            while (post := self._posts.get()) is not None:
                send(self._stdin, *post)
                post = None  # a frame is not held while there is nothing to send
        except OSError:
            return  # the reading thread says why

    def _read(self) -> None:
        lost = ""
        while (crew := self._crews.get()) is not None:
            try:
                while not lost and (message := receive(self._stdout)[0])[0] != "free":
                    crew.answer(self, *message)
            except (EOFError, OSError):
                lost = f"a worker ended (exit code {self._process.wait()})"
            if lost:  # whoever comes later must know as well: it may have died between two clips
                crew.answer(self, "gone", lost)


def _end(hands: list[_Hand]) -> None:
    """End workers, whatever they are doing."""
    for hand in hands:
        hand.kill()
    for hand in hands:
        hand.join()


class _Kept:
    """Workers between two clips, while somebody wants them kept."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keepers = 0
        self._hands: list[_Hand] = []

    def take(self, most: int) -> list[_Hand]:
        """Some that wait, and live."""
        with self._lock:
            taken, self._hands = self._hands[:most], self._hands[most:]
        gone = [hand for hand in taken if not hand.alive]
        _end(gone)
        return [hand for hand in taken if hand not in gone]

    def put(self, hand: _Hand) -> bool:
        """Keep one that has nothing to do any more; False where it should end."""
        with self._lock:
            if not self._keepers or len(self._hands) >= MOST:
                return False
            hand.post(("end",))
            self._hands.append(hand)
            return True

    def enter(self) -> None:
        with self._lock:
            self._keepers += 1

    def leave(self) -> None:
        with self._lock:
            self._keepers -= 1
            hands: list[_Hand] = []
            if not self._keepers:
                hands, self._hands = self._hands, hands
        _end(hands)


_kept = _Kept()


@contextmanager
def keep_workers() -> Iterator[None]:
    """Inside, workers that are done with a clip wait for the next one, at about 120 MB each.

    For whoever makes many clips: their start costs more processor time than what they do for
    one. They end when the last such block of this process is left.
    """
    _kept.enter()
    try:
        yield
    finally:
        _kept.leave()
