"""Threads connected by short queues: each takes items in order and hands results to the next.

While the engine makes chunk 5, chunk 4 is encoded and chunk 3 verified. Queues are short, so
memory does not grow with the clip. NumPy, OpenCV, FFmpeg and CUDA release the GIL, so threads are
enough.
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
"""Seconds between looks at whether the other end has failed, while its queue is full."""


class _End:
    """Comes after the last item."""


class StageThread(Generic[T]):
    """One thread that calls ``consume`` with every item put, in order.

    Args:
        name: of the thread, for debuggers.
        consume: runs in that thread. What it raises is raised again by :meth:`put` and
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
        """Queue an item; waits while the queue is full.

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
        """Drop queued items; return when the current one is done."""
        self._stop.set()
        with contextlib.suppress(queue.Full):  # then another item wakes the thread
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
        depth: items queued or being worked on, at most.
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
        self._delivery: StageThread[Future[U]] = StageThread(name, self._pass_on, depth=depth)

    @property
    def busy(self) -> float:
        """Seconds spent working and delivering."""
        return sum(self._spent) + self._delivery.busy

    def put(self, item: T) -> None:
        """Queue an item; waits while ``depth`` items are not delivered yet.

        Raises:
            BaseException: whatever ``work`` or ``deliver`` raised.
        """
        self._delivery.put(self._pool.submit(self._do, item))

    def finish(self) -> None:
        """Wait until everything put has been delivered.

        Raises:
            BaseException: whatever ``work`` or ``deliver`` raised.
        """
        self._delivery.finish()
        self._pool.shutdown()

    def abort(self) -> None:
        """Drop queued items; return when the current ones are done."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._delivery.abort()
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
    """A value made once, in another thread, from when it is first asked for.

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
        """Whether making it has begun."""
        return self._future is not None

    def start(self) -> Future[T]:
        """Begin to make it, unless that has begun."""
        with self._lock:
            if self._future is None:
                self._future = self._pool.submit(self._make)
            return self._future

    def result(self) -> T:
        """The value; waits until it is made.

        Raises:
            BaseException: whatever ``make`` raised.
        """
        return self.start().result()
