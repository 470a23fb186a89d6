"""One clip of a run: made, described, and stored under the name of its attempt.

Knows nothing of stages, nor of how often a clip is tried; of how one is made only
:mod:`vivant.pipeline`.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vivant.checks.report import write_html
from vivant.cost import bill
from vivant.errors import Cancelled, StorageError
from vivant.picture.faces import FaceReader
from vivant.pipeline import Spent, describe, render
from vivant.report import report_json, to_json
from vivant.service.gated import Tried
from vivant.service.job import (
    CLIP,
    CONTACT_SHEET,
    REPORT,
    REPORT_HTML,
    THUMBNAIL,
    attempt_key,
)
from vivant.service.ledger import Lease, Ledger
from vivant.service.objects import Objects
from vivant.service.progress import busy
from vivant.service.reporter import Reporter, ShuttingDownError
from vivant.settings import Settings
from vivant.types import Engine, Observer, Portrait, Progress, Request, Upscaler
from vivant.video.files import COMPANIONS, Target
from vivant.video.stage_times import StageTimes

STORE_PATIENCE = 300.0
"""Seconds for which the upload of a finished clip is tried again: it was expensive to make."""

SHORTEST = 0.01
"""Seconds: of a stage nobody measures, for the bar."""

LONGEST_STORE_PAUSE = 15.0

FILES: Mapping[str, str] = {
    CLIP: "clip.mp4",
    THUMBNAIL: COMPANIONS["thumbnail"],
    CONTACT_SHEET: COMPANIONS["contact_sheet"],
    REPORT: COMPANIONS["report"],
    REPORT_HTML: COMPANIONS["page"],
}
"""Object name → what the pipeline calls it."""

log = logging.getLogger("vivant.service")


@dataclass(frozen=True, slots=True)
class Work:
    """What the clips of one run have in common."""

    lease: Lease
    portrait: Portrait
    engine: Engine
    upscaler: Upscaler
    reader: FaceReader
    device: str
    reporter: Reporter


class Maker:
    """Makes and stores clips.

    Args:
        ledger: is asked whether a run may still store.
        objects: where to.
        settings: prices and targets.
        stopping: set when the worker is to stop.
    """

    def __init__(
        self, ledger: Ledger, objects: Objects, settings: Settings, stopping: threading.Event
    ) -> None:
        self._ledger, self._objects = ledger, objects
        self._settings, self._stopping = settings, stopping

    def clip(
        self,
        work: Work,
        request: Request,
        observe: Observer,
        folder: Path,
        times: StageTimes,
        elapsed: Callable[[], float],
    ) -> Tried:
        """One clip with its companions in ``folder``.

        Args:
            work: of this run.
            request: this attempt at it.
            observe: called after every unit of work; may raise ``Cancelled``.
            folder: an empty one.
            times: with what was done before.
            elapsed: seconds it has taken.
        """
        settings, job = self._settings, work.lease.job

        def spent() -> Spent:
            seconds = elapsed()
            costs = bill(
                work.device,
                seconds,
                currency=job.request.get("currency") or settings.currency,
                rates=settings.rates,
                exchange=settings.exchange,
            )
            return Spent(seconds, costs)

        made = render(
            work.portrait,
            request,
            folder,
            work.engine,
            work.upscaler,
            work.reader,
            observe,
            times,
            spent,
            settings,
        )
        report = describe(
            request, work.portrait, made, work.engine, times, settings, Target(folder / CLIP)
        )
        body = report_json(report)
        (folder / COMPANIONS["report"]).write_text(to_json(body), "utf-8")
        write_html(
            made.verification,
            work.portrait,
            folder / CLIP,
            folder / COMPANIONS["page"],
            name=job.picture.get("name", "") or job.id,
            href="?variant=video",
            reference=made.reference,
        )
        with (folder / CLIP).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        result = {
            "verdict": body["verdict"],
            "clip_sha256": digest,
            "device": work.device,
            "seconds": made.spent.seconds,
            "durations": {stage["stage"]: stage["seconds"] for stage in body["stages"]},
            "labels": busy(times.seconds, work.reporter.labels()),
            "peak_memory_mb": body["peak_memory_mb"],
            "warnings": body["warnings"],
        }
        return Tried(folder, result, body["verdict"], made.verification.scores)

    def keep(self, work: Work, tried: Tried, attempt: int | str) -> dict[str, int]:
        """Store a clip with its companions as this attempt's; the sizes of the files."""
        lease, observe = work.lease, work.reporter
        observe(Progress("store", 0, len(FILES), "item"))

        def wanted() -> bool:
            return self._ledger.database.patiently(lambda: self._ledger.alive(lease))

        if not wanted():
            raise Cancelled
        sizes = {}
        for number, (name, file) in enumerate(FILES.items(), 1):
            path = tried.folder / file
            self.store(attempt_key(lease.job.id, attempt, name), path, wanted)
            sizes[name] = path.stat().st_size
            observe(Progress("store", number, len(FILES), "item"))
        # storing is a stage as well
        tried.result["stages"] = observe.stages()
        tried.result["labels"].setdefault("store", SHORTEST)
        return sizes

    def store(self, name: str, path: Path, wanted: Callable[[], bool]) -> None:
        """Upload a file, again and again for :data:`STORE_PATIENCE` seconds.

        Raises:
            StorageError: the store was away for longer.
            Cancelled: nobody wants it any more; as :class:`ShuttingDownError` where the worker
                stops.
        """
        pause, until = 0.5, time.monotonic() + STORE_PATIENCE
        while True:
            try:
                return self._objects.put_file(name, path)
            except StorageError as error:
                if time.monotonic() > until:
                    raise
                log.warning("stored not yet: %s", error.message)
                if self._stopping.wait(pause):
                    raise ShuttingDownError from error
                if not wanted():
                    raise Cancelled from error
                pause = min(2 * pause, LONGEST_STORE_PAUSE)
