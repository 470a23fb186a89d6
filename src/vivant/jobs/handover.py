"""Stages of dead, leaving and outdated workers back into the queues.

The only module that touches what DBOS does not publish (3.4 is pinned; ``tests/test_jobs_handover``
names each of these). Knows nothing of heartbeats: who is dead is decided by its caller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from dbos._dbos import _get_dbos_instance
from dbos._sys_db import SystemDatabase

from vivant.jobs.job import ACTIVE
from vivant.jobs.queues import APPLICATION, PREPARE_QUEUE, PUBLISH_SUFFIX
from vivant.jobs.tables import jobs, workers

LIVE = ("ENQUEUED", "PENDING", "DELAYED")
"""DBOS statuses of workflows that will still do something."""


def system() -> SystemDatabase:
    """DBOS's side of the database, once it is launched."""
    return _get_dbos_instance()._sys_db


def take_back(worker_id: str, version: str, *, only: Collection[str] | None = None) -> list[str]:
    """Put the stages that a worker has claimed back into their queues; which these were.

    A stage that another worker has claimed meanwhile is left alone, so that this may be repeated.

    Args:
        worker_id: it is dead, or is this very process and about to end.
        version: its application version; stages keep it.
        only: of its stages these alone.
    """
    claimed = system().get_pending_workflows(worker_id, version)
    return [
        stage.workflow_id
        for stage in claimed
        if (only is None or stage.workflow_id in only)
        and system().reenqueue_for_recovery(stage.workflow_id, [worker_id], PREPARE_QUEUE)
    ]


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


def stop_claiming(seconds: float) -> None:
    """Take nothing from the queues any more; what is claimed goes on."""
    for event in _get_dbos_instance().background_thread_stop_events:
        event.set()
    until = time.monotonic() + seconds
    for thread in threading.enumerate():
        if thread.name.startswith("queue-worker-"):
            thread.join(max(0.0, until - time.monotonic()))


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
    return len(found)
