"""Inside a GPU container: one engine, loaded once, and one clip at a time.

A clip is made by the worker's own code (:class:`vivant.service.stages.JobStages`) on a private
ledger and object store in the container's scratch space; a thread
writes progress to the board and reads from it whether to stop. So the container needs no
database, no bucket and no secret, and does not import Modal's client.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from vivant.checks import keep_workers
from vivant.errors import MissingPartError, VivantError
from vivant.modal.backend import Board, LostError, UnreachableError, stop_note
from vivant.modal.gpus import billed_as
from vivant.modal.work import Made, Trouble, Work
from vivant.service import logs
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.job import SOURCE, Order, attempt_key, error_json, key, request_from_json
from vivant.service.ledger import Ledger
from vivant.service.objects import Objects
from vivant.service.stages import JobStages
from vivant.settings import Settings
from vivant.types import (
    Box,
    Engine,
    Portrait,
    Request,
    Source,
    Upscaler,
    ignore_progress,
)

TELL_SECONDS = 0.4
"""Between two notes about a clip, and two looks for one that says stop."""

PULL = "modal run deploy/modal_app.py::fill"
"""How weights come into the Volume."""

log = logging.getLogger("vivant.studio")


class ModalContainer:
    """See the module.

    Args:
        kind: one of :data:`vivant.modal.work.STUDIOS`.
        settings: limits and prices; its ``weights_dir`` and ``cache_dir`` are Volumes.
        board: where to tell.
        load_engine: name and settings → engine.
        load_upscaler: name → upscaler.
        asked: GPU types that the container was asked for with; empty for none.
        gpu: the GPU that is there, as its driver names it; asked once a container is up.
    """

    def __init__(
        self,
        kind: str,
        settings: Settings,
        board: Board,
        *,
        load_engine: Callable[[str, Settings], Engine],
        load_upscaler: Callable[[str], Upscaler],
        asked: Sequence[str] = (),
        gpu: Callable[[], str | None] = lambda: None,
    ) -> None:
        self.kind, self._settings, self._board = kind, settings, board
        self._load_upscaler = load_upscaler
        self._asked, self._gpu = asked, gpu
        self._engines = cache(lambda name: load_engine(name, settings))
        self._database: Database | None = None
        self._kept = ExitStack()

    @property
    def engine_name(self) -> str:
        """What this kind keeps loaded."""
        return "camera" if self.kind == "camera" else "ltx2"

    def imports(self) -> None:
        """Bring the libraries in, without looking for a GPU: what a memory snapshot keeps."""
        logs.configure("json")
        if self.kind != "camera":
            import vivant.engines.ltx2.engine  # noqa: F401

    def load(self) -> None:
        """Bring the model in, so that the first clip does not wait for it.

        Weights that are not there are no reason to fail yet: the clip that needs them says so.
        """
        recipe = {"recipe": "dev-lora"} if self.kind == "lora" else {}
        request = Request(image=b"", engine=self.engine_name, options=recipe)
        self._own()
        self._kept.enter_context(keep_workers())  # as long as there is a studio
        started = time.perf_counter()
        try:
            clip = self._engines(self.engine_name).generate(_blank(), request, ignore_progress)
        except VivantError as error:
            log.warning("not loaded: %s", error.message)
            return
        # An engine loads when a clip is asked for, and works when its frames are.
        close = getattr(clip.chunks, "close", None)
        if close is not None:
            close()
        log.info("loaded", extra={"seconds": round(time.perf_counter() - started, 2)})

    def make(self, work: Work) -> Made:
        """One clip. Whatever goes wrong comes back as data: the front may be of another version."""
        started = time.monotonic()
        gpu = self._gpu()
        scratch = Path(tempfile.mkdtemp(prefix="vivant-"))
        found: dict[str, Any]
        try:
            found = self._make(work, gpu, scratch)
        except Exception as error:
            log.exception("the studio failed")
            found = {"error": error_json(error)}
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            _try(lambda: self._board.remove(work["job_id"], stop_note(work["job_id"])))
        made: Made = {**found, "gpu": gpu, "studio_seconds": time.monotonic() - started}  # type: ignore[typeddict-item]
        return made

    def _make(self, work: Work, gpu: str | None, scratch: Path) -> dict[str, Any]:
        job_id = work["job_id"]
        database = self._own()
        ledger, objects = Ledger(database), Objects.open(scratch / "objects")
        objects.put(key(job_id, SOURCE), work["source"])
        order = Order(
            request=request_from_json(work["request"]),
            picture=work["picture"],
            currency=work["request"]["currency"],
            budget=work["request"].get("budget"),
        )
        admission = Admission(database, Limits())
        if ledger.existing([job_id]):  # begun here before
            ledger.delete(job_id, None)
            admission.forget(job_id)
        admission.accept(job_id, order, "")
        stages = JobStages(
            ledger,
            objects,
            self._billed(gpu),
            scratch / "stages",
            engines=self._engines,
            upscalers=self._load_upscaler,
            stopping=threading.Event(),
        )
        done = threading.Event()
        teller = threading.Thread(target=self._tell, args=(ledger, job_id, done), daemon=True)
        teller.start()
        try:
            stages.prepare(job_id)
            stages.render(job_id)
        finally:
            done.set()
            teller.join()
            job = ledger.get(job_id)
            ledger.delete(job_id, None)
            admission.forget(job_id)
        if job.error is not None:
            return {"error": self._told(dict(job.error))}
        assert job.result is not None  # noqa: S101 - a job that has not failed was made
        files = {
            name: objects.get(attempt_key(job_id, job.result["attempt"], name))
            for name in job.result["sizes"]
        }
        return {"result": dict(job.result), "files": files}

    def _tell(self, ledger: Ledger, job_id: str, done: threading.Event) -> None:
        """Copy the job's newest state to the board, and a stop from there to the job."""
        seq = 0
        while not done.wait(TELL_SECONDS if seq else 0.01):
            job = ledger.get(job_id)
            try:
                if self._board.get(stop_note(job_id)):
                    ledger.cancel(job_id, None, keep_seconds=0)
                    return
                if job.seq != seq:
                    self._board.put(job_id, dict(job.snapshot))
                    seq = job.seq
            except (LostError, UnreachableError) as error:
                log.warning("the front is not told: %s", error)

    def _own(self) -> Database:
        """The container's private ledger, made when it is first needed."""
        if self._database is None:
            file = Path(tempfile.mkdtemp(prefix="vivant-")) / "studio.db"
            self._database = Database(f"sqlite:///{file}", pool_size=2, durable=False)
            self._database.migrate()
        return self._database

    def _billed(self, gpu: str | None) -> Settings:
        """Settings under which the clip is billed as the GPU that is there."""
        if gpu is None or not self._asked:
            return self._settings
        return self._settings.model_copy(update={"device": billed_as(self._asked, gpu)})

    def _told(self, error: dict[str, Any]) -> Trouble:
        told: Trouble = {
            "code": error["code"], "message": error["message"], "param": error["param"]
        }  # fmt: skip
        if error["code"] == MissingPartError.code:
            told["message"] += f" (on Modal: `{PULL}`)"
        return told


def _blank() -> Portrait:
    """A grey picture, for loading."""
    pixels = np.full((1080, 1920, 3), 128, np.uint8)
    return Portrait(
        pixels=pixels,
        crop=Box(0, 0, 1920, 1080),
        faces=(),
        source=Source("blank", "PNG", 1920, 1080, 0, ""),
    )


def _try(work: Callable[[], None]) -> None:
    try:
        work()
    except (LostError, UnreachableError) as error:
        log.warning("notes stay on the board: %s", error)
