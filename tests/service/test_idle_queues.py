"""Queues in which nothing waits are closed, and opened by whoever enqueues a stage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbos import DBOSClient

from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.heartbeat import Heartbeat
from vivant.service.idle_queues import IdleQueues
from vivant.service.job import JobSpec, new_id
from vivant.service.queue import (
    APPLICATION,
    CPU_QUEUE,
    WEBHOOK_QUEUE,
    JobQueue,
    render_queue,
    workflow_ids,
)
from vivant.types import Request

RENDER = render_queue("fake", sqlite=True)
AT_ONCE = {CPU_QUEUE: 2, RENDER: 3, WEBHOOK_QUEUE: 4}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A worker lives, and its queues are known."""
    found = Database(f"sqlite:///{tmp_path_factory.mktemp('idle') / 'vivant.db'}")
    found.migrate()
    Heartbeat(found, "worker", "slot", 30, {"queues": AT_ONCE}).begin()
    for name, at_once in AT_ONCE.items():
        client_of(found).register_queue(name, worker_concurrency=at_once)
    yield found
    found.close()


@pytest.fixture
def idle(database: Database) -> IdleQueues:
    return IdleQueues(database, client_of(database), {WEBHOOK_QUEUE})


def client_of(database: Database) -> DBOSClient:
    return DBOSClient(system_database_engine=database.engine, application_name=APPLICATION)


def at_once(database: Database) -> dict[str, int | None]:
    return {queue.name: queue.worker_concurrency for queue in client_of(database).list_queues()}


def accept(database: Database) -> str:
    picture = {"name": "x", "size": 1, "sha256": "0"}
    spec = JobSpec(request=Request(image=b"", engine="fake"), picture=picture)
    return Admission(database, Limits()).accept(new_id(), spec, "")[0].id


def test_a_new_job_opens_what_was_closed(database: Database, idle: IdleQueues) -> None:
    idle.close_empty()
    assert at_once(database) == AT_ONCE, "a queue is closed only after a while"
    idle.close_empty(after=0)
    assert at_once(database) == {CPU_QUEUE: 0, RENDER: 0, WEBHOOK_QUEUE: 4}
    job_id = accept(database)
    assert at_once(database) == AT_ONCE, "the workers' own numbers"
    idle.close_empty(after=0)
    assert at_once(database) == AT_ONCE, "its stages still wait"
    JobQueue(database).cancel(job_id)
    idle.close_empty(after=0)
    assert at_once(database)[RENDER] == 0


def test_the_leader_opens_for_a_stage_nobody_opened_for(
    database: Database, idle: IdleQueues
) -> None:
    """The server ended between its commit and the opening, or it is of an older version."""
    idle.close_empty(after=0)
    queue = JobQueue(database)
    with database.write() as connection:
        queue.add(connection, "lost", "fake", 1)
    client_of(database).cancel_workflow(workflow_ids("lost")[1])
    idle.close_empty()
    assert at_once(database) == {**AT_ONCE, CPU_QUEUE: 0}, "only where something waits"
    queue.forget("lost")


def test_a_stage_put_back_opens_its_queue(database: Database, idle: IdleQueues) -> None:
    job_id = accept(database)
    client = client_of(database)
    client.cancel_workflows(list(workflow_ids(job_id)))
    idle.close_empty(after=0)
    with database.write() as connection:
        connection.exec_driver_sql(
            "update workflow_status set status = 'PENDING', executor_id = 'dead', queue_name = ?"
            " where workflow_uuid = ?",
            (RENDER, job_id),
        )
    queue = JobQueue(database)
    assert queue.requeue(lambda worker_id: worker_id != "dead") == [job_id]
    assert at_once(database)[RENDER] == AT_ONCE[RENDER]
    queue.forget(job_id)


def test_a_database_that_is_away_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = Database(f"sqlite:///{tmp_path / 'missing' / 'vivant.db'}")
    client = DBOSClient(
        system_database_engine=away.engine, lazy=True, retry_connection_errors=False
    )
    with caplog.at_level(logging.WARNING):
        IdleQueues(away, client, set()).open([RENDER])
    assert "could not be opened" in caplog.text
    away.close()
