"""What a worker does for a job: prepare → render → publish.

Each stage may be repeated from its beginning at any time: it reads and writes deterministic keys
and asks the job store before it changes anything. Generation, upscaling, encoding and verification
are one stage on purpose: frames stream through them, and they are never whole in between.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from vivant.cost import PaidContainer
from vivant.errors import Cancelled, DatabaseError, JobNotFoundError, StorageError, VivantError
from vivant.picture.faces import lend_reader
from vivant.pipeline import ClipJob
from vivant.runs.estimates import estimate
from vivant.service.adapters import check_adapters
from vivant.service.clips import JobClips, Uploader
from vivant.service.job import (
    SOURCE,
    TRANSIENT,
    Job,
    attempt_key,
    error_json,
    key,
    remove_unfinished,
    request_from_json,
)
from vivant.service.job_store import JobStore, Lease
from vivant.service.logs import job_id as log_job_id
from vivant.service.objects import Objects
from vivant.service.picture_decoder import PictureDecoder, pictures
from vivant.service.preparation import Preparation, TemporaryFolders
from vivant.service.progress import ProgressMeter, timings, usual_seconds
from vivant.service.reporter import Reporter, ShuttingDownError
from vivant.service.run_cost import RunCost
from vivant.service.shared_exclusive_lock import SharedExclusiveLock
from vivant.service.until_pass import JobUntilPass
from vivant.settings import Settings
from vivant.types import Engine, Progress, Request, Upscaler
from vivant.video.stage_times import StageTimes

log = logging.getLogger("vivant.service")


class JobStages:
    """The stages as one worker process does them.

    Args:
        job_store: of the jobs.
        objects: where pictures and clips are.
        settings: limits and prices.
        scratch: a folder of this process alone, for files on their way.
        engines: name → loaded engine.
        upscalers: name → upscaler.
        stopping: set when the worker is to stop.
        closing: set when no clip is to be begun any more.
        decoder: of pictures; one for the whole process.
        container: see :class:`vivant.pipeline.ClipJob`.

    Attributes:
        renders_here: whether a clip can kill this process.
    """

    renders_here = True

    def __init__(
        self,
        job_store: JobStore,
        objects: Objects,
        settings: Settings,
        scratch: Path,
        *,
        engines: Callable[[str], Engine],
        upscalers: Callable[[str], Upscaler],
        stopping: threading.Event,
        closing: threading.Event | None = None,
        decoder: PictureDecoder = pictures,
        container: PaidContainer | None = None,
    ) -> None:
        self._container = container
        self._job_store, self._objects, self._settings = job_store, objects, settings
        self._engines, self._upscalers = engines, upscalers
        self._stopping, self._closing = stopping, closing or stopping
        self._lock = SharedExclusiveLock()
        self._guard = threading.Lock()
        self._running = 0
        self._pictures: set[str] = set()
        files = TemporaryFolders(scratch)
        self._folder = files.folder
        self._uploader = Uploader(objects, stopping)
        self._store = self._uploader.upload
        self._preparation = Preparation(job_store, objects, settings, files, decoder)

    @property
    def running(self) -> int:
        """Renders that have not been given back yet."""
        return self._running

    @property
    def keep_seconds(self) -> float:
        """How long a finished job's files stay."""
        return self._settings.result_days * 86_400

    # -- prepare ---------------------------------------------------------------------------

    def prepare(self, job_id: str) -> None:
        """Decode the picture and choose its framing, ahead of the GPU.

        A picture that cannot be used fails the job here, before anything else is spent on it.

        Raises:
            StorageError: the picture cannot be read or stored now.
            OutputError: the disk does not work now.
            DatabaseError: the database does not answer now.
        """
        with (
            self._log_stage(job_id, "prepare"),
            self._lock.hold(alone=self._start_counts(job_id)[0] > 0),
            self._preparation.once(job_id),
        ):
            job = self._job_store.preparing(job_id)
            if job is None:
                self._delete_unfinished(job_id)
                return
            with self._guard:
                self._pictures.add(job_id)
            try:
                self._preparation.prepare(job, lambda: self._check(job_id))
                self._delete_unfinished(job_id)  # it may have ended meanwhile
            except Cancelled:
                log.info("stopped: cancelled or deleted")
                self._delete_unfinished(job_id)
            except TRANSIENT:
                self._undo_start(lambda: self._job_store.give_back_picture(job_id), seconds=60)
                raise
            except VivantError as error:
                self.fail(job_id, error)
            finally:
                with self._guard:
                    self._pictures.discard(job_id)

    def _check(self, job_id: str) -> None:
        """Raise ``Cancelled`` if the job has ended. If the database does not answer, go on."""
        with suppress(DatabaseError):
            if job_id not in self._job_store.existing([job_id], active=True):
                raise Cancelled

    def give_back_pictures(self) -> None:
        """The worker stops: take back the starts of pictures that are being read now."""
        with self._guard:
            left = list(self._pictures)
        for job_id in left:
            self._job_store.give_back_picture(job_id)

    def _start_counts(self, job_id: str) -> tuple[int, int]:
        """How often the job's picture and its clip were begun without an orderly end."""
        try:
            job = self._job_store.get(job_id)
        except JobNotFoundError:
            return 0, 0
        return (0 if job.prepared else job.prepare_starts), job.render_starts

    def warm_up(self, engine: str) -> None:
        """Load what every job needs, so that the first one does not wait for it."""
        self._preparation.warm_up()
        with lend_reader() as reader:
            reader.detect(np.zeros((160, 160, 3), np.uint8))
        self._engines(engine)

    # -- render ----------------------------------------------------------------------------

    def render(self, job_id: str) -> bool:
        """Generate, encode, verify and store; whether there is something to publish."""
        with self._log_stage(job_id, "render"):
            picture, clip = self._start_counts(job_id)
            if picture:  # read alone, before anything is held that others wait for
                self.prepare(job_id)
            beside = self._lock.hold(alone=clip > 0) if self.renders_here else nullcontext()
            with beside:
                # counted before ``closing`` is read: who sets it and then counts zero knows that no
                # further clip begins
                self._count(1)
                if self._closing.is_set():
                    self._block_until_exit()
                try:
                    return self._run_once(job_id)
                finally:
                    self._count(-1)

    def _run_once(self, job_id: str) -> bool:
        if self._already_made(job_id):
            return True
        lease = self._job_store.begin(job_id)
        if lease is None:
            self._delete_unfinished(job_id)
            return False
        # the clip runs elsewhere: if this process dies, the clip was not the cause
        if not self.renders_here:
            self._job_store.give_back(lease)
        try:
            made = self._make_and_store(lease)
        except ShuttingDownError:
            if self.renders_here:
                self._undo_start(lambda: self._job_store.give_back(lease), seconds=5)
            log.info("given back: the worker stops")
            self._block_until_exit()
        except Cancelled:
            log.info("stopped: cancelled, deleted or taken over")
            self._delete_unfinished(job_id)
            return False
        except TRANSIENT:
            # It may be over in a moment, and this start was not the job's fault.
            if self.renders_here:
                self._undo_start(lambda: self._job_store.give_back(lease), seconds=60)
            raise
        except VivantError as error:
            self.fail(job_id, error)
            return False
        if not made:  # it ended while its files were stored
            self._delete_unfinished(job_id)
        return made

    def _undo_start(self, work: Callable[[], None], *, seconds: float) -> None:
        """Take a start off the job's count, unless the database is away for longer."""
        try:
            self._job_store.database.patiently(work, seconds=seconds)
        except DatabaseError as error:
            log.warning("a start is counted as a death: %s", error.message)

    def _count(self, change: int) -> None:
        with self._guard:
            self._running += change

    def _already_made(self, job_id: str) -> bool:
        """Whether the clip is stored already: the worker ended before it could publish it."""
        try:
            job = self._job_store.get(job_id)
        except JobNotFoundError:
            return False
        return job.active and job.result is not None

    def _make_and_store(self, lease: Lease) -> bool:
        """Make the clip and store its files; whether the job still wanted them."""
        job = lease.job
        request = request_from_json(job.request)
        check_adapters(request, self._settings)
        measured = self._job_store.measured(request.engine)
        expected = estimate(timings(measured), request).reliable_seconds
        cost = RunCost(self._settings, job.request.get("currency"))

        def new_meter() -> ProgressMeter:
            return ProgressMeter(usual_seconds(measured, request))

        reporter = Reporter(
            self._job_store,
            lease,
            new_meter(),
            cost=cost,
            expected=expected,
            stopping=self._stopping,
        )
        with reporter, self._folder() as folder, self._folder() as inputs, lend_reader() as reader:
            first, ahead = self._first_clip_job(job, request, reporter, inputs)
            cost.device = first.device
            clips = JobClips(lease, first, reader, reporter, self._job_store, self._uploader)
            if job.request.get("budget") is None:
                made = clips.make(first.request, reporter, folder)
                result = clips.store(made, lease.token)
                seconds = result["seconds"]
            else:
                until_pass = JobUntilPass(
                    clips,
                    self._objects,
                    elapsed=lambda: ahead + reporter.elapsed,
                    expected=expected,
                )

                def tell(told: Mapping[str, Any]) -> None:
                    meter = new_meter() if "trying" in told else None
                    reporter.restart(meter, told, until_pass.spent)

                result = until_pass.run(folder, reporter, tell)
                seconds = until_pass.spent + ahead + reporter.elapsed
            result |= {
                "clip_seconds": result["seconds"],
                "seconds": seconds,
                "cost": cost.final(seconds),
            }
            return self._job_store.database.patiently(
                lambda: self._job_store.rendered(lease, result)
            )

    def _first_clip_job(
        self, job: Job, request: Request, reporter: Reporter, inputs: Path
    ) -> tuple[ClipJob, float]:
        """The first attempt's clip job, with its picture and a loaded engine.

        Args:
            inputs: an empty folder, for the picture's file.

        Returns:
            The clip job, and the seconds that reading its picture took before this run.
        """

        def check() -> None:
            if self._stopping.is_set():
                raise ShuttingDownError
            self._check(job.id)

        times, started = StageTimes(), time.perf_counter()
        portrait, image_seconds = self._preparation.portrait(job.id, check)
        ahead = 0.0 if job.prepared is None else image_seconds
        times.add("image", image_seconds - ahead)
        prepared = self._job_store.get(job.id).prepared or {}
        # the picture's own credentials become part of the clip's
        if self._settings.credentials != "off" and prepared.get("credentials", True):
            self._objects.get_file(key(job.id, SOURCE), inputs / SOURCE)
            request = replace(request, image=inputs / SOURCE)
        reporter(Progress("image", 1, 1, "item"))
        with times.measure("load"):
            engine = self._engines(request.engine)
        upscaler = self._upscalers(request.upscaler)
        clip_job = ClipJob(
            request, engine, upscaler, self._settings, reporter, job.request.get("currency"),
            portrait=portrait, times=times, started=started, shares={"image": ahead},
            container=self._container,
        )  # fmt: skip
        return clip_job, ahead

    # -- publish ---------------------------------------------------------------------------

    def publish(self, job_id: str) -> None:
        """Check that every file is stored, and finish the job."""
        with self._log_stage(job_id, "publish"):
            try:
                job = self._job_store.get(job_id)
            except JobNotFoundError:
                job = None
            if job is None or not job.active or job.result is None:
                self._delete_unfinished(job_id)
                return
            for name, size in job.result["sizes"].items():
                made = attempt_key(job_id, job.result.get("attempt", 0), name)
                stored = self._objects.head(made)
                if stored is not None and stored.size == size:
                    self._objects.copy(made, key(job_id, name))
                    continue
                stored = self._objects.head(key(job_id, name))  # published before a kill
                if stored is None or stored.size != size:
                    found = "missing" if stored is None else f"{stored.size} of {size} bytes"
                    raise StorageError(f"{name} is {found} in the object store")
            remove_unfinished(self._objects, job_id)
            done = self._job_store.complete(
                job_id, keep_seconds=self.keep_seconds, result=job.result
            )
            if done:
                log.info("completed", extra={"seconds": round(job.result["seconds"], 2)})

    # -- all -------------------------------------------------------------------------------

    def fail(self, job_id: str, error: BaseException) -> None:
        """End a job whose stage failed for good; the client is told why."""
        told = error_json(error)
        if told["code"] == "internal":
            log.error("failed for a reason that nobody foresaw", exc_info=error)
        else:
            log.info("failed", extra={"code": told["code"]})
        self._job_store.database.patiently(
            lambda: self._job_store.fail(job_id, told, keep_seconds=self.keep_seconds), seconds=600
        )
        self._delete_unfinished(job_id)

    def _delete_unfinished(self, job_id: str) -> None:
        """Remove what only a render needs, if the job is over."""
        try:
            if not self._job_store.get(job_id).active:
                remove_unfinished(self._objects, job_id)
        except JobNotFoundError:
            self._objects.delete_folder(f"jobs/{job_id}")
        except VivantError as error:
            log.warning("not tidied: %s", error.message)

    @contextmanager
    def _log_stage(self, job_id: str, stage: str) -> Iterator[None]:
        token = log_job_id.set(job_id)
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = round(time.perf_counter() - started, 3)
            log.info("stage ended", extra={"stage": stage, "seconds": seconds})
            log_job_id.reset(token)

    def _block_until_exit(self) -> NoReturn:
        """Wait for the end of the process, so that nothing more is recorded about this run."""
        self._count(-1)
        # returning would record the stage as done, raising as failed; blocked, it stays PENDING
        # and is put back
        while True:
            threading.Event().wait()
