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

from vivant.errors import BusyError

START_SECONDS = 120.0
"""The process imports for seconds; that time is nobody's."""


class IsolatedProcess:
    """One process, one task at a time; others wait for their turn.

    Args:
        wait_seconds: nobody waits longer than this for the tasks before.
        most: how many may wait or run.
        tasks_per_process: a new process takes over after so many; None for never.
        prepare: done first in a new process, such as imports; it must be picklable.
    """

    def __init__(
        self,
        *,
        wait_seconds: float,
        most: int,
        tasks_per_process: int | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        self._wait_seconds, self._most = wait_seconds, most
        self._tasks_per_process, self._prepare = tasks_per_process, prepare
        self._turn = asyncio.Lock()
        self._pool: ProcessPoolExecutor | None = None
        self._here, self._tasks = 0, 0

    async def run(self, work: Callable[..., Any], *arguments: Any, seconds: float) -> Any:
        """What ``work`` returns there.

        Raises:
            BusyError: too many wait, or the tasks before take too long.
            BrokenProcessPool: the process ended during this task.
            TimeoutError: this task took longer than ``seconds``, not counting the wait.
        """
        if self._here >= self._most:
            raise self._busy()
        self._here += 1
        try:
            try:
                async with asyncio.timeout(self._wait_seconds):
                    await self._turn.acquire()
            except TimeoutError:
                raise self._busy() from None
            try:
                return await self._in_turn(work, arguments, seconds)
            finally:
                self._turn.release()
        finally:
            self._here -= 1

    async def _in_turn(
        self, work: Callable[..., Any], arguments: tuple[Any, ...], seconds: float
    ) -> Any:
        """Only one task is in the process: where it is killed, no other is hit."""
        try:
            if self._pool is None:
                self._pool = self._started()
                if self._prepare is not None:
                    await self._wait(self._pool, START_SECONDS, self._prepare)
            self._tasks += 1
            found = await self._wait(self._pool, seconds, work, *arguments)
        except BaseException:
            self.close()
            raise
        if self._tasks_per_process is not None and self._tasks >= self._tasks_per_process:
            self.close()
        return found

    async def _wait(
        self, pool: ProcessPoolExecutor, seconds: float, work: Callable[..., Any], *given: Any
    ) -> Any:
        return await asyncio.wait_for(asyncio.wrap_future(pool.submit(work, *given)), seconds)

    @property
    def idle(self) -> bool:
        """Whether nobody waits or runs."""
        return not self._here

    def _busy(self) -> BusyError:
        return BusyError(
            f"{self._here} requests of this kind are before yours: try again in a moment",
            retry_after=2.0,
        )

    def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list(getattr(pool, "_processes", None) or {}):
                _kill(process)
            pool.shutdown(wait=False, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        self._tasks = 0
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _end_with_parent)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except OSError:
        return


def _end_with_parent() -> None:
    """In the process: end when the service has ended, also by a crash."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
