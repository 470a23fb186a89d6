"""One client that is slow, large or many must not stop the others: heads, bodies, connections."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from fuzzed_requests import RequestMaker, send_all
from service_process import FAKE, Service, picture
from vivant.api.connections import LimitedConnection
from vivant.api.errors import HttpError
from vivant.api.uploads.json_body import JsonBody
from vivant.api.uploads.picture_files import PictureFiles

STALL_SECONDS = 1.0
"""``/health`` answers in 100 ms on a quiet machine; tests share theirs with much else."""

HEALTH_SECONDS = 0.1
QUIET_SAMPLES = 5
"""Of ``/health``, before the load."""

SETTLING_SECONDS = 20.0
"""The load comes after so long at the latest."""


class Narrow(LimitedConnection):
    """The product's own, with limits that a test reaches."""

    max_head_bytes = 20_000
    head_seconds = 1.0
    max_idle_per_address = 20
    max_per_address = 30
    max_connections = 40


@pytest.fixture(scope="module")
def narrow() -> Iterator[tuple[str, int]]:
    """A small application behind narrow limits."""

    async def hello(request: Request) -> JSONResponse:
        return JSONResponse({"bytes": len(await request.body())})

    async def endless(_: Request) -> StreamingResponse:
        async def stream() -> Any:
            while True:
                yield b"x"
                await asyncio.sleep(0.05)

        return StreamingResponse(stream())

    app = Starlette(routes=[Route("/", hello, methods=["GET", "POST"]), Route("/endless", endless)])
    server = uvicorn.Server(
        uvicorn.Config(app, http=Narrow, log_config=None, timeout_graceful_shutdown=1)
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[:2]
    finally:
        server.should_exit = True
        thread.join()


def connected(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, 10)


def said(connection: socket.socket) -> bytes:
    """Everything until the server closes; empty where it closed without a word."""
    connection.settimeout(10)
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            found += part
    return found


def test_long_heads_are_refused_as_they_come(narrow: tuple[str, int]) -> None:
    for head in (
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000,
        b"GET /" + b"a" * 1_000_000,
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 100_000,
    ):
        with connected(narrow) as connection:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(head)
            answer = said(connection)
            assert not answer or b" 431 " in answer.splitlines()[0]
    with connected(narrow) as connection:  # the answer, where nothing is sent any more
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000)
        assert b" 431 " in said(connection).splitlines()[0]
    # below the limit, in one piece with a long body, and in small pieces
    body = bytes(100_000)
    head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 100000\r\nX: "
    with connected(narrow) as connection:
        connection.sendall(head + b"a" * 15_000 + b"\r\n\r\n" + body)
        assert b'{"bytes":100000}' in said(connection)
    with connected(narrow) as connection:
        for at in range(0, len(head), 7):
            connection.sendall(head[at : at + 7])
        connection.sendall(b"a\r\n\r\n" + body)
        assert b'{"bytes":100000}' in said(connection)
    # a connection that is kept counts every head anew
    with httpx.Client(base_url=f"http://{narrow[0]}:{narrow[1]}") as client:
        for _ in range(3):
            assert client.get("/", headers={"X": "a" * 10_000}).status_code == 200


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_heads_have_their_time(narrow: tuple[str, int], sent: bytes) -> None:
    started = time.monotonic()
    with connected(narrow) as connection:
        connection.sendall(sent)
        answer = said(connection)
    assert time.monotonic() - started < 8
    assert not answer or b" 408 " in answer.splitlines()[0]


def test_a_kept_connection_has_its_time_too(narrow: tuple[str, int]) -> None:
    with connected(narrow) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        connection.settimeout(10)
        assert b"200 OK" in connection.recv(4096)
        connection.sendall(b"GET / HTTP/1.1\r\n")
        started = time.monotonic()
        said(connection)
        assert time.monotonic() - started < 8


def test_idle_connections_make_room(narrow: tuple[str, int]) -> None:
    url = f"http://{narrow[0]}:{narrow[1]}"
    with contextlib.ExitStack() as stack:
        idle = [stack.enter_context(connected(narrow)) for _ in range(60)]
        assert httpx.get(url).status_code == 200
        assert said(idle[0]) == b"", "the oldest was closed"


