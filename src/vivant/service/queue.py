"""The stages of a job as durable workflows of DBOS, and the queues they wait in.

::

    prepare   queue "cpu"              taken by every worker
    render    queue "render"           SQLite: all workers are on one machine and run all engines
              queue "render-ENGINE"    Postgres: taken by workers that can run the engine
    publish   no queue                 started by the render that it follows, in the same worker;
                                       put into "cpu" if that worker is gone
    webhook   queue "webhooks"         taken by every worker

A workflow's argument is the job's id. Only DBOS's public API is used. Two things it leaves to us:
who is dead (:mod:`vivant.service.heartbeat`), and how often a job may kill its worker
(:mod:`vivant.service.job_store`), because putting a stage back resets DBOS's own count of attempts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from dbos import (
    DBOSClient,
    EnqueueOptions,
    WorkflowStatus,
)
from dbos import error as dbos_error

from vivant.service.database import Database
from vivant.service.job import Job
from vivant.service.webhooks import PAUSES

APPLICATION = "vivant"

APPLICATION_VERSION = "4"
"""A whole number, raised when a stage's steps or a request's meaning change: workers take only
stages of their own version, and newer ones rerun what is left when the last old one is gone."""

CPU_QUEUE = "cpu"

RENDER_QUEUE = "render"

WEBHOOK_QUEUE = "webhooks"

WEBHOOK_SUFFIX = "-webhook-"
"""Of the ids of deliveries; the number of the attempt follows."""

PREPARE_SUFFIX, PUBLISH_SUFFIX = "-prepare", "-publish"
"""Of these stages' ids; the id of the render stage is the job's own."""

LIVE = ["ENQUEUED", "PENDING", "DELAYED"]
"""DBOS statuses of workflows that will still do something."""


def render_queue(engine: str, *, sqlite: bool) -> str:
    """Name of the queue of an engine's renders.

    Args:
        engine: its name.
        sqlite: whether the database is SQLite. One queue is looked into then, instead of one for
            each engine: half the processor time of an idle worker.
    """
    return RENDER_QUEUE if sqlite else f"{RENDER_QUEUE}-{engine}"


def workflow_ids(job_id: str) -> tuple[str, str, str]:
    """Of render, prepare and publish, in this order."""
    return job_id, job_id + PREPARE_SUFFIX, job_id + PUBLISH_SUFFIX


def webhook_id(job_id: str, attempt: int) -> str:
    """Of the delivery of a job's event; attempts count from 0."""
    return f"{job_id}{WEBHOOK_SUFFIX}{attempt}"


def older(version: str) -> list[str]:
    """Versions before this one."""
    return [str(number) for number in range(1, int(version))]


