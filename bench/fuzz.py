"""Fuzzed requests and hostile loads against a real ``vivant serve``: no 5xx, no stall.

    python bench/fuzz.py [--requests N] [--seed N] [--out FILE] [SECTION …]

At most a quarter of the requests comes from schemathesis and the OpenAPI document, the others are
raw bytes (``tests/support/fuzzed_requests.py``). Meanwhile another process asks ``/health`` fifty
times a second; ``late_ms`` is how late it woke up itself, which is the fault of a busy machine.
Exit code 1 where an answer was 5xx, ``/health`` took longer than a second (the hostile loads: than
100 ms), or the server's memory grew by more than 100 MB. Client and server share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import random
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from fuzzed_requests import RequestMaker, send_all
from service import milliseconds
from service_process import Service, picture

STALL_SECONDS = 1.0
HEALTH_SECONDS = 0.1
MEMORY_MB = 100
PAUSE_SECONDS = 0.02
SCHEMA_SHARE = 0.25
SKIPPED = ("/v1/videos/sync", "/ready")
"""The first waits for a clip; the second answers 503 where no worker lives."""

OPEN = {"requests_per_minute": 1_000_000, "queue_limit": 40, "jobs_per_key": 40}


class Watch:
    """``/health`` asked by a process of its own, and the server's memory."""

    def __init__(self, service: Service) -> None:
        assert service.process is not None
        self._here, there = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(
            target=_ask, args=(there, service.url, service.process.pid), daemon=True
        )

    def __enter__(self) -> Watch:
        self._process.start()
        self._here.recv()  # it has asked once
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()

    def found(self) -> dict[str, Any]:
        """Since the last call."""
        self._here.send(None)
        waits, late, grown, refused = self._here.recv()
        return {
            "health": milliseconds(waits),
            "late_ms": round(1e3 * late, 1),
            "memory_mb": round(grown, 1),
            "refused": refused,
        }


def _ask(out: Connection, url: str, pid: int) -> None:
    """In the process."""
    server = psutil.Process(pid)
    with httpx.Client(base_url=url, timeout=60) as client:
        waits: list[float] = []
        refused, first, late = 0, True, 0.0
        start = peak = server.memory_info().rss
        due = time.perf_counter()
        while True:
            began = time.perf_counter()
            late = max(late, began - due)
            with contextlib.suppress(httpx.TransportError):
                refused += client.get("/health").status_code != 200
            waits.append(time.perf_counter() - began)
            peak = max(peak, server.memory_info().rss)
            due = time.perf_counter() + PAUSE_SECONDS
            if first or out.poll(PAUSE_SECONDS):
                if not first:
                    out.recv()
                out.send((waits, late, (peak - start) / 1e6, refused))
                first, waits, refused, late = False, [], 0, 0.0
                start = peak = server.memory_info().rss
                due = time.perf_counter()


@contextlib.contextmanager
def serving() -> Iterator[tuple[Service, str]]:
    """A service without workers, and a finished job in it."""
    with tempfile.TemporaryDirectory(prefix="vivant-fuzz-") as folder:
        data = Path(folder) / "data"
        with Service(data, engines=["fake"], default_engine="fake") as service:
            video_id = service.submit()
            service.finished(video_id)
        service = Service(data, "--workers", "0", engines=["fake"], default_engine="fake", **OPEN)
        service.start(ready=False)
        try:
            service.wait(lambda: service.get("/health").is_success, "health")
            service.post()  # what an upload needs is imported
            yield service, video_id
        finally:
            service.stop()


