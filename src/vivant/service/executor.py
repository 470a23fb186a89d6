"""DBOS in a worker process: takes the stages of jobs from the queues and runs them.

The queues and what is written into them: :mod:`vivant.service.queue`.
"""

from __future__ import annotations

import logging
import threading
import time
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

POLL_SECONDS = 0.03
"""Seconds between two polls of a queue whose clips this worker can make. Only while there is work:
see :mod:`vivant.service.standby`."""

SLOW_POLL_SECONDS = 0.5
"""The same for queues where no client waits for the poll: the "cpu" queue (a render prepares its
picture itself if that was not done yet), engines that cannot run here, and clusters of many
workers."""

FIRST_POLL_SECONDS = 0.004
"""Before the first poll after a launch, because a stage waits then. DBOS waits a whole interval
before it polls, and reads the interval from the queue's row."""

FIRST_POLLS_SECONDS = 0.04
"""For that long after a launch, queues with a client waiting are polled that often."""

POLL_SECONDS_PER_WORKER = 0.025
"""Each of many workers looks less often, so that the database is asked at most 40 times a second
about one queue by up to 20 workers; more look every :data:`SLOW_POLL_SECONDS`."""

STOP_GLANCE_SECONDS = 0.05
"""DBOS's threads notice within that time that it is shut down."""

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

    Attributes:
        pace: seconds between two polls of the queue that is polled most often.
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
        self._queue = JobQueue(database)
        self._stages, self._queues = stages, queues
        self._guard = threading.Lock()
        self._running: set[str] = set()
        self._launched, self._launches = False, 0
        self._last_busy = time.monotonic()
        self._workers = 1
        self.pace = SLOW_POLL_SECONDS

    @property
    def launched(self) -> bool:
        """Whether stages are taken."""
        return self._launched

    @property
    def idle_seconds(self) -> float:
        """Since the last stage ended, or since the launch."""
        with self._guard:
            return 0.0 if self._running else time.monotonic() - self._last_busy

    def launch(self) -> None:
        """Take stages from the queues; nothing happens if that is so already."""
        if self._launched:
            return
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._database.url,
            "system_database_engine": self._database.engine,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._id,
            "run_migrations": False,  # the worker made them when it started
            "use_listen_notify": False,
            "notification_listener_polling_interval_sec": STOP_GLANCE_SECONDS,
            "log_level": "WARNING",
        }
        DBOS(config=config)
        DBOS.listen_queues(list(self._queues))
        self._register_workflows()
        try:
            DBOS.launch()
        except Exception:
            DBOS.destroy(destroy_registry=True)
            raise
        self._launched, self._last_busy = True, time.monotonic()

    def suspend(self) -> None:
        """Shut DBOS down until :meth:`launch`; nothing happens if a stage runs."""
        if self._queue.claimed_by(self._id):
            return
        with self._guard:
            if self._running:
                return
            self._launched, self._launches = False, self._launches + 1
            DBOS.destroy(destroy_registry=True)
        # taken in the moment before; their threads have not begun, and will not
        for stage in self._queue.requeue(lambda worker_id: worker_id != self._id):
            log.info("put back, it was taken too late: %s", stage)

    def take_waiting(self, closing: threading.Event) -> None:
        """Launch for stages that wait already: the first polls come at once."""
        if self._launched:
            return
        urgent = [name for name, (_, seconds) in self._queues.items() if seconds <= POLL_SECONDS]
        try:
            for name in urgent:
                self._write_interval(name, FIRST_POLL_SECONDS)
            self.launch()
            closing.wait(FIRST_POLLS_SECONDS)
        finally:
            for name in urgent:
                self._write_interval(name, self._interval(name))

    def set_pace(self, workers: int) -> None:
        """Write how often each of so many workers polls; running workers take it up."""
        self._workers = workers
        intervals = {name: self._interval(name) for name in self._queues}
        for name, seconds in intervals.items():
            self._write_interval(name, seconds)
        self.pace = min(intervals.values())

    def _interval(self, queue: str) -> float:
        """Seconds between two polls of one worker."""
        shared = min(SLOW_POLL_SECONDS, POLL_SECONDS_PER_WORKER * self._workers)
        return max(self._queues[queue][1], shared)

    def _write_interval(self, queue: str, seconds: float) -> None:
        self._queue.register(queue, at_once=self._queues[queue][0], poll_seconds=seconds)

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
        launch = self._launches

        @DBOS.workflow(name="prepare")
        def prepare(job_id: str) -> None:
            self._run(launch, "prepare", self._stages.prepare, job_id)

        @DBOS.workflow(name="publish")
        def publish(job_id: str) -> None:
            self._run(launch, "publish", self._stages.publish, job_id)

        @DBOS.workflow(name="render")
        def render(job_id: str) -> None:
            if self._run(launch, "render", self._stages.render, job_id):
                with SetWorkflowID(workflow_ids(job_id)[2]):
                    DBOS.start_workflow(publish, job_id)

        @DBOS.workflow(name="webhook")
        def webhook(job_id: str, attempt: int) -> None:
            self._deliver(launch, job_id, attempt)

    def _deliver(self, launch: int, job_id: str, attempt: int) -> None:
        """One attempt. The next one is a workflow of its own, so that no thread waits for it."""
        if self._webhooks is None:
            return
        with self._noted_as_running(launch):
            try:
                pause = DBOS.run_step(step("webhook"), self._webhooks.deliver, job_id, attempt)
                if pause is not None:
                    self._queue.add_webhook(job_id, attempt + 1, delay=pause)
            except Exception:  # only the webhook failed: the job itself is finished
                log.exception("webhook failed")

    def _run(self, launch: int, name: str, stage: Callable[[str], Any], job_id: str) -> Any:
        """A stage as a step of DBOS; a job always ends with a reason."""
        # With a full disk DBOS cannot record the result of a step. Asking again finds it recorded,
        # or repeats the stage, which is safe.
        recorded = Retrying(
            retry=retry_if_exception_type(DBAPIError),
            wait=wait_exponential(max=30),
            stop=stop_after_delay(RECORD_SECONDS),
            reraise=True,
        )
        with self._noted_as_running(launch):
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
    def _noted_as_running(self, launch: int) -> Iterator[None]:
        """Inside, the workflow of this thread is one of :attr:`running`.

        Raises:
            RuntimeError: DBOS was shut down since the stage was taken: it is in its queue again.
        """
        workflow_id = str(DBOS.workflow_id)
        with self._guard:  # waits while DBOS is being shut down
            if launch != self._launches:
                raise RuntimeError(f"{workflow_id} was taken too late: it goes back to its queue")
            self._running.add(workflow_id)
        try:
            yield
        finally:
            with self._guard:
                self._running.discard(workflow_id)
                self._last_busy = time.monotonic()


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
