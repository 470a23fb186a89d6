"""A process for work that is too heavy or too dangerous to do in this one.

It is started when it is first needed, runs one task at a time, can be killed in the middle of one,
and ends when this process ends, also by a crash.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

START_SECONDS = 120.0
"""A new process imports for up to some seconds; that time is not counted as the task's."""


def _nothing() -> None:
    """In the process: nothing to prepare."""


class KillableProcess:
    """See the module.

    Args:
        prepare: done first in a new process, such as imports; it must be picklable.
    """

    def __init__(self, prepare: Callable[[], None] = _nothing) -> None:
        self._prepare = prepare
        self._pool: ProcessPoolExecutor | None = None
        self._prepared: Future[None] | None = None
        self.tasks = 0
        """How many tasks this process was given."""

    def start(self) -> Future[None]:
        """Start the process where there is none; done when it is prepared.

        One that has died since its last task is replaced: that is not the next task's fault.
        """
        if self._died():
            self.kill()
        if self._pool is None or self._prepared is None:
            self._pool = ProcessPoolExecutor(
                1, multiprocessing.get_context("spawn"), _end_with_parent
            )
            self._prepared = self._pool.submit(self._prepare)
            self.tasks = 0
        return self._prepared

    def _died(self) -> bool:
        if self._pool is None or self._prepared is None or not self._prepared.done():
            return False
        try:
            self._pool.submit(_nothing)
        except BrokenProcessPool:
            return True
        return False

    def submit(self, work: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Let it do ``work``; both and the result must be picklable.

        The future raises ``BrokenProcessPool`` where the process ends during the task.
        """
        self.start()
        assert self._pool is not None  # noqa: S101 - just started
        self.tasks += 1
        return self._pool.submit(work, *arguments)

    def kill(self) -> None:
        """End the process at once; the next task gets a new one."""
        pool, self._pool, self._prepared = self._pool, None, None
        if pool is not None:
            for process in list(getattr(pool, "_processes", None) or {}):
                _kill(process)
            pool.shutdown(wait=False, cancel_futures=True)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except OSError:
        return


def _end_with_parent() -> None:
    """In the process: Ctrl-C is for the parent; end when that has ended, also by a crash."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
