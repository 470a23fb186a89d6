"""Requests as no client should send them: raw bytes for a socket, made from a seed.

Valid requests are taken apart and put together wrongly: heads, chunks, lengths, forms, JSON,
ranges, event streams. Each is sent on a connection of its own. Whatever the answer is, it must not
be 5xx.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

ANSWER_SECONDS = 2.0
"""Then the client goes away, as after a request that was never finished."""

AT_ONCE = 8

FIELDS = {"model": "fake", "size": "64x64", "num_frames": "1", "prompt": "a", "seed": "1"}

ODD = [
    b"",
    b"\0",
    b"%00",
    b"\xff\xfe",
    b"..%2f..%2fetc%2fpasswd",
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"null",
    b"true",
    b"9" * 400,
    b"\xed\xa0\x80",
    b"%ed%a0%80",
    "é\u202e\u0000漢".encode(),
    b"a" * 5_000,
    b"\r\n",
    b"\t ",
    b"'\";--",
    b"{}",
    b"[]",
    b"\\ud800",
    b"<script>",
    b"0x10",
    b"\xf0\x9f\x98\x80",
    b"+",
    b"*",
    b"1,2",
    b"%",
    b"%zz",
    b"//",
]

RANGES = [
    b"bytes=0-0",
    b"bytes=-1",
    b"bytes=5-",
    b"bytes=99999999-",
    b"bytes=5-1",
    b"bytes=0-1,3-4",
    b"bytes=a-b",
    b"bytes=",
    b"bytes=-",
    b"items=0-1",
    b"bytes=0-" + b"9" * 50,
    b"bytes=-0",
    b"bytes=" + b"0-0," * 2_000,
    b"=",
    b"bytes 0-1",
]

METHODS = [
    b"GET",
    b"POST",
    b"DELETE",
    b"PUT",
    b"PATCH",
    b"HEAD",
    b"OPTIONS",
    b"TRACE",
    b"BREW",
    b"get",
]


class RequestMaker:
    """See the module.

    Args:
        chance: the seed's.
        image: a small picture.
        video_id: a finished job.
        host: ``name:port`` of the server.
    """

    def __init__(self, chance: random.Random, image: bytes, video_id: str, host: str) -> None:
        self._chance, self._image, self._host = chance, image, host.encode()
        video = b"/v1/videos/" + video_id.encode()
        self._paths = [
            b"/health",
            b"/metrics",
            b"/v1/models",
            b"/v1/videos",
            b"/v1/videos?limit=2&order=asc",
            video,
            video + b"/content",
            video + b"/content?variant=report",
            video + b"/content?variant=thumbnail",
            video + b"/events",
            b"/v1/videos/estimate",
            b"/v1/crops",
            b"/v1/batches/a",
            b"/v1/comparisons",
            b"/v1/comparisons/a",
            b"/",
            b"/openapi.json",
            b"/docs",
            b"/static/app.js",
            video + b"/cancel",
        ]
        self._kinds: list[Callable[[], bytes]] = [
            self.head,
            self.path,
            self.length,
            self.chunks,
            self.form,
            self.json,
            self.range,
            self.events,
            self.flipped,
            self.pipelined,
        ]

    def next(self) -> bytes:
        """One request."""
        return self._chance.choice(self._kinds)()

    def head(self) -> bytes:
        """Headers that are strange, doubled, long or many."""
        chance = self._chance
        names = [
            b"Host",
            b"Accept",
            b"Origin",
            b"Cookie",
            b"Authorization",
            b"Content-Type",
            b"If-None-Match",
            b"Expect",
            b"Connection",
            b"Upgrade",
            b"Transfer-Encoding",
            b"X-Forwarded-For",
            b"Idempotency-Key",
            b"Accept-Encoding",
            b"If-Modified-Since",
            b"Sec-Fetch-Site",
            b"Last-Event-ID",
        ]
        lines = [
            chance.choice(names) + chance.choice([b": ", b":", b" : ", b""]) + self._odd()
            for _ in range(chance.choice([1, 2, 5, 200]))
        ]
        return self._whole(self._a_path(), lines, b"", method=chance.choice(METHODS))

    def path(self) -> bytes:
        """Addresses with strange parts and parameters."""
        chance = self._chance
        parts = self._a_path().split(b"/")
        parts[chance.randrange(len(parts))] = self._odd()
        query = (
            b"?"
            + chance.choice([b"limit", b"after", b"order", b"variant", b"ids"])
            + b"="
            + self._odd()
        )
        return self._whole(b"/".join(parts) + query, [], b"", method=chance.choice(METHODS[:3]))

    def length(self) -> bytes:
        """A length that is not the body's."""
        body = self._form_body()
        wrong = self._chance.choice(
            [b"0", b"1", str(len(body) + 7).encode(), b"-1", b"1_0", b"9" * 30, b"", b"5, 5"]
        )
        lines = [self._form_type(), b"Content-Length: " + wrong]
        if self._chance.random() < 0.2:
            lines.append(b"Content-Length: 3")
        return self._whole(b"/v1/videos", lines, body, method=b"POST", length=False)

    def chunks(self) -> bytes:
        """A chunked body with wrong sizes, or cut off."""
        chance, body, sent = self._chance, self._form_body(), b""
        while body:
            piece, body = body[: chance.randint(1, 400)], body[400:]
            size = chance.choice(
                [b"%x" % len(piece)] * 6
                + [b"0", b"zz", b"-1", b"ffffffffffffffff", b"%x;a=b" % len(piece)]
            )
            sent += size + b"\r\n" + piece + chance.choice([b"\r\n"] * 8 + [b"\n", b""])
        sent += chance.choice([b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"", b"0\r\n"])
        lines = [
            self._form_type(),
            b"Transfer-Encoding: "
            + chance.choice([b"chunked"] * 4 + [b"gzip, chunked", b"Chunked"]),
        ]
        if chance.random() < 0.2:
            lines.append(b"Content-Length: 10")
        return self._whole(b"/v1/videos", lines, sent, method=b"POST", length=False)

    def form(self) -> bytes:
        """A form with strange fields, headers and ends."""
        body = self._form_body(
            **{self._chance.choice([*FIELDS, "options[steps]", "budget", "x"]): self._odd()}
        )
        path = self._chance.choice(
            [b"/v1/videos", b"/v1/videos/estimate", b"/v1/crops", b"/v1/comparisons"]
        )
        return self._whole(path, [self._form_type()], self._mutated(body), method=b"POST")

    def json(self) -> bytes:
        """JSON with strange values and bytes."""
        values: dict[str, object] = dict(FIELDS)
        name = self._chance.choice(
            [*FIELDS, "options", "image", "input_reference", "variants", "batch"]
        )
        values[name] = self._chance.choice(
            [
                None,
                [],
                {},
                -1,
                1e308,
                True,
                [[[[1]]]],
                {"a": {"b": []}},
                "\0",
                "\ud800",
                2**70,
                "a" * 3_000,
                [None],
            ]
        )
        body = json.dumps(values).encode("utf-8", "replace")
        if self._chance.random() < 0.5:
            body = self._mutated(body)
        path = self._chance.choice(
            [b"/v1/videos", b"/v1/videos/estimate", b"/v1/comparisons", b"/v1/comparisons/estimate"]
        )
        return self._whole(path, [b"Content-Type: application/json"], body, method=b"POST")

    def range(self) -> bytes:
        """Parts of a file."""
        lines = [b"Range: " + self._chance.choice(RANGES), b"If-Range: " + self._odd(clean=True)]
        path = next(p for p in self._paths if p.endswith(b"/content"))
        return self._whole(path, lines, b"", method=self._chance.choice([b"GET", b"HEAD"]))

    def events(self) -> bytes:
        """An event stream from a strange place on."""
        lines = [b"Accept: text/event-stream", b"Last-Event-ID: " + self._odd(clean=True)]
        path = next(p for p in self._paths if p.endswith(b"/events"))
        return self._whole(path, lines, b"", method=b"GET")

    def flipped(self) -> bytes:
        """A good request with some bytes changed, or its end missing."""
        good = self._whole(b"/v1/videos", [self._form_type()], self._form_body(), method=b"POST")
        return self._mutated(good)

    def pipelined(self) -> bytes:
        """Several requests at once."""
        return b"".join(self.next() for _ in range(3))

    def _a_path(self) -> bytes:
        return self._chance.choice(self._paths)

    def _odd(self, *, clean: bool = False) -> bytes:
        found = self._chance.choice(ODD)
        return found.replace(b"\r\n", b"").replace(b"\0", b"") if clean else found

    def _form_type(self) -> bytes:
        return b"Content-Type: multipart/form-data; boundary=" + self._chance.choice(
            [b"b"] * 9 + [self._odd()]
        )

    def _form_body(self, **more: bytes) -> bytes:
        parts = [
            b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
            % (name.encode(), value)
            for name, value in {**{k: v.encode() for k, v in FIELDS.items()}, **more}.items()
        ]
        image = self._image if self._chance.random() < 0.5 else self._mutated(self._image)
        parts.append(
            b'--b\r\nContent-Disposition: form-data; name="input_reference"; filename="%s"\r\n'
            b"Content-Type: image/png\r\n\r\n%s\r\n--b--\r\n" % (self._odd(clean=True), image)
        )
        return b"".join(parts)

    def _mutated(self, data: bytes) -> bytes:
        chance, found = self._chance, bytearray(data)
        for _ in range(chance.choice([0, 1, 3, 20])):
            at = chance.randrange(len(found))
            if chance.random() < 0.3:
                found[at : at + chance.randint(0, 9)] = self._odd()
            else:
                found[at] = chance.randrange(256)
        return bytes(
            found[: chance.randrange(len(found))] if chance.random() < 0.3 and found else found
        )

    def _whole(
        self,
        path: bytes,
        lines: Iterable[bytes],
        body: bytes,
        *,
        method: bytes,
        length: bool = True,
    ) -> bytes:
        head = [method + b" " + (path or b"/") + b" HTTP/1.1", b"Host: " + self._host, *lines]
        if length and body:
            head.append(b"Content-Length: %d" % len(body))
        if self._chance.random() < 0.7:
            head.append(b"Connection: close")
        return b"\r\n".join(head) + b"\r\n\r\n" + body


