"""Requests take turns at a process beside the API, for work that must not be done within it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from vivant.errors import BusyError
from vivant.service.killable_process import START_SECONDS, KillableProcess


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
        self._tasks_per_process = tasks_per_process
        self._turn = asyncio.Lock()
        self._process = KillableProcess(prepare) if prepare else KillableProcess()
        self._here = 0

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
        """Only one task is in the process: if it is killed, no other is hit."""
        try:
            await _wait(self._process.start(), START_SECONDS)
            found = await _wait(self._process.submit(work, *arguments), seconds)
        except BaseException:
            self.close()
            raise
        if self._tasks_per_process is not None and self._process.tasks >= self._tasks_per_process:
            self.close()
        return found

    @property
    def idle(self) -> bool:
        """Whether no task waits or runs."""
        return not self._here

    def _busy(self) -> BusyError:
        return BusyError(
            f"{self._here} requests of this kind are before yours: try again in a moment",
            retry_after=2.0,
        )

    def close(self) -> None:
        """End the process."""
        self._process.kill()


async def _wait(future: Future[Any], seconds: float) -> Any:
    return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
