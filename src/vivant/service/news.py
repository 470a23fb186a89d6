"""News of work, so that workers need not ask the queues again and again.

Postgres tells whoever listens (NOTIFY, when what it is about is committed). With SQLite a number
is looked at that every other connection's commit moves, which costs microseconds and no lock.
News may be lost with a connection: whoever follows it asks now and then all the same.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from vivant.service.database import Database

CHANNEL = "vivant_work"

ALL = ""
"""In place of a queue's name: there may be work in any."""

GLANCE_SECONDS = 0.02
"""Between two looks at SQLite's number."""

ATTENTION_SECONDS = 1.0
"""A follower notices after that long that it is to stop."""

log = logging.getLogger("vivant.worker")


def tell(connection: sa.Connection, *queues: str) -> None:
    """Let workers know of work in these queues, once the transaction is committed."""
    if connection.dialect.name == "postgresql":
        for queue in queues or (ALL,):
            connection.execute(sa.select(sa.func.pg_notify(CHANNEL, queue)))


class News:
    """Followed by one thread.

    Args:
        database: of the queues.

    Attributes:
        heard: whether news would come in now.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.heard = False

    def follow(self, told: Callable[[str], None], stopping: threading.Event) -> None:
        """Call ``told`` with the queue's name, or :data:`ALL`, until ``stopping`` is set."""
        follow = self._glance if self._database.sqlite else self._listen
        while not stopping.is_set():
            try:
                with self._database.engine.connect() as connection:
                    driver = connection.connection.driver_connection
                    connection.detach()  # it never goes back to the pool
                    follow(driver, told, stopping)
            except (DBAPIError, sa.exc.TimeoutError, psycopg.Error, sqlite3.Error) as error:
                log.warning("no news of work: the queues are asked more often (%s)", error)
            finally:
                self.heard = False
            stopping.wait(ATTENTION_SECONDS)

    def _listen(self, driver: Any, told: Callable[[str], None], stopping: threading.Event) -> None:
        driver.autocommit = True
        driver.execute(f"LISTEN {CHANNEL}")
        self.heard = True
        told(ALL)  # what was told before
        while not stopping.is_set():
            for notice in driver.notifies(timeout=ATTENTION_SECONDS):
                told(notice.payload)

    def _glance(self, driver: Any, told: Callable[[str], None], stopping: threading.Event) -> None:
        self.heard = True
        seen = -1
        while not stopping.wait(GLANCE_SECONDS):
            (version,) = driver.execute("PRAGMA data_version").fetchone()
            if version != seen:
                seen = version
                told(ALL)
