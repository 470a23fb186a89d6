"""Removes what is due: expired files, forgotten rows, objects nobody owns, jobs nobody runs.

Time is this process's start plus its monotonic clock, so that moving the machine's clock removes
nothing early. Every action may be repeated, by several workers at once. Knows nothing of HTTP.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from vivant.errors import JobNotFoundError
from vivant.service.comparisons import Comparisons
from vivant.service.ledger import Ledger
from vivant.service.objects import Objects
from vivant.service.queue import JobQueue
from vivant.settings import Settings

ORPHAN_SECONDS = 3600.0
"""An object without a job is left alone that long: its upload may still be going on."""

FORGET_DAYS = 30.0
"""After its files are gone a job's row stays that long, to answer ``expired``."""

ORPHAN_PAUSE = 600.0
"""Between two looks for them: every folder of the store is listed."""

log = logging.getLogger("vivant.sweeper")


class Sweeper:
    """See the module.

    Args:
        ledger: of the jobs.
        objects: where their files are.
        queue: of their stages.
        settings: how long things stay.
        orphan_seconds: see :data:`ORPHAN_SECONDS`.
    """

    pause = 20.0

    def __init__(
        self,
        ledger: Ledger,
        objects: Objects,
        queue: JobQueue,
        settings: Settings,
        *,
        orphan_seconds: float = ORPHAN_SECONDS,
    ) -> None:
        self._ledger, self._objects, self._settings = ledger, objects, settings
        self._queue = queue
        self._comparisons = Comparisons(ledger.database, ledger, objects)
        self._orphan_seconds = orphan_seconds
        self._wall, self._mono = time.time(), time.monotonic()
        self._stuck: dict[str, float] = {}
        self._orphans_at = 0.0

    @property
    def now(self) -> float:
        """Seconds since 1970, unmoved by changes of the clock."""
        return self._wall + time.monotonic() - self._mono

    def sweep(self) -> None:
        """One round of everything."""
        self._comparisons.seal_all()  # before what they rest on goes
        self.expire()
        self.forget()
        if time.monotonic() - self._orphans_at > ORPHAN_PAUSE or not self._orphans_at:
            self._orphans_at = time.monotonic()
            self.collect_orphans()
            self._comparisons.forget()
        self.collect_scratch()
        self.settle()

    def expire(self) -> int:
        """Remove files of jobs whose time is over; how many jobs."""
        due = self._ledger.expired(self.now)
        for job_id in due:
            self._objects.delete_folder(f"jobs/{job_id}")
            self._ledger.swept(job_id)
        return len(due)

    def forget(self) -> int:
        """Remove the rows of jobs whose files went long ago; how many."""
        due = self._ledger.forgettable(self.now - FORGET_DAYS * 86_400)
        for job_id in due:
            try:
                self._ledger.delete(job_id, None)
            except JobNotFoundError:
                continue  # another worker was first
            self._queue.forget(job_id)
        return len(due)

    def collect_orphans(self) -> int:
        """Remove objects without a job: cut-off uploads, late writes of the dead; how many."""
        names = self._objects.folders("jobs")
        unowned = set(names) - self._ledger.existing(names)
        removed = 0
        for name in unowned:
            newest = max(
                (stored.modified.timestamp() for stored in self._objects.walk(f"jobs/{name}")),
                default=0.0,
            )
            if self.now - newest > self._orphan_seconds:
                removed += self._objects.delete_folder(f"jobs/{name}")
        if removed:
            log.info("removed %d objects without a job", removed)
        return removed

    def collect_scratch(self) -> None:
        """Remove uploads that were cut off by the end of their process."""
        folder = self._settings.service_dir / "scratch" / "uploads"
        for path in folder.glob("*") if folder.is_dir() else ():
            if self.now - _modified(path) > self._orphan_seconds:
                path.unlink(missing_ok=True)

    def settle(self) -> int:
        """Fail jobs whose workflows are gone or over, so that no job waits for ever; how many.

        Between two workflows of a job there is a moment without any; only what stays so for
        two rounds is settled.
        """
        now = time.monotonic()
        active = [job_id for job_id, _ in self._ledger.unfinished()]
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
                settled += self._ledger.fail(job_id, error, keep_seconds=keep)
        self._stuck = idle
        return settled


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
