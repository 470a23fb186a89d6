"""The service under load: acceptance, queue wait, event delay, a thousand jobs, memory, cancel.

    python bench/service.py [--out FILE] [SECTION …]

One real ``vivant serve`` per section on a free loopback port, SQLite and a local folder, the fake
engine. Client and service share the machine. Durations are wall seconds: say what else ran.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from light_client import Steady, form_request

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from service_process import FAKE, Service, bulky, picture

TINY = {"model": "fake", "size": "64x64", "num_frames": "1", "options[steps]": "1"}
IDLE_SECONDS = 20.0
OPEN = {"queue_limit": 5_000, "jobs_per_key": 5_000, "requests_per_minute": 1_000_000}


def quantile(values: list[float], share: float) -> float:
    """The value below which ``share`` of ``values`` lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def milliseconds(values: list[float]) -> dict[str, float]:
    """Median, p99 and largest of seconds, in ms."""
    return {
        "n": len(values),
        "median_ms": round(1e3 * statistics.median(values), 1),
        "p99_ms": round(1e3 * quantile(values, 0.99), 1),
        "max_ms": round(1e3 * max(values), 1),
    }


@contextlib.contextmanager
def serving(*arguments: str) -> Iterator[Service]:
    """A service on a fresh folder."""
    with tempfile.TemporaryDirectory(prefix="vivant-bench-") as folder:
        service = Service(Path(folder) / "data", *arguments, **OPEN)
        with contextlib.ExitStack() as stack:
            stack.callback(service.stop)
            service.start(ready="0" not in arguments)
            yield service


def acceptance() -> dict[str, Any]:
    """Submit → accepted, 2 MB pictures at 20 a second: p99 ≤ 50 ms.

    CPU is that of the server process (its worker apart) and of this client, a request each.
    """
    found: dict[str, Any] = {}
    image = bulky(2_000_000)
    for name, arguments in (("api_alone", ("--workers", "0")), ("with_busy_worker", ())):
        with serving(*arguments) as service:
            service.wait(lambda service=service: service.get("/health").is_success, "health")  # type: ignore[misc]
            time.sleep(3)  # the imports that the first upload needs are made in the background
            assert service.process is not None
            server = psutil.Process(service.process.pid)
            host, port = service.url.removeprefix("http://").split(":")
            load = Steady(host, int(port), form_request(f"{host}:{port}", TINY, image))
            before, mine = server.cpu_times(), time.process_time()
            asyncio.run(load.run(rate=20, seconds=20))
            after, number = server.cpu_times(), len(load.took) + 5
            found[name] = {
                **milliseconds(load.took),
                "accepted": load.statuses.count(202),
                "server_user_ms": round(1e3 * (after.user - before.user) / number, 1),
                "server_system_ms": round(1e3 * (after.system - before.system) / number, 1),
                "client_cpu_ms": round(1e3 * (time.process_time() - mine) / number, 1),
            }
    return found


def queue_wait(pause: float = 0.3, jobs: int = 25) -> dict[str, Any]:
    """Accepted → a worker is at it, on an idle queue: ≤ 150 ms.

    Args:
        pause: seconds without a job before each.
        jobs: how many.
    """
    waits = []
    with serving() as service:
        service.finished(service.submit())
        for _ in range(jobs):
            time.sleep(pause)
            video_id = service.post(**TINY_FIELDS).json()["id"]
            service.finished(video_id)
            events = named_events(service, video_id)
            waits.append(events["started"]["at"] - events["queued"]["at"])
    return milliseconds(waits)


def after_a_pause() -> dict[str, Any]:
    """The same when the worker has shut DBOS down: ≤ 150 ms."""
    return queue_wait(pause=4.5, jobs=8)


def idle() -> dict[str, Any]:
    """Processor time of a worker that has nothing to do."""
    with serving() as service:
        service.finished(service.submit())
        time.sleep(5)
        (worker,) = (psutil.Process(pid) for pid in service.workers())
        before = worker.cpu_times()
        time.sleep(IDLE_SECONDS)
        after = worker.cpu_times()
    spent = after.user + after.system - before.user - before.system
    return {"cpu_ms_per_second": round(1e3 * spent / IDLE_SECONDS, 1)}


SINCE = {"Last-Event-ID": "0"}
"""From the first event on."""


def named_events(service: Service, video_id: str) -> dict[str, dict[str, Any]]:
    """The newest of each kind."""
    return {event["event"]: event for event in service.events(video_id, SINCE)}


TINY_FIELDS = {k: v for k, v in TINY.items() if k != "model"}


def event_delay() -> dict[str, Any]:
    """200 listeners of a running job: written → received, p99 ≤ 300 ms."""
    delays: list[float] = []
    ended: list[str] = []

    async def listen(client: httpx.AsyncClient, path: str, ready: Callable[[], None]) -> None:
        first = True
        async with client.stream("GET", path) as answer:
            async for line in answer.aiter_lines():
                if not line.startswith("data: "):
                    continue
                now = time.time()
                event = json.loads(line[6:])
                if first:
                    first = False
                    ready()
                else:  # the first one is what was, not what happens
                    delays.append(now - event["at"])
                if event["status"] not in ("queued", "in_progress"):
                    ended.append(event["event"])

    async def run(service: Service) -> None:
        steps = {"options[steps]": 100, "options[step_seconds]": 0.25}
        video_id = service.submit(**steps)
        service.running(video_id)
        waiting = 200

        def ready() -> None:
            nonlocal waiting
            waiting -= 1

        limits = httpx.Limits(max_connections=300)
        async with httpx.AsyncClient(base_url=service.url, timeout=120, limits=limits) as client:
            path = f"/v1/videos/{video_id}/events"
            tasks = [asyncio.create_task(listen(client, path, ready)) for _ in range(200)]
            while waiting:
                await asyncio.sleep(0.05)
            delays.clear()
            await asyncio.gather(*tasks)

    with serving() as service:
        asyncio.run(run(service))
    return {**milliseconds(delays), "listeners_that_saw_the_end": len(ended)}


