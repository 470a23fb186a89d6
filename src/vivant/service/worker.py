"""A worker process: takes jobs from the queues, sends heartbeats, cleans up as the leader.

What a stage does is in :mod:`vivant.service.stages`, how stages are queued and put back in
:mod:`vivant.service.queue`, who lives and who leads in :mod:`vivant.service.heartbeat`.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import IO, Any

from sqlalchemy.exc import DBAPIError

from vivant.checks import keep_workers
from vivant.errors import DatabaseError, VivantError
from vivant.service import logs
from vivant.service.database import open_database
from vivant.service.engines import Engines, gpu_name, gpu_names, why_not
from vivant.service.executor import (
    CPU_AT_ONCE,
    POLL_SECONDS,
    SLOW_POLL_SECONDS,
    WEBHOOK_POLL_SECONDS,
    WEBHOOKS_AT_ONCE,
    Executor,
)
from vivant.service.heartbeat import Heartbeat, WorkerSlot
from vivant.service.job_store import JobStore
from vivant.service.objects import open_objects
from vivant.service.queue import (
    APPLICATION_VERSION,
    CPU_QUEUE,
    WEBHOOK_QUEUE,
    JobQueue,
    render_queue,
)
from vivant.service.stages import JobStages
from vivant.service.standby import Standby
from vivant.service.sweeper import Sweeper
from vivant.service.webhooks import Webhooks
from vivant.settings import Settings, use_gpus
from vivant.types import Engine
from vivant.version import __version__

HAND_OVER_SECONDS = 3.0
"""A leaving worker tries that long to put its stages back into their queues."""

STOP_SECONDS = 8.0
"""Running clips have that long to notice, at their next step, that the worker stops."""

EXIT_DECLARED_DEAD = 75
"""Exit code: other workers took over the jobs of this process, because it sent no heartbeat for too
long. The supervisor restarts it."""

log = logging.getLogger("vivant.worker")


class Worker:
    """See the module.

    Args:
        settings: of the service.
        load_engine: name and settings → loaded engine (``vivant.engines.load_engine``).
        load_upscaler: name → upscaler.
        make_stages: takes what :class:`JobStages` takes; another one where clips are rendered
            elsewhere.
        why_not: engine → why it cannot run where clips are rendered; empty where it can.
        gpu: what clips are rendered on; this worker's own GPU where not given.
        renders_at_once: clips of one queue that this worker has under way side by side.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        load_engine: Callable[[str, Settings], Engine],
        load_upscaler: Callable[[str], Any],
        make_stages: Callable[..., JobStages] = JobStages,
        why_not: Callable[[str], str] = why_not,
        gpu: Callable[[], str | None] | None = None,
        renders_at_once: int = 1,
    ) -> None:
        self._settings = settings
        self._closing = threading.Event()
        self._stopping, self._leaving = threading.Event(), threading.Event()
        self._changed = threading.Event()
        self._database = open_database(settings, durable=False)
        self._database.patiently(self._database.migrate)
        self._slot = WorkerSlot(settings.service_dir / "slots")
        if len(gpu_names()) > 1:
            use_gpus(self._slot.number * settings.gpus % len(gpu_names()), settings.gpus)
        self._id = f"{self._slot.name}-{uuid.uuid4().hex[:12]}"
        objects = open_objects(settings)
        scratch = settings.service_dir / "scratch" / f"worker-{self._slot.number}"
        shutil.rmtree(scratch, ignore_errors=True)
        self._job_store = JobStore(self._database)
        self.stages = make_stages(
            self._job_store,
            objects,
            settings,
            scratch,
            engines=Engines(lambda name: load_engine(name, settings)),
            upscalers=load_upscaler,
            stopping=self._stopping,
            closing=self._closing,
        )
        self._reasons = reasons = {name: why_not(name) for name in settings.engines}
        # With SQLite all workers are on this machine: the job is taken, and fails with the reason.
        self._engines = [n for n, reason in reasons.items() if not reason or self._database.sqlite]
        queues = self._queues(renders_at_once)
        gpu = gpu or partial(gpu_name, self._slot.number, settings.gpus)
        self._heartbeat = Heartbeat(
            self._database,
            self._id,
            self._slot.name,
            settings.worker_timeout,
            self._facts(gpu(), queues),
        )
        self._queue = JobQueue(self._database)
        self._sweeper = Sweeper(self._job_store, objects, self._queue, settings)
        self._executor = Executor(
            self._database,
            self._id,
            self.stages,
            queues,
            Webhooks(self._database) if settings.webhooks else None,
        )

    def _facts(self, gpu: str | None, queues: Mapping[str, tuple[int, float]]) -> dict[str, Any]:
        """What others may know of this worker."""
        return {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": APPLICATION_VERSION,
            "vivant": __version__,
            "timeout": self._settings.worker_timeout,
            "engines": self._reasons,
            "gpu": gpu,
            "queues": {name: at_once for name, (at_once, _) in queues.items()},
        }

    def _queues(self, renders_at_once: int) -> dict[str, tuple[int, float]]:
        """The queues that this worker takes from: name → (stages side by side, poll seconds)."""
        found = {CPU_QUEUE: (CPU_AT_ONCE, SLOW_POLL_SECONDS)}
        for engine in sorted(self._engines, key=lambda name: not self._reasons[name]):
            # a queue of several engines is polled as often as the first that can run here needs
            seconds = SLOW_POLL_SECONDS if self._reasons[engine] else POLL_SECONDS
            name = render_queue(engine, sqlite=self._database.sqlite)
            found[name] = (renders_at_once, seconds)
        if self._settings.webhooks:
            found[WEBHOOK_QUEUE] = (WEBHOOKS_AT_ONCE, WEBHOOK_POLL_SECONDS)
        return found

    def run(self, *, parent: IO[str] | None = None) -> None:
        """Work until told to stop; does not return.

        Args:
            parent: a pipe that closes when the process that started this one is gone.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        if parent is not None:
            threading.Thread(target=self._wait_for, args=(parent,), daemon=True).start()
        self._database.patiently(self._heartbeat.begin)
        threading.Thread(target=self._beat, name="vivant-heartbeat", daemon=True).start()
        self._executor.set_pace(1)
        self._executor.launch()
        logs.configure(self._settings.log_format)
        # beside `serve`, the last line of a terminal is the page's address
        level = logging.INFO if parent is None else logging.DEBUG
        log.log(level, "worker ready", extra={"worker": self._id})
        threading.Thread(target=self._warm_up, name="vivant-warm-up", daemon=True).start()
        threading.Thread(target=self._housekeep, name="vivant-sweep", daemon=True).start()
        with keep_workers():
            Standby(self._database, self._queue, self._executor).run(self._closing)
            self._drain()
        self._leave()

    def stop(self) -> None:
        """Begin no clip any more, finish what is at hand within the time set, and end.

        Told twice, give running jobs back at once.
        """
        if self._closing.is_set() or self._settings.drain_seconds == 0:
            self._stopping.set()
        self._closing.set()

    def close(self) -> None:
        """Give back what a worker that never ran holds: its connections and its slot."""
        self._database.close()
        self._slot.release()

    # -- the living and the dead -----------------------------------------------------------

    def _beat(self) -> None:
        """Tell that this worker lives; as the leader, put stages of the dead back."""
        while not self._leaving.wait(self._heartbeat.pause):
            self._slot.touch()
            try:
                if not self._heartbeat.beat():
                    log.error("this worker was taken for dead: starting anew")
                    os._exit(EXIT_DECLARED_DEAD)
                known = self._heartbeat.living
                for worker_id in self._heartbeat.look():
                    log.warning("took over from a dead worker", extra={"worker": worker_id})
                if known != self._heartbeat.living:
                    self._changed.set()
                if self._heartbeat.leads:
                    self._requeue_of_the_dead()
            except (DatabaseError, DBAPIError) as error:
                log.warning("no heartbeat: %s", error)
            except Exception:  # the heartbeat must not stop
                log.exception("heartbeat failed")

    def _requeue_of_the_dead(self) -> None:
        alive: set[str] = set()

        def is_alive(worker_id: str) -> bool:
            if not alive:  # asked once, after the stages were listed
                alive.update(self._heartbeat.alive())
            return worker_id in alive

        for stage in self._queue.requeue(is_alive):
            log.warning("put back, its worker is gone: %s", stage)

    def _housekeep(self) -> None:
        """Follow who comes and goes; as the leader, rerun stages of older versions and sweep."""
        missing: set[str] = set()
        swept_at = time.monotonic()
        with suppress(VivantError):  # asked again before anything is removed
            self._sweeper.owns_store()
        while not self._closing.is_set():
            self._changed.wait(self._sweeper.pause)
            self._changed.clear()
            try:
                self._executor.set_pace(len(self._heartbeat.living))
                if self._heartbeat.leads:
                    self._rerun_outdated()
                if time.monotonic() - swept_at < self._sweeper.pause:
                    continue
                swept_at = time.monotonic()
                missing = self._requeue_missing(missing)
                if self._heartbeat.leads:
                    self._sweeper.sweep()
            except VivantError as error:
                log.warning("sweeping failed: %s", error.message)
            except Exception:  # housekeeping must not stop
                log.exception("sweeping failed")

    def _rerun_outdated(self) -> None:
        versions = {worker.version for worker in self._heartbeat.living}
        if found := self._queue.rerun_outdated(versions, self._job_store.some):
            log.info("%d stages of older versions are done by this one", found)

    def _requeue_missing(self, before: set[str]) -> set[str]:
        """Put back stages that the database says are this worker's, and no thread runs.

        That happens where the database goes away at the very moment a stage begins or ends. What
        is missing must be so for two rounds.
        """
        missing = self._queue.claimed_by(self._id) - self._executor.running
        if again := missing & before:
            for stage in self._queue.requeue(lambda worker_id: worker_id != self._id, only=again):
                log.warning("put back, no thread was at it: %s", stage)
        return missing - before

    # -- beginning and end -----------------------------------------------------------------

    def _warm_up(self) -> None:
        default = self._settings.default_engine
        try:
            self.stages.warm_up(default if default in self._engines else self._engines[0])
        except IndexError:
            log.warning("this worker can run no engine: it prepares pictures and publishes clips")
        except VivantError as error:
            log.warning("the default engine cannot be loaded: %s", error.message)

    def _wait_for(self, parent: IO[str]) -> None:
        while parent.read(1):
            continue
        self.stop()

    def _drain(self) -> None:
        """Let the clip at hand end, as long as the operator allows."""
        self._executor.stop(self._settings.drain_seconds + STOP_SECONDS)
        until = time.monotonic() + self._settings.drain_seconds
        if self.stages.running and not self._stopping.is_set():
            log.info("draining: no new clip is begun")
        while self.stages.running and time.monotonic() < until and not self._stopping.is_set():
            time.sleep(0.05)
        self._stopping.set()

    def _leave(self) -> None:
        """Let runs give their jobs back, put all stages back into their queues, and end."""
        time.sleep(0.1)
        deadline = time.monotonic() + STOP_SECONDS
        while self.stages.running and time.monotonic() < deadline:
            time.sleep(0.05)
        self._leaving.set()
        handing = threading.Thread(target=self._hand_over, daemon=True)
        handing.start()
        handing.join(HAND_OVER_SECONDS)  # do not wait for a database that does not answer
        log.info("worker stopped", extra={"worker": self._id})
        logging.shutdown()
        os._exit(0)

    def _hand_over(self) -> None:
        try:
            self.stages.give_back_pictures()
            self._queue.requeue(lambda worker_id: worker_id != self._id)
            self._heartbeat.leave()
        except (DatabaseError, DBAPIError) as error:
            log.warning("others will notice later that this worker is gone: %s", error)
