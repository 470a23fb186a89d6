"""A request's bytes as they come in: counted, and not slower than an upload may be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from starlette.requests import ClientDisconnect, Request

from vivant.api.errors import HttpError
from vivant.api.uploads.picture_files import too_large

IDLE_SECONDS = 30.0
"""A body may pause for so long, and take so long before its average speed counts."""

MIN_BYTES_PER_SECOND = 10_000
"""On average over the whole body, so that no client can hold a connection for hours with single
bytes."""

DRAIN_BYTES = 64_000_000
DRAIN_SECONDS = 5.0
"""Seconds for which the rest is read after a refusal: most clients read no answer before they have
sent all."""


class Body:
    """The body of one request.

    Args:
        request: nothing of its body was read.
        max_bytes: of the body.
        subject: what is too large then, as the beginning of a sentence.
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

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes, to the end.

        Raises:
            HttpError: 400, the client left; 408, it was too slow; 413, it sent too much.
        """
        clock = asyncio.get_running_loop().time
        started = clock()
        while True:
            slowest = started + IDLE_SECONDS + self._read / MIN_BYTES_PER_SECOND
            try:
                async with asyncio.timeout_at(min(clock() + IDLE_SECONDS, slowest)):
                    chunk = await anext(self._stream, None)
            except TimeoutError:
                raise HttpError(
                    408,
                    f"nothing came for {IDLE_SECONDS:g} s, or less than "
                    f"{MIN_BYTES_PER_SECOND / 1000:g} kB a second: send the request again",
                    "timeout",
                    headers={"Connection": "close"},
                ) from None
            except ClientDisconnect:
                raise HttpError(400, "the connection was closed half-way", "disconnected") from None
            if chunk is None:
                return
            self._read += len(chunk)
            if self._read > self._max_bytes:
                raise too_large(self._max_bytes, self._subject)
            if chunk:
                yield chunk

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
