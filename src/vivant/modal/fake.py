"""Implements :mod:`vivant.modal.backend` in this process: containers are threads.

For tests, and for rehearsing a deployment without an account. It behaves like Modal where the
rest of Vivant depends on it: calls wait while all containers of a kind are busy, a container
needs time to start, a call is found by its id, and only what can be pickled gets through.
"""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from vivant.modal.backend import CallFailedError
from vivant.modal.messages import CONTAINER_KINDS, RenderRequest, RenderResult


class RenderContainer(Protocol):
    """The method of :class:`vivant.modal.container.ModalContainer` that is called."""

    def render(self, request: RenderRequest) -> RenderResult:
        """One clip."""
        ...


class FakeDict:
    """See :class:`vivant.modal.backend.SharedDict`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, bytes] = {}

    def get(self, key: str) -> Any:
        """See :class:`vivant.modal.backend.SharedDict`."""
        with self._lock:
            value = self._entries.get(key)
        return None if value is None else pickle.loads(value)  # noqa: S301 - written by put

    def put(self, key: str, value: Any) -> None:
        """See :class:`vivant.modal.backend.SharedDict`."""
        with self._lock:
            self._entries[key] = pickle.dumps(value)

    def remove(self, *keys: str) -> None:
        """See :class:`vivant.modal.backend.SharedDict`."""
        with self._lock:
            for key in keys:
                self._entries.pop(key, None)

    @property
    def keys(self) -> list[str]:
        """All keys, sorted."""
        with self._lock:
            return sorted(self._entries)


class FakeBackend:
    """See :class:`vivant.modal.backend.Backend`.

    Args:
        start_container: kind → a container that is ready to render.
        shared: the dict that the containers use too.
        containers: at most so many of each kind.
        start_seconds: how long a new container takes to start.
    """

    def __init__(
        self,
        start_container: Callable[[str], RenderContainer],
        shared: FakeDict | None = None,
        *,
        containers: int = 1,
        start_seconds: float = 0.0,
    ) -> None:
        self.shared = shared or FakeDict()
        self._start_container, self._start_seconds = start_container, start_seconds
        self._thread = threading.local()
        self._calls: dict[str, Future[bytes]] = {}
        self._pools = {
            kind: ThreadPoolExecutor(containers, thread_name_prefix=f"container-{kind}")
            for kind in CONTAINER_KINDS
        }

    def spawn(self, kind: str, request: RenderRequest) -> str:
        """See :class:`vivant.modal.backend.Backend`."""
        call = f"fc-{uuid.uuid4().hex}"
        self._calls[call] = self._pools[kind].submit(self._run, kind, pickle.dumps(request))
        return call

    def poll(self, call: str) -> RenderResult | None:
        """See :class:`vivant.modal.backend.Backend`."""
        future = self._calls.get(call)
        if future is None or future.cancelled():
            raise CallFailedError(f"there is no call {call}")
        if not future.done():
            return None
        error = future.exception()
        if error is not None:
            raise CallFailedError(str(error)) from error
        result: RenderResult = pickle.loads(future.result())  # noqa: S301 - written by _run
        return result

    def cancel(self, call: str) -> None:
        """See :class:`vivant.modal.backend.Backend`."""
        future = self._calls.get(call)
        if future is not None:
            future.cancel()

    def close(self) -> None:
        """Wait for running calls; drop those that wait."""
        for pool in self._pools.values():
            pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, kind: str, request: bytes) -> bytes:
        container = getattr(self._thread, "container", None)
        if container is None:  # this thread's first call: a cold start
            time.sleep(self._start_seconds)
            container = self._thread.container = self._start_container(kind)
        return pickle.dumps(container.render(pickle.loads(request)))  # noqa: S301 - by spawn
