"""A Modal of our own, in this process: studios are threads, the board is a dict.

For tests, and for rehearsing a deployment without an account. It keeps Modal's manners: calls
wait while all containers of a kind are busy, a container takes its time to start, a call is found
by its id, and nothing that is not plain data gets through.
"""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from vivant.modal.backend import LostError
from vivant.modal.work import STUDIOS, Made, Work


class Renders(Protocol):
    """A studio, as far as it is called."""

    def make(self, work: Work) -> Made:
        """One clip."""
        ...


class FakeBoard:
    """See :class:`vivant.modal.backend.Board`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: dict[str, bytes] = {}

    def get(self, name: str) -> Any:
        """See the protocol."""
        with self._lock:
            note = self._notes.get(name)
        return None if note is None else pickle.loads(note)  # noqa: S301 - written just below

    def put(self, name: str, note: Any) -> None:
        """See the protocol."""
        with self._lock:
            self._notes[name] = pickle.dumps(note)

    def remove(self, *names: str) -> None:
        """See the protocol."""
        with self._lock:
            for name in names:
                self._notes.pop(name, None)

    @property
    def names(self) -> list[str]:
        """Of all notes."""
        with self._lock:
            return sorted(self._notes)


class FakeBackend:
    """See the module.

    Args:
        studio: kind → a container that is ready to make clips.
        board: shared with the studios.
        containers: of each kind, at most.
        start_seconds: until a new container is ready.
    """

    def __init__(
        self,
        studio: Callable[[str], Renders],
        board: FakeBoard | None = None,
        *,
        containers: int = 1,
        start_seconds: float = 0.0,
    ) -> None:
        self.board = board or FakeBoard()
        self._studio, self._start_seconds = studio, start_seconds
        self._kept = threading.local()
        self._calls: dict[str, Future[bytes]] = {}
        self._pools = {
            kind: ThreadPoolExecutor(containers, thread_name_prefix=f"studio-{kind}")
            for kind in STUDIOS
        }

    def spawn(self, studio: str, work: Work) -> str:
        """See the protocol."""
        call = f"fc-{uuid.uuid4().hex}"
        self._calls[call] = self._pools[studio].submit(self._run, studio, pickle.dumps(work))
        return call

    def poll(self, call: str) -> Made | None:
        """See the protocol."""
        future = self._calls.get(call)
        if future is None or future.cancelled():
            raise LostError(f"there is no call {call}")
        if not future.done():
            return None
        error = future.exception()
        if error is not None:
            raise LostError(str(error)) from error
        made: Made = pickle.loads(future.result())  # noqa: S301 - written just below
        return made

    def cancel(self, call: str) -> None:
        """See the protocol."""
        future = self._calls.get(call)
        if future is not None:
            future.cancel()

    def close(self) -> None:
        """Let what runs end; what waits is dropped."""
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, kind: str, work: bytes) -> bytes:
        container = getattr(self._kept, "container", None)
        if container is None:  # this thread's first call: a cold start
            time.sleep(self._start_seconds)
            container = self._kept.container = self._studio(kind)
        return pickle.dumps(container.make(pickle.loads(work)))  # noqa: S301 - written by spawn
