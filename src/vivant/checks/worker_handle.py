"""The parent's side of one worker process: start it, send orders, pass its answers on."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing import Pipe
from typing import Final

from vivant.checks.worker_messages import (
    Answer,
    EndClip,
    Order,
    WorkerFailed,
    send_pixels,
)
from vivant.types import Image

START: Final = (
    "import os,sys,json;os.putenv('OPENBLAS_NUM_THREADS','1');os.putenv('OMP_NUM_THREADS','1');"
    "sys.path[:]=json.loads(sys.argv[1]);from vivant.checks.worker_process import main;"
    "main(int(sys.argv[2]))"
)
"""What the child's interpreter runs; its arguments are the parent's module path and a file
descriptor. ``multiprocessing.Process`` is not used: it would import the caller's main module
again, which runs a script that has no ``if __name__ == "__main__"`` a second time."""


class WorkerHandle:
    """One worker: its process, a thread that writes to it and one that reads from it.

    Raises:
        OSError: no process can be started.
    """

    def __init__(self) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-c",
                    START,
                    json.dumps([entry for entry in sys.path if entry]),
                    str(theirs.fileno()),
                ],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C is for the parent, which ends us
            )
        self._orders: queue.SimpleQueue[tuple[Order, Image | None] | None] = queue.SimpleQueue()
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

    def post(self, order: Order, pixels: Image | None = None) -> None:
        """Send in turn, without waiting."""
        self._orders.put((order, pixels))

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
                order, pixels = posted
                self._connection.send(order)
                if pixels is not None:
                    send_pixels(self._connection, pixels)
                del posted, pixels  # a frame is not held while there is nothing to send
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
