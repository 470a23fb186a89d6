"""A worker with nothing to do shuts DBOS down, and launches it when a stage waits."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import DBOS

from vivant.service import standby
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.executor import Executor
from vivant.service.job import JobSpec, new_id
from vivant.service.job_store import JobStore
from vivant.service.queue import CPU_QUEUE, WEBHOOK_QUEUE, JobQueue, render_queue
from vivant.service.standby import Standby
from vivant.types import Request

RENDER = render_queue("fake", sqlite=True)


class Stages:
    """Ends jobs at once, or when it may."""

    def __init__(self, database: Database) -> None:
        self._store = JobStore(database)
        self.begun: Counter[str] = Counter()
        self.published: set[str] = set()
        self.failed: list[str] = []
        self.may_end = threading.Event()
        self.may_end.set()

    def prepare(self, _: str) -> None:
        return

    def render(self, job_id: str) -> bool:
        self.begun[job_id] += 1
        self.may_end.wait(10)
        self._store.cancel(job_id, None, keep_seconds=1)
        return True

    def publish(self, job_id: str) -> None:
        self.published.add(job_id)

    def fail(self, job_id: str, error: BaseException) -> None:
        self.failed.append(f"{job_id}: {error!r}")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path_factory.mktemp('standby') / 'vivant.db'}", durable=False)
    found.migrate()
    yield found
    found.close()


@pytest.fixture
def stages(database: Database) -> Stages:
    return Stages(database)


@pytest.fixture
def executor(database: Database, stages: Stages) -> Iterator[Executor]:
    found = Executor(database, "me", stages, {CPU_QUEUE: (2, 0.01), RENDER: (1, 0.005)})
    found.set_pace(0)
    found.launch()
    yield found
    DBOS.destroy(destroy_registry=True)


def accept(database: Database) -> str:
    picture = {"name": "x", "size": 1, "sha256": "0"}
    spec = JobSpec(request=Request(image=b"", engine="fake"), picture=picture)
    return Admission(database, Limits()).accept(new_id(), spec, "")[0].id


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not found():
        assert time.monotonic() < end
        time.sleep(0.005)


def polling() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("queue-worker-")]


def test_dbos_runs_only_while_there_is_work(
    database: Database, stages: Stages, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWAKE_SECONDS", "THOROUGH_SECONDS"):
        monkeypatch.setattr(standby, name, 0.02)
    queue, closing = JobQueue(database), threading.Event()
    watching = threading.Thread(target=Standby(database, queue, executor).run, args=(closing,))
    watching.start()
    try:
        until(lambda: not executor.launched and not polling())
        stages.may_end.clear()
        job_id = accept(database)
        until(lambda: stages.begun[job_id] == 1)
        time.sleep(0.1)
        assert executor.launched, "a stage runs"
        stages.may_end.set()
        until(lambda: job_id in stages.published and not executor.launched)
        # its job is not "queued"
        put_back(database, job_id)
        until(lambda: stages.begun[job_id] == 2)
    finally:
        closing.set()
        watching.join()


def put_back(database: Database, job_id: str) -> None:
    """A job's render stage waits again, as if a dead worker had left it."""
    with database.write() as connection:
        for statement in (
            "delete from operation_outputs where workflow_uuid = :id",
            "update workflow_status set status = 'ENQUEUED', executor_id = null, owner_xid = null"
            " where workflow_uuid = :id",
        ):
            connection.execute(sa.text(statement), {"id": job_id})


def test_what_is_taken_while_dbos_is_shut_down_is_done_once(
    database: Database, stages: Stages, executor: Executor
) -> None:
    made = []
    for delay in (0.0, 0.004, 0.008, 0.012, 0.016):
        making = threading.Thread(target=lambda: made.append(accept(database)))
        making.start()
        time.sleep(delay)
        executor.suspend()
        making.join()
        executor.launch()
        until(lambda: set(made) == stages.published)
    assert stages.failed == []
    assert stages.begun == Counter(made)


def test_a_stage_that_no_thread_runs_keeps_dbos_up(database: Database, executor: Executor) -> None:
    """It is another's to put it back; meanwhile this worker is not idle."""
    job_id = accept(database)
    claim = (
        "update workflow_status set status = 'PENDING', executor_id = 'me' where name = 'render'"
    )
    with database.write() as connection:
        connection.execute(sa.text(f"{claim} and workflow_uuid = :id"), {"id": job_id})
    executor.suspend()
    assert executor.launched
    JobStore(database).cancel(job_id, None, keep_seconds=1)
    JobQueue(database).forget(job_id)


def test_a_later_webhook_waits_until_it_is_due(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'vivant.db'}")
    database.migrate()
    queue = JobQueue(database)
    queue.register(WEBHOOK_QUEUE, at_once=1, poll_seconds=1)
    queue.add_webhook("job", 1, delay=3_600)
    assert not queue.waits()
    queue.add_webhook("job", 2, delay=0.01)
    until(queue.waits)
    database.close()


def test_a_database_that_is_away_is_asked_again(
    database: Database,
    executor: Executor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(standby, "THOROUGH_SECONDS", 0.01)
    away = Database(f"sqlite:///{Path('/missing') / 'vivant.db'}")
    closing = threading.Event()
    watching = threading.Thread(target=Standby(away, JobQueue(away), executor).run, args=(closing,))
    watching.start()
    until(lambda: caplog.text.count("cannot look for work") > 1)
    closing.set()
    watching.join()
    away.close()
