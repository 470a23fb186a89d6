"""Writes a run's progress beside the work, and stops the work when it is no longer wanted.

Frames and chunks are only noted; a thread writes them, at most every :data:`INTERVAL`, so that a
slow database slows no clip down. A denoising step takes long enough to be written at once. Each
write says whether the run may go on; when it may not, the observer raises at that very step, or
at the next frame or chunk.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from vivant.errors import Cancelled, DatabaseError
from vivant.service.job_store import JobStore, Lease
from vivant.service.progress import ProgressMeter
from vivant.types import Progress

INTERVAL = 0.2
"""Seconds between two writes of the thread."""

STEP_INTERVAL = 0.1
"""Seconds between two writes of steps, which hold the run up for a few milliseconds."""

CHECK_SECONDS = 0.5
"""Seconds after which a cancel is looked for, also if there was no progress."""

log = logging.getLogger("vivant.service")


class ShuttingDownError(Cancelled):
    """The worker is told to stop; the job goes on elsewhere or later."""


class Reporter:
    """The observer of one run; a context manager.

    Args:
        job_store: where to write.
        lease: the run.
        meter: turns stages into a percentage.
        cost: seconds → the bill so far, as clients see it; None where there is no rate.
        expected: seconds such a clip usually takes; None where nobody knows.
        stopping: set when the worker is to stop.
    """

    def __init__(
        self,
        job_store: JobStore,
        lease: Lease,
        meter: ProgressMeter,
        *,
        cost: Callable[[float], Mapping[str, Any] | None],
        expected: float | None,
        stopping: threading.Event,
    ) -> None:
        self._job_store, self._lease, self._meter = job_store, lease, meter
        self._cost, self._expected, self._stopping = cost, expected, stopping
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._written_at = 0.0
        self._changed = threading.Event()
        self._lost = threading.Event()
        self._done = threading.Event()
        self._started = time.monotonic()
        self._clip_started = self._started
        self._gate: Mapping[str, Any] | None = None
        self._spent = 0.0
        self._thread = threading.Thread(target=self._run, name="vivant-report", daemon=True)

    def __call__(self, progress: Progress) -> None:
        """The observer.

        Raises:
            Cancelled: the job was cancelled, deleted or taken over.
            ShuttingDownError: the worker stops.
        """
        if self._stopping.is_set():
            raise ShuttingDownError
        if self._lost.is_set():
            raise Cancelled
        with self._lock:
            self._meter.take(progress)
        if progress.unit != "step" or time.monotonic() - self._written_at <= STEP_INTERVAL:
            self._changed.set()
            return
        try:
            allowed = self._write()
        except DatabaseError:
            self._changed.set()  # the thread tries on, and tells
            return
        if not allowed:
            self._lost.set()
            raise Cancelled

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._changed.set()
        self._thread.join()

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started

    def restart(self, meter: ProgressMeter | None, gate: Mapping[str, Any], spent: float) -> None:
        """Report the attempts. Where one more is made, its progress begins at zero.

        Args:
            meter: of the next clip; None where there is none.
            gate: what clients are told of the attempts.
            spent: seconds of earlier runs, which cost as well.

        Raises:
            Cancelled: the job was cancelled, deleted or taken over.
        """
        with self._lock:
            self._gate, self._spent = gate, spent
            if meter is not None:
                self._meter, self._clip_started = meter, time.monotonic()
        self._changed.set()
        try:
            allowed = self._write()
        except DatabaseError:
            return  # the thread tries on, and tells
        if not allowed:
            self._lost.set()
            raise Cancelled

    def labels(self) -> list[str]:
        """Stages that came up, as :func:`vivant.service.progress.label` names them."""
        return list(self._meter.weights)

    def stages(self) -> list[dict[str, Any]]:
        """What has been done."""
        with self._lock:
            return self._meter.stages()

    def _run(self) -> None:
        while not self._done.is_set() and not self._lost.is_set():
            changed = self._changed.wait(CHECK_SECONDS)
            self._changed.clear()
            if self._done.is_set():
                return
            try:
                allowed = self._write() if changed else self._job_store.alive(self._lease)
            except DatabaseError as error:
                log.warning("progress is not written: %s", error.message)
                self._done.wait(1.0)
                continue
            if not allowed:
                self._lost.set()
                return
            self._done.wait(INTERVAL)

    def _write(self) -> bool:
        with self._writing:
            self._written_at = time.monotonic()
            return self._write_one()

    def _write_one(self) -> bool:
        with self._lock:
            elapsed = self.elapsed
            at = self._meter.slowest()
            stages = self._meter.stages()
            percent = self._meter.percent
            eta = self._meter.eta(time.monotonic() - self._clip_started, self._expected)
            gate, spent = self._gate, self._spent
        by_unit = {entry["unit"]: entry["done"] for entry in stages}
        return self._job_store.report(
            self._lease,
            percent,
            {
                "stage": at.stage if at else None,
                "done": at.done if at else None,
                "total": at.total if at else None,
                "unit": at.unit if at else None,
                "step": by_unit.get("step"),
                "frame": min((e["done"] for e in stages if e["unit"] == "frame"), default=None),
                "stages": stages,
                "elapsed_seconds": elapsed,
                "eta_seconds": None if eta is None else round(eta, 2),
                "cost": self._cost(elapsed + spent),
                **({} if gate is None else {"gate": gate}),
            },
        )
