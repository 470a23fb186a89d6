"""Work that goes side by side in a process, and work that goes alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class SharedExclusiveLock:
    """Work that goes side by side, and work that goes alone.

    A job that was running when a worker died runs alone from then on. If it kills the worker again,
    no other job is running that would be counted as the cause too. Take this lock before any other.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_work = self._waiting = 0
        self._solo = False

    @contextmanager
    def hold(self, *, alone: bool) -> Iterator[None]:
        """Work within the ``with`` block.

        Args:
            alone: wait for all others to end, and keep new ones waiting meanwhile.
        """
        with self._changed:
            self._waiting += alone
            self._changed.wait_for(
                lambda: not self._solo and not (self._at_work if alone else self._waiting)
            )
            self._waiting -= alone
            self._at_work += 1
            self._solo = alone
        try:
            yield
        finally:
            with self._changed:
                self._at_work -= 1
                self._solo = False
                self._changed.notify_all()
