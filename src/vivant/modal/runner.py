"""Beside the front: a worker whose renders happen in a studio on Modal.

It is the worker of every Vivant service, with the same queues, heartbeats and recovery. Pictures
are read and clips are published here; a render is *spawned*, and its call's id kept beside the
picture, so that whoever goes on after a restart asks for the same clip and does not pay for
another. Knows nothing of HTTP.

Run by the front as ``python -m vivant.modal.runner --options JSON --data DIR``.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from vivant.errors import Cancelled, EngineError, JobNotFoundError, MachineError, VivantError
from vivant.modal.backend import Backend, Board, LostError, UnreachableError, stop_note
from vivant.modal.gpus import GPUS
from vivant.modal.options import Options, offering
from vivant.modal.work import Made, Work, studio_for
from vivant.picture.faces import lend_reader
from vivant.service.job import CALL, SOURCE, TRANSIENT, Job, attempt_key, key
from vivant.service.ledger import Lease
from vivant.service.reporter import ShuttingDownError
from vivant.service.stages import JobStages
from vivant.settings import Settings, read_settings

T = TypeVar("T")

POLL_SECONDS = 0.4
PATIENCE = 300.0
"""Seconds for which Modal may not answer before a job is given up."""

log = logging.getLogger("vivant.courier")


class ModalRunner(JobStages):
    """A bench whose clips are made elsewhere.

    Args:
        backend: Modal.
        *arguments: of :class:`JobStages`.
        **more: the same.
    """

    renders_here = False

    def __init__(self, backend: Backend, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._backend = backend

    def warm_up(self, engine: str) -> None:
        """Load the face reader; there is no engine here."""
        del engine
        with lend_reader():
            return

    def _make(self, job_id: str) -> bool:
        """As the bench does, once a studio has taken the clip: until then the job is queued."""
        if self._made(job_id):
            return True
        try:
            job = self._prepared(job_id)
            if job is None or not self._taken(job_id, self._call(job)):
                self._tidy(job_id)
                return False
        except ShuttingDownError:
            self._park()
        except TRANSIENT:
            raise
        except VivantError as error:
            self._fail(job_id, error)
            return False
        return super()._make(job_id)

    def _render(self, lease: Lease) -> bool:
        """Relay what the studio tells until the clip is there, and store it."""
        job_id = lease.job.id
        call = self._call(lease.job)
        percent, seq, anew = 0, -1, False
        while (made := self._patiently(lambda: self._backend.poll(call))) is None:
            note = self._patiently(lambda: self._backend.board.get(job_id)) or {}
            if note.get("seq", -1) != seq and note.get("event") == "progress":
                anew = anew or note["seq"] < seq  # in another container: the bar waits for it
                seq = note["seq"]
                percent = max(percent if anew else 0, int(note["progress"]))
                wanted = self._ledger.report(lease, percent, note)
            else:
                wanted = self._ledger.alive(lease)
            if not wanted:
                self._stop(job_id, call)
                raise Cancelled
            self._nap()
        return self._take_in(lease, made)

    def _take_in(self, lease: Lease, made: Made) -> bool:
        if "error" in made:
            trouble = made["error"]
            self._objects.delete(key(lease.job.id, CALL))
            if trouble["code"] == "cancelled":
                raise Cancelled
            raise EngineError(trouble["message"], code=trouble["code"], param=trouble["param"])
        with self._folder() as folder:
            for name, content in made["files"].items():
                path = folder / name
                path.write_bytes(content)
                self._store(
                    attempt_key(lease.job.id, lease.token, name),
                    path,
                    lambda: self._ledger.alive(lease),
                )
        result = {**made["result"], "attempt": lease.token}
        log.info("clip came back", extra={"seconds": round(made["studio_seconds"], 2)})
        kept = self._ledger.database.patiently(lambda: self._ledger.rendered(lease, result))
        self._objects.delete(key(lease.job.id, CALL))
        return kept

    def _call(self, job: Job) -> str:
        """The id of the job's call, made where there is none yet."""
        place = key(job.id, CALL)
        if self._objects.head(place) is not None:
            return self._objects.get(place).decode()
        work: Work = {
            "job_id": job.id,
            "request": dict(job.request),
            "picture": dict(job.picture),
            "source": self._objects.get(key(job.id, SOURCE)),
        }
        studio = studio_for(job.request)
        self._patiently(lambda: self._backend.board.remove(job.id, stop_note(job.id)))
        call = self._patiently(lambda: self._backend.spawn(studio, work))
        self._objects.put(place, call.encode())
        log.info("spawned", extra={"job": job.id, "stage": studio})
        return call

    def _prepared(self, job_id: str) -> Job | None:
        """The job once its picture was read, None where it ended: a bad picture costs no GPU."""
        job = self._wanted(job_id)
        if job is not None and job.prepared is None:
            self.prepare(job_id)
            job = self._wanted(job_id)
        return job

    def _wanted(self, job_id: str) -> Job | None:
        """The job, unless it is over or deleted."""
        try:
            job = self._ledger.get(job_id)
        except JobNotFoundError:
            return None
        return job if job.active else None

    def _taken(self, job_id: str, call: str) -> bool:
        """Wait until a studio is at it; False where nobody wants the clip any more."""
        while self._patiently(lambda: self._backend.poll(call)) is None:
            if self._patiently(lambda: self._backend.board.get(job_id)) is not None:
                return True
            if self._wanted(job_id) is None:
                self._stop(job_id, call)
                return False
            self._nap()
        return True

    def _stop(self, job_id: str, call: str) -> None:
        """Tell the studio to stop at its next step, or Modal that none need begin."""
        board = self._backend.board
        begun = self._patiently(lambda: board.get(job_id)) is not None
        self._patiently(lambda: board.put(stop_note(job_id), True))
        if not begun:
            self._patiently(lambda: self._backend.cancel(call))

    def _nap(self, seconds: float = POLL_SECONDS) -> None:
        if self._stopping.wait(seconds):
            raise ShuttingDownError

    def _patiently(self, ask: Callable[[], T]) -> T:
        until = time.monotonic() + PATIENCE
        while True:
            try:
                return ask()
            except LostError as error:
                raise EngineError(
                    f"Modal does not make this clip ({error}): send it again"
                ) from error
            except UnreachableError as error:
                if time.monotonic() > until:
                    raise MachineError(
                        f"Modal has not answered for {PATIENCE:.0f} s ({error}): try again later"
                    ) from error
                log.warning("Modal does not answer: %s", error)
                self._nap()


