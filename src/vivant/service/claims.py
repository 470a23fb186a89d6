"""Takes stages off the queues: when there is news of work, and room for it in this worker.

One thread asks all queues of a worker. It asks at once where a stage of this worker has ended
(there is room, and often a stage that follows); after news, at a pace that many workers share;
and where nothing is heard, seldom. Knows nothing of what a stage is, nor of databases.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import DBAPIError

from vivant.errors import DatabaseError
from vivant.service.news import ALL, News

SELDOM_SECONDS = 2.0
"""Between two looks into a queue without any news: some may be lost."""

OUTAGE_SECONDS = 1.0
"""Pause after a look that failed."""

log = logging.getLogger("vivant.worker")


@dataclass
class Line:
    """One queue as this worker sees it.

    Attributes:
        name: of the queue.
        room: stages of it that this worker does side by side.
        running: stages of it under way.
        told: there was news since the last look.
        due: it is to be looked into at once.
        looked: when it was, by the monotonic clock; in the future where it is to be left alone.
    """

    name: str
    room: int
    running: int = 0
    told: bool = False
    due: bool = True
    looked: float = 0.0


class Claims:
    """See the module.

    Args:
        news: of work.
        rooms: queue → stages of it side by side.
        claim: queue, stages under way → the stages that were taken and started.
        pace: queue → least seconds between two looks after news.
    """

    def __init__(
        self,
        news: News,
        rooms: Mapping[str, int],
        claim: Callable[[str, int], Collection[Future[Any]]],
        pace: Callable[[str], float],
    ) -> None:
        self._news, self._claim, self._pace = news, claim, pace
        self._lines = [Line(name, room) for name, room in rooms.items()]
        self._guard = threading.Lock()
        self._bell = threading.Event()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="vivant-claims", daemon=True),
            threading.Thread(
                target=news.follow, args=(self._told, self._stopping), name="vivant-news",
                daemon=True,
            ),
        ]  # fmt: skip

    def start(self) -> None:
        """Begin to take stages."""
        for thread in self._threads:
            thread.start()

    def narrow(self, queues: Collection[str]) -> None:
        """From now on only from these queues."""
        with self._guard:
            self._lines = [line for line in self._lines if line.name in queues]

    def stop(self, seconds: float) -> None:
        """Take nothing any more; what is under way goes on.

        Args:
            seconds: to wait for a look that is being made.
        """
        self._stopping.set()
        self._bell.set()
        self._threads[0].join(seconds)

    def _told(self, queue: str) -> None:
        with self._guard:
            for line in self._lines:
                line.told = line.told or queue in (ALL, line.name)
        self._bell.set()

    def _ended(self, line: Line) -> None:
        with self._guard:
            line.running -= 1
            for each in self._lines:
                each.due = True
        self._bell.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._guard:
                lines = [line for line in self._lines if line.running < line.room]
            now = time.monotonic()
            pause = min((self._when(line) for line in lines), default=now + SELDOM_SECONDS) - now
            if pause > 0:
                self._bell.wait(pause)
                self._bell.clear()
                continue
            for line in lines:
                if self._when(line) <= time.monotonic() and not self._stopping.is_set():
                    self._look(line)

    def _when(self, line: Line) -> float:
        """The queue is to be looked into then."""
        if line.due:
            return line.looked
        if line.told or not self._news.heard:
            return line.looked + self._pace(line.name)
        return line.looked + SELDOM_SECONDS

    def _look(self, line: Line) -> None:
        line.due = line.told = False  # what is told from here on may be missed by this look
        line.looked = time.monotonic()
        try:
            taken = self._claim(line.name, line.running)
        except (DatabaseError, DBAPIError) as error:
            log.warning("the queue %s cannot be asked: %s", line.name, error)
            line.looked, line.told = time.monotonic() + OUTAGE_SECONDS, True
            return
        except Exception:  # the thread must not end
            log.exception("the queue %s cannot be asked", line.name)
            line.looked, line.told = time.monotonic() + OUTAGE_SECONDS, True
            return
        with self._guard:
            line.running += len(taken)
        for stage in taken:
            stage.add_done_callback(lambda _: self._ended(line))