class JobQueue:
    """The queues, for servers and workers: put stages in, put them back, look for lost ones.

    Args:
        database: of the jobs; DBOS's tables are in it.
    """

    def __init__(self, database: Database) -> None:
        self._sqlite = database.sqlite
        self._client = DBOSClient(
            system_database_engine=database.engine,
            application_name=APPLICATION,
            lazy=True,
            retry_connection_errors=False,
        )

    def add(self, connection: sa.Connection, job_id: str, engine: str, priority: int) -> None:
        """Enqueue a new job's stages, within the caller's transaction.

        Args:
            connection: of that transaction.
            job_id: their only argument.
            engine: decides the render stage's queue.
            priority: lower goes first.
        """
        render, prepare, _ = workflow_ids(job_id)
        for workflow_id, name, queue in (
            (prepare, "prepare", CPU_QUEUE),
            (render, "render", render_queue(engine, sqlite=self._sqlite)),
        ):
            options: EnqueueOptions = {
                "workflow_name": name,
                "queue_name": queue,
                "workflow_id": workflow_id,
                "priority": priority,
                "app_version": APPLICATION_VERSION,
            }
            self._client.enqueue_in_transaction(connection, options, job_id)

    def register(self, name: str, *, at_once: int, poll_seconds: float) -> None:
        """Make a queue known, or change it; running workers take it up at their next poll.

        Args:
            name: of the queue.
            at_once: stages of it that a worker runs side by side.
            poll_seconds: between two looks of one worker.
        """
        self._client.register_queue(
            name, worker_concurrency=at_once, polling_interval_sec=poll_seconds
        )

    def waits(self) -> bool:
        """Whether a worker of this version should look into the queues now."""
        now = time.time() * 1e3
        return any(
            stage.status == "ENQUEUED" or (stage.delay_until_epoch_ms or 0) <= now
            for stage in self._list(status=["ENQUEUED", "DELAYED"], app_version=APPLICATION_VERSION)
        )

    def add_webhook(
        self,
        job_id: str,
        attempt: int,
        *,
        connection: sa.Connection | None = None,
        delay: float = 0.0,
    ) -> None:
        """Enqueue the delivery of a job's event; to enqueue an attempt again has no effect.

        Args:
            job_id: of the job that is over.
            attempt: from 0 on.
            connection: of the transaction that ends the job.
            delay: seconds before it may be taken.
        """
        options: EnqueueOptions = {
            "workflow_name": "webhook",
            "queue_name": WEBHOOK_QUEUE,
            "workflow_id": webhook_id(job_id, attempt),
            "app_version": APPLICATION_VERSION,
        }
        if connection is not None:
            self._client.enqueue_in_transaction(connection, options, job_id, attempt)
            return
        options["delay_seconds"] = delay
        self._client.enqueue(options, job_id, attempt)

    def cancel(self, job_id: str) -> None:
        """Take a cancelled or deleted job's stages off the queues.

        Only saves work: the stages look at the job first, so that nothing depends on it.
        """
        self._client.cancel_workflows(list(workflow_ids(job_id)))

    def forget(self, job_id: str) -> None:
        """Remove what DBOS remembers of a job."""
        hooks = [webhook_id(job_id, attempt) for attempt in range(len(PAUSES) + 1)]
        self._client.delete_workflows([*workflow_ids(job_id), *hooks])

    def renders(self) -> dict[str, str]:
        """Worker id → id of the job whose clip it makes."""
        return {
            str(stage.executor_id): stage.workflow_id
            for stage in self._list(status="PENDING", name="render")
        }

    def requeue(self, is_alive: Callable[[str], bool], *, only: Collection[str] = ()) -> list[str]:
        """Put stages that no living worker runs back into their queues.

        DBOS checks neither who runs a stage nor whether it goes on running. So only one process
        calls this for the dead (the leader), and each process for itself.

        Args:
            is_alive: worker id → whether its stages are to be left alone. It is asked after the
                stages have been listed, so that a worker that has just begun is known.
            only: of these stages; of all where empty.

        Returns:
            Ids of the stages that were put back.
        """
        found = []
        for stage in self._list(status="PENDING"):
            if (only and stage.workflow_id not in only) or is_alive(str(stage.executor_id)):
                continue
            queue = stage.queue_name or CPU_QUEUE
            try:
                self._client.resume_workflow(stage.workflow_id, queue_name=queue)
            except dbos_error.DBOSNonExistentWorkflowError:
                continue  # the job was deleted meanwhile
            found.append(stage.workflow_id)
        return found

    def claimed_by(self, worker_id: str) -> set[str]:
        """Stages that the database says this worker runs."""
        return {s.workflow_id for s in self._list(status="PENDING", executor_id=worker_id)}

    def rerun_outdated(
        self, versions: Collection[str], jobs: Callable[[Sequence[str]], Mapping[str, Job]]
    ) -> int:
        """Let this version run the stages of older versions that no worker has any more.

        A stage is cancelled and begun anew under this version: notes of its finished steps belong
        to the old order of steps. A worker that dies between the two leaves a cancelled stage of
        an active job, which the next call finds.

        Args:
            versions: of the living workers.
            jobs: ids → those jobs that still exist.

        Returns:
            How many stages there were.
        """
        outdated = [v for v in older(APPLICATION_VERSION) if v not in versions]
        if not outdated:
            return 0
        waiting = self._list(status=["ENQUEUED", "CANCELLED"], app_version=outdated)
        ids = {stage.workflow_id: job_of(stage.workflow_id) for stage in waiting}
        known = jobs(sorted(set(ids.values())))
        rerun = 0
        for stage in waiting:
            job = known.get(ids[stage.workflow_id])
            if job is None or not (job.active or stage.name == "webhook"):
                continue
            if stage.status == "ENQUEUED":
                self._client.cancel_workflow(stage.workflow_id)
            queues = {
                "render": render_queue(job.request["engine"], sqlite=self._sqlite),
                "webhook": WEBHOOK_QUEUE,
            }
            self._client.rewind_workflow(
                stage.workflow_id,
                application_version=APPLICATION_VERSION,
                queue_name=queues.get(stage.name, CPU_QUEUE),
            )
            rerun += 1
        return rerun

    def unattended(self, job_ids: Iterable[str]) -> list[str]:
        """Those of the active jobs that no stage is queued or running for."""
        stages = self._list(status=LIVE, name=["render", "publish"])
        living = {job_of(stage.workflow_id) for stage in stages}
        return [job_id for job_id in job_ids if job_id not in living]

    def _list(
        self, *, status: str | list[str], name: str | list[str] | None = None, **more: Any
    ) -> list[WorkflowStatus]:
        return self._client.list_workflows(
            status=status, name=name, load_input=False, load_output=False, **more
        )


def job_of(workflow_id: str) -> str:
    """Id of the job that a stage belongs to."""
    plain = workflow_id.partition(WEBHOOK_SUFFIX)[0]
    return plain.removesuffix(PREPARE_SUFFIX).removesuffix(PUBLISH_SUFFIX)
