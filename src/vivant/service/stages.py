"""What a worker does for a job: prepare → render → publish.

Each stage may be repeated from its beginning at any time: it reads and writes deterministic keys
and asks the ledger before it changes anything. Generation, upscaling, encoding and verification
are one stage on purpose: frames stream through them, and they are never whole in between.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vivant.errors import (
    Cancelled,
    JobNotFoundError,
    StorageError,
    VivantError,
)
from vivant.picture.faces import lend_reader
from vivant.pipeline import ClipJob
from vivant.runs.estimates import estimate
from vivant.service.adapters import check_adapters
from vivant.service.clips import JobClips, Uploader
from vivant.service.job import (
    ATTEMPTS,
    PORTRAIT,
    attempt_key,
    key,
    request_from_json,
)
from vivant.service.ledger import Lease, Ledger
from vivant.service.logs import job_id as log_job_id
from vivant.service.objects import Objects
from vivant.service.preparation import Preparation
from vivant.service.prices import price
from vivant.service.progress import Meter, timings, usual_seconds
from vivant.service.reporter import Reporter, ShuttingDownError
from vivant.service.scratch import Scratch
from vivant.service.trouble import PASSING, explain
from vivant.service.until_pass import JobUntilPass
from vivant.settings import Settings
from vivant.types import Engine, Progress, Upscaler
from vivant.video.stage_times import StageTimes

log = logging.getLogger("vivant.service")


class Bench:
    """Where the stages are worked on: one per worker process.

    Args:
        ledger: of the jobs.
        objects: where pictures and clips are.
        settings: limits and prices.
        scratch: a folder of this process alone, for files on their way.
        engines: name → loaded engine.
        upscalers: name → upscaler.
        stopping: set when the worker is to stop.
        closing: set when no clip is to be begun any more.
        clips_at_once: renders of one engine that run side by side.

    Attributes:
        passing: names of a job's objects that only a render needs.
    """

    passing: tuple[str, ...] = (PORTRAIT,)

    def __init__(
        self,
        ledger: Ledger,
        objects: Objects,
        settings: Settings,
        scratch: Path,
        *,
        engines: Callable[[str], Engine],
        upscalers: Callable[[str], Upscaler],
        stopping: threading.Event,
        closing: threading.Event | None = None,
        clips_at_once: int = 1,
    ) -> None:
        self._ledger, self._objects, self._settings = ledger, objects, settings
        self._engines, self._upscalers = engines, upscalers
        self._stopping, self._closing = stopping, closing or stopping
        self._clips_at_once = clips_at_once
        self._rendering: dict[str, threading.Semaphore] = {}
        self._guard = threading.Lock()
        self._running = 0
        files = Scratch(scratch)
        self._folder = files.folder
        self._uploader = Uploader(objects, stopping)
        self._store = self._uploader.upload
        self._preparation = Preparation(ledger, objects, settings, files)

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
        """
        with self._about(job_id, "prepare"), self._apart(job_id), self._preparation.once(job_id):
            job = self._ledger.preparing(job_id)
            if job is None:
                return
            try:
                self._preparation.prepare(job)
            except PASSING:
                raise
            except VivantError as error:
                self._fail(job_id, error)

    @contextmanager
    def _apart(self, job_id: str) -> Iterator[None]:
        """A picture that was being read when a worker died is read while nothing else is made.

        Otherwise a job that kills its worker would again and again take along what is at hand,
        and the innocent would be counted as poison too.
        """
        try:
            suspect = self._ledger.get(job_id).prepare_starts > 0
        except JobNotFoundError:
            suspect = False
        with ExitStack() as stack:
            for engine in sorted(self._settings.engines) if suspect else ():
                for _ in range(self._clips_at_once):
                    stack.enter_context(self._room(engine))
            yield

    def _room(self, engine: str) -> threading.Semaphore:
        """For one more clip of an engine; clips of another one are made beside it."""
        with self._guard:
            return self._rendering.setdefault(engine, threading.Semaphore(self._clips_at_once))

    def warm_up(self, engine: str) -> None:
        """Load what every job needs, so that the first one does not wait for it."""
        with lend_reader() as reader:
            reader.detect(np.zeros((160, 160, 3), np.uint8))
        self._engines(engine)

    # -- render ----------------------------------------------------------------------------

    def make(self, job_id: str) -> bool:
        """Generate, encode, verify and store; whether there is something to publish."""
        with self._about(job_id, "render"):
            try:
                job = self._ledger.get(job_id)
            except JobNotFoundError:
                self._tidy(job_id)
                return False
            with self._room(str(job.request["engine"])):
                # counted first: whoever finds nobody running has told to begin nothing before
                self._count(1)
                if self._closing.is_set():
                    self._park()
                try:
                    return self._make(job_id)
                finally:
                    self._count(-1)

    def _make(self, job_id: str) -> bool:
        if self._made(job_id):
            return True
        lease = self._ledger.begin(job_id)
        if lease is None:
            self._tidy(job_id)
            return False
        try:
            return self._render(lease)
        except ShuttingDownError:
            self._ledger.database.patiently(lambda: self._ledger.give_back(lease), seconds=5)
            log.info("given back: the worker stops")
            self._park()
            raise
        except Cancelled:
            log.info("stopped: cancelled, deleted or taken over")
            self._tidy(job_id)
            return False
        except PASSING:
            # It may be over in a moment, and this start was not the job's fault.
            self._ledger.database.patiently(lambda: self._ledger.give_back(lease), seconds=60)
            raise
        except VivantError as error:
            self._fail(job_id, error)
            return False

    def _count(self, change: int) -> None:
        with self._guard:
            self._running += change

    def _made(self, job_id: str) -> bool:
        """The clip is in the store already: the worker ended just before it could say so."""
        try:
            job = self._ledger.get(job_id)
        except JobNotFoundError:
            return False
        return job.active and job.result is not None

    def _render(self, lease: Lease) -> bool:
        job, settings = lease.job, self._settings
        request = request_from_json(job.request)
        check_adapters(request, settings)
        measured = self._ledger.measured(request.engine)
        expected = estimate(timings(measured), request).reliable_seconds
        currency = job.request.get("currency")
        device = ""

        def cost(seconds: float) -> dict[str, Any] | None:
            return price(settings, device, seconds, currency)

        def meter() -> Meter:
            return Meter(usual_seconds(measured, request))

        reporter = Reporter(
            self._ledger,
            lease,
            meter(),
            cost=lambda seconds: cost(seconds) if device else None,
            expected=expected,
            stopping=self._stopping,
        )
        times, started = StageTimes(), time.perf_counter()
        with reporter, self._folder() as folder, lend_reader() as reader:
            portrait, image_seconds = self._preparation.portrait(job.id)
            # prepared within this run, or ahead of it
            ahead = 0.0 if job.prepared is None else image_seconds
            times.add("image", image_seconds - ahead)
            reporter(Progress("image", 1, 1, "item"))
            with times.measure("load"):
                engine = self._engines(request.engine)
            upscaler = self._upscalers(request.upscaler)
            first = ClipJob(
                request, engine, upscaler, settings, reporter, currency,
                portrait=portrait, times=times, started=started, shares={"image": ahead},
            )  # fmt: skip
            device = first.device
            clips = JobClips(lease, first, reader, reporter, self._ledger, self._uploader)
            if job.request.get("budget") is None:
                result = clips.store(clips.make(request, reporter, folder), lease.token)
                seconds = result["seconds"]
            else:

                def elapsed() -> float:
                    return ahead + reporter.elapsed

                until_pass = JobUntilPass(clips, self._objects, elapsed=elapsed, expected=expected)
                result = until_pass.run(
                    folder,
                    reporter,
                    lambda told: reporter.again(
                        meter() if "trying" in told else None, told, until_pass.spent
                    ),
                )
                seconds = until_pass.spent + elapsed()
            result |= {
                "clip_seconds": result["seconds"],
                "seconds": seconds,
                "cost": None if (final := cost(seconds)) is None else {**final, "final": True},
            }
            return self._ledger.database.patiently(lambda: self._ledger.rendered(lease, result))

    # -- publish ---------------------------------------------------------------------------

    def publish(self, job_id: str) -> None:
        """See that everything is there, and finish the job."""
        with self._about(job_id, "publish"):
            job = self._ledger.get(job_id)
            if not job.active or job.result is None:
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
            self._objects.delete(key(job_id, PORTRAIT))
            self._objects.delete_folder(key(job_id, ATTEMPTS))
            done = self._ledger.complete(
                job_id,
                keep_seconds=self.keep_seconds,
                result=job.result,
            )
            if done:
                log.info("completed", extra={"seconds": round(job.result["seconds"], 2)})

    # -- all -------------------------------------------------------------------------------

    def give_up(self, job_id: str, error: BaseException) -> None:
        """The last word about a job whose stage failed for good."""
        self._fail(job_id, error)

    def _tidy(self, job_id: str) -> None:
        """Remove what only a render needs, where there will be none."""
        try:
            if not self._ledger.get(job_id).active:
                for name in self.passing:
                    self._objects.delete(key(job_id, name))
                self._objects.delete_folder(key(job_id, ATTEMPTS))
        except JobNotFoundError:
            self._objects.delete_folder(f"jobs/{job_id}")
        except VivantError as error:
            log.warning("not tidied: %s", error.message)

    def _fail(self, job_id: str, error: BaseException) -> None:
        told = explain(error)
        if told["code"] == "internal":
            log.error("failed for a reason that nobody foresaw", exc_info=error)
        else:
            log.info("failed", extra={"code": told["code"]})
        self._ledger.database.patiently(
            lambda: self._ledger.fail(job_id, told, keep_seconds=self.keep_seconds), seconds=600
        )
        self._tidy(job_id)

    @contextmanager
    def _about(self, job_id: str, stage: str) -> Iterator[None]:
        token = log_job_id.set(job_id)
        started = time.perf_counter()
        try:
            yield
        finally:
            seconds = round(time.perf_counter() - started, 3)
            log.info("stage ended", extra={"stage": stage, "seconds": seconds})
            log_job_id.reset(token)

    def _park(self) -> None:
        """Wait for the end of the process, so that nothing more is recorded about this run."""
        self._count(-1)
        threading.Event().wait()
