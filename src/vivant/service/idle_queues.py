"""Queues in which nothing waits are closed, so that looking at them costs little.

DBOS has no public way to wake a queue's thread: it polls. A poll first reads the queue's own row
(0.3 ms of processor time). Only where the row allows this worker one more stage does it look for
stages: SQLAlchemy builds two more statements from their parts each time (3 ms; the cache of
compiled statements is used, but its key must be built too). So the leader writes 0 stages for each
worker into the rows of empty queues, and whoever enqueues a stage writes the number back.

No stage waits for long where one of these writes is lost: the leader looks at every heartbeat.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable

import sqlalchemy as sa
from dbos import DBOSClient, Queue
from dbos import error as dbos_error
from sqlalchemy.exc import DBAPIError

from vivant.errors import DatabaseError
from vivant.service.database import Database
from vivant.service.tables import workers

OPEN_SECONDS = 2.0
"""A queue stays open for at least that long after a stage was seen waiting, because jobs often come
one after the other: an open queue is looked into one poll earlier."""

log = logging.getLogger("vivant.worker")


class IdleQueues:
    """Closes queues in which nothing waits, and opens them.

    Args:
        database: of the jobs.
        client: of DBOS, on the same database.
        never_closed: queues whose stages are enqueued without a call of :meth:`open`.
    """

    def __init__(
        self, database: Database, client: DBOSClient, never_closed: Collection[str]
    ) -> None:
        self._database, self._client, self._never = database, client, never_closed
        self._queues: dict[str, Queue] = {}
        self._empty_since = time.monotonic()

    def open(self, names: Iterable[str]) -> None:
        """Let workers look into these queues; call it after a stage was enqueued.

        Never raises where the database is away: the leader opens the queue a little later.
        """
        try:
            for name in names:
                queue = self._find(name)
                if queue is not None and queue.worker_concurrency == 0:
                    queue.set_worker_concurrency(self._at_once(name))
        except (DatabaseError, DBAPIError, sa.exc.TimeoutError, dbos_error.DBOSException) as error:
            log.warning("a queue could not be opened at once: %s", error)

    def close_empty(self, *, after: float = OPEN_SECONDS) -> None:
        """Close all queues while nothing waits in any; open those in which something does.

        The leader calls it at every heartbeat.

        Args:
            after: seconds for which nothing must have been seen waiting.
        """
        if waiting := self._waiting():
            self._empty_since = time.monotonic()
            self.open(waiting)
        elif time.monotonic() - self._empty_since >= after:
            for queue in self._client.list_queues():
                if queue.name not in self._never and queue.worker_concurrency != 0:
                    queue.set_worker_concurrency(0)
            # whoever enqueued something between the look and the write found the queue open
            self.open(self._waiting())
            self._empty_since = time.monotonic()

    def _waiting(self) -> list[str]:
        """Those queues that may be closed in which a stage waits."""
        if not self._any_waiting():
            return []
        names = [queue.name for queue in self._client.list_queues()]
        return [name for name in names if name not in self._never and self._any_waiting(name)]

    def _any_waiting(self, queue: str | None = None) -> bool:
        return bool(
            self._client.list_workflows(
                queue_name=queue, status="ENQUEUED", limit=1, load_input=False, load_output=False
            )
        )

    def _find(self, name: str) -> Queue | None:
        """The queue, whose properties are read from its row; None before a worker made it."""
        queue = self._queues.get(name)
        if queue is None and (queue := self._client.retrieve_queue(name)) is not None:
            self._queues[name] = queue
        return queue

    def _at_once(self, name: str) -> int:
        """How many stages of a queue a worker runs side by side, as the workers tell."""
        with self._database.read() as connection:
            facts = connection.execute(sa.select(workers.c.facts)).scalars().all()
        return max((int(told.get("queues", {}).get(name, 1)) for told in facts), default=1)