def thousand() -> dict[str, Any]:
    """1,000 queued jobs finish with none lost or doubled, on two workers."""
    with serving("--workers", "2") as service:
        image = picture(64, 64)
        ids = []
        with httpx.Client(base_url=service.url, timeout=60) as client:
            started = time.perf_counter()
            for seed in range(1_000):
                answer = client.post(
                    "/v1/videos",
                    data={**TINY, "seed": str(seed)},
                    files={"input_reference": ("a.png", image)},
                )
                ids.append(answer.json()["id"])
            accepted = time.perf_counter() - started
            while True:
                text = client.get("/metrics").text
                lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
                waiting = [
                    float(lines[f'vivant_jobs{{status="{s}"}}']) for s in ("queued", "in_progress")
                ]
                if not sum(waiting):
                    break
                time.sleep(1)
            took = time.perf_counter() - started
            found: dict[str, str] = {}
            after = ""
            while True:
                page = client.get(f"/v1/videos?limit=100{after}").json()
                found |= {video["id"]: video["status"] for video in page["data"]}
                if not page["has_more"]:
                    break
                after = f"&after={page['last_id']}"
            twice = 0
            for video_id in ids[::10]:
                names = [e["event"] for e in service.events(video_id, SINCE)]
                twice += names.count("completed") != 1 or names.count("started") != 1
            clips = list((service.folder / "service" / "objects").rglob("clip.mp4"))
    return {
        "accepted": len(set(ids)),
        "completed": sum(status == "completed" for status in found.values()),
        "known": len(found),
        "clips": len(clips),
        "of_100_not_started_and_completed_once": twice,
        "submit_seconds": round(accepted, 1),
        "seconds": round(took, 1),
        "jobs_per_second": round(1_000 / took, 2),
    }


def memory() -> dict[str, Any]:
    """API memory while 100 uploads of 20 MB are accepted and refused: ≤ 300 MB."""
    found: dict[str, Any] = {}
    for name, limit in (("accepted", 50_000_000), ("refused", 10_000_000)):
        with tempfile.TemporaryDirectory(prefix="vivant-bench-") as folder:
            service = Service(
                Path(folder) / "data", "--workers", "0", **OPEN, max_image_bytes=limit
            )
            try:
                service.start(ready=False)
                found[name] = _upload(service, bulky(20_000_000))
            finally:
                service.stop()
    return found


def _upload(service: Service, image: bytes) -> dict[str, Any]:
    assert service.process is not None
    process = psutil.Process(service.process.pid)
    service.wait(lambda: service.get("/health").is_success, "health")
    time.sleep(6)  # the imports that the first upload needs are made in the background
    samples: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(0.02):
            samples.append(process.memory_info().rss)

    watcher = threading.Thread(target=sample)
    watcher.start()
    before = process.memory_info().rss
    statuses: list[int] = []
    text = base64.b64encode(image).decode()

    def upload(number: int) -> None:
        if number % 5:
            answer = service.post(image)
        else:
            answer = service.request("POST", "/v1/videos", json={**FAKE, "image": text})
        statuses.append(answer.status_code)
        if answer.status_code == 202:
            service.request("DELETE", f"/v1/videos/{answer.json()['id']}")

    for first in range(0, 100, 4):  # four at a time
        threads = [threading.Thread(target=upload, args=(first + i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    over.set()
    watcher.join()
    return {
        "statuses": {str(status): statuses.count(status) for status in sorted(set(statuses))},
        "before_mb": round(before / 1e6, 1),
        "peak_mb": round(max(samples) / 1e6, 1),
        "after_mb": round(process.memory_info().rss / 1e6, 1),
        "as_json": 20,
    }


def cancel() -> dict[str, Any]:
    """Cancel at a random moment of a step → the next job is at work, with steps of 0.5 s.

    A run cannot stop before its step has ended; what comes after that is the service's own.
    """
    step = 0.5
    chance = random.Random(1)  # noqa: S311
    freed, after = [], []
    with serving() as service:
        service.finished(service.submit())
        for _ in range(20):
            video_id = service.submit(**{"options[steps]": 200, "options[step_seconds]": step})
            following = service.submit()
            service.running(video_id)
            time.sleep(chance.uniform(0, step))
            at = time.time()
            service.request("POST", f"/v1/videos/{video_id}/cancel")
            service.finished(following)
            began = named_events(service, following)["started"]["at"]
            steps = [e["at"] for e in service.events(video_id, SINCE) if e["event"] == "progress"]
            freed.append(began - at)
            over = began - steps[-1]  # since the end of the last step that was told of
            after.append(over - step * max(1, int(over / step)))
    return {
        **milliseconds(freed),
        "step_ms": 1e3 * step,
        "after_the_step": milliseconds(after),
    }


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "acceptance": acceptance,
    "queue_wait": queue_wait,
    "after_a_pause": after_a_pause,
    "idle": idle,
    "event_delay": event_delay,
    "memory": memory,
    "cancel": cancel,
    "thousand": thousand,
}


def main() -> None:
    """Run the sections asked for; all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for name in arguments.sections or SECTIONS:
        load = os.getloadavg()[0]
        started = time.perf_counter()
        found[name] = SECTIONS[name]()
        found[name]["load_before"] = round(load, 1)
        found[name]["load_after"] = round(os.getloadavg()[0], 1)
        found[name]["took_seconds"] = round(time.perf_counter() - started, 1)
        print(name, json.dumps(found[name]), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