def test_busy_connections_are_not_closed(narrow: tuple[str, int]) -> None:
    url = f"http://{narrow[0]}:{narrow[1]}"
    with contextlib.ExitStack() as stack:
        busy = []
        for _ in range(30):
            connection = stack.enter_context(connected(narrow))
            connection.sendall(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
            connection.settimeout(10)
            assert b"200 OK" in connection.recv(4096)
            busy.append(connection)
        refused = httpx.get(url)
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "too_many_connections"
        assert all(connection.recv(100) for connection in busy)

    def answers() -> bool:
        return httpx.get(url).status_code == 200

    deadline = time.monotonic() + 10
    while not answers():
        assert time.monotonic() < deadline


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("limits") / "data") as running:
        yield running


def healthy_during(service: Service, work: Callable[[], Any]) -> Any:
    """What ``work`` returns, while nobody else has to wait and memory stays.

    A machine that is busy with other tests is slow to answer without any load, too: half of the
    answers must come within 100 ms more than before it.
    """
    waits: list[float] = []
    assert service.process is not None
    process = psutil.Process(service.process.pid)
    before, peak = process.memory_info().rss, 0
    quiet, over = threading.Event(), threading.Event()
    # a server that has just started imports for some seconds, whatever is sent to it
    latest = time.monotonic() + SETTLING_SECONDS

    def ask() -> None:
        nonlocal peak
        with httpx.Client(base_url=service.url, timeout=60) as client:
            while not over.is_set():
                started = time.monotonic()
                assert client.get("/health").status_code == 200
                waits.append(time.monotonic() - started)
                peak = max(peak, process.memory_info().rss)
                settled = max(waits[-QUIET_SAMPLES:]) < HEALTH_SECONDS
                if len(waits) >= QUIET_SAMPLES and (settled or started > latest):
                    quiet.set()
                time.sleep(0.02)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            while not quiet.wait(0.1):
                assert not asking.done(), asking.result()
            begun = len(waits)
            found = work()
        finally:
            over.set()
        asking.result()
    alone, during = waits[begun - QUIET_SAMPLES : begun], waits[begun:] or waits
    assert max(during) < STALL_SECONDS, sorted(during)[-5:]
    assert median(during) < HEALTH_SECONDS + median(alone), (alone, during)
    assert (peak - before) / 1e6 < 100
    return found


def post_json(service: Service, body: bytes) -> httpx.Response:
    return service.request(
        "POST", "/v1/videos", content=body, headers={"Content-Type": "application/json"}
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"options":' + b'{"a":' * 5_000_000,
        b'{"options":[' + b"[]," * 10_000_000,
        b'{"options":[' + b"{}," * 300_000 + b"0]}",
        b'{"options":[' + b"1," * 10_000_000,
        b'{"options":[' + b'"",' * 300_000 + b"0]}",
        b'{"a":"' + b"a" * 40_000_000 + b'","b":"' + b"b" * 10_000_000 + b'"}',
    ],
    ids=["deep", "lists", "objects", "numbers", "strings", "long"],
)
def test_hostile_json_stops_nobody(service: Service, body: bytes) -> None:
    answer = healthy_during(service, lambda: post_json(service, body))
    assert answer.status_code in (400, 413)
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_fuzzed_requests_get_no_5xx_and_stop_nobody(service: Service) -> None:
    """150 of the requests of ``bench/fuzz.py``."""
    parts = urlsplit(service.url)
    chance = random.Random(7)
    maker = RequestMaker(chance, picture(64, 64), "video_none", parts.netloc)
    sent = send_all(maker, 150, parts.hostname or "", parts.port or 0, seconds=0.3)
    outcome = healthy_during(service, lambda: asyncio.run(sent))
    assert not outcome.wrong
    assert outcome.statuses[400] > 20
    assert sum(outcome.statuses.values()) == 150


