"""A worker that has nothing to do shuts DBOS down, and launches it again when a stage waits.

DBOS has no public way to wake the thread of a queue: it polls. A poll costs 4 ms of processor time,
because DBOS builds its statements anew each time; a launch costs 15 ms. So DBOS polls often, but
only while there is work. Otherwise this module looks for it, with one short statement.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import psycopg
import sqlalchemy as sa
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from vivant.errors import DatabaseError
from vivant.service.database import Database
from vivant.service.executor import Executor
from vivant.service.queue import JobQueue

AWAKE_SECONDS = 2.0
"""DBOS runs for at least that long after the last stage: jobs often come one after the other."""

THOROUGH_SECONDS = 1.0
"""Between two looks for stages of other jobs: put back from a dead worker, or a due webhook."""

_QUEUED = "select 1 from vivant_jobs where status = 'queued' limit 1"

AWAY = (DatabaseError, SQLAlchemyError, psycopg.Error, dbos_error.DBOSException)
"""What is raised while the database does not answer."""

log = logging.getLogger("vivant.worker")


class Standby:
    """Launches and suspends DBOS in a worker.

    Args:
        database: of the jobs.
        queue: of their stages.
        executor: launched already.
    """

    def __init__(self, database: Database, queue: JobQueue, executor: Executor) -> None:
        self._database, self._queue, self._executor = database, queue, executor
        self._looked_at = time.monotonic()

    def run(self, closing: threading.Event) -> None:
        """Look for work until ``closing`` is set."""
        while not closing.is_set():
            try:
                with self._database.read() as connection:  # one for all looks: three times cheaper
                    while not closing.wait(self._pause):
                        self._look(connection, closing)
            except AWAY as error:
                log.warning("cannot look for work: %s", error)
                closing.wait(THOROUGH_SECONDS)

    @property
    def _pause(self) -> float:
        return THOROUGH_SECONDS if self._executor.launched else self._executor.pace

    def _look(self, connection: sa.Connection, closing: threading.Event) -> None:
        if self._stage_waits(connection):
            self._executor.take_waiting(closing)
        elif self._executor.launched and self._executor.idle_seconds >= AWAKE_SECONDS:
            self._executor.suspend()

    def _stage_waits(self, connection: sa.Connection) -> bool:
        driver: Any = connection.connection.driver_connection  # SQLAlchemy would double the cost
        if driver.execute(_QUEUED).fetchone() is not None:
            return True
        if time.monotonic() - self._looked_at < THOROUGH_SECONDS:
            return False
        self._looked_at = time.monotonic()
        return self._queue.waits()
