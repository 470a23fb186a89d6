"""The statistics and the page of comparisons, computed in a process of its own.

SciPy and OpenCV stay out of the API's memory, and their work off its event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from vivant.api.isolated_process import IsolatedProcess
from vivant.errors import BusyError

SECONDS = 60.0
IDLE_SECONDS = 120.0
"""The process holds 200 MB: it ends after so long without a request."""

MAX_WAITING = 16
REMEMBERED = 64
"""Answers kept for clients that poll."""


class ComparisonWorker:
    """See the module."""

    def __init__(self) -> None:
        self._process = IsolatedProcess(wait_seconds=SECONDS, most=MAX_WAITING)
        self._known: dict[str, Any] = {}
        self._idle: asyncio.TimerHandle | None = None

    async def findings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """See :func:`vivant.compare.from_json.findings_json`.

        Raises:
            BusyError: too many ask, or it takes too long.
        """
        text = json.dumps(given, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        if digest not in self._known:
            found = await self._ask(_findings, dict(given))
            self._known[digest] = found
            while len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]
        answer: dict[str, Any] = self._known[digest]
        return answer

    async def page(self, given: Mapping[str, Any], mark: str, home: str) -> str:
        """See :func:`vivant.compare.from_json.page`.

        Raises:
            BusyError: too many ask, or it takes too long.
        """
        return str(await self._ask(_page, dict(given), mark, home))

    async def _ask(self, work: Callable[..., Any], *arguments: Any) -> Any:
        if self._idle is not None:
            self._idle.cancel()
        try:
            return await self._process.run(work, *arguments, seconds=SECONDS)
        except (BrokenProcessPool, TimeoutError):
            raise BusyError(
                "the comparison could not be computed in time: ask again in a moment",
                retry_after=2.0,
            ) from None
        finally:
            if self._process.idle:
                loop = asyncio.get_running_loop()
                self._idle = loop.call_later(IDLE_SECONDS, self._process.close)

    def close(self) -> None:
        """End the process."""
        self._process.close()


def _findings(*arguments: Any) -> Any:
    """In the process."""
    from vivant.compare.from_json import findings_json

    return findings_json(*arguments)


def _page(*arguments: Any) -> str:
    """In the process."""
    from vivant.compare.from_json import page

    return page(*arguments)
