"""Stages put back, rerun and found again, with DBOS's public API; and who leads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import sqlalchemy as sa
from dbos import DBOSClient

from inline_service import until
from vivant.service import queue
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.executor import Executor
from vivant.service.heartbeat import Heartbeat, WorkerSlot
from vivant.service.job import JobSpec, new_id
from vivant.service.job_store import JobStore
from vivant.service.queue import (
    APPLICATION,
    APPLICATION_VERSION,
    CPU_QUEUE,
    JobQueue,
    older,
    render_queue,
    workflow_ids,
)
from vivant.types import Request

QUEUE = render_queue("fake", sqlite=True)


class Stages:
    """A clip takes until it is let go; what was published is noted."""

    may_end = threading.Event()
    begun: ClassVar[list[str]] = []
    published: ClassVar[list[str]] = []

    def prepare(self, job_id: str) -> None:  # noqa: ARG002
        return

    def render(self, job_id: str) -> bool:
        self.begun.append(job_id)
        self.may_end.wait(10)
        return True

    def publish(self, job_id: str) -> None:
        self.published.append(job_id)

    def fail(self, job_id: str, error: BaseException) -> None:  # noqa: ARG002
        raise AssertionError(error)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder: Path = tmp_path_factory.mktemp("queue")
    found = Database(f"sqlite:///{folder / 'vivant.db'}")
    found.migrate()
    yield found
    found.close()


@pytest.fixture
def jobs(database: Database) -> JobQueue:
    return JobQueue(database)


@pytest.fixture
def job_id(database: Database) -> str:
    """A queued job that belongs to nobody yet."""
    return accept(database)


def accept(database: Database, priority: str = "normal") -> str:
    spec = JobSpec(
        request=Request(image=b"", engine="fake"), picture={"name": "x", "size": 1, "sha256": "0"},
        priority=priority,
    )  # fmt: skip
    return Admission(database, Limits()).accept(new_id(), spec, "")[0].id


def change(database: Database, stage_id: str, **values: object) -> None:
    """As another worker would have left it: DBOS has no way to pretend."""
    sets = ", ".join(f"{name} = :{name}" for name in values)
    with database.write() as connection:
        connection.execute(
            sa.text(f"update workflow_status set {sets} where workflow_uuid = :id"),  # noqa: S608
            {**values, "id": stage_id},
        )


def stage(database: Database, stage_id: str) -> tuple[str, str | None, str | None]:
    """Status, version and queue."""
    client = DBOSClient(system_database_engine=database.engine, application_name=APPLICATION)
    (found,) = client.list_workflows(workflow_ids=[stage_id])
    return found.status, found.app_version, found.queue_name


def test_stages_of_the_dead_go_back_to_their_own_queue_once(
    database: Database, jobs: JobQueue, job_id: str
) -> None:
    change(database, job_id, status="PENDING", executor_id="dead")
    assert jobs.requeue(lambda worker_id: worker_id == "dead") == []
    assert jobs.requeue(lambda _: False, only=["nothing"]) == []
    assert jobs.requeue(lambda worker_id: worker_id != "dead") == [job_id]
    assert stage(database, job_id) == ("ENQUEUED", APPLICATION_VERSION, QUEUE)
    assert jobs.requeue(lambda worker_id: worker_id != "dead") == []


def test_a_published_stage_of_the_dead_goes_to_the_workers_at_large(
    database: Database, jobs: JobQueue, job_id: str
) -> None:
    """It was started by its render, in no queue."""
    change(database, job_id, status="PENDING", executor_id="dead", queue_name=None)
    assert jobs.requeue(lambda _: False) == [job_id]
    assert stage(database, job_id) == ("ENQUEUED", APPLICATION_VERSION, CPU_QUEUE)


def test_what_a_worker_has_claimed(database: Database, jobs: JobQueue, job_id: str) -> None:
    change(database, job_id, status="PENDING", executor_id="me")
    assert jobs.claimed_by("me") == {job_id}
    assert jobs.renders() == {"me": job_id}
    jobs.requeue(lambda _: False)
    assert jobs.claimed_by("me") == set()


def test_outdated_stages_are_rerun_without_their_notes(
    database: Database, jobs: JobQueue, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_store = JobStore(database)
    with database.write() as connection:
        connection.execute(
            sa.text(
                "insert into operation_outputs (workflow_uuid, function_id, function_name) "
                "values (:id, 1, 'render')"
            ),
            {"id": job_id},
        )
    cancelled = accept(database)
    job_store.cancel(cancelled, None, keep_seconds=1)
    jobs.cancel(cancelled)
    halfway = accept(database)  # its worker died in the middle
    jobs.cancel(halfway)
    change(database, job_id, queue_name="render-fake")  # as version 2 called it
    of_both = {job_id, halfway}
    monkeypatch.setattr(queue, "APPLICATION_VERSION", "9")
    every = [str(number) for number in range(1, 9)]
    living = every[int(APPLICATION_VERSION) :]
    assert jobs.rerun_outdated(every, job_store.some) == 0
    waiting = {found for found, _ in job_store.unfinished()}
    rerun = jobs.rerun_outdated(living, job_store.some)
    assert rerun >= len(of_both)
    assert of_both <= waiting
    for found in of_both:
        assert stage(database, found) == ("ENQUEUED", "9", QUEUE)
        assert stage(database, workflow_ids(found)[1]) == ("ENQUEUED", "9", CPU_QUEUE)
    assert stage(database, cancelled)[1] == APPLICATION_VERSION
    assert jobs.rerun_outdated(living, job_store.some) == 0
    with database.read() as connection:
        count = sa.text("select count(*) from operation_outputs where workflow_uuid = :id")
        assert connection.execute(count, {"id": job_id}).scalar() == 0
    for found in of_both:
        job_store.cancel(found, None, keep_seconds=1)


def test_jobs_without_a_living_stage_are_unattended(
    database: Database, jobs: JobQueue, job_id: str
) -> None:
    render, _, publish = workflow_ids(job_id)
    assert jobs.unattended([job_id]) == []
    change(database, render, status="SUCCESS")
    assert jobs.unattended([job_id]) == [job_id]
    change(database, render, status="PENDING", workflow_uuid=publish, name="publish")
    assert jobs.unattended([job_id]) == []
    change(database, publish, status="ERROR")
    assert jobs.unattended([job_id]) == [job_id]
    JobStore(database).cancel(job_id, None, keep_seconds=1)


def test_versions_before_this_one() -> None:
    assert older("3") == ["1", "2"]
    assert older("1") == []


def test_as_many_run_as_there_is_room_for_in_order(database: Database, jobs: JobQueue) -> None:
    """DBOS takes them by itself, runs them, and starts what follows."""
    job_store = JobStore(database)
    for left, _ in job_store.unfinished():
        job_store.cancel(left, None, keep_seconds=1)
        jobs.cancel(left)
    later, first = accept(database), accept(database, "high")
    executor = Executor(
        database, "me", Stages(), {CPU_QUEUE: (2, 0.5), QUEUE: (1, 0.05), "unused": (1, 0.5)}
    )
    executor.set_pace(1)
    executor.launch()
    until(lambda: Stages.begun == [first])
    assert executor.running == {first}
    assert jobs.claimed_by("me") >= {first}
    time.sleep(0.3)
    assert Stages.begun == [first]
    executor.set_pace(1_000)
    Stages.may_end.set()
    until(lambda: Stages.published == [first, later])
    until(lambda: not jobs.claimed_by("me"))
    assert executor.running == set()
    assert stage(database, workflow_ids(first)[2])[0] == "SUCCESS"

    # what is stopped takes nothing any more, and lets what runs end
    Stages.may_end.clear()
    last = accept(database)
    until(lambda: Stages.begun[-1] == last)
    executor.stop(5)
    until(lambda: not asking())
    unwanted = accept(database)
    time.sleep(0.3)
    assert Stages.begun[-1] == last
    Stages.may_end.set()
    until(lambda: not executor.running)
    assert stage(database, unwanted)[0] == "ENQUEUED"
    until(lambda: stage(database, last)[0] == "SUCCESS")


def asking() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("queue-worker-")]


# -- who lives, and who leads --------------------------------------------------------------


def beating(database: Database, name: str, timeout: float = 30, slot: str = "") -> Heartbeat:
    found = Heartbeat(
        database, name, slot or name, timeout, {"timeout": timeout, "version": APPLICATION_VERSION}
    )
    found.begin()
    return found


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
    found = Database(f"sqlite:///{tmp_path / 'vivant.db'}")
    found.migrate(stages=False)
    yield found
    found.close()


def test_one_leads_until_its_row_is_gone(empty: Database) -> None:
    one, two, three = (beating(empty, name) for name in ("one", "two", "three"))
    for worker in (two, one, three, two):
        assert worker.beat()
        assert worker.look() == []
    assert [worker.leads for worker in (one, two, three)] == [False, True, False]
    assert [worker.id for worker in one.living] == ["one", "three", "two"]
    two.leave()
    assert not two.beat()
    three.look()
    one.look()
    assert [worker.leads for worker in (one, three)] == [False, True]


def test_a_counter_that_stands_still_means_dead(empty: Database) -> None:
    living, silent = beating(empty, "living"), beating(empty, "silent", timeout=0.2)
    assert living.look() == []
    silent.beat()
    assert living.look() == []
    time.sleep(0.25)
    assert living.look() == ["silent"]
    assert living.alive() == {"living"}
    assert not silent.beat()


def test_whoever_gets_the_slot_knows_that_its_former_holder_is_dead(empty: Database) -> None:
    former = beating(empty, "former", slot="slot")
    beating(empty, "next", slot="slot")
    assert not former.beat()


def test_a_slot_is_held_by_one_process(tmp_path: Path) -> None:
    first, second = WorkerSlot(tmp_path), WorkerSlot(tmp_path)
    assert (first.number, second.number) == (0, 1)
    assert first.name.rsplit("-", 1)[0] == second.name.rsplit("-", 1)[0]
    first.release()
    third = WorkerSlot(tmp_path)
    assert third.name == first.name
    second.release()
    third.release()


def test_racing_workers_choose_one_leader(empty: Database) -> None:
    workers = [beating(empty, str(number)) for number in range(6)]
    gone = beating(empty, "gone")
    gone.look()
    for worker in workers:
        worker.look()
    gone.leave()
    threads = [threading.Thread(target=worker.look) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(worker.leads for worker in workers) == 1
