"""Accept or refuse jobs: they are counted and enqueued in one transaction."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vivant.errors import BusyError, ConflictError
from vivant.service.database import Database
from vivant.service.job import ACTIVE, PRIORITIES, Job, JobSpec, request_json
from vivant.service.queue import JobQueue
from vivant.service.rows import event_data, from_row
from vivant.service.tables import events, jobs, meta

BOUND = "active_jobs_bound"
"""Key in the table of single values."""


MICROSECOND = 1e-6
"""Between jobs that are accepted together, so that they have an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may wait.

    Attributes:
        queue: active jobs of all.
        per_owner: active jobs of one API key.
    """

    queue: int = 200
    per_owner: int = 50


class Admission:
    """Accepts jobs or refuses them.

    Args:
        database: of the jobs.
        limits: see :class:`Limits`.
        typical_seconds: a clip's usual duration, for ``retry_after``.
    """

    def __init__(
        self, database: Database, limits: Limits, *, typical_seconds: float = 30.0
    ) -> None:
        self._database = database
        self._limits = limits
        self._typical = typical_seconds
        self._queue = JobQueue(database)

    def most_at_once(self, owner: str) -> int:
        """Most jobs of one client that the service accepts while it has no others."""
        return min(self._limits.queue, self._limits.per_owner) if owner else self._limits.queue

    def find(self, owner: str, idempotency_key: str) -> Job | None:
        """The job accepted under that key before."""
        with self._database.read() as connection:
            row = connection.execute(_by_key(owner, idempotency_key)).mappings().one_or_none()
        return None if row is None else from_row(row)

    def refuse_if_full(self, owner: str, more: int = 1) -> None:
        """Refuse early what would be refused anyway, before an upload is read.

        Raises:
            BusyError: the queue, or this owner's part of it, is full.
        """
        with self._database.read() as connection:
            bound = _bound(connection)
            if bound is None or bound + more > self._limits.queue:
                self._refuse_beyond(_active(connection), more)
            self._check_owner(connection, owner, more)

    def accept(
        self, job_id: str, spec: JobSpec, owner: str, *, idempotency_key: str | None = None
    ) -> tuple[Job, bool]:
        """Take the job in; its picture must be in the object store.

        Returns:
            The job, and whether it is new: with an ``idempotency_key`` seen before it is the
            job of that time.

        Raises:
            BusyError: the queue, or this owner's part of it, is full.
            ConflictError: the same key came with another request.
        """
        request = request_json(spec)
        digest = request_hash(request, spec)
        with self._database.write(exclusive=True) as connection:
            if idempotency_key is not None:
                found = connection.execute(_by_key(owner, idempotency_key)).mappings().one_or_none()
                if found is not None:
                    same(found["request_hash"], digest, idempotency_key)
                    return from_row(found), False
            self._count(connection)
            self._check_owner(connection, owner)
            job = self._take(
                connection, job_id, spec, owner, request=request, digest=digest,
                idempotency_key=idempotency_key,
            )  # fmt: skip
        return job, True

    def accept_all(
        self,
        specs: Sequence[tuple[str, JobSpec]],
        owner: str,
        *,
        before: Callable[[sa.Connection], bool] = lambda _: True,
    ) -> bool:
        """Take all of the jobs in or none; their pictures must be in the object store.

        Args:
            specs: job ids and what each asks for; they are made in this order.
            owner: of all.
            before: called within the transaction; what it writes is kept with the jobs. False:
                nothing is to be taken in after all.

        Returns:
            What ``before`` said.

        Raises:
            BusyError: the queue, or this owner's part of it, has not room for all of them.
        """
        with self._database.write(exclusive=True) as connection:
            if not before(connection):
                return False
            self._count(connection, len(specs))
            self._check_owner(connection, owner, len(specs))
            now = time.time()
            for place, (job_id, spec) in enumerate(specs):
                request = request_json(spec)
                self._take(
                    connection, job_id, spec, owner, request=request,
                    digest=request_hash(request, spec), created_at=now + place * MICROSECOND,
                )  # fmt: skip
        return True

    def _take(
        self,
        connection: sa.Connection,
        job_id: str,
        spec: JobSpec,
        owner: str,
        *,
        request: Mapping[str, Any],
        digest: str,
        idempotency_key: str | None = None,
        created_at: float | None = None,
    ) -> Job:
        """Write a job down with its first event, and enqueue its stages."""
        row: dict[str, Any] = {
            "id": job_id,
            "owner": owner,
            "status": "queued",
            "created_at": time.time() if created_at is None else created_at,
            "request": request,
            "picture": dict(spec.picture),
            "priority": self._rank(connection, spec.priority, owner),
            "idempotency_key": idempotency_key,
            "request_hash": digest,
            "prepare_starts": 0,
            "render_starts": 0,
            "token": 0,
            "seq": 1,
            "progress": 0,
        }
        row["snapshot"] = event_data(row, "queued", 1, {})
        connection.execute(jobs.insert().values(**row))
        connection.execute(events.insert().values(job_id=job_id, seq=1, data=row["snapshot"]))
        self._queue.add(connection, job_id, spec.request.engine, row["priority"])
        empty = dict.fromkeys(
            ("started_at", "completed_at", "expires_at", "swept_at", "prepared", "verdict",
             "result", "error")
        )  # fmt: skip
        return from_row({**empty, **row})

    def withdraw(self, job_id: str) -> None:
        """Take a cancelled or deleted job's workflows off the queues.

        Only saves work: the stages look at the job store first, so that nothing depends on it.
        """
        self._queue.cancel(job_id)

    def forget(self, job_id: str) -> None:
        """Remove what DBOS remembers of a job."""
        self._queue.forget(job_id)

    def _count(self, connection: sa.Connection, more: int = 1) -> None:
        """So many more active jobs, or a refusal; in the transaction that accepts it.

        What is kept is a bound: each job accepted raises it, and those that end do not lower it.
        Only where it reaches the limit are the jobs counted, so that accepting one takes as long
        in a long queue as in a short one.
        """
        known = bound = _bound(connection)
        if bound is None or bound + more > self._limits.queue:
            bound = _active(connection)
            self._refuse_beyond(bound, more)
        value = {"value": str(bound + more)}
        if known is None:
            connection.execute(meta.insert().values(key=BOUND, **value))
        else:
            connection.execute(meta.update().where(meta.c.key == BOUND).values(**value))

    def _refuse_beyond(self, waiting: int, more: int = 1) -> None:
        if waiting + more > self._limits.queue:
            asked = "" if more == 1 else f"{more} clips do not fit: "
            raise BusyError(
                f"{asked}{waiting} jobs are waiting or running, and {self._limits.queue} are "
                "allowed: try again later",
                retry_after=self._typical,
            )

    def _check_owner(self, connection: sa.Connection, owner: str, more: int = 1) -> None:
        if owner:
            active = sa.select(sa.func.count()).where(jobs.c.status.in_(ACTIVE))
            own = int(connection.execute(active.where(jobs.c.owner == owner)).scalar_one())
            if own + more > self._limits.per_owner:
                asked = "" if more == 1 else f"{more} clips do not fit: "
                raise BusyError(
                    f"{asked}{own} jobs of this API key are waiting or running, and "
                    f"{self._limits.per_owner} are allowed: wait for one to finish",
                    retry_after=self._typical,
                    code="key_limit",
                )

    def _rank(self, connection: sa.Connection, priority: str, owner: str) -> int:
        """Place in the queue: first by class, then by how many jobs of the owner wait already."""
        own = 0
        if owner:
            waiting = sa.select(sa.func.count()).where(
                jobs.c.status == "queued", jobs.c.owner == owner
            )
            own = int(connection.execute(waiting).scalar_one())
        return PRIORITIES[priority] * 1_000_000 + min(own, 999_999)


def _bound(connection: sa.Connection) -> int | None:
    """Upper bound of the number of active jobs; None if they were not counted yet."""
    found = connection.execute(sa.select(meta.c.value).where(meta.c.key == BOUND)).scalar()
    return None if found is None else int(found)


def _active(connection: sa.Connection) -> int:
    query = sa.select(sa.func.count()).where(jobs.c.status.in_(ACTIVE))
    return int(connection.execute(query).scalar_one())


def request_hash(request: Mapping[str, Any], spec: JobSpec) -> str:
    """SHA-256 over everything that the client sent."""
    content = [request, spec.picture.get("sha256"), spec.priority]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def same(before: str, now: str, idempotency_key: str) -> None:
    """Refuse another request under a known key.

    Raises:
        ConflictError: the hashes differ.
    """
    if before != now:
        raise ConflictError(
            f"Idempotency-Key {idempotency_key[:40]!r} was used for another request: "
            "use a new key, or send the same request",
            param="Idempotency-Key",
        )


def _by_key(owner: str, idempotency_key: str) -> sa.Select[Any]:
    return sa.select(jobs).where(jobs.c.owner == owner, jobs.c.idempotency_key == idempotency_key)
