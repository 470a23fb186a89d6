"""Server-sent events: one reader of the database for all listeners, and one stream each.

The database is polled every :data:`POLL_SECONDS` while there are listeners. A listener holds a
position, not a queue of its own, so that a slow one costs no memory.
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

from vivant.errors import DatabaseError, VivantError
from vivant.service.job import ACTIVE, Job
from vivant.service.job_store import JobStore

POLL_SECONDS = 0.05
KEEP_ALIVE_SECONDS = 15.0
POSITION_SECONDS = 2.0
"""Between two reads of a waiting job's place in the queue."""

RECENT = 64
"""Events of one job kept for its listeners; a listener further behind gets only these."""

GONE_POLLS = 20
"""After this many polls, deleted jobs are looked for."""

log = logging.getLogger("vivant.api")


@dataclass(frozen=True, slots=True)
class EncodedEvent:
    """An event as it is sent, encoded once for all listeners."""

    seq: int
    status: str
    text: bytes


@dataclass
class JobEvents:
    """The newest events of one job that has listeners.

    Attributes:
        seq: of the newest.
        recent: the newest, at most :data:`RECENT`.
        changed: set, and replaced by a new one, when there is something new.
        deleted: the job was deleted.
    """

    seq: int
    recent: deque[EncodedEvent] = field(default_factory=lambda: deque(maxlen=RECENT))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    listeners: int = 0
    deleted: bool = False

    def wake(self) -> None:
        """Wake every listener."""
        self.changed.set()
        self.changed = asyncio.Event()


class EventBroker:
    """See the module.

    Args:
        job_store: where the events are.
    """

    def __init__(self, job_store: JobStore) -> None:
        self._job_store = job_store
        self._jobs: dict[str, JobEvents] = {}
        self._task: asyncio.Task[None] | None = None
        self.closing = False

    @property
    def listeners(self) -> int:
        """Open streams."""
        return sum(followed.listeners for followed in self._jobs.values())

    @asynccontextmanager
    async def listen(self, job: Job) -> AsyncIterator[JobEvents]:
        """Follow a job from its newest known event on."""
        followed = self._jobs.get(job.id)
        if followed is None:
            followed = self._jobs[job.id] = JobEvents(job.seq)
        followed.listeners += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._poll())
        try:
            yield followed
        finally:
            followed.listeners -= 1
            if not followed.listeners and self._jobs.get(job.id) is followed:
                del self._jobs[job.id]

    async def close(self) -> None:
        """End all streams."""
        self.closing = True
        for followed in self._jobs.values():
            followed.wake()
        if self._task is not None:
            self._task.cancel()

    async def _poll(self) -> None:
        polls = 0
        while self._jobs and not self.closing:
            positions = {job_id: followed.seq for job_id, followed in self._jobs.items()}
            try:
                for job_id, events in (
                    await asyncio.to_thread(self._job_store.events_after, positions)
                ).items():
                    self._add(job_id, events)
                polls += 1
                if polls % GONE_POLLS == 0:
                    there = await asyncio.to_thread(self._job_store.existing, list(positions))
                    for job_id in set(positions) - set(there):
                        self._mark_deleted(job_id)
            except DatabaseError as error:
                log.warning("events are late: %s", error.message)
                await asyncio.sleep(1.0)
                continue
            await asyncio.sleep(POLL_SECONDS)

    def _add(self, job_id: str, events: list[dict[str, Any]]) -> None:
        followed = self._jobs.get(job_id)
        fresh = [event for event in events if followed and event["seq"] > followed.seq]
        if followed is None or not fresh:
            return
        followed.recent.extend(
            EncodedEvent(event["seq"], event["status"], encode(event)) for event in fresh
        )
        followed.seq = fresh[-1]["seq"]
        followed.wake()

    def _mark_deleted(self, job_id: str) -> None:
        followed = self._jobs.get(job_id)
        if followed is not None:
            followed.deleted = True
            followed.wake()


async def stream(
    broker: EventBroker, job_store: JobStore, job: Job, last_id: int | None
) -> AsyncIterator[bytes]:
    """A job's events as ``text/event-stream``, to the final one.

    Args:
        broker: of the service.
        job_store: of the service.
        job: as it was when the stream was asked for.
        last_id: the last event the client has seen; None to begin with the newest state.
    """
    yield b"retry: 1000\n\n"
    async with broker.listen(job) as followed:
        seen = job.seq
        if last_id is not None and last_id < job.seq:
            missed = await asyncio.to_thread(job_store.events_after, {job.id: last_id})
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
            changed = followed.changed
            fresh = [event for event in followed.recent if event.seq > seen]
            if fresh:
                seen = fresh[-1].seq
                waiting = fresh[-1].status == "queued"
                yield b"".join(event.text for event in fresh)
                if fresh[-1].status not in ACTIVE:
                    return
            if followed.deleted:
                yield encode(
                    {**job.snapshot, "seq": seen + 1, "event": "deleted", "status": "failed"}
                )
                return
            if fresh:
                quiet = 0.0
                continue
            pause = POSITION_SECONDS if waiting else KEEP_ALIVE_SECONDS
            try:
                await asyncio.wait_for(changed.wait(), pause)
            except TimeoutError:
                quiet += pause
            if waiting and followed.changed is changed:
                now = await _position(job_store, job)
                if now is not None and now != position:
                    position = now
                    yield encode({**job.snapshot, "seq": seen, "queue_position": now})
            if quiet >= KEEP_ALIVE_SECONDS:
                quiet = 0.0
                yield b": keep-alive\n\n"


async def _position(job_store: JobStore, job: Job) -> int | None:
    try:
        return (await asyncio.to_thread(job_store.get, job.id)).queue_position
    except VivantError:
        return None


def encode(event: dict[str, Any]) -> bytes:
    """One event of the stream."""
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    return f"id: {event['seq']}\nevent: {event['event']}\ndata: {data}\n\n".encode()
