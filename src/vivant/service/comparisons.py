"""Comparisons: several jobs that answer one question together, and what their clips showed.

A comparison is written in the transaction that accepts its jobs. Once none of its jobs is active
any more it is *sealed*: the scores of its clips are copied from their reports, so that they stay
when the clips are deleted, and findings do not change any more.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from vivant.errors import JobNotFoundError, StorageError, printable
from vivant.report import trimmed
from vivant.service.admission import Admission, same
from vivant.service.database import Database
from vivant.service.job import CLIP, REPORT, Job, JobSpec, key
from vivant.service.job_store import JobStore
from vivant.service.objects import Objects
from vivant.service.tables import comparisons

REMEMBERED = 2_000
"""Clips whose scores are kept in memory, so that their reports are read once."""


@dataclass(frozen=True, slots=True)
class StoredComparison:
    """One comparison, as it is stored.

    Attributes:
        plan: what is compared, as :func:`vivant.report.plain` made it.
        question: hash of what is compared and by which scores, whatever the pictures.
        pictures: each with ``name`` and ``sha256``.
        cells: each with ``job``, ``variant``, ``picture`` and ``seed``, in the order they are made.
        sealed: ``clips`` and ``failures`` of :class:`ComparisonClips`; None while jobs are active.
        evidence: hash of what the findings rest on.
    """

    id: str
    owner: str
    created_at: float
    plan: Mapping[str, Any]
    question: str
    pictures: Sequence[Mapping[str, Any]]
    cells: Sequence[Mapping[str, Any]]
    request_hash: str
    sealed_at: float | None = None
    sealed: Mapping[str, Any] | None = None
    evidence: str | None = None

    @property
    def jobs(self) -> list[str]:
        """Their ids."""
        return [cell["job"] for cell in self.cells]


@dataclass(frozen=True, slots=True)
class ComparisonClips:
    """The clips and failures of a comparison at this moment.

    Attributes:
        clips: finished ones: their cell, with ``key`` (what was made), ``size``, ``sha256``, and
            ``report`` as :func:`vivant.report.trimmed` leaves it.
        failures: pictures or clips that could not be made: ``picture``, ``variant``, ``seed``,
            ``reason``; variant empty and seed None where it is the picture's fault.
        jobs: those that have not been deleted, by id.
        over: no job is active any more.
    """

    clips: Sequence[Mapping[str, Any]]
    failures: Sequence[Mapping[str, Any]]
    jobs: Mapping[str, Job]
    over: bool


class Comparisons:
    """Reads and writes comparisons; may be used from several threads and processes.

    Args:
        database: of the jobs.
        job_store: of the jobs.
        objects: where reports are.
    """

    def __init__(self, database: Database, job_store: JobStore, objects: Objects) -> None:
        self._database, self._job_store, self._objects = database, job_store, objects
        self._known: dict[str, dict[str, Any]] = {}
        self._guard = threading.Lock()

    def accept(
        self,
        made: StoredComparison,
        specs: Sequence[tuple[str, JobSpec]],
        admission: Admission,
        *,
        idempotency_key: str | None,
    ) -> tuple[StoredComparison, bool]:
        """Accept a comparison with all of its jobs, or nothing of it.

        Returns:
            The comparison, and whether it is new, as with
            :meth:`vivant.service.admission.Admission.accept`.

        Raises:
            BusyError: there is not room for all of its jobs.
            ConflictError: the same key came with another request.
        """
        found: list[StoredComparison] = []

        def write(connection: sa.Connection) -> bool:
            if idempotency_key is not None:
                query = _by_key(made.owner, idempotency_key)
                row = connection.execute(query).mappings().one_or_none()
                if row is not None:
                    same(row["request_hash"], made.request_hash, idempotency_key)
                    found.append(_stored(row))
                    return False
            connection.execute(
                comparisons.insert().values(
                    id=made.id,
                    owner=made.owner,
                    created_at=made.created_at,
                    plan=dict(made.plan),
                    question=made.question,
                    pictures=[dict(picture) for picture in made.pictures],
                    cells=[dict(cell) for cell in made.cells],
                    idempotency_key=idempotency_key,
                    request_hash=made.request_hash,
                )
            )
            return True

        if admission.accept_all(specs, made.owner, before=write):
            return made, True
        return found[0], False

    def find(self, owner: str, idempotency_key: str) -> StoredComparison | None:
        """The comparison accepted under that key before."""
        with self._database.read() as connection:
            query = _by_key(owner, idempotency_key)
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _stored(row)

    def get(self, comparison_id: str, owner: str | None) -> StoredComparison:
        """The comparison.

        Raises:
            JobNotFoundError: there is none, or it belongs to another owner.
        """
        query = sa.select(comparisons).where(comparisons.c.id == comparison_id)
        if owner is not None:
            query = query.where(comparisons.c.owner == owner)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            shown = printable(comparison_id[:60])
            raise JobNotFoundError(
                f"there is no comparison {shown!r}: GET /v1/comparisons lists yours",
                param="comparison_id",
            )
        return _stored(row)

    def page(
        self, owner: str, *, limit: int, after: str | None = None
    ) -> tuple[list[StoredComparison], bool]:
        """The newest ones of an owner, and whether there are more.

        Raises:
            JobNotFoundError: ``after`` is no comparison of ``owner``.
        """
        position = (comparisons.c.created_at, comparisons.c.id)
        query = sa.select(comparisons).where(comparisons.c.owner == owner)
        if after is not None:
            last = self.get(after, owner)
            here = sa.tuple_(sa.literal(last.created_at), sa.literal(last.id))
            query = query.where(sa.tuple_(*position) < here)
        query = query.order_by(*(column.desc() for column in position)).limit(limit + 1)
        with self._database.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [_stored(row) for row in rows[:limit]], len(rows) > limit

    def gather(self, kept: StoredComparison) -> ComparisonClips:
        """Its clips and failures at this moment; those of a sealed one do not change any more.

        Raises:
            StorageError: a report cannot be read at the moment.
        """
        jobs = self._job_store.some(kept.jobs)
        if kept.sealed is not None:
            return ComparisonClips(kept.sealed["clips"], kept.sealed["failures"], jobs, over=True)
        clips: list[dict[str, Any]] = []
        failures: list[dict[str, Any]] = []
        over = True
        for cell in kept.cells:
            job = jobs.get(cell["job"])
            about = {name: cell[name] for name in ("picture", "variant", "seed")}
            if job is None:
                failures.append({**about, "reason": "the clip was deleted"})
            elif job.active:
                over = False
            elif job.status == "failed":
                error = job.error or {}
                if str(error.get("code")).startswith(("image_", "invalid_image")):
                    about |= {"variant": "", "seed": None}  # it is the same for all its clips
                failures.append({**about, "reason": error.get("message", "it failed")})
            elif (found := self._clip(job)) is None:
                failures.append({**about, "reason": "its report is not there any more"})
            else:
                clips.append({**cell, **found})
        failures = [one for n, one in enumerate(failures) if one not in failures[:n]]
        failures.sort(key=lambda one: (one["picture"], one["variant"], one["seed"] or 0))
        return ComparisonClips(clips, failures, jobs, over)

    def _clip(self, job: Job) -> dict[str, Any] | None:
        """What is kept of a finished clip; None where its report is gone."""
        with self._guard:
            known = self._known.get(job.id)
        if known is None:
            try:
                report = json.loads(self._objects.get(key(job.id, REPORT)))
            except StorageError as error:
                if error.error_code != "object_missing":
                    raise
                return None
            result = job.result or {}
            known = {
                "key": _what(job),
                "size": result["sizes"][CLIP],
                "sha256": result.get("clip_sha256", ""),
                "report": trimmed(report),
            }
            with self._guard:
                self._known[job.id] = known
                while len(self._known) > REMEMBERED:
                    del self._known[next(iter(self._known))]
        return known

    def seal(self, kept: StoredComparison, gathered: ComparisonClips) -> StoredComparison:
        """Store the scores of its clips, if no job is active; the first caller's are kept."""
        if kept.sealed is not None or not gathered.over:
            return kept
        from vivant.compare.clips import evidence_key  # brings OpenCV

        sealed = {"clips": list(gathered.clips), "failures": list(gathered.failures)}
        evidence = evidence_key((clip["key"] for clip in gathered.clips), kept.plan["judged"])
        with self._database.write() as connection:
            connection.execute(
                comparisons.update()
                .where(comparisons.c.id == kept.id, comparisons.c.sealed_at.is_(None))
                .values(sealed_at=time.time(), sealed=sealed, evidence=evidence)
            )
        return self.get(kept.id, None)

    def earlier(self, kept: StoredComparison) -> list[str]:
        """Evidence of the owner's earlier comparisons of the same question, oldest first."""
        at = comparisons.c.sealed_at
        query = (
            sa.select(comparisons.c.evidence)
            .where(comparisons.c.owner == kept.owner, comparisons.c.question == kept.question)
            .where(comparisons.c.id != kept.id)
            .where(at.is_not(None) if kept.sealed_at is None else at < kept.sealed_at)
            .order_by(at)
        )
        with self._database.read() as connection:
            return list(dict.fromkeys(connection.execute(query).scalars()))

    def delete(self, comparison_id: str) -> None:
        """Delete it; its jobs stay."""
        with self._database.write() as connection:
            connection.execute(comparisons.delete().where(comparisons.c.id == comparison_id))

    # -- housekeeping ----------------------------------------------------------------------

    def seal_all(self) -> int:
        """Seal all comparisons that have no active job; how many."""
        query = sa.select(comparisons).where(comparisons.c.sealed_at.is_(None))
        with self._database.read() as connection:
            waiting = [_stored(row) for row in connection.execute(query).mappings()]
        sealed = 0
        for kept in waiting:
            if not any(job.active for job in self._job_store.some(kept.jobs).values()):
                sealed += self.seal(kept, self.gather(kept)).sealed is not None
        return sealed

    def forget(self) -> int:
        """Delete comparisons whose jobs are all deleted; how many."""
        query = sa.select(comparisons.c.id, comparisons.c.cells).where(
            comparisons.c.sealed_at.is_not(None)
        )
        with self._database.read() as connection:
            rows = [(row.id, row.cells) for row in connection.execute(query)]
        gone = [
            comparison_id
            for comparison_id, cells in rows
            if not self._job_store.existing([cell["job"] for cell in cells])
        ]
        for comparison_id in gone:
            self.delete(comparison_id)
        return len(gone)


def _what(job: Job) -> str:
    """What was made, as one short name: the same for the same request and picture."""
    request = {k: v for k, v in job.request.items() if k not in ("batch", "currency")}
    text = json.dumps([request, job.picture.get("sha256")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _stored(row: sa.RowMapping) -> StoredComparison:
    return StoredComparison(**{name: row[name] for name in StoredComparison.__dataclass_fields__})


def _by_key(owner: str, idempotency_key: str) -> sa.Select[Any]:
    return sa.select(comparisons).where(
        comparisons.c.owner == owner, comparisons.c.idempotency_key == idempotency_key
    )
