"""The stages as durable workflows of DBOS: their order, their retries and their queues.

A workflow's argument is the job's id. Knows nothing of what a stage does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from dbos import DBOS, EnqueueOptions, Queue, StepOptions
from dbos import error as dbos_error
from sqlalchemy.exc import DBAPIError

from vivant.errors import DatabaseError, OutputError, StorageError
from vivant.service.admission import workflow_ids
from vivant.service.queues import APPLICATION_VERSION, PUBLISH_QUEUE, RENDER_PREFIX
from vivant.service.stages import Bench

PREPARE_PACE, RENDER_PACE = 0.1, 0.025
"""Seconds between looks into a queue by all workers together, while there is news again and again:
each of n workers looks n times less often, within :data:`FASTEST` and :data:`SLOWEST`."""

FASTEST, SLOWEST = 0.05, 0.5

CPU_AT_ONCE = 2
"""Prepare and publish stages side by side; one clip's render runs beside them."""

MAX_RECOVERIES = 50
"""Only a net under :data:`vivant.service.ledger.MAX_STARTS`, which counts what matters."""


OUTAGE_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)
"""Seconds between attempts while the database is away."""


def worth_retrying(error: BaseException) -> bool:
    """Storage, disk and database come back; bad pictures and failed engines stay."""
    return isinstance(error, (StorageError, DatabaseError, DBAPIError, OutputError, OSError))


def step(name: str) -> StepOptions:
    """Six attempts, 1, 2, 4, 8 and 16 s apart: databases restart within that."""
    return {
        "name": name,
        "retries_allowed": True,
        "max_attempts": 6,
        "interval_seconds": 1.0,
        "backoff_rate": 2.0,
        "should_retry": worth_retrying,
    }


def register(bench: Callable[[], Bench]) -> None:
    """Tell DBOS the three workflows; ``bench`` is asked when one runs."""

    @DBOS.workflow(name="prepare", max_recovery_attempts=MAX_RECOVERIES)
    def prepare(job_id: str) -> None:
        _guarded("prepare", bench().prepare, job_id)

    @DBOS.workflow(name="render", max_recovery_attempts=MAX_RECOVERIES)
    def render(job_id: str) -> None:
        if _guarded("render", bench().make, job_id):
            options: EnqueueOptions = {
                "workflow_name": "publish",
                "queue_name": PUBLISH_QUEUE,
                "workflow_id": workflow_ids(job_id)[2],
                "priority": 1,  # finished work first
                "app_version": APPLICATION_VERSION,
            }
            DBOS.enqueue_workflow_with_options(options, job_id)

    @DBOS.workflow(name="publish", max_recovery_attempts=MAX_RECOVERIES)
    def publish(job_id: str) -> None:
        _guarded("publish", bench().publish, job_id)

    def _guarded(name: str, stage: Callable[[str], Any], job_id: str) -> Any:
        for pause in OUTAGE_PAUSES:
            try:
                return DBOS.run_step(step(name), stage, job_id)
            except dbos_error.DBOSMaxStepRetriesExceeded as error:
                bench().give_up(job_id, error.errors[-1])
                return None
            except DBAPIError:
                # DBOS could not write down what was done: the stage finds it done, or repeats it
                time.sleep(pause)
            except Exception as error:  # noqa: BLE001 - a job always ends with a reason
                bench().give_up(job_id, error)
                return None
        away = DatabaseError("the database was away for too long: send the job again")
        bench().give_up(job_id, away)
        return None


def pace(queue: str, workers: int) -> float:
    """Least seconds between two looks of one worker into a queue, where it is told of work."""
    together = RENDER_PACE if queue.startswith(RENDER_PREFIX) else PREPARE_PACE
    return min(SLOWEST, max(FASTEST, together * workers))


def register_queues(names: Iterable[str], *, renders_at_once: int = 1) -> dict[str, Queue]:
    """Tell the database these queues; after ``DBOS.launch``.

    Args:
        names: of the queues.
        renders_at_once: of one worker, from one queue.
    """
    return {
        name: DBOS.register_queue(
            name,
            worker_concurrency=room(name, renders_at_once),
            polling_interval_sec=SLOWEST,  # of workers from before there was news
            on_conflict="always_update",
        )
        for name in names
    }


def room(queue: str, renders_at_once: int) -> int:
    """Stages of a queue side by side in one worker."""
    return renders_at_once if queue.startswith(RENDER_PREFIX) else CPU_AT_ONCE
