"""The worker beside the web app: renders run in Modal's containers, everything else here.

It is the service's own worker with the same queues, heartbeats and recovery. It reads pictures
and publishes clips. A render is *spawned* on Modal, and the call's id is stored beside the
picture. Whoever goes on with the job after a restart asks for the same call, so no clip is
rendered and paid for twice.

The web app starts it as ``python -m vivant.modal.runner --options JSON --data DIR``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_fixed,
)

from vivant.errors import Cancelled, EngineError, JobNotFoundError, MachineError, VivantError
from vivant.modal.backend import (
    Backend,
    CallFailedError,
    ModalUnreachableError,
    SharedDict,
    stop_key,
)
from vivant.modal.gpus import GPUS, split_count
from vivant.modal.messages import RenderRequest, RenderResult, container_kind
from vivant.modal.options import DeploymentOptions, with_engines
from vivant.picture.faces import lend_reader
from vivant.service.job import CALL, SOURCE, TRANSIENT, Job, attempt_key, key
from vivant.service.job_store import Lease
from vivant.service.reporter import ShuttingDownError
from vivant.service.stages import JobStages
from vivant.settings import Settings, read_settings
from vivant.types import several

T = TypeVar("T")

POLL_SECONDS = 0.4
"""Between two polls of a call."""

PATIENCE_SECONDS = 300.0
"""How long Modal may be unreachable before a job fails."""

log = logging.getLogger("vivant.modal.runner")


class ModalRunner(JobStages):
    """The stages of a worker whose clips are rendered on Modal.

    Args:
        backend: Modal, or the fake.
        *arguments: passed to :class:`vivant.service.stages.JobStages`.
        **more: passed to it too.
    """

    renders_here = False

    def __init__(self, backend: Backend, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._backend = backend

    def warm_up(self, engine: str) -> None:
        """Load the face reader. No engine runs in this process."""
        del engine
        with lend_reader():
            return

    def _run_once(self, job_id: str) -> bool:
        """Wait until a container has started the clip, then go on as other workers do.

        Until then the job stays ``queued``.
        """
        if self._already_made(job_id):
            return True
        try:
            job = self._prepared(job_id)
            if job is None:
                self._stop_left_call(job_id)
            if job is None or not self._wait_until_started(job_id, self._call(job)):
                self._delete_unfinished(job_id)
                return False
        except ShuttingDownError:
            self._block_until_exit()
        except TRANSIENT:
            raise
        except VivantError as error:
            self.fail(job_id, error)
            return False
        return super()._run_once(job_id)

    def _make_and_store(self, lease: Lease) -> bool:
        """Copy the container's progress to the job store until the clip is there, then store it."""
        job_id = lease.job.id
        call = self._call(lease.job)
        percent, seq, restarted = 0, -1, False
        while (result := self._retry(lambda: self._backend.poll(call))) is None:
            event = self._retry(lambda: self._backend.shared.get(job_id)) or {}
            if event.get("seq", -1) != seq and event.get("event") == "progress":
                # a smaller number comes from another container: keep the bar until it catches up
                restarted = restarted or event["seq"] < seq
                seq = event["seq"]
                percent = max(percent if restarted else 0, int(event["progress"]))
                wanted = self._job_store.report(lease, percent, event)
            else:
                wanted = self._job_store.alive(lease)
            if not wanted:
                self._stop(job_id, call)
                raise Cancelled
            self._sleep()
        return self._store_result(lease, result)

    def _store_result(self, lease: Lease, result: RenderResult) -> bool:
        if "error" in result:
            error = result["error"]
            self._objects.delete(key(lease.job.id, CALL))
            if error["code"] == "cancelled":
                raise Cancelled
            raise EngineError(error["message"], code=error["code"], param=error["param"])
        with self._folder() as folder:
            for name, content in result["files"].items():
                path = folder / name
                path.write_bytes(content)
                self._store(
                    attempt_key(lease.job.id, lease.token, name),
                    path,
                    lambda: self._job_store.alive(lease),
                )
        rendered = {**result["result"], "attempt": lease.token}
        log.info("clip received", extra={"seconds": round(result["container_seconds"], 2)})
        kept = self._job_store.database.patiently(lambda: self._job_store.rendered(lease, rendered))
        self._objects.delete(key(lease.job.id, CALL))
        return kept

    def _call(self, job: Job) -> str:
        """The id of the job's call. The render is spawned if it was not yet."""
        name = key(job.id, CALL)
        if self._objects.head(name) is not None:
            return self._objects.get(name).decode()
        request: RenderRequest = {
            "job_id": job.id,
            "request": dict(job.request),
            "picture": dict(job.picture),
            "source": self._objects.get(key(job.id, SOURCE)),
        }
        kind = container_kind(job.request)
        self._retry(lambda: self._backend.shared.remove(job.id, stop_key(job.id)))
        call = self._retry(lambda: self._backend.spawn(kind, request))
        self._objects.put(name, call.encode())
        log.info("render spawned", extra={"job": job.id, "stage": kind})
        return call

    def _prepared(self, job_id: str) -> Job | None:
        """The job once its picture was read; None if it ended: a bad picture costs no GPU."""
        job = self._active_job(job_id)
        if job is not None and job.prepared is None:
            self.prepare(job_id)
            job = self._active_job(job_id)
        return job

    def _active_job(self, job_id: str) -> Job | None:
        """The job, or None if it has ended or was deleted."""
        try:
            job = self._job_store.get(job_id)
        except JobNotFoundError:
            return None
        return job if job.active else None

    def _wait_until_started(self, job_id: str, call: str) -> bool:
        """Wait for a container to start the clip; False if the job was cancelled before."""
        while self._retry(lambda: self._backend.poll(call)) is None:
            if self._retry(lambda: self._backend.shared.get(job_id)) is not None:
                return True
            if self._active_job(job_id) is None:
                self._stop(job_id, call)
                return False
            self._sleep()
        return True

    def _stop(self, job_id: str, call: str) -> None:
        """Stop the render at its next step, or cancel the call if no container has started it.

        The call is forgotten after that, so that a restart in between stops it once more.
        """
        shared = self._backend.shared
        started = self._retry(lambda: shared.get(job_id)) is not None
        self._retry(lambda: shared.put(stop_key(job_id), True))
        if not started:
            self._retry(lambda: self._backend.cancel(call))
        self._objects.delete(key(job_id, CALL))

    def _stop_left_call(self, job_id: str) -> None:
        """Stop the call of a job that ended while no runner was there to see it."""
        name = key(job_id, CALL)
        if self._objects.head(name) is not None:
            self._stop(job_id, self._objects.get(name).decode())

    def _sleep(self, seconds: float = POLL_SECONDS) -> None:
        if self._stopping.wait(seconds):
            raise ShuttingDownError

    def _retry(self, ask: Callable[[], T]) -> T:
        """The answer; asked again while Modal is unreachable, for :data:`PATIENCE_SECONDS`."""
        again = Retrying(
            retry=retry_if_exception_type(ModalUnreachableError),
            wait=wait_fixed(POLL_SECONDS),
            stop=stop_after_delay(PATIENCE_SECONDS),
            before_sleep=_log_retry,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return again(ask)
        except CallFailedError as error:
            raise EngineError(f"Modal does not make this clip ({error}): send it again") from error
        except ModalUnreachableError as error:
            raise MachineError(
                f"Modal has not answered for {PATIENCE_SECONDS:.0f} s ({error}): try again later"
            ) from error


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.warning("Modal does not answer: %s", error)


def open_shared_dict(options: DeploymentOptions) -> SharedDict:
    """The app's Modal Dict, or with the fake backend a dict of this process."""
    if options.backend == "modal":
        from vivant.modal.client import ModalDict

        return ModalDict(options.app)
    from vivant.modal.fake import FakeDict

    return FakeDict()


def open_backend(settings: Settings, options: DeploymentOptions) -> Backend:
    """Modal, or the fake with render containers in this process."""
    if options.backend == "modal":
        from vivant.modal.client import ModalBackend

        return ModalBackend(options.app)
    from vivant.engines import load_engine
    from vivant.modal.container import ModalContainer
    from vivant.modal.fake import FakeBackend, FakeDict
    from vivant.upscalers import load_upscaler

    shared = FakeDict()

    def start_container(kind: str) -> ModalContainer:
        return ModalContainer(
            kind, settings, shared, load_engine=load_engine, load_upscaler=load_upscaler
        )

    return FakeBackend(start_container, shared, containers=options.max_containers)


def run(settings: Settings, options: DeploymentOptions) -> None:
    """Work until standard input closes; does not return."""
    from vivant.service import logs
    from vivant.service.worker import Worker

    logs.configure(settings.log_format)
    settings = with_engines(settings, options)
    backend = open_backend(settings, options)

    def make_stages(*arguments: Any, **more: Any) -> ModalRunner:
        return ModalRunner(backend, *arguments, **more)

    def not_loaded(name: str, *_: Any) -> Any:
        raise MachineError(f"{name} is not loaded beside the web app")

    Worker(
        settings,
        load_engine=not_loaded,
        load_upscaler=not_loaded,
        make_stages=make_stages,
        why_not=lambda name: "" if name in options.engines else "not offered",
        gpu=lambda: several(options.gpus, GPUS[split_count(options.gpu[0])[0]].row),
        # all containers of both models busy, and one more job waiting to start
        renders_at_once=2 * options.max_containers + 1,
    ).run(parent=sys.stdin)


def main() -> None:
    """Read the options that the web app passes; other settings come from the environment."""
    parser = argparse.ArgumentParser(prog="vivant.modal.runner")
    parser.add_argument("--options", required=True, type=DeploymentOptions.model_validate_json)
    parser.add_argument("--data", required=True, type=Path)
    arguments = parser.parse_args()
    run(read_settings(data_dir=arguments.data), arguments.options)


if __name__ == "__main__":
    main()
