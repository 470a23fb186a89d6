"""Removes expired files, old rows and objects without a job; fails jobs whose workflows are gone.

Time is this process's start plus its monotonic clock, so that moving the machine's clock removes
nothing early. Every action may be repeated, by several workers at once.
"""

from __future__ import annotations

import logging
import secrets
import time
from pathlib import Path

from vivant.errors import JobNotFoundError
from vivant.service.comparisons import Comparisons
from vivant.service.job import remove_unfinished
from vivant.service.job_store import JobStore
from vivant.service.objects import Objects
from vivant.service.queue import JobQueue
from vivant.settings import Settings

ORPHAN_SECONDS = 3600.0
"""An object without a job is left alone that long: its upload may still be going on."""

ASIDE, ASIDE_DAYS = "set-aside", 3.0
"""Where objects without a job go, and how long they stay there: nobody can ask for them."""

OWNER = "service/id"
"""Object with the id of the service that the store belongs to."""

SERVICE_ID = "service_id"
"""Key of that id in the table of single values."""

FORGET_DAYS = 30.0
"""After its files are gone a job's row stays that long, to answer ``expired``."""

ORPHAN_PAUSE = 600.0
"""Between two looks for them: every folder of the store is listed."""

log = logging.getLogger("vivant.sweeper")


class Sweeper:
    """See the module.

    Args:
        job_store: of the jobs.
        objects: where their files are.
        queue: of their stages.
        settings: how long things stay.
        orphan_seconds: see :data:`ORPHAN_SECONDS`.
    """

    pause = 20.0

    def __init__(
        self,
        job_store: JobStore,
        objects: Objects,
        queue: JobQueue,
        settings: Settings,
        *,
        orphan_seconds: float = ORPHAN_SECONDS,
    ) -> None:
        self._job_store, self._objects, self._settings = job_store, objects, settings
        self._queue = queue
        self._comparisons = Comparisons(job_store.database, job_store, objects)
        self._orphan_seconds = orphan_seconds
        self._wall, self._mono = time.time(), time.monotonic()
        self._stuck: dict[str, float] = {}
        self._orphans_at = 0.0
        self._warned = False

    @property
    def now(self) -> float:
        """Seconds since 1970, unmoved by changes of the clock."""
        return self._wall + time.monotonic() - self._mono

    def sweep(self) -> None:
        """One round of everything."""
        self._comparisons.seal_all()  # before the reports that they are made of are removed
        self.expire()
        self.forget()
        if time.monotonic() - self._orphans_at > ORPHAN_PAUSE or not self._orphans_at:
            self._orphans_at = time.monotonic()
            self.collect_orphans()
            self._comparisons.forget()
        self.collect_scratch()
        self.fail_stranded()

    def expire(self) -> int:
        """Remove files of jobs whose time is over; how many jobs."""
        due = self._job_store.expired(self.now)
        for job_id in due:
            self._objects.delete_folder(f"jobs/{job_id}")
            self._job_store.swept(job_id)
        return len(due)

    def forget(self) -> int:
        """Remove the rows of jobs whose files were removed long ago; returns how many."""
        due = self._job_store.forgettable(self.now - FORGET_DAYS * 86_400)
        for job_id in due:
            try:
                self._job_store.delete(job_id, None)
            except JobNotFoundError:
                continue  # another worker was first
            self._queue.forget(job_id)
        return len(due)

    def owns_store(self) -> bool:
        """Whether the objects are this database's, so that those without a job may go.

        The store keeps the id of its service. A database that was lost, or a wrong address of one,
        has another id: nothing is removed then. A store without an id gets one at the first look;
        not this service's where the database knows none of the jobs in it.
        """
        own = self._job_store.database.remember(SERVICE_ID, lambda: secrets.token_hex(16))
        if self._objects.head(OWNER) is None:
            owner = own if self._knows_store() else "another service"
            self._objects.put(OWNER, owner.encode())
        owns = self._objects.get(OWNER).decode() == own
        if not owns and not self._warned:
            self._warned = True
            log.error(
                "the object store belongs to another database: objects without a job are left "
                "alone. Give the database that belongs to it or another store; where this one is "
                "to be kept, remove the object %s and restart",
                OWNER,
            )
        return owns

    def _knows_store(self) -> bool:
        names = self._objects.folders("jobs")
        if self._job_store.existing(names):
            return True
        oldest = self.now - self._orphan_seconds
        return not any(self._objects.newest(f"jobs/{name}") < oldest for name in names)

    def collect_orphans(self) -> int:
        """Set objects without a job aside, and remove them later; how many were set aside.

        They are left by cut-off uploads and by late writes of the dead.
        """
        if not self.owns_store():
            return 0
        for name in self._objects.folders(ASIDE):
            if self.now - self._objects.newest(f"{ASIDE}/{name}") > ASIDE_DAYS * 86_400:
                self._objects.delete_folder(f"{ASIDE}/{name}")
        names = self._objects.folders("jobs")
        aside = 0
        for name in set(names) - self._job_store.existing(names):
            if self.now - self._objects.newest(f"jobs/{name}") > self._orphan_seconds:
                aside += self._objects.move_folder(f"jobs/{name}", f"{ASIDE}/{name}")
        if aside:
            log.info("set %d objects without a job aside", aside)
        return aside

    def collect_scratch(self) -> None:
        """Remove uploads that were cut off by the end of their process."""
        folder = self._settings.service_dir / "scratch" / "uploads"
        for path in folder.glob("*") if folder.is_dir() else ():
            if self.now - _modified(path) > self._orphan_seconds:
                path.unlink(missing_ok=True)

    def fail_stranded(self) -> int:
        """Fail jobs whose workflows are gone or over, so that no job waits for ever; how many.

        Between two workflows of a job there is a moment without any; only what stays so for
        two rounds is settled.
        """
        now = time.monotonic()
        active = [job_id for job_id, _ in self._job_store.unfinished()]
        idle = {job_id: self._stuck.get(job_id, now) for job_id in self._queue.unattended(active)}
        settled = 0
        for job_id, since in idle.items():
            if time.monotonic() - since >= self.pause * 0.9:
                error = {
                    "code": "internal",
                    "message": "the job was lost by its workers: send it again",
                    "param": None,
                }
                keep = self._settings.result_days * 86_400
                settled += self._job_store.fail(job_id, error, keep_seconds=keep)
                remove_unfinished(self._objects, job_id)
        self._stuck = idle
        return settled


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
