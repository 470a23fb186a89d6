"""Stages given back, adopted and found again; and what of DBOS that rests on.

``vivant.jobs.handover`` uses what DBOS does not publish. Where a new DBOS breaks a test here, that
module is the one to mend: it uses ``_get_dbos_instance``, ``_sys_db``, its ``tables``,
``get_pending_workflows`` and ``reenqueue_for_recovery``, ``_active_workflows_set.activeList``,
``background_thread_stop_events`` and the names of the threads that ask the queues.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from dbos import DBOS

from vivant.jobs import handover, workflows
from vivant.jobs.admission import Admission, Limits, workflow_ids
from vivant.jobs.database import Database
from vivant.jobs.job import Order, new_id
from vivant.jobs.ledger import Ledger
from vivant.jobs.queues import (
    APPLICATION,
    APPLICATION_VERSION,
    PREPARE_QUEUE,
    RENDER_PREFIX,
    older,
    render_queue,
)
from vivant.types import Request


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """DBOS launched in this process, listening to one queue that nobody uses."""
    folder: Path = tmp_path_factory.mktemp("handover")
    found = Database(f"sqlite:///{folder / 'vivant.db'}")
    found.migrate()
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": found.url,
            "system_database_engine": found.engine,
            "application_version": APPLICATION_VERSION,
            "executor_id": "me",
            "use_listen_notify": False,
            "log_level": "ERROR",
        }
    )
    DBOS.listen_queues(["idle"])
    DBOS.launch()
    workflows.register_queues(["idle"])
    yield found
    DBOS.destroy()
    found.close()


@pytest.fixture
def job_id(database: Database) -> str:
    """A queued job that belongs to nobody yet."""
    order = Order(
        request=Request(image=b"", engine="fake"), picture={"name": "x", "size": 1, "sha256": "0"}
    )
    return Admission(database, Limits()).accept(new_id(), order, "")[0].id


def change(job_id: str, **values: object) -> None:
    stages = handover.system().tables.workflow_status
    with handover.system().engine.begin() as connection:
        connection.execute(
            sa.update(stages).where(stages.c.workflow_uuid == job_id).values(**values)
        )


def stage(job_id: str) -> tuple[str, str, str]:
    """Status, version and queue."""
    stages = handover.system().tables.workflow_status
    columns = (stages.c.status, stages.c.application_version, stages.c.queue_name)
    with handover.system().engine.connect() as connection:
        row = connection.execute(sa.select(*columns).where(stages.c.workflow_uuid == job_id)).one()
    return row[0], row[1], row[2]


def test_a_claim_goes_back_to_its_own_queue_once(database: Database, job_id: str) -> None:
    change(job_id, status="PENDING", executor_id="dead")
    assert handover.take_back("other", APPLICATION_VERSION) == []
    assert handover.take_back("dead", APPLICATION_VERSION, only=["nothing"]) == []
    assert handover.take_back("dead", APPLICATION_VERSION) == [job_id]
    assert stage(job_id) == ("ENQUEUED", APPLICATION_VERSION, render_queue("fake"))
    assert handover.take_back("dead", APPLICATION_VERSION) == []


def test_claims_of_unknown_workers_are_strays(database: Database, job_id: str) -> None:
    assert handover.strays() == []
    change(job_id, status="PENDING", executor_id="gone")
    assert handover.strays() == [("gone", APPLICATION_VERSION)]
    handover.take_back("gone", APPLICATION_VERSION)
    assert handover.strays() == []


def test_what_no_thread_is_at_is_dropped(database: Database, job_id: str) -> None:
    change(job_id, status="PENDING", executor_id="me")
    assert handover.dropped("me", APPLICATION_VERSION) == {job_id}
    handover.take_back("me", APPLICATION_VERSION)
    assert handover.dropped("me", APPLICATION_VERSION) == set()


def test_outdated_stages_are_adopted_without_their_notes(database: Database, job_id: str) -> None:
    steps = handover.system().tables.operation_outputs
    change(job_id, application_version="old")
    with handover.system().engine.begin() as connection:
        connection.execute(
            sa.insert(steps).values(workflow_uuid=job_id, function_id=1, function_name="render")
        )
    assert handover.adopt("9", []) == 0
    assert handover.adopt("9", ["older"]) == 0
    assert handover.adopt("9", ["old"]) == 1
    assert stage(job_id)[:2] == ("ENQUEUED", "9")
    with handover.system().engine.connect() as connection:
        count = sa.select(sa.func.count()).where(steps.c.workflow_uuid == job_id)
        assert connection.execute(count).scalar() == 0


def test_jobs_without_a_living_stage_are_unattended(database: Database, job_id: str) -> None:
    render, _, publish = workflow_ids(job_id)
    assert job_id not in handover.unattended()
    change(render, status="SUCCESS")
    assert job_id in handover.unattended()
    change(render, status="PENDING", workflow_uuid=publish)
    assert job_id not in handover.unattended()
    change(publish, status="ERROR")
    Ledger(database).cancel(job_id, None, keep_seconds=1)
    assert job_id not in handover.unattended()


def test_queues_are_asked_less_by_each_of_many() -> None:
    for workers in (0, 1, 2):
        assert workflows.poll_seconds(render_queue("fake"), workers) == workflows.FASTEST_POLL
    assert workflows.poll_seconds(render_queue("fake"), 4) == 4 * workflows.RENDER_POLL
    assert workflows.poll_seconds(PREPARE_QUEUE, 3) == pytest.approx(3 * workflows.PREPARE_POLL)
    assert workflows.poll_seconds(RENDER_PREFIX, 1_000) == workflows.SLOWEST_POLL
    assert older("3") == ["1", "2"]
    assert older("1") == []


def test_nothing_is_claimed_after_the_end(database: Database, job_id: str) -> None:
    """The last test: the threads do not come back."""

    def asking() -> list[str]:
        return [t.name for t in threading.enumerate() if t.name == "queue-worker-idle"]

    until = time.monotonic() + 10
    while not asking() and time.monotonic() < until:
        time.sleep(0.05)
    assert asking()
    handover.stop_claiming(5)
    assert not asking()