def test_a_large_picture_in_json_stops_nobody(service: Service) -> None:
    text = base64.b64encode(picture() + bytes(45_000_000)).decode()
    body = json.dumps({**FAKE, "input_reference": f"data:image/png;base64,{text}"}).encode()
    answer = healthy_during(service, lambda: post_json(service, body))
    assert answer.status_code == 202, answer.text
    service.request("DELETE", f"/v1/videos/{answer.json()['id']}")


def test_a_slow_json_body_holds_up_no_other(service: Service) -> None:
    parts = urlsplit(service.url)
    head = (
        b"POST /v1/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000\r\n\r\n{"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            slow = stack.enter_context(
                socket.create_connection((parts.hostname or "", parts.port or 0), 10)
            )
            slow.sendall(head)
        image = base64.b64encode(picture()).decode()
        started = time.monotonic()
        answer = post_json(service, json.dumps({**FAKE, "image": image}).encode())
        assert answer.status_code == 202
        assert time.monotonic() - started < 10
    service.request("DELETE", f"/v1/videos/{answer.json()['id']}")


def taken(folder: Path, body: bytes, piece: int, most: int = 1) -> tuple[dict[str, Any], list[Any]]:
    pictures = PictureFiles(folder, 10_000_000, most)
    reader = JsonBody(pictures)
    for at in range(0, len(body), piece):
        reader.write(body[at : at + piece])
    try:
        fields = reader.fields()
    finally:
        pictures.close()
    return fields, [one.file.read_bytes() if one.file else one.url for one in pictures.found]


@pytest.mark.parametrize("piece", [7_777, 65_536, 10**9])
def test_pictures_come_out_of_json_as_they_went_in(tmp_path: Path, piece: int) -> None:
    large = bytes(range(256)) * 1_500
    text = base64.b64encode(large).decode()
    plain = {"prompt": 'a "quoted" \\ word', "seed": 7, "options": {"a": [1, "b"]}, "none": None}
    wanted = {name: value for name, value in plain.items() if value is not None}
    for value in (
        text,
        f"data:image/png;base64,{text}",
        {"image_url": f"data:image/png;base64,{text}"},
        {"image_url": {"url": text}},
    ):
        for body in (
            json.dumps({"image": value, **plain}),
            json.dumps({**plain, "image": value}, indent=2),
            json.dumps({"image": value, **plain}).replace("/", "\\/"),
            json.dumps({"image": value, **plain}).replace("+", "\\u002b").replace("=", "\\u003D"),
        ):
            assert taken(tmp_path, body.encode(), piece) == (wanted, [large])
    lines = base64.encodebytes(large).decode()
    assert taken(tmp_path, json.dumps({"image": lines}).encode(), piece) == ({}, [large])
    body = json.dumps({"image": [text, base64.b64encode(b"small").decode(), "https://a/b"]})
    assert taken(tmp_path, body.encode(), piece, most=3) == ({}, [large, b"small", "https://a/b"])


@pytest.mark.parametrize("piece", [7_777, 10**9])
@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda text: {"image": text[:-7]}, 400),
        (lambda text: {"image": text + "%"}, 400),
        (lambda text: {"image": text[:1000] + "=" + text[1001:]}, 400),
        (lambda text: {"image": f"data:image/png,{text}"}, 400),
        (lambda text: {"image": text[:5000] + "\\" + text[5001:]}, 400),
        (lambda text: {"image": text[:5000] + "\ud800" + text[5001:]}, 400),
        (lambda text: {"prompt": text}, 413),
        (lambda text: {text: 1}, 413),
        (lambda text: {"image": text, "input_reference": text}, 413),
        (lambda text: {"image": [text]}, 400),
        (lambda text: {"image": text[:400_000] * 40}, 413),
    ],
)
def test_long_strings_that_cannot_be(
    tmp_path: Path, change: Callable[[str], Any], status: int, piece: int
) -> None:
    body = json.dumps(change(base64.b64encode(bytes(300_001)).decode())).encode()
    with pytest.raises(HttpError) as refused:
        taken(tmp_path, body, piece)
    assert refused.value.status == status
