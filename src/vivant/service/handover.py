"""Stages off the queues, and those of dead, leaving and outdated workers back into them.

The only module that touches what DBOS does not publish (3.4 is pinned; ``tests/test_jobs_handover``
names each of these). Knows nothing of heartbeats: who is dead is decided by its caller.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from typing import Any

import sqlalchemy as sa
from dbos import Queue
from dbos._core import execute_dequeued_workflow
from dbos._dbos import _get_dbos_instance
from dbos._sys_db import SystemDatabase

from vivant.service import news
from vivant.service.job import ACTIVE
from vivant.service.queues import APPLICATION, PREPARE_QUEUE, PUBLISH_SUFFIX
from vivant.service.tables import jobs, workers

LIVE = ("ENQUEUED", "PENDING", "DELAYED")
"""DBOS statuses of workflows that will still do something."""

log = logging.getLogger("vivant.worker")


def system() -> SystemDatabase:
    """DBOS's side of the database, once it is launched."""
    return _get_dbos_instance()._sys_db


def dismiss_askers() -> None:
    """End the threads with which DBOS asks the queues and its timetable: there is nothing for them.

    They would look several times a second whatever there is to do; see
    :mod:`vivant.service.claims`.
    """
    for event in _get_dbos_instance().background_thread_stop_events:
        event.set()


def claim(queue: Queue, running: int, worker_id: str, version: str) -> list[Future[Any]]:
    """Take stages off a queue and start them, as many as there is room for.

    Args:
        queue: as it was registered, with its room.
        running: stages of it under way in this process.
        worker_id: this process.
        version: its application version.
    """
    owner = uuid.uuid4().hex
    ids, _ = system().start_queued_workflows(
        queue, worker_id, version, None, running, owner_xid=owner, is_latest_version=False
    )
    if not ids:
        return []
    found = {stage["workflow_uuid"]: stage for stage in system().get_workflow_statuses(ids)}
    started = []
    for stage_id in ids:
        try:
            handle = execute_dequeued_workflow(_get_dbos_instance(), found[stage_id], owner)
        except Exception:  # the others are to begin all the same; this one is put back as dropped
            log.exception("a stage could not be started: %s", stage_id)
            continue
        if (future := getattr(handle, "future", None)) is not None:
            started.append(future)
    return started


def take_back(worker_id: str, version: str, *, only: Collection[str] | None = None) -> list[str]:
    """Put the stages that a worker has claimed back into their queues; which these were.

    A stage that another worker has claimed meanwhile is left alone, so that this may be repeated.

    Args:
        worker_id: it is dead, or is this very process and about to end.
        version: its application version; stages keep it.
        only: of its stages these alone.
    """
    claimed = system().get_pending_workflows(worker_id, version)
    found = [
        stage.workflow_id
        for stage in claimed
        if (only is None or stage.workflow_id in only)
        and system().reenqueue_for_recovery(stage.workflow_id, [worker_id], PREPARE_QUEUE)
    ]
    if found:
        with system().engine.begin() as connection:
            news.tell(connection)
    return found


def strays() -> list[tuple[str, str]]:
    """``(worker_id, version)`` of claims by workers that nobody knows any more.

    A worker that was declared dead may claim one more stage before it notices.
    """
    stages = system().tables.workflow_status
    query = (
        sa.select(stages.c.executor_id, stages.c.application_version)
        .where(
            stages.c.status == "PENDING",
            stages.c.application_name == APPLICATION,
            stages.c.executor_id.not_in(sa.select(workers.c.id)),
        )
        .distinct()
    )
    with system().engine.connect() as connection:
        return [(row[0], row[1]) for row in connection.execute(query)]


def dropped(worker_id: str, version: str) -> set[str]:
    """Stages that are this process's by the database, and which none of its threads is at."""
    at_work = set(_get_dbos_instance()._active_workflows_set.activeList())
    claimed = system().get_pending_workflows(worker_id, version)
    return {stage.workflow_id for stage in claimed} - at_work


def unattended() -> list[str]:
    """Active jobs that no stage is queued or running for."""
    stages = system().tables.workflow_status
    living = sa.exists().where(
        stages.c.workflow_uuid.in_((jobs.c.id, jobs.c.id + PUBLISH_SUFFIX)),
        stages.c.status.in_(LIVE),
    )
    query = sa.select(jobs.c.id).where(jobs.c.status.in_(ACTIVE), ~living)
    with system().engine.connect() as connection:
        return list(connection.execute(query).scalars())


def adopt(own: str, outdated: Sequence[str]) -> int:
    """Let this version do what waits for versions that no worker has any more; how many stages.

    Notes of finished steps go: they belong to the old version's order of steps, and every stage
    may be repeated from its beginning.
    """
    if not outdated:
        return 0
    stages, steps = system().tables.workflow_status, system().tables.operation_outputs
    waiting = sa.select(stages.c.workflow_uuid).where(
        stages.c.status == "ENQUEUED",
        stages.c.application_version.in_(outdated),
        stages.c.application_name == APPLICATION,
    )
    with system().engine.begin() as connection:
        found = list(connection.execute(waiting.with_for_update(skip_locked=True)).scalars())
        for first in range(0, len(found), 1_000):
            part = found[first : first + 1_000]
            connection.execute(sa.delete(steps).where(steps.c.workflow_uuid.in_(part)))
            connection.execute(
                sa.update(stages)
                .where(stages.c.workflow_uuid.in_(part))
                .values(application_version=own)
            )
        if found:
            news.tell(connection)
    return len(found)
