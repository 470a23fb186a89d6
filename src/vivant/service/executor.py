"""DBOS in a worker process: takes the stages of jobs from the queues and runs them.

The queues and what is written into them: :mod:`vivant.service.queue`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from dbos import (
    DBOS,
    DBOSConfig,
    SetWorkflowID,
    StepOptions,
)
from dbos import error as dbos_error
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from vivant.errors import DatabaseError, OutputError, StorageError
from vivant.service.database import Database
from vivant.service.queue import (
    APPLICATION,
    APPLICATION_VERSION,
    JobQueue,
    workflow_ids,
)
from vivant.service.webhooks import Webhooks

WEBHOOK_POLL_SECONDS = 2.0

WEBHOOKS_AT_ONCE = 4
"""Deliveries of one worker side by side; each takes at most 15 s."""

CPU_AT_ONCE = 2
"""Pictures that one worker prepares side by side; one clip's render runs beside them."""

POLL_SECONDS = 0.05
"""Seconds between two polls of a queue whose clips this worker can make. DBOS has no public way to
wake a worker up instead; see :mod:`vivant.service.idle_queues` for what a poll costs."""

SLOW_POLL_SECONDS = 0.5
"""The same for queues where no client waits for the poll: the "cpu" queue (a render prepares its
picture itself if that was not done yet), engines that cannot run here, and clusters of many
workers."""

POLL_SECONDS_PER_WORKER = 0.025
"""Each of many workers looks less often, so that the database is asked at most 40 times a second
about one queue by up to 20 workers; more look every :data:`SLOW_POLL_SECONDS`."""

STEP_ATTEMPTS = 6
"""Of a stage, 1, 2, 4, 8 and 16 s apart: storage and databases restart within that."""

RECORD_SECONDS = 120.0
"""With a full disk, DBOS is asked for this long to record that a stage is over."""

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

    def fail(self, job_id: str, error: BaseException) -> None:
        """The stage failed for good."""
        ...


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
        self._intervals: dict[str, float] = {}
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
        for name, (at_once, _) in self._queues.items():
            self._intervals[name] = self._interval(name, workers)
            DBOS.register_queue(
                name,
                worker_concurrency=at_once,
                polling_interval_sec=self._intervals[name],
                on_conflict="always_update",
            )

    def set_pace(self, workers: int) -> None:
        """Let each of many workers look into the queues less often; running workers take it up."""
        for name in self._queues:
            interval = self._interval(name, workers)
            queue = DBOS.retrieve_queue(name)
            if queue is not None and self._intervals[name] != interval:
                queue.set_polling_interval_sec(interval)
                self._intervals[name] = interval

    def _interval(self, queue: str, workers: int) -> float:
        """Seconds between two polls of one worker."""
        shared = min(SLOW_POLL_SECONDS, POLL_SECONDS_PER_WORKER * workers)
        return max(self._queues[queue][1], shared)

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
        """One attempt. The next one is a workflow of its own, so that no thread waits for it."""
        if self._webhooks is None:
            return
        with self._noted_as_running():
            try:
                pause = DBOS.run_step(step("webhook"), self._webhooks.deliver, job_id, attempt)
                if pause is not None:
                    JobQueue(self._database).add_webhook(job_id, attempt + 1, delay=pause)
            except Exception:  # only the webhook failed: the job itself is finished
                log.exception("webhook failed")

    def _run(self, name: str, stage: Callable[[str], Any], job_id: str) -> Any:
        """A stage as a step of DBOS; a job always ends with a reason."""
        # With a full disk DBOS cannot record the result of a step. Asking again finds it recorded,
        # or repeats the stage, which is safe.
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
                self._stages.fail(job_id, error.errors[-1])
            except DBAPIError:
                away = DatabaseError("the database was away for too long: send the job again")
                self._stages.fail(job_id, away)
            except Exception as error:  # noqa: BLE001 - told to the client and logged by fail
                self._stages.fail(job_id, error)
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
    """Whether trying again can help: only after errors of storage, disk and database."""
    return isinstance(error, (StorageError, DatabaseError, DBAPIError, OutputError, OSError))
