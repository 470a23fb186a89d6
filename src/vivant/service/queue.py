"""The stages of a job as durable workflows of DBOS, and the queues they wait in.

::

    prepare   queue "cpu"              taken by every worker
    render    queue "render"           SQLite: all workers are on one machine and run all engines
              queue "render-ENGINE"    Postgres: taken by workers that can run the engine
    publish   no queue                 started by the render that it follows, in the same worker

A workflow's argument is the job's id. Only DBOS's public API is used. Two things it leaves to us:
who is dead (:mod:`vivant.service.heartbeat`), and how often a job may kill its worker
(:mod:`vivant.service.job_store`), because putting a stage back resets DBOS's own count of attempts.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import sqlalchemy as sa
from dbos import (
    DBOS,
    DBOSClient,
    DBOSConfig,
    EnqueueOptions,
    SetWorkflowID,
    StepOptions,
    WorkflowStatus,
)
from dbos import error as dbos_error
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from vivant.errors import DatabaseError, OutputError, StorageError
from vivant.service.database import Database
from vivant.service.job import Job
from vivant.service.webhooks import PAUSES, Webhooks

APPLICATION = "vivant"

APPLICATION_VERSION = "3"
"""A whole number, raised when a stage's steps or a request's meaning change: workers take only
stages of their own version, and newer ones rerun what is left when the last old one is gone."""

CPU_QUEUE = "cpu"

RENDER_QUEUE = "render"

WEBHOOK_QUEUE = "webhooks"

WEBHOOK_POLL_SECONDS = 2.0

WEBHOOKS_AT_ONCE = 4
"""Deliveries of one worker side by side; each takes at most 15 s."""

WEBHOOK_SUFFIX = "-webhook-"
"""Of the ids of deliveries; the number of the attempt follows."""

PREPARE_SUFFIX, PUBLISH_SUFFIX = "-prepare", "-publish"
"""Of these stages' ids; the id of the render stage is the job's own."""

LIVE = ["ENQUEUED", "PENDING", "DELAYED"]
"""DBOS statuses of workflows that will still do something."""

CPU_AT_ONCE = 2
"""Pictures that one worker prepares side by side; one clip's render runs beside them."""

POLL_SECONDS = 0.1
"""Between two looks of one worker into a queue of clips that it can make. A look costs about 4 ms
of processor time; DBOS has no public way to wake a worker up instead."""

SLOW_POLL_SECONDS = 0.5
"""The same where nobody waits for it: the "cpu" queue (a render prepares its picture itself where
that has not been done yet), engines that cannot run here, and clusters of many workers."""

POLL_SECONDS_PER_WORKER = 0.025
"""Each of many workers looks less often, so that the database is asked at most 40 times a second
about one queue."""

STEP_ATTEMPTS = 6
"""Of a stage, 1, 2, 4, 8 and 16 s apart: storage and databases restart within that."""

RECORD_SECONDS = 120.0
"""DBOS is given so long to write down that a stage is over, where the disk is full."""

log = logging.getLogger("vivant.worker")


