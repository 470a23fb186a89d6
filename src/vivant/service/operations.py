"""What an operator does with jobs: find, cancel, retry and purge them, and look at the workers."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vivant.errors import ConflictError, StorageError
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database, open_database
from vivant.service.job import (
    ATTEMPTS,
    PRIORITIES,
    SOURCE,
    Job,
    JobSpec,
    key,
    new_id,
    remove_unfinished,
    request_from_json,
)
from vivant.service.job_store import JobStore
from vivant.service.objects import open_objects
from vivant.service.queue import JobQueue
from vivant.service.rows import from_row
from vivant.service.tables import jobs, workers
from vivant.settings import Settings

PAGE = 200
"""Jobs looked at together."""

LOOK_SECONDS = 1.5
"""Between the two looks that tell a living worker: it beats at least every second."""


@dataclass(frozen=True, slots=True)
class WorkerSeen:
    """One worker.

    Attributes:
        alive: its counter rose between two looks.
        facts: host, pid, versions, GPU, and engine → why it cannot run (empty where it can).
        clip: id of the job it makes; empty where it waits.
    """

    id: str
    alive: bool
    facts: Mapping[str, Any]
    clip: str


class Operations:
    """See the module.

    Args:
        settings: of the service; its database and object store are opened.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database: Database = open_database(settings)
        self._database.migrate()
        self._job_store = JobStore(self._database)
        self._objects = open_objects(settings)
        self._admission = Admission(
            self._database, Limits(queue=settings.queue_limit, per_owner=settings.jobs_per_key)
        )

    def get(self, job_id: str) -> Job:
        """One job.

        Raises:
            JobNotFoundError: there is none.
        """
        return self._job_store.get(job_id)

    def find(
        self, statuses: Collection[str] = (), *, before: float | None = None, newest: bool = True
    ) -> Iterator[Job]:
        """Jobs by creation.

        Args:
            statuses: only these; all where empty.
            before: only those that ended before that time, seconds since 1970.
            newest: first, else last.
        """
        position = sa.tuple_(jobs.c.created_at, jobs.c.id)
        columns = (jobs.c.created_at, jobs.c.id)
        query = sa.select(jobs).order_by(*(c.desc() if newest else c.asc() for c in columns))
        if statuses:
            query = query.where(jobs.c.status.in_(statuses))
        if before is not None:
            query = query.where(jobs.c.completed_at < before)
        after: tuple[float, str] | None = None
        while True:
            part = query.limit(PAGE)
            if after is not None:
                here = sa.tuple_(*(sa.literal(value) for value in after))
                part = part.where(position < here if newest else position > here)
            with self._database.read() as connection:
                rows = connection.execute(part).mappings().all()
            yield from (from_row(row) for row in rows)
            if len(rows) < PAGE:
                return
            after = (rows[-1]["created_at"], rows[-1]["id"])

    def cancel(self, job_id: str) -> Job:
        """End a job now; one that is over stays as it is.

        Raises:
            JobNotFoundError: there is none.
        """
        keep = self._settings.result_days * 86_400
        job = self._job_store.cancel(job_id, None, keep_seconds=keep)
        self._admission.withdraw(job_id)
        remove_unfinished(self._objects, job_id)
        return job

    def retry(self, job_id: str) -> Job:
        """Make a clip again, as a new job of the same owner, from the same picture and settings.

        Raises:
            JobNotFoundError: there is none.
            ConflictError: it has not failed.
            StorageError: its picture has expired.
            BusyError: the queue is full.
        """
        job = self._job_store.get(job_id)
        if job.status != "failed":
            raise ConflictError(
                f"{job_id} is {job.status}: only jobs that failed or were cancelled are retried",
                param="video_id",
            )
        made = new_id()
        if self._objects.head(key(job_id, SOURCE)) is None:
            raise StorageError(
                f"the picture of {job_id} is not kept any more: send it anew", code="expired"
            )
        self._objects.copy(key(job_id, SOURCE), key(made, SOURCE))
        classes = {rank: name for name, rank in PRIORITIES.items()}
        spec = JobSpec(
            request=request_from_json(job.request),
            picture=job.picture,
            currency=job.request.get("currency"),
            priority=classes[job.priority // 1_000_000],
            budget=job.request.get("budget"),
            batch=job.request.get("batch"),
            webhook_url=job.request.get("webhook_url"),
        )
        try:
            return self._admission.accept(made, spec, job.owner)[0]
        except BaseException:
            self._objects.delete(key(made, SOURCE))
            raise

    def purge(self, job_id: str) -> None:
        """Remove a finished job and everything of it.

        Raises:
            JobNotFoundError: there is none.
            ConflictError: it is waiting or running.
        """
        if self._job_store.get(job_id).active:
            raise ConflictError(f"{job_id} is not over: cancel it first", param="video_id")
        self._job_store.delete(job_id, None)
        self._objects.delete_folder(f"jobs/{job_id}")
        self._admission.forget(job_id)

    def objects(self, job_id: str) -> dict[str, int]:
        """Name → bytes of what is stored for a job."""
        found = {
            o.key.split(f"{job_id}/", 1)[1]: o.size for o in self._objects.walk(f"jobs/{job_id}")
        }
        return {name: size for name, size in found.items() if not name.startswith(ATTEMPTS)}

    def workers(self) -> list[WorkerSeen]:
        """The known workers; takes :data:`LOOK_SECONDS`."""
        first = self._beats()
        time.sleep(LOOK_SECONDS if first else 0)
        second = self._beats()
        clips = JobQueue(self._database).renders() if second else {}
        return [
            WorkerSeen(
                worker_id,
                worker_id in first and first[worker_id][0] != beats,
                facts,
                clips.get(worker_id, ""),
            )
            for worker_id, (beats, facts) in sorted(second.items())
        ]

    def _beats(self) -> dict[str, tuple[int, Mapping[str, Any]]]:
        query = sa.select(workers.c.id, workers.c.beats, workers.c.facts)
        with self._database.read() as connection:
            return {row.id: (row.beats, row.facts) for row in connection.execute(query)}
