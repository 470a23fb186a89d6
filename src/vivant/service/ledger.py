"""Jobs in the database: found, reported on, cancelled, finished, deleted.

Every change of a job is one transaction that also writes the event about it. A run of a worker
may write only while its token is the newest and the job is not over, so that a worker that was
frozen or presumed dead cannot disturb its successor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from vivant.service.database import Database
from vivant.service.job import ACTIVE, Job
from vivant.service.rows import (
    MAX_STARTS,
    Row,
    end_job,
    event_statements,
    from_row,
    locked,
    not_found,
    poison,
    queue_position,
    queue_positions,
    write_event,
)
from vivant.service.tables import comparisons, events, jobs, timings

MEASURED = 20
"""Finished clips that estimates look back at."""

BATCH = 1_000
"""Jobs of a batch that are told of."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one run to write about one job."""

    job: Job
    token: int


class Ledger:
    """See the module. Safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # -- reading ---------------------------------------------------------------------------

    def get(self, job_id: str, owner: str | None = None) -> Job:
        """The job.

        Args:
            job_id: as given out.
            owner: who asks; None for the service itself.

        Raises:
            JobNotFoundError: there is none, or it is somebody else's.
        """
        query = sa.select(jobs).where(jobs.c.id == job_id)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        with self.database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                raise not_found(job_id)
            ahead = queue_position(connection, row) if row["status"] == "queued" else None
        return from_row(row, ahead)

    def owner_of(self, name: str) -> str | None:
        """Whose job, comparison or batch that is; None where there is none of that name."""
        found = sa.union_all(
            sa.select(jobs.c.owner).where(jobs.c.id == name),
            sa.select(comparisons.c.owner).where(comparisons.c.id == name),
        )
        with self.database.read() as connection:
            return connection.execute(found.limit(1)).scalar()

    def page(
        self,
        owner: str | None,
        *,
        after: str | None = None,
        limit: int = 20,
        order: Literal["asc", "desc"] = "desc",
    ) -> tuple[list[Job], bool]:
        """A page of jobs by creation, and whether there are more.

        Raises:
            JobNotFoundError: ``after`` is no job of ``owner``.
        """
        query = sa.select(jobs)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        position = sa.tuple_(jobs.c.created_at, jobs.c.id)
        if after is not None:
            last = self.get(after, owner)
            here = sa.tuple_(sa.literal(last.created_at), sa.literal(last.id))
            query = query.where(position < here if order == "desc" else position > here)
        columns = (jobs.c.created_at, jobs.c.id)
        query = query.order_by(*(c.desc() if order == "desc" else c.asc() for c in columns))
        with self.database.read() as connection:
            rows = connection.execute(query.limit(limit + 1)).mappings().all()
            waiting = [row["id"] for row in rows[:limit] if row["status"] == "queued"]
            places = queue_positions(connection, waiting) if waiting else {}
        return [from_row(row, places.get(row["id"])) for row in rows[:limit]], len(rows) > limit

    def batch(self, name: str, owner: str | None, *, active: bool = False) -> list[Job]:
        """Jobs of one batch in the order they came; none where nobody knows it.

        Args:
            name: it was sent under.
            owner: who asks; None for the service itself.
            active: only those that wait or run, all of them; else the first :data:`BATCH`.
        """
        query = sa.select(jobs).where(jobs.c.request["batch"].as_string() == name)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        query = query.order_by(jobs.c.created_at, jobs.c.id)
        query = query.where(jobs.c.status.in_(ACTIVE)) if active else query.limit(BATCH)
        with self.database.read() as connection:
            rows = connection.execute(query).mappings().all()
            waiting = [row["id"] for row in rows if row["status"] == "queued"]
            places = queue_positions(connection, waiting) if waiting else {}
        return [from_row(row, places.get(row["id"])) for row in rows]

    def some(self, job_ids: Sequence[str]) -> dict[str, Job]:
        """Those of ``job_ids`` that have not been deleted, by id; without places in the queue."""
        found: dict[str, Job] = {}
        with self.database.read() as connection:
            for first in range(0, len(job_ids), 400):
                query = sa.select(jobs).where(jobs.c.id.in_(job_ids[first : first + 400]))
                for row in connection.execute(query).mappings():
                    found[row["id"]] = from_row(row)
        return found

    def events_after(self, positions: Mapping[str, int]) -> dict[str, list[dict[str, Any]]]:
        """Events newer than the given ones: job id → seq → events in order."""
        found: dict[str, list[dict[str, Any]]] = {}
        wanted = list(positions.items())
        with self.database.read() as connection:
            for first in range(0, len(wanted), 400):
                part = wanted[first : first + 400]
                have = sa.values(
                    sa.column("job_id", sa.Text), sa.column("seq", sa.Integer), name="have"
                ).data(part).cte("have")  # fmt: skip
                query = (
                    sa.select(events)
                    .join(have, events.c.job_id == have.c.job_id)
                    .where(events.c.seq > have.c.seq)
                    .order_by(events.c.job_id, events.c.seq)
                )
                for row in connection.execute(query).mappings():
                    found.setdefault(row["job_id"], []).append(row["data"])
        return found

    def existing(self, job_ids: Sequence[str], *, active: bool = False) -> set[str]:
        """Those of ``job_ids`` that have not been deleted; with ``active``, nor ended."""
        found: set[str] = set()
        with self.database.read() as connection:
            for first in range(0, len(job_ids), 400):
                query = sa.select(jobs.c.id).where(jobs.c.id.in_(job_ids[first : first + 400]))
                if active:
                    query = query.where(jobs.c.status.in_(ACTIVE))
                found.update(connection.execute(query).scalars())
        return found

    def counts(self) -> dict[str, int]:
        """How many jobs there are, by status."""
        query = sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
        with self.database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def oldest(self) -> float | None:
        """When the longest waiting job was accepted, seconds since 1970; None where none waits."""
        query = sa.select(sa.func.min(jobs.c.created_at)).where(jobs.c.status == "queued")
        with self.database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else float(found)

    # -- runs ------------------------------------------------------------------------------

    def preparing(self, job_id: str) -> Job | None:
        """Count a start of the prepare stage; None where there is nothing to prepare.

        A job whose picture killed its worker :data:`MAX_STARTS` times is failed here.
        """
        with self.database.write() as connection:
            row = locked(connection, job_id)
            if row is None or row["status"] not in ACTIVE or row["prepared"] is not None:
                return None
            if row["prepare_starts"] >= MAX_STARTS:
                end_job(connection, row, "failed", error=poison("its picture was read"))
                return None
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id)
                .values(prepare_starts=row["prepare_starts"] + 1)
            )
            return from_row(row)

    def give_back_picture(self, job_id: str) -> None:
        """The picture's reading ended in good order: this start was no death of the worker."""
        with self.database.write() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.prepare_starts > 0)
                .values(prepare_starts=jobs.c.prepare_starts - 1)
            )

    def prepared(self, job_id: str, facts: Mapping[str, Any]) -> None:
        """Keep what the prepare stage found out."""
        with self.database.write() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id, jobs.c.status.in_(ACTIVE))
                .values(prepared=dict(facts))
            )

    def begin(self, job_id: str) -> Lease | None:
        """A worker takes the job up: status, token and the ``started`` event.

        None where it is over already. A job whose worker died :data:`MAX_STARTS` times is
        failed here instead.
        """
        with self.database.write() as connection:
            row = locked(connection, job_id)
            if row is None or row["status"] not in ACTIVE:
                return None
            if row["render_starts"] >= MAX_STARTS:
                end_job(connection, row, "failed", error=poison("the clip was made"))
                return None
            now = time.time()
            token, starts = row["token"] + 1, row["render_starts"] + 1
            changes = {
                "status": "in_progress",
                "started_at": row["started_at"] or now,
                "token": token,
                "render_starts": starts,
                "progress": 0,
            }
            write_event(connection, {**row, **changes}, "started", {"attempt": token}, changes)
            return Lease(from_row({**row, **changes}), token)

    def report(self, lease: Lease, progress: int, snapshot: Mapping[str, Any]) -> bool:
        """Write progress; False where this run may not write any more: stop.

        Looked up and put together before the transaction, which only makes sure that nothing
        has been written meanwhile: others wait for it (SQLite: all writers).
        """
        query = sa.select(jobs).where(jobs.c.id == lease.job.id)
        while True:
            with self.database.read() as connection:
                row = connection.execute(query).mappings().one_or_none()
            if row is None or not _may_write(row, lease):
                return False
            changes = {"progress": progress}
            data = {**snapshot, "attempt": lease.token}
            update, event = event_statements({**row, **changes}, "progress", data, changes)
            with self.database.write() as connection:
                if connection.execute(update.where(jobs.c.seq == row["seq"])).rowcount:
                    connection.execute(event)
                    return True

    def alive(self, lease: Lease) -> bool:
        """Whether this run may still write."""
        query = sa.select(jobs.c.token, jobs.c.status).where(jobs.c.id == lease.job.id)
        with self.database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return _may_write(row, lease)

    def give_back(self, lease: Lease) -> None:
        """The worker is being shut down: this start does not count against the job."""
        with self.database.write() as connection:
            connection.execute(
                jobs.update()
                .where(jobs.c.id == lease.job.id, jobs.c.token == lease.token)
                .values(render_starts=jobs.c.render_starts - 1)
            )

    def rendered(self, lease: Lease, result: Mapping[str, Any]) -> bool:
        """Keep what the render stage made, before it is published."""
        with self.database.write() as connection:
            row = locked(connection, lease.job.id)
            if not _may_write(row, lease):
                return False
            connection.execute(
                jobs.update().where(jobs.c.id == lease.job.id).values(result=dict(result))
            )
            return True

    def complete(self, job_id: str, *, keep_seconds: float, result: Mapping[str, Any]) -> bool:
        """The job is done and its files are there; False where it was over already."""
        with self.database.write() as connection:
            row = locked(connection, job_id)
            if row is None or row["status"] != "in_progress":
                return False
            end_job(connection, row, "completed", result=result, keep_seconds=keep_seconds)
            request = row["request"]
            connection.execute(
                timings.insert().values(
                    job_id=job_id,
                    at=time.time(),
                    model=request["engine"],
                    recipe=str(request["options"].get("recipe", "")),
                    device=result["device"],
                    num_frames=request["num_frames"],
                    pixels=request["width"] * request["height"],
                    # of the one clip, where several were tried
                    seconds=result.get("clip_seconds", result["seconds"]),
                    stages=dict(result["labels"]),
                )
            )
            return True

    def fail(self, job_id: str, error: Mapping[str, Any], *, keep_seconds: float) -> bool:
        """The job cannot be done; False where it was over already."""
        with self.database.write() as connection:
            row = locked(connection, job_id)
            if row is None or row["status"] not in ACTIVE:
                return False
            end_job(connection, row, "failed", error=error, keep_seconds=keep_seconds)
            return True

    # -- clients ---------------------------------------------------------------------------

    def cancel(self, job_id: str, owner: str | None, *, keep_seconds: float) -> Job:
        """End the job now; one that is over stays as it is.

        Raises:
            JobNotFoundError: there is none, or it is somebody else's.
        """
        with self.database.write() as connection:
            row = locked(connection, job_id)
            if row is None or (owner is not None and row["owner"] != owner):
                raise not_found(job_id)
            if row["status"] in ACTIVE:
                error = {"code": "cancelled", "message": "cancelled on request", "param": None}
                end_job(connection, row, "failed", error=error, keep_seconds=keep_seconds)
        return self.get(job_id, owner)

    def delete(self, job_id: str, owner: str | None) -> None:
        """Forget the job; a worker at it notices at its next report.

        Raises:
            JobNotFoundError: there is none, or it is somebody else's.
        """
        with self.database.write() as connection:
            row = locked(connection, job_id)
            if row is None or (owner is not None and row["owner"] != owner):
                raise not_found(job_id)
            connection.execute(events.delete().where(events.c.job_id == job_id))
            connection.execute(jobs.delete().where(jobs.c.id == job_id))

    # -- housekeeping ----------------------------------------------------------------------

    def expired(self, now: float, limit: int = 100) -> list[str]:
        """Jobs whose files are due to go."""
        query = sa.select(jobs.c.id).where(
            jobs.c.swept_at.is_(None), jobs.c.expires_at <= now, jobs.c.status.not_in(ACTIVE)
        )
        with self.database.read() as connection:
            return list(connection.execute(query.limit(limit)).scalars())

    def swept(self, job_id: str) -> None:
        """The files are gone; the row stays for those who ask, without its events."""
        with self.database.write() as connection:
            connection.execute(events.delete().where(events.c.job_id == job_id))
            connection.execute(
                jobs.update().where(jobs.c.id == job_id).values(swept_at=time.time())
            )

    def forgettable(self, before: float, limit: int = 100) -> list[str]:
        """Jobs whose files went before ``before``."""
        query = sa.select(jobs.c.id).where(jobs.c.swept_at <= before).limit(limit)
        with self.database.read() as connection:
            return list(connection.execute(query).scalars())

    def unfinished(self) -> list[tuple[str, str]]:
        """``(id, status)`` of active jobs, oldest first."""
        query = (
            sa.select(jobs.c.id, jobs.c.status)
            .where(jobs.c.status.in_(ACTIVE))
            .order_by(jobs.c.created_at)
        )
        with self.database.read() as connection:
            return [(job_id, status) for job_id, status in connection.execute(query)]

    # -- estimates -------------------------------------------------------------------------

    def measured(self, model: str) -> list[Mapping[str, Any]]:
        """The newest :data:`MEASURED` finished clips of a model, newest first."""
        query = (
            sa.select(timings)
            .where(timings.c.model == model)
            .order_by(timings.c.at.desc())
            .limit(MEASURED)
        )
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]


def _may_write(row: Row | None, lease: Lease) -> bool:
    return row is not None and row["status"] == "in_progress" and row["token"] == lease.token
