"""Jobs in the database: reported on, cancelled, finished, deleted; found by :mod:`.queries`.

Every change that clients see is one transaction that also writes the event about it. A run of a
worker may write only while its token is the newest and the job is not over, so that a worker that
was frozen or presumed dead cannot disturb its successor.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from vivant.service.job import ACTIVE, Job
from vivant.service.queries import JobQueries
from vivant.service.queue import JobQueue
from vivant.service.rows import (
    MAX_STARTS,
    Row,
    end_job,
    event_statements,
    from_row,
    locked,
    not_found,
    poison,
    write_event,
)
from vivant.service.tables import events, jobs, timings


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one run to write about one job."""

    job: Job
    token: int


class JobStore(JobQueries):
    """See the module. Safe to use from several threads and processes."""

    def _end(
        self,
        connection: sa.Connection,
        row: Mapping[str, Any],
        status: Literal["completed", "failed"],
        **more: Any,
    ) -> None:
        """End a job; in the same transaction, queue the event for the client's server."""
        end_job(connection, row, status, **more)
        if row["request"].get("webhook_url"):
            JobQueue(self.database).add_webhook(row["id"], 0, connection=connection)

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
                self._end(connection, row, "failed", error=poison("its picture was read"))
                return None
            connection.execute(
                jobs.update()
                .where(jobs.c.id == job_id)
                .values(prepare_starts=row["prepare_starts"] + 1)
            )
            return from_row(row)

    def give_back_picture(self, job_id: str) -> None:
        """The picture was not read to its end, but the worker lives: do not count this start."""
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
                self._end(connection, row, "failed", error=poison("the clip was made"))
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
        while True:  # again where another writer was faster: its event has raised ``seq``
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
            self._end(connection, row, "completed", result=result, keep_seconds=keep_seconds)
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
            self._end(connection, row, "failed", error=error, keep_seconds=keep_seconds)
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
                self._end(connection, row, "failed", error=error, keep_seconds=keep_seconds)
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

    def swept(self, job_id: str) -> None:
        """Note that the files were removed. The row stays, to answer ``expired``; its events go."""
        with self.database.write() as connection:
            connection.execute(events.delete().where(events.c.job_id == job_id))
            connection.execute(
                jobs.update().where(jobs.c.id == job_id).values(swept_at=time.time())
            )


def _may_write(row: Row | None, lease: Lease) -> bool:
    return row is not None and row["status"] == "in_progress" and row["token"] == lease.token
