"""Worker threads in a row, taking items in order through short queues.

The picture is an assembly line: while the GPU (or the warp) makes chunk 5, chunk 4 is being
encoded and chunk 3 verified. Queues are short, so memory does not grow with the clip. NumPy,
OpenCV, FFmpeg and CUDA release the GIL, so threads are enough.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

T = TypeVar("T")
U = TypeVar("U")

_POLL = 0.05
"""Seconds between looks at whether the other end has failed, while a lane is full."""


class _End:
    """Comes after the last item."""


class StageThread(Generic[T]):
    """One thread that calls ``consume`` with every item put, in order.

    Args:
        name: of the thread, for debuggers.
        consume: runs in the lane's thread. What it raises is raised again by :meth:`put` and
            :meth:`finish` in the caller's thread.
        depth: items waiting at most.

    Attributes:
        busy: seconds spent inside ``consume``.
    """

    def __init__(self, name: str, consume: Callable[[T], None], *, depth: int = 2) -> None:
        self.busy = 0.0
        self._consume = consume
        self._queue: queue.Queue[T | _End] = queue.Queue(depth)
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand over an item; waits while the lane is full.

        Raises:
            BaseException: whatever ``consume`` raised.
        """
        self._put(item)

    def finish(self) -> None:
        """Wait until everything put has been consumed.

        Raises:
            BaseException: whatever ``consume`` raised.
        """
        self._put(_End())
        while self._thread.is_alive():
            self._thread.join(_POLL)  # short waits keep Ctrl-C responsive
        self._check()

    def abort(self) -> None:
        """Drop what waits and return when the item in hand is done."""
        self._stop.set()
        with contextlib.suppress(queue.Full):  # then there is an item to wake it
            self._queue.put_nowait(_End())
        self._thread.join()

    def _put(self, item: T | _End) -> None:
        while True:
            self._check()
            try:
                self._queue.put(item, timeout=_POLL)
            except queue.Full:
                continue
            return

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, _End) or self._stop.is_set():
                return
            started = time.perf_counter()
            try:
                self._consume(item)
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                self._failure = error
                return
            finally:
                self.busy += time.perf_counter() - started


class ParallelStage(Generic[T, U]):
    """Several threads that work on items side by side; results are delivered in order.

    Args:
        name: of the threads, for debuggers.
        work: runs in any of the threads. What it raises is raised again by :meth:`put` and
            :meth:`finish`.
        deliver: called with every result, in the order of the items, in a thread of its own.
        threads: that work.
        depth: items under way at most.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[T], U],
        deliver: Callable[[U], None],
        *,
        threads: int,
        depth: int,
    ) -> None:
        self._work, self._deliver = work, deliver
        self._spent: list[float] = []
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._lane: StageThread[Future[U]] = StageThread(name, self._pass_on, depth=depth)

    @property
    def busy(self) -> float:
        """Seconds spent working and delivering."""
        return sum(self._spent) + self._lane.busy

    def put(self, item: T) -> None:
        """Hand over an item; waits while too many are under way.

        Raises:
            BaseException: whatever ``work`` or ``deliver`` raised.
        """
        self._lane.put(self._pool.submit(self._do, item))

    def finish(self) -> None:
        """Wait until everything put has been delivered.

        Raises:
            BaseException: whatever ``work`` or ``deliver`` raised.
        """
        self._lane.finish()
        self._pool.shutdown()

    def abort(self) -> None:
        """Drop what waits and return when the items in hand are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._lane.abort()
        self._pool.shutdown()

    def _do(self, item: T) -> U:
        started = time.perf_counter()
        try:
            return self._work(item)
        finally:
            self._spent.append(time.perf_counter() - started)

    def _pass_on(self, future: Future[U]) -> None:
        self._deliver(future.result())


class Deferred(Generic[T]):
    """Something made in another thread, from when it is first asked for; made once.

    Args:
        make: called in ``pool``; what it raises is raised again by :meth:`result`.
        pool: where it is made.
    """

    def __init__(self, make: Callable[[], T], pool: ThreadPoolExecutor) -> None:
        self._make, self._pool = make, pool
        self._lock = threading.Lock()
        self._future: Future[T] | None = None

    @property
    def started(self) -> bool:
        """Whether it was asked for."""
        return self._future is not None

    def start(self) -> Future[T]:
        """Begin to make it, if nobody has."""
        with self._lock:
            if self._future is None:
                self._future = self._pool.submit(self._make)
            return self._future

    def result(self) -> T:
        """What was made, as soon as it is there.

        Raises:
            BaseException: whatever ``make`` raised.
        """
        return self.start().result()
