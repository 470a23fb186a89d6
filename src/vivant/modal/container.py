"""Runs in a render container: one engine, loaded once, and one clip at a time.

A clip is made by the code of the service's own worker
(:class:`vivant.service.stages.JobStages`), on a private job store and object store on the
container's disk. A thread writes the progress to the
shared dict and reads from it whether to stop. So the container needs no database, no bucket and
no secret. It does not import Modal's client.
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
from typing import Any, cast

import numpy as np

from vivant.checks import keep_workers
from vivant.cost import PaidContainer
from vivant.errors import MissingPartError, VivantError
from vivant.modal.backend import (
    CallFailedError,
    ModalUnreachableError,
    SharedDict,
    stop_key,
)
from vivant.modal.gpus import billed_as, split_count
from vivant.modal.messages import RenderError, RenderRequest, RenderResult
from vivant.service import logs
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.job import SOURCE, JobSpec, attempt_key, error_json, key, request_from_json
from vivant.service.job_store import JobStore
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
    several,
)

REPORT_SECONDS = 0.4
"""Between two writes of a clip's progress, and two looks whether to stop."""

FILL_COMMAND = "modal run deploy/modal_app.py::fill"
"""Downloads the weights into the Volume."""

log = logging.getLogger("vivant.modal.container")


class ModalContainer:
    """Renders clips for the web app.

    Args:
        kind: one of :data:`vivant.modal.messages.CONTAINER_KINDS`.
        settings: limits and prices; its ``weights_dir`` and ``cache_dir`` are Volumes.
        shared: where progress is written.
        load_engine: name and settings → engine.
        load_upscaler: name → upscaler.
        asked: the GPU types of the deployment's options; empty for a CPU container.
        gpu: returns the GPU's name as its driver gives it; called for every clip.
        paid: device that is billed → what this container costs from its start to its stop.
    """

    def __init__(
        self,
        kind: str,
        settings: Settings,
        shared: SharedDict,
        *,
        load_engine: Callable[[str, Settings], Engine],
        load_upscaler: Callable[[str], Upscaler],
        asked: Sequence[str] = (),
        gpu: Callable[[], str | None] = lambda: None,
        paid: Callable[[str], PaidContainer] | None = None,
    ) -> None:
        self.kind, self._settings, self._shared = kind, settings, shared
        self._load_upscaler = load_upscaler
        self._asked, self._gpu, self._paid = asked, gpu, paid
        self._engines = cache(lambda name: load_engine(name, settings))
        self._database: Database | None = None
        self._check_workers = ExitStack()

    @property
    def engine_name(self) -> str:
        """The engine that this kind of container keeps loaded."""
        return "camera" if self.kind == "camera" else "ltx2"

    def import_libraries(self) -> None:
        """Import what rendering needs, without touching a GPU: Modal's memory snapshot keeps it."""
        logs.configure("json")
        if self.kind != "camera":
            import vivant.engines.ltx2.engine  # noqa: F401

    def load_model(self) -> None:
        """Load the model, so that the first clip does not wait for it.

        Missing weights are only logged: the clip that needs them fails with a clear message.
        """
        recipe = {"recipe": "dev-lora"} if self.kind == "lora" else {}
        request = Request(image=b"", engine=self.engine_name, options=recipe)
        self._private_database()
        self._check_workers.enter_context(keep_workers())  # never left: they live as long as this
        started = time.perf_counter()
        try:
            clip = self._engines(self.engine_name).generate(
                _blank_portrait(), request, ignore_progress
            )
        except VivantError as error:
            log.warning("the model is not loaded: %s", error.message)
            return
        # generate() has loaded the model; the clip itself is only made when its chunks are read
        close = getattr(clip.chunks, "close", None)
        if close is not None:
            close()
        log.info("model loaded", extra={"seconds": round(time.perf_counter() - started, 2)})

    def render(self, request: RenderRequest) -> RenderResult:
        """Render one clip. Every error is returned as data, never raised."""
        started = time.monotonic()
        gpu = self._gpu()
        scratch = Path(tempfile.mkdtemp(prefix="vivant-"))
        found: dict[str, Any]
        try:
            found = self._render(request, gpu, scratch)
        except Exception as error:
            log.exception("rendering failed")
            found = {"error": error_json(error)}
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            self._remove_progress(request["job_id"])
        seconds = time.monotonic() - started
        return cast("RenderResult", {**found, "gpu": gpu, "container_seconds": seconds})

    def _render(self, message: RenderRequest, gpu: str | None, scratch: Path) -> dict[str, Any]:
        job_id = message["job_id"]
        database = self._private_database()
        job_store, objects = JobStore(database), Objects.open(scratch / "objects")
        objects.put(key(job_id, SOURCE), message["source"])
        spec = JobSpec(
            request=request_from_json(message["request"]),
            picture=message["picture"],
            currency=message["request"]["currency"],
            budget=message["request"].get("budget"),
        )
        admission = Admission(database, Limits())
        if job_store.existing([job_id]):  # Modal calls again after this container's process died
            job_store.delete(job_id, None)
            admission.forget(job_id)
        admission.accept(job_id, spec, "")
        settings = self._settings_for(gpu)
        stages = JobStages(
            job_store,
            objects,
            settings,
            scratch / "stages",
            engines=self._engines,
            upscalers=self._load_upscaler,
            stopping=threading.Event(),
            container=self._paid(settings.device) if self._paid and settings.device else None,
        )
        done = threading.Event()
        reporter = threading.Thread(
            target=self._report_progress, args=(job_store, job_id, done), daemon=True
        )
        reporter.start()
        try:
            stages.prepare(job_id)
            stages.render(job_id)
        finally:
            done.set()
            reporter.join()
            job = job_store.get(job_id)
            job_store.delete(job_id, None)
            admission.forget(job_id)
        if job.error is not None:
            return {"error": _client_error(dict(job.error))}
        assert job.result is not None  # noqa: S101 - a job without an error has a result
        files = {
            name: objects.get(attempt_key(job_id, job.result["attempt"], name))
            for name in job.result["sizes"]
        }
        return {"result": dict(job.result), "files": files}

    def _report_progress(self, job_store: JobStore, job_id: str, done: threading.Event) -> None:
        """Copy the job's newest state to the shared dict, and cancel the job if told to stop."""
        seq = 0
        while not done.wait(REPORT_SECONDS if seq else 0.01):
            job = job_store.get(job_id)
            try:
                if self._shared.get(stop_key(job_id)):
                    job_store.cancel(job_id, None, keep_seconds=0)
                    return
                if job.seq != seq:
                    self._shared.put(job_id, dict(job.snapshot))
                    seq = job.seq
            except (CallFailedError, ModalUnreachableError) as error:
                log.warning("progress is not written: %s", error)

    def _remove_progress(self, job_id: str) -> None:
        try:
            self._shared.remove(job_id, stop_key(job_id))
        except (CallFailedError, ModalUnreachableError) as error:
            log.warning("progress is not removed: %s", error)

    def _private_database(self) -> Database:
        """The container's own database, made at the first call."""
        if self._database is None:
            file = Path(tempfile.mkdtemp(prefix="vivant-")) / "container.db"
            self._database = Database(f"sqlite:///{file}", pool_size=2, durable=False)
            self._database.migrate()
        return self._database

    def _settings_for(self, gpu: str | None) -> Settings:
        """Settings that bill the clip as the GPU that is there."""
        if gpu is None or not self._asked:
            return self._settings
        asked = [split_count(name) for name in self._asked]
        row = several(asked[0][1], billed_as([name for name, _ in asked], gpu))
        return self._settings.model_copy(update={"device": row})


def _client_error(error: dict[str, Any]) -> RenderError:
    message = error["message"]
    if error["code"] == MissingPartError.code:
        message += f" (on Modal: `{FILL_COMMAND}`)"
    return {"code": error["code"], "message": message, "param": error["param"]}


def _blank_portrait() -> Portrait:
    """A grey picture, to load a model with."""
    pixels = np.full((1080, 1920, 3), 128, np.uint8)
    return Portrait(
        pixels=pixels,
        crop=Box(0, 0, 1920, 1080),
        faces=(),
        source=Source("blank", "PNG", 1920, 1080, 0, ""),
    )