@dataclass
class Outcome:
    """What the server said.

    Attributes:
        statuses: status → how often; 0 where the connection was closed without an answer, -1 where
            there was no answer in time, as for requests that are not complete.
        wrong: requests that got 5xx, with the answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[tuple[bytes, bytes]] = field(default_factory=list)


async def send_all(
    maker: RequestMaker, number: int, host: str, port: int, seconds: float = ANSWER_SECONDS
) -> Outcome:
    """Send ``number`` requests, :data:`AT_ONCE` side by side."""
    outcome, left = Outcome(), iter(range(number))

    async def client() -> None:
        for _ in left:
            request = maker.next()
            answer = await _ask(host, port, request, seconds)
            outcome.statuses[_status(answer)] += 1
            if any(line.startswith(b"HTTP/1.1 5") for line in answer.split(b"\r\n")):
                outcome.wrong.append((request, answer))

    await asyncio.gather(*(client() for _ in range(AT_ONCE)))
    return outcome


def _status(answer: bytes) -> int:
    if answer == LATE:
        return -1
    head = answer.split(b" ", 2)
    return int(head[1]) if len(head) > 1 and head[1].isdigit() else 0


LATE = b"late"


async def _ask(host: str, port: int, request: bytes, seconds: float) -> bytes:
    """The answer; :data:`LATE` where none came in time."""
    answer = b""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        async with asyncio.timeout(seconds):
            writer.write(request)
            await writer.drain()
            while part := await reader.read(65_536):
                answer += part
                if len(answer) > 1_000_000 or _complete(answer):
                    break
    except TimeoutError:
        answer = answer or LATE
    except ConnectionError:
        pass
    finally:
        writer.close()
    return answer


def _complete(answer: bytes) -> bool:
    """Whether a kept connection has given its one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(body) >= int(line.split(b":")[1])
    return False
