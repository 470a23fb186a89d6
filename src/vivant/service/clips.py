"""The clips of one run at a job: made by the pipeline, stored under the name of their attempt."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential,
)

from vivant.errors import Cancelled, StorageError
from vivant.picture.faces import FaceReader
from vivant.pipeline import ClipJob
from vivant.report import report_json
from vivant.service.job import (
    CLIP,
    CONTACT_SHEET,
    REPORT,
    REPORT_HTML,
    THUMBNAIL,
    attempt_key,
)
from vivant.service.job_store import JobStore, Lease
from vivant.service.objects import Objects
from vivant.service.progress import busy
from vivant.service.reporter import Reporter, ShuttingDownError
from vivant.types import Observer, Progress, Request, Verification
from vivant.video.files import CLIP as LOCAL_CLIP
from vivant.video.files import COMPANIONS, Target
from vivant.video.stage_times import StageTimes

STORE_PATIENCE = 300.0
"""Seconds for which the upload of a finished clip is tried again: it was expensive to make."""

LONGEST_STORE_PAUSE = 15.0
"""Seconds between two tries of an upload, at most."""

SHORTEST = 0.01
"""Seconds, for the progress bar, of a stage that is not measured."""

FILES: Mapping[str, str] = {
    CLIP: LOCAL_CLIP,
    THUMBNAIL: COMPANIONS["thumbnail"],
    CONTACT_SHEET: COMPANIONS["contact_sheet"],
    REPORT: COMPANIONS["report"],
    REPORT_HTML: COMPANIONS["page"],
}
"""Object name → file name in the folder where the pipeline made it."""

log = logging.getLogger("vivant.service")


class Uploader:
    """Uploads files that were expensive to make; tries again after errors.

    Args:
        objects: where to.
        stopping: set when the worker is to stop.
    """

    def __init__(self, objects: Objects, stopping: threading.Event) -> None:
        self._objects, self._stopping = objects, stopping

    def upload(self, name: str, path: Path, wanted: Callable[[], bool]) -> None:
        """Upload a file, again and again for :data:`STORE_PATIENCE` seconds.

        Args:
            name: of the object.
            path: of the file.
            wanted: whether the job is still this worker's; asked before every further try.

        Raises:
            StorageError: the store was away for longer.
            Cancelled: the job is no longer this worker's.
            ShuttingDownError: the worker stops.
        """

        def sleep(seconds: float) -> None:
            if self._stopping.wait(seconds):
                raise ShuttingDownError
            if not wanted():
                raise Cancelled

        retrying = Retrying(
            retry=retry_if_exception_type(StorageError),
            stop=stop_after_delay(STORE_PATIENCE),
            wait=wait_exponential(0.5, max=LONGEST_STORE_PAUSE),
            before_sleep=_log_retry,
            sleep=sleep,
            reraise=True,
        )
        retrying(self._objects.put_file, name, path)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("stored not yet: %s", getattr(error, "message", error))


@dataclass(frozen=True, slots=True)
class JobClip:
    """One finished clip: where it lies on this machine, and what is known of it.

    Attributes:
        result: what the job store will keep of it.
    """

    folder: Path
    result: dict[str, Any]
    verification: Verification


class JobClips:
    """Makes and stores the clips of one run at one job.

    Implements :class:`vivant.pipeline.FileNames` for their reports and pages.

    Args:
        lease: the run.
        first: the first clip, with its picture and what was done before; later attempts use the
            same engine and upscaler.
        reader: of faces, used by this run alone.
        reporter: the run's observer.
        job_store: is asked whether the run may still store.
        uploader: where to.
    """

    href = "?variant=video"

    def __init__(
        self,
        lease: Lease,
        first: ClipJob,
        reader: FaceReader,
        reporter: Reporter,
        job_store: JobStore,
        uploader: Uploader,
    ) -> None:
        self.lease, self.first = lease, first
        self.files: Mapping[str, str] = Target(Path(CLIP)).files
        self.title = lease.job.picture.get("name", "") or lease.job.id
        self._reader, self._reporter = reader, reporter
        self._job_store, self._uploader = job_store, uploader

    def make(self, request: Request, observe: Observer, folder: Path, number: int = 1) -> JobClip:
        """One clip, with its companions in ``folder``.

        Args:
            request: of this attempt.
            observe: called after every unit of work; may raise ``Cancelled``.
            folder: an empty one.
            number: of the attempt; what was done before the first one counts for it.

        Raises:
            VivantError: see :meth:`vivant.pipeline.ClipJob.render`.
        """
        job = replace(self.first, request=request, observe=observe)
        if number > 1:
            job.times, job.started, job.shares = StageTimes(), time.perf_counter(), {}
        report = job.render(folder, self, self._reader)
        body = report_json(report)
        with (folder / LOCAL_CLIP).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        result = {
            "verdict": body["verdict"],
            "clip_sha256": digest,
            "device": job.device,
            "seconds": report.seconds,
            "durations": {stage["stage"]: stage["seconds"] for stage in body["stages"]},
            "labels": {"store": SHORTEST, **busy(job.times.seconds, self._reporter.labels())},
            "peak_memory_mb": body["peak_memory_mb"],
            "warnings": body["warnings"],
            "credentials": body["credentials"],
        }
        return JobClip(folder, result, report.verification)

    def store(self, clip: JobClip, attempt: int | str) -> dict[str, Any]:
        """Store a clip with its companions as this attempt's.

        Returns:
            The clip's result, with the attempt's name and the sizes of the files.

        Raises:
            Cancelled: the job is no longer this worker's.
            StorageError: see :meth:`Uploader.upload`.
        """
        lease, observe = self.lease, self._reporter
        observe(Progress("store", 0, len(FILES), "item"))

        def wanted() -> bool:
            return self._job_store.database.patiently(lambda: self._job_store.alive(lease))

        if not wanted():
            raise Cancelled
        sizes = {}
        for number, (name, file) in enumerate(FILES.items(), 1):
            path = clip.folder / file
            self._uploader.upload(attempt_key(lease.job.id, attempt, name), path, wanted)
            sizes[name] = path.stat().st_size
            observe(Progress("store", number, len(FILES), "item"))
        stages = observe.stages()  # with the stage of storing
        return {**clip.result, "stages": stages, "attempt": attempt, "sizes": sizes}
