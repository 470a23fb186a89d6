"""Connections of the server: limits on request heads, their time, and how many there may be.

A head is the request line with all headers. Bodies are limited in :mod:`vivant.api.uploads`.
"""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from vivant.api.errors import response


class LimitedConnection(HttpToolsProtocol):
    """One connection of uvicorn's, with limits.

    A connection is idle while it has no request: new, half-way through a head, or kept open after
    an answer. Idle connections are closed, the oldest first, where there are too many.
    """

    max_head_bytes = 65_536
    """Of a request; browsers and clients send about 1,000."""

    head_seconds = 20.0
    """From opening the connection, or from a head's first byte, to the head's end."""

    max_idle_per_address = 256
    max_per_address = 1_000
    """Most connections of one address, idle or not. A reverse proxy is one address."""

    max_connections = 2_000

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.since = time.monotonic()
        self._head_bytes = 0
        self._in_head = True
        self._head_timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether it has no request."""
        cycle: Any = self.cycle  # None before the first request
        return cycle is None or (bool(cycle.response_complete) and not self.pipeline)

    @property
    def address(self) -> str:
        """The client's."""
        return self.client[0] if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept the connection, or refuse it where there are too many."""
        super().connection_made(transport)
        self._start_timer()
        if len(self.connections) <= self.max_idle_per_address:
            return  # nobody can have too many
        everybody = [cast("LimitedConnection", one) for one in self.connections]
        mine = [one for one in everybody if one.address == self.address]
        excess = max(
            len([one for one in mine if one.idle]) - self.max_idle_per_address,
            len(mine) - self.max_per_address,
        )
        self._make_room(mine, excess)
        self._make_room(everybody, len(everybody) - self.max_connections)

    def _make_room(self, others: list[LimitedConnection], excess: int) -> None:
        """Close idle connections; this one, with an answer, where there are not enough."""
        if excess <= 0 or self.transport.is_closing():
            return
        idle = sorted((one for one in others if one.idle), key=lambda one: one.since)
        spare = self.max_idle_per_address // 16  # so that not every new connection looks
        for one in [one for one in idle if one is not self][: excess + spare]:
            excess -= 1
            self.connections.discard(one)
            one.transport.close()
        if excess > 0:
            self._refuse(
                429,
                "too many connections are open: close some, and try again",
                "too_many_connections",
            )

    def data_received(self, data: bytes) -> None:
        """Feed the parser no more of a head than a head may have."""
        self.since = time.monotonic()
        if self._in_head and self._head_timer is None:
            self._start_timer()
        while data and not self.transport.is_closing():
            room = self.max_head_bytes - self._head_bytes if self._in_head else len(data)
            if room <= 0:
                self._refuse(
                    431,
                    f"the request's headers have more than {self.max_head_bytes} bytes: shorten "
                    "the address, or send fewer headers or cookies",
                    "headers_too_large",
                )
                return
            part, data = data[:room], data[room:]
            self._head_bytes += len(part)
            super().data_received(part)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole: the next byte begins another head."""
        super().on_message_complete()
        self._in_head, self._head_bytes = True, 0

    def connection_lost(self, exc: Exception | None) -> None:
        """The client or this server closed it."""
        self._stop_timer()
        super().connection_lost(exc)

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.head_seconds, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._head_bytes and self.idle:
            self._refuse(
                408, f"the request's headers took more than {self.head_seconds:g} s", "timeout"
            )
        else:
            self.transport.close()

    def _refuse(self, status: int, message: str, code: str) -> None:
        """Answer without a request, and close."""
        answer = response(status, message, code)
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Connection: close"]
        lines += [f"{name.decode()}: {value.decode()}" for name, value in answer.raw_headers]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + bytes(answer.body))
        self.transport.close()