def schema(service: Service, number: int) -> dict[str, Any]:
    """Whatever the OpenAPI document allows, and much that it does not."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings

    statuses: Counter[int] = Counter()
    wrong: list[str] = []
    found: Any = schemathesis.openapi.from_url(f"{service.url}/openapi.json").get_all_operations()
    operations = [one for one in (result.ok() for result in found) if one.path not in SKIPPED]
    with httpx.Client(timeout=30) as client:
        for operation in operations:

            @settings(
                max_examples=-(-number // len(operations)), deadline=None, database=None,
                derandomize=True, suppress_health_check=list(HealthCheck),
            )  # fmt: skip
            @given(case=operation.as_strategy())
            def fuzz(case: Any) -> None:
                answer = case.call(timeout=30)
                statuses[answer.status_code] += 1
                if answer.status_code >= 500:
                    wrong.append(f"{case.method} {case.path}: {answer.text[:300]}")

            fuzz()
            with contextlib.suppress(httpx.TransportError):
                client.get(f"{service.url}/health")
    return {"requests": sum(statuses.values()), "statuses": dict(statuses), "wrong": wrong[:20]}


def raw(service: Service, video_id: str, number: int, seed: int) -> dict[str, Any]:
    """Raw bytes: heads, chunks, lengths, bodies, ranges, event streams."""
    parts = urlsplit(service.url)
    host, port = parts.hostname or "", parts.port or 0
    chance = random.Random(seed)  # noqa: S311
    maker = RequestMaker(chance, picture(64, 64), video_id, parts.netloc)
    outcome = asyncio.run(send_all(maker, number, host, port))
    return {
        "requests": sum(outcome.statuses.values()),
        "statuses": dict(sorted(outcome.statuses.items())),
        "wrong": [
            f"{request[:300]!r} → {answer[:300]!r}" for request, answer in outcome.wrong[:20]
        ],
    }


def loads(service: Service) -> dict[str, Callable[[], object]]:
    """Name → a hostile load."""
    parts = urlsplit(service.url)
    address = (parts.hostname or "", parts.port or 0)

    def json_body(body: bytes) -> Callable[[], object]:
        return lambda: service.request(
            "POST", "/v1/videos", content=body, headers={"Content-Type": "application/json"}
        )

    def head(size: int) -> None:
        with socket.create_connection(address, 10) as connection, contextlib.suppress(OSError):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * size)
            connection.recv(1000)

    def slow_bodies() -> None:
        begun = (
            b"POST /v1/videos HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000\r\n\r\n{"
        )
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(100)]
            for connection in slow:
                connection.sendall(begun)
            for _ in range(3):
                time.sleep(1)
                for connection in slow:
                    connection.sendall(b" ")

    def idle() -> None:
        with contextlib.ExitStack() as stack:
            for _ in range(2_050):
                stack.enter_context(socket.create_connection(address, 10))
            time.sleep(2)

    def pictures() -> None:
        threads = [threading.Thread(target=service.post, args=(bytes(20_000_000),))
                       for _ in range(4)]  # fmt: skip
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return {
        "JSON, 60 MB, nested": json_body(b'{"options":' + b'{"a":' * 10_000_000),
        "JSON, 60 MB of lists": json_body(b'{"options":[' + b"[]," * 20_000_000),
        "JSON, 60 MB in one string": json_body(b'{"a":"' + b"a" * 60_000_000 + b'"}'),
        "header of 25 MB": lambda: head(25_000_000),
        "header of 200 MB": lambda: head(200_000_000),
        "100 bodies at 1 byte a second": slow_bodies,
        "2,050 idle connections": idle,
        "four uploads of 20 MB": pictures,
    }


def judge(found: dict[str, Any], limit: float) -> dict[str, Any]:
    """Add what is wrong."""
    wrong = list(found.get("wrong", ()))
    if found["health"]["max_ms"] > 1e3 * limit:
        wrong.append(f"/health took {found['health']['max_ms']} ms, more than {1e3 * limit:g}")
    if found["memory_mb"] > MEMORY_MB:
        wrong.append(f"memory grew by {found['memory_mb']} MB, more than {MEMORY_MB}")
    if found["refused"]:
        wrong.append(f"/health was refused {found['refused']} times")
    return {**found, "wrong": wrong}


def main() -> None:
    """Run the sections asked for; all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    names = ["schema", "raw", "hostile"]
    parser.add_argument("sections", nargs="*", choices=[[], *names])
    arguments = parser.parse_args()
    first = round(arguments.requests * SCHEMA_SHARE)
    found: dict[str, Any] = {}
    with serving() as (service, video_id), Watch(service) as watch:
        work: dict[str, tuple[Callable[[], Any], float]] = {}
        for section in arguments.sections or names:
            if section == "schema":
                work[section] = (lambda: schema(service, first), STALL_SECONDS)
            elif section == "raw":

                def others() -> dict[str, Any]:
                    number = arguments.requests - found.get("schema", {}).get("requests", 0)
                    return raw(service, video_id, number, arguments.seed)

                work[section] = (others, STALL_SECONDS)
            else:
                work |= {name: (load, HEALTH_SECONDS) for name, load in loads(service).items()}
        time.sleep(2)
        found["quiet"] = judge(watch.found(), HEALTH_SECONDS)
        for name, (load, limit) in work.items():
            started = time.perf_counter()
            result = load()
            result = result if isinstance(result, dict) else {}
            found[name] = judge({**result, **watch.found()}, limit)
            found[name]["took_seconds"] = round(time.perf_counter() - started, 1)
            print(name, json.dumps(found[name]), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    if any(section["wrong"] for section in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
