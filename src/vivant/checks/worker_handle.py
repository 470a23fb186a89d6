"""The parent's side of one worker process: start it, send orders, pass its answers on."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from vivant.checks.worker_frames import SharedFrames
from vivant.checks.worker_messages import Answer, EndClip, Order, WorkerFailed
from vivant.child_process import start_child

ONE_THREAD: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""The workers share the cores among themselves."""


class WorkerHandle:
    """One worker: its process, a thread that writes to it and one that reads from it.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self) -> None:
        self._process, self._connection = start_child(
            "vivant.checks.worker_process", variables=ONE_THREAD
        )
        self._orders: queue.SimpleQueue[tuple[Order, SharedFrames | None] | None] = (
            queue.SimpleQueue()
        )
        self._lock = threading.Lock()
        self._receivers: deque[Callable[[WorkerHandle, Answer], None]] = deque()
        self._failure: WorkerFailed | None = None
        self._threads = [
            threading.Thread(target=target, name="vivant-worker-io", daemon=True)
            for target in (self._write, self._read)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process.poll() is None

    def assign(self, receive: Callable[[WorkerHandle, Answer], None]) -> None:
        """Answers go to ``receive`` from the next clip on.

        Of a worker that has died, its failure is passed on at once: it may have died between two
        clips.
        """
        with self._lock:
            self._receivers.append(receive)
            failure = self._failure
        if failure is not None:
            receive(self, failure)

    def post(self, order: Order, frames: SharedFrames | None = None) -> None:
        """Send in turn, without waiting; after it, access to ``frames``."""
        self._orders.put((order, frames))

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._orders.put(None)

    def join(self) -> None:
        """Wait until process and threads have gone."""
        self._process.wait()
        for thread in self._threads:
            thread.join()
        self._connection.close()

    def _write(self) -> None:
        try:
            while (posted := self._orders.get()) is not None:
                order, frames = posted
                self._connection.send(order)
                if frames is not None:
                    frames.send(self._connection)
                del posted, frames  # not held while there is nothing to send
        except OSError:
            return  # the reading thread says why

    def _read(self) -> None:
        try:
            while True:
                answer: Answer = self._connection.recv()
                self._receivers[0](self, answer)
                if isinstance(answer, EndClip):
                    self._receivers.popleft()
        except (EOFError, OSError):
            failure = WorkerFailed(f"a worker ended (exit code {self._process.wait()})")
        with self._lock:
            self._failure = failure
            receivers = list(self._receivers)
        for receive in receivers:
            receive(self, failure)


def end_workers(workers: Sequence[WorkerHandle]) -> None:
    """Kill workers and wait until they are gone."""
    for worker in workers:
        worker.kill()
    for worker in workers:
        worker.join()
