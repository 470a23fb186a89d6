"""A client that costs next to nothing: bodies built beforehand, raw sockets, no HTTP library.

Client and service share the machine's cores in ``bench/service.py``; what a heavy client takes
there would be counted as the service's slowness.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

BOUNDARY = "vivant-bench"


def form_request(host: str, fields: Mapping[str, str], image: bytes) -> bytes:
    """A whole ``POST /v1/videos`` as a form, ready to be written to a socket."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="input_reference"; '
        'filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    )
    body = "".join(parts).encode() + image + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST /v1/videos HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Steady:
    """``rate`` requests a second, each sent when it is due whatever the others do.

    Attributes:
        took: seconds from the moment a request was due to the last byte of its answer.
        statuses: HTTP statuses.
    """

    host: str
    port: int
    request: bytes
    took: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    _idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def run(self, *, rate: float, seconds: float, warm_up: int = 5) -> None:
        """Warm up, then measure."""
        for _ in range(warm_up):
            await self._one(time.perf_counter())
        self.took.clear()
        self.statuses.clear()
        begin = time.perf_counter()
        tasks = []
        for number in range(int(rate * seconds)):
            due = begin + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(self._one(due)))
        await asyncio.gather(*tasks)
        for _, writer in self._idle:
            writer.close()

    async def _one(self, due: float) -> None:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        writer.write(self.request)
        await writer.drain()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        await reader.readexactly(int(length))
        self.took.append(time.perf_counter() - due)
        self.statuses.append(int(head.split(b" ", 2)[1]))
        self._idle.append((reader, writer))
