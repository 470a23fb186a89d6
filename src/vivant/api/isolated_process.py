"""A process beside the service, for work that is too heavy or too dangerous to do within it.

It is started when it is first needed, and ends when the service ends, also by a crash.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any


class IsolatedProcess:
    """One process, one task at a time.

    Args:
        tasks_per_process: a new process takes over after so many; None for never.
    """

    def __init__(self, tasks_per_process: int | None = None) -> None:
        self._tasks = tasks_per_process
        self._pool: ProcessPoolExecutor | None = None

    async def run(self, work: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        """What ``work`` returns there.

        Raises:
            BrokenProcessPool: the process ended meanwhile.
            TimeoutError: it took longer than ``seconds``.
        """
        future = self._running().submit(work, *arguments)
        return await asyncio.wait_for(asyncio.wrap_future(future), seconds)

    def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list(getattr(pool, "_processes", None) or {}):
                _kill(process)
            pool.shutdown(wait=False, cancel_futures=True)

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                multiprocessing.get_context("spawn"),
                _begin,
                max_tasks_per_child=self._tasks,
            )
        return self._pool


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except OSError:
        return


def _begin() -> None:
    """In the process: end when the service is gone, however it went."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
