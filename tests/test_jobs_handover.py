"""Stages claimed, given back, adopted and found again; and what of DBOS that rests on.

``vivant.service.handover`` uses what DBOS does not publish. Where a new DBOS breaks a test here,
that module is the one to mend: it uses ``_get_dbos_instance``, ``_sys_db``, its ``tables``,
``get_pending_workflows`` and ``reenqueue_for_recovery``, ``_active_workflows_set.activeList``,
``background_thread_stop_events``; and to claim, ``start_queued_workflows``,
``get_workflow_statuses``, ``execute_dequeued_workflow`` and the ``future`` of what it returns.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import sqlalchemy as sa
from dbos import DBOS

from vivant.service import handover, workflows
from vivant.service.admission import Admission, Limits, workflow_ids
from vivant.service.database import Database
from vivant.service.job import Order, new_id
from vivant.service.ledger import Ledger
from vivant.service.queues import (
    APPLICATION,
    APPLICATION_VERSION,
    PREPARE_QUEUE,
    RENDER_PREFIX,
    older,
    render_queue,
)
from vivant.types import Request


class Stages:
    """A bench at which a clip takes until it is let go."""

    may_end = threading.Event()
    made: ClassVar[list[str]] = []

    def make(self, job_id: str) -> bool:
        self.may_end.wait(10)
        self.made.append(job_id)
        return False


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
    DBOS.listen_queues([])
    workflows.register(lambda: Stages())  # type: ignore[arg-type, return-value]
    DBOS.launch()
    handover.dismiss_askers()
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
        assert workflows.pace(render_queue("fake"), workers) == workflows.FASTEST
    assert workflows.pace(render_queue("fake"), 4) == 4 * workflows.RENDER_PACE
    assert workflows.pace(PREPARE_QUEUE, 3) == pytest.approx(3 * workflows.PREPARE_PACE)
    assert workflows.pace(RENDER_PREFIX, 1_000) == workflows.SLOWEST
    assert older("3") == ["1", "2"]
    assert older("1") == []


def test_dbos_asks_no_queue_by_itself(database: Database) -> None:
    until = time.monotonic() + 15
    while asking() and time.monotonic() < until:
        time.sleep(0.05)
    assert asking() == []


def asking() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("queue-worker-")]


def test_as_many_are_claimed_as_there_is_room_for_in_order(database: Database) -> None:
    (queue,) = workflows.register_queues([render_queue("fake")], renders_at_once=2).values()
    waiting = [stage_id for stage_id in queued() if stage(stage_id)[1] == APPLICATION_VERSION]
    assert len(waiting) >= 1, "of the tests before"
    order = Order(
        request=Request(image=b"", engine="fake"), picture={"name": "x", "size": 1, "sha256": "0"},
        priority="high",
    )  # fmt: skip
    first = Admission(database, Limits()).accept(new_id(), order, "")[0].id
    assert handover.claim(queue, 2, "me", APPLICATION_VERSION) == []
    (one,) = handover.claim(queue, 1, "me", APPLICATION_VERSION)
    assert stage(first)[0] == "PENDING"
    until = time.monotonic() + 10
    # for an instant its thread is not at it yet: what is dropped must be so for two rounds
    while handover.dropped("me", APPLICATION_VERSION) and time.monotonic() < until:
        time.sleep(0.02)
    assert handover.dropped("me", APPLICATION_VERSION) == set()
    (two,) = handover.claim(queue, 1, "me", APPLICATION_VERSION)
    assert not one.done()
    Stages.may_end.set()
    one.result(10)
    two.result(10)
    assert stage(first)[0] == "SUCCESS"
    assert set(Stages.made) == {first, waiting[0]}


def queued() -> list[str]:
    stages = handover.system().tables.workflow_status
    query = (
        sa.select(stages.c.workflow_uuid)
        .where(stages.c.status == "ENQUEUED", stages.c.queue_name == render_queue("fake"))
        .order_by(stages.c.priority, stages.c.created_at)
    )
    with handover.system().engine.connect() as connection:
        return list(connection.execute(query).scalars())
