"""Server-sent events: one reader of the database for all listeners, and one stream each.

The reader looks every :data:`POLL_SECONDS` for the jobs somebody listens to, and only then.
A listener holds its position, not a queue, so that a slow one costs no memory. Knows nothing of
who may listen.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from vivant.errors import DatabaseError
from vivant.service.job import ACTIVE, Job
from vivant.service.ledger import Ledger

POLL_SECONDS = 0.05
KEEP_ALIVE_SECONDS = 15.0
POSITION_SECONDS = 2.0
"""Between looks at the queue position of a waiting job."""

RECENT = 64
"""Events of one job kept for its listeners; whoever falls further behind gets the newest."""

GONE_LOOKS = 20
"""Every so many looks, deleted jobs are noticed."""

log = logging.getLogger("vivant.api")


@dataclass(frozen=True, slots=True)
class Ready:
    """An event as it is sent, made once for all listeners."""

    seq: int
    status: str
    text: bytes


@dataclass
class Topic:
    """One job somebody listens to."""

    seq: int
    recent: deque[Ready] = field(default_factory=lambda: deque(maxlen=RECENT))
    news: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: int = 0
    gone: bool = False

    def tell(self) -> None:
        """Wake every listener."""
        self.news.set()
        self.news = asyncio.Event()


class Broker:
    """See the module.

    Args:
        ledger: where the events are.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._topics: dict[str, Topic] = {}
        self._task: asyncio.Task[None] | None = None
        self.closing = False

    @property
    def listeners(self) -> int:
        """Open streams."""
        return sum(topic.listeners for topic in self._topics.values())

    @asynccontextmanager
    async def listen(self, job: Job) -> AsyncIterator[Topic]:
        """Follow a job from its newest known event on."""
        topic = self._topics.get(job.id)
        if topic is None:
            topic = self._topics[job.id] = Topic(job.seq)
        topic.listeners += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            yield topic
        finally:
            topic.listeners -= 1
            if not topic.listeners and self._topics.get(job.id) is topic:
                del self._topics[job.id]

    async def close(self) -> None:
        """End all streams."""
        self.closing = True
        for topic in self._topics.values():
            topic.tell()
        if self._task is not None:
            self._task.cancel()

    async def _poll(self) -> None:
        looks = 0
        while self._topics and not self.closing:
            positions = {job_id: topic.seq for job_id, topic in self._topics.items()}
            try:
                found = await asyncio.to_thread(self._ledger.events_after, positions)
                looks += 1
                alive = None
                if looks % GONE_LOOKS == 0:
                    alive = await asyncio.to_thread(self._ledger.existing, list(positions))
            except DatabaseError as error:
                log.warning("events are late: %s", error.message)
                await asyncio.sleep(1.0)
                continue
            for job_id, events in found.items():
                topic = self._topics.get(job_id)
                if topic is not None:
                    fresh = [event for event in events if event["seq"] > topic.seq]
                    if fresh:
                        topic.recent.extend(
                            Ready(event["seq"], event["status"], encode(event)) for event in fresh
                        )
                        topic.seq = fresh[-1]["seq"]
                        topic.tell()
            for job_id in positions if alive is not None else ():
                topic = self._topics.get(job_id)
                if topic is not None and alive is not None and job_id not in alive:
                    topic.gone = True
                    topic.tell()
            await asyncio.sleep(POLL_SECONDS)


async def stream(
    broker: Broker, ledger: Ledger, job: Job, last_id: int | None
) -> AsyncIterator[bytes]:
    """A job's events as ``text/event-stream``, to the final one.

    Args:
        broker: of the service.
        ledger: of the service.
        job: as it was when the stream was asked for.
        last_id: the last event the client has seen; None to begin with the newest state.
    """
    yield b"retry: 1000\n\n"
    async with broker.listen(job) as topic:
        seen = job.seq
        if last_id is not None and last_id < job.seq:
            missed = await asyncio.to_thread(ledger.events_after, {job.id: last_id})
            for event in missed.get(job.id, [dict(job.snapshot)]):
                seen = max(seen, event["seq"])
                yield encode(event)
                if event["status"] not in ACTIVE:
                    return
        elif last_id is None or not job.active:
            yield encode({**job.snapshot, "queue_position": job.queue_position})
        if not job.active:
            return
        position = job.queue_position
        waiting = job.status == "queued"
        quiet = 0.0
        while not broker.closing:
            news = topic.news
            fresh = [event for event in topic.recent if event.seq > seen]
            if fresh:
                seen = fresh[-1].seq
                waiting = fresh[-1].status == "queued"
                yield b"".join(event.text for event in fresh)
                if fresh[-1].status not in ACTIVE:
                    return
            if topic.gone:
                yield encode(
                    {**job.snapshot, "seq": seen + 1, "event": "deleted", "status": "failed"}
                )
                return
            if fresh:
                quiet = 0.0
                continue
            pause = POSITION_SECONDS if waiting else KEEP_ALIVE_SECONDS
            try:
                await asyncio.wait_for(news.wait(), pause)
            except TimeoutError:
                quiet += pause
            if waiting and topic.news is news:
                now = await _position(ledger, job)
                if now is not None and now != position:
                    position = now
                    yield encode({**job.snapshot, "seq": seen, "queue_position": now})
            if quiet >= KEEP_ALIVE_SECONDS:
                quiet = 0.0
                yield b": keep-alive\n\n"


async def _position(ledger: Ledger, job: Job) -> int | None:
    from vivant.errors import VivantError

    try:
        return (await asyncio.to_thread(ledger.get, job.id)).queue_position
    except VivantError:
        return None


def encode(event: dict[str, Any]) -> bytes:
    """One event of the stream."""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event['seq']}\nevent: {event['event']}\ndata: {data}\n\n".encode()
