"""A request's bytes as they come in, counted and timed. Knows nothing of what they mean."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request

from vivant.api.errors import HttpError
from vivant.api.upload import too_large

IDLE_SECONDS = 30.0
"""A body may pause that long."""

DRAIN_BYTES = 64_000_000
DRAIN_SECONDS = 5.0
"""What is refused is read on for so long, because most clients read no answer before that."""


class Body:
    """One request's.

    Args:
        request: nothing of whose body was read.
        max_bytes: of the body.
        subject: what is too large then, as words.
    """

    def __init__(self, request: Request, max_bytes: int, subject: str = "the picture has") -> None:
        self._request, self._max_bytes, self._subject = request, max_bytes, subject
        self._stream = request.stream()
        self._read = 0

    def check_length(self) -> None:
        """Refuse by what the client announces, before anything is read.

        Raises:
            HttpError: 413.
        """
        length = self._request.headers.get("content-length")
        if length is not None and length.isdigit() and int(length) > self._max_bytes:
            raise too_large(self._max_bytes, self._subject)

    async def read(self, take: Callable[[bytes], object]) -> None:
        """Give every chunk to ``take``, to the end.

        Raises:
            HttpError: 400, the client left; 408, it fell silent; 413, it sent too much.
        """
        clock = asyncio.get_running_loop().time
        try:
            # One alarm that is put off, because a task for each chunk costs more than the chunk.
            async with asyncio.timeout(IDLE_SECONDS) as alarm:
                async for chunk in self._stream:
                    alarm.reschedule(clock() + IDLE_SECONDS)
                    self._read += len(chunk)
                    if self._read > self._max_bytes:
                        raise too_large(self._max_bytes, self._subject)
                    if chunk:
                        take(chunk)
        except TimeoutError:
            raise HttpError(
                408, f"nothing came for {IDLE_SECONDS:g} s: send the request again", "timeout"
            ) from None
        except ClientDisconnect:
            raise HttpError(400, "the connection was closed half-way", "disconnected") from None

    async def drain(self) -> None:
        """Read on for a while without keeping anything."""
        drained = 0
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                async for chunk in self._stream:
                    drained += len(chunk)
                    if drained > DRAIN_BYTES:
                        return
        except (TimeoutError, ClientDisconnect):
            return
