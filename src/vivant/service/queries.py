"""Queries about jobs; they only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import sqlalchemy as sa

from vivant.service.database import Database
from vivant.service.job import ACTIVE, Job
from vivant.service.rows import from_row, not_found, queue_position, queue_positions
from vivant.service.tables import comparisons, events, jobs, timings

MEASURED = 20
"""Finished clips that estimates look back at."""

BATCH = 1_000
"""Most jobs of a batch that are listed."""


class JobQueries:
    """The reading half of :class:`vivant.service.job_store.JobStore`.

    Args:
        database: of the jobs.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

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
        """The owner of a job, comparison or batch; None if there is none of that id."""
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
        """Jobs of one batch in the order they came; none if there is no such batch.

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

    def expired(self, now: float, limit: int = 100) -> list[str]:
        """Jobs whose files are due to go."""
        query = sa.select(jobs.c.id).where(
            jobs.c.swept_at.is_(None), jobs.c.expires_at <= now, jobs.c.status.not_in(ACTIVE)
        )
        with self.database.read() as connection:
            return list(connection.execute(query.limit(limit)).scalars())

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