def board_for(options: Options) -> Board:
    """Modal's, or one that only this process sees."""
    if options.backend == "modal":
        from vivant.modal.client import ModalBoard

        return ModalBoard(options.app)
    from vivant.modal.fake import FakeBoard

    return FakeBoard()


def backend_for(settings: Settings, options: Options) -> Backend:
    """Modal, or the fake with studios in this process."""
    if options.backend == "modal":
        from vivant.modal.client import ModalBackend

        return ModalBackend(options.app)
    from vivant.engines import load_engine
    from vivant.modal.container import ModalContainer
    from vivant.modal.fake import FakeBackend, FakeBoard
    from vivant.upscalers import load_upscaler

    board = FakeBoard()

    def studio(kind: str) -> ModalContainer:
        return ModalContainer(
            kind, settings, board, load_engine=load_engine, load_upscaler=load_upscaler
        )

    return FakeBackend(studio, board, containers=options.max_containers)


def run(settings: Settings, options: Options) -> None:
    """Work until standard input closes; does not return."""
    from vivant.service import logs
    from vivant.service.worker import Worker

    logs.configure(settings.log_format)
    settings = offering(settings, options)
    backend = backend_for(settings, options)

    def stages(*arguments: Any, **more: Any) -> ModalRunner:
        return ModalRunner(backend, *arguments, **more)

    def none_here(name: str, *_: Any) -> Any:
        raise MachineError(f"{name} is not loaded beside the front")

    Worker(
        settings,
        load_engine=none_here,
        load_upscaler=none_here,
        make_stages=stages,
        why_not=lambda name: "" if name in options.engines else "not offered",
        gpu=lambda: GPUS[options.gpu[0]].row,
        renders_at_once=2 * options.max_containers + 1,  # two models; one more is on its way
    ).run(parent=sys.stdin)


def main() -> None:
    """Options as the front has them; all else from the environment, as the front has it too."""
    parser = argparse.ArgumentParser(prog="vivant.modal.runner")
    parser.add_argument("--options", required=True, type=Options.model_validate_json)
    parser.add_argument("--data", required=True, type=Path)
    given = parser.parse_args()
    run(read_settings(data_dir=given.data), given.options)


if __name__ == "__main__":
    main()