class Stages(Protocol):
    """What a worker does at each stage. A stage may be repeated from its beginning at any time."""

    def prepare(self, job_id: str) -> None:
        """Decode the picture."""
        ...

    def render(self, job_id: str) -> bool:
        """Make the clip; whether there is something to publish."""
        ...

    def publish(self, job_id: str) -> None:
        """Finish the job."""
        ...

    def give_up(self, job_id: str, error: BaseException) -> None:
        """The stage failed for good."""
        ...


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

    def add_webhook(
        self,
        job_id: str,
        attempt: int,
        *,
        connection: sa.Connection | None = None,
        delay: float = 0.0,
    ) -> None:
        """Enqueue the delivery of a job's event. Doing it twice is doing it once.

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
            try:
                self._client.resume_workflow(
                    stage.workflow_id, queue_name=stage.queue_name or CPU_QUEUE
                )
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


class Executor:
    """DBOS in a worker process: takes stages from the queues and runs them.

    Args:
        database: of the jobs.
        worker_id: never used before; DBOS calls it the executor's id.
        stages: what is done at each stage.
        queues: name → (stages of it side by side, seconds between two looks into it).
        webhooks: delivers events; None: this worker delivers none.
    """

    def __init__(
        self,
        database: Database,
        worker_id: str,
        stages: Stages,
        queues: Mapping[str, tuple[int, float]],
        webhooks: Webhooks | None = None,
    ) -> None:
        self._webhooks = webhooks
        self._database, self._id = database, worker_id
        self._stages, self._queues = stages, queues
        self._guard = threading.Lock()
        self._running: set[str] = set()

    def launch(self, *, workers: int = 1) -> None:
        """Begin to take stages.

        Args:
            workers: how many there are.
        """
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._database.url,
            "system_database_engine": self._database.engine,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._id,
            "use_listen_notify": False,
            "log_level": "WARNING",
        }
        DBOS(config=config)
        DBOS.listen_queues(list(self._queues))
        self._register_workflows()
        DBOS.launch()
        self.set_pace(workers)

    def set_pace(self, workers: int) -> None:
        """Let each of many workers look into the queues less often; running workers take it up."""
        for name, (at_once, seconds) in self._queues.items():
            DBOS.register_queue(
                name,
                worker_concurrency=at_once,
                polling_interval_sec=max(
                    seconds, min(SLOW_POLL_SECONDS, POLL_SECONDS_PER_WORKER * workers)
                ),
                on_conflict="always_update",
            )

    @property
    def running(self) -> set[str]:
        """Stages that a thread of this process is at."""
        with self._guard:
            return set(self._running)

    def stop(self, seconds: float) -> None:
        """Take nothing any more, at once. What runs may go on for ``seconds``; does not wait."""
        threading.Thread(
            target=DBOS.destroy,
            kwargs={"workflow_completion_timeout_sec": int(seconds) + 1},
            name="vivant-dbos-stop",
            daemon=True,
        ).start()

    def _register_workflows(self) -> None:
        @DBOS.workflow(name="prepare")
        def prepare(job_id: str) -> None:
            self._run("prepare", self._stages.prepare, job_id)

        @DBOS.workflow(name="publish")
        def publish(job_id: str) -> None:
            self._run("publish", self._stages.publish, job_id)

        @DBOS.workflow(name="render")
        def render(job_id: str) -> None:
            if self._run("render", self._stages.render, job_id):
                with SetWorkflowID(workflow_ids(job_id)[2]):
                    DBOS.start_workflow(publish, job_id)

        @DBOS.workflow(name="webhook")
        def webhook(job_id: str, attempt: int) -> None:
            self._deliver(job_id, attempt)

    def _deliver(self, job_id: str, attempt: int) -> None:
        """One attempt; the next one is a workflow of its own, so that none waits in a thread."""
        if self._webhooks is None:
            return
        with self._noted_as_running():
            try:
                pause = DBOS.run_step(step("webhook"), self._webhooks.deliver, job_id, attempt)
                if pause is not None:
                    JobQueue(self._database).add_webhook(job_id, attempt + 1, delay=pause)
            except Exception:  # the job itself is over and well
                log.exception("webhook failed")

    def _run(self, name: str, stage: Callable[[str], Any], job_id: str) -> Any:
        """A stage as a step of DBOS; a job always ends with a reason."""
        # DBOS could not write down that the stage is over: it finds that, or is repeated
        recorded = Retrying(
            retry=retry_if_exception_type(DBAPIError),
            wait=wait_exponential(max=30),
            stop=stop_after_delay(RECORD_SECONDS),
            reraise=True,
        )
        with self._noted_as_running():
            try:
                return recorded(DBOS.run_step, step(name), stage, job_id)
            except dbos_error.DBOSMaxStepRetriesExceeded as error:
                self._stages.give_up(job_id, error.errors[-1])
            except DBAPIError:
                away = DatabaseError("the database was away for too long: send the job again")
                self._stages.give_up(job_id, away)
            except Exception as error:  # noqa: BLE001 - told to the client and logged by give_up
                self._stages.give_up(job_id, error)
        return None

    @contextmanager
    def _noted_as_running(self) -> Iterator[None]:
        """Inside, the workflow of this thread is one of :attr:`running`."""
        workflow_id = str(DBOS.workflow_id)
        with self._guard:
            self._running.add(workflow_id)
        try:
            yield
        finally:
            with self._guard:
                self._running.discard(workflow_id)


def step(name: str) -> StepOptions:
    """How often and when a stage is tried again; see :data:`STEP_ATTEMPTS`."""
    return {
        "name": name,
        "retries_allowed": True,
        "max_attempts": STEP_ATTEMPTS,
        "interval_seconds": 1.0,
        "backoff_rate": 2.0,
        "should_retry": is_temporary,
    }


def is_temporary(error: BaseException) -> bool:
    """Storage, disk and database come back; bad pictures and failed engines stay."""
    return isinstance(error, (StorageError, DatabaseError, DBAPIError, OutputError, OSError))
