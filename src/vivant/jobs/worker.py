"""A worker process: takes jobs from the queues, tells that it lives, takes over from the dead.

Who is alive is told by counters that stop rising, timed by each looker's own monotonic clock, so
that moving a machine's clock kills nobody. A process holds a *slot* (a lock file) while it lives;
whoever gets the slot next knows that its former holder is dead and takes over its jobs at once.
Knows nothing of HTTP, nor of what a stage does.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig
from dbos._dbos import _get_dbos_instance  # pinned: has no public name

from vivant.errors import DatabaseError, MachineError, VivantError
from vivant.jobs import logs, workflows
from vivant.jobs.abilities import gpu_name, why_not
from vivant.jobs.admission import APPLICATION, APPLICATION_VERSION, PREPARE_QUEUE
from vivant.jobs.database import Database
from vivant.jobs.ledger import Ledger
from vivant.jobs.places import open_database, open_objects
from vivant.jobs.stages import Bench
from vivant.jobs.sweeper import Sweeper
from vivant.jobs.tables import workers
from vivant.settings import Settings
from vivant.types import Engine

BEAT_SECONDS = 1.0
SLOTS = 64
"""Worker processes on one machine, at most."""

EXIT_DECLARED_DEAD = 75
"""This process was frozen for so long that others took its jobs over; it starts anew."""

log = logging.getLogger("vivant.worker")


@dataclass
class Slot:
    """A lock file held for the life of the process.

    Attributes:
        name: unique over machines.
    """

    name: str
    _file: IO[str] = field(repr=False)

    @classmethod
    def take(cls, folder: Path) -> Slot:
        """The first one that is free.

        Raises:
            MachineError: all are taken.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(SLOTS):
            file = (folder / f"slot-{number}.lock").open("w")
            if _lock(file):
                return cls(f"{_machine(folder)}-{number}", file)
            file.close()
        raise MachineError(f"{SLOTS} workers run here already: stop some")

    @property
    def number(self) -> str:
        """Its part of the file's name."""
        return self.name.rsplit("-", 1)[-1]


def _machine(folder: Path) -> str:
    """Random, kept beside the lock files: host names are not unique."""
    path = folder / "machine"
    try:
        with path.open("x") as file:
            file.write(uuid.uuid4().hex[:12])
    except FileExistsError:
        pass
    return path.read_text()


def _lock(file: IO[str]) -> bool:
    """Whether the lock could be had; the system lets go of it when the process ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Pulse:
    """This worker's row, and what it thinks of the others'."""

    def __init__(
        self, database: Database, worker_id: str, slot: str, timeout: float, facts: dict[str, Any]
    ) -> None:
        self._database, self._id, self._slot = database, worker_id, slot
        self._timeout, self._facts = timeout, facts
        self._beats = 0
        self._seen: dict[str, tuple[int, float]] = {}

    def begin(self) -> list[str]:
        """Write the first beat; ids of the slot's former holders, which are dead."""
        with self._database.write() as connection:
            former = list(
                connection.execute(
                    sa.select(workers.c.id).where(
                        workers.c.slot == self._slot, workers.c.id != self._id
                    )
                ).scalars()
            )
            connection.execute(
                workers.insert().values(
                    id=self._id, slot=self._slot, beats=0, at=time.time(), facts=self._facts
                )
            )
        return former

    def beat(self) -> bool:
        """Tell that this worker lives; False where others have declared it dead."""
        self._beats += 1
        with self._database.write() as connection:
            done = connection.execute(
                workers.update()
                .where(workers.c.id == self._id)
                .values(beats=self._beats, at=time.time())
            )
        return done.rowcount > 0

    def dead(self) -> list[str]:
        """Workers whose counter has not risen for the timeout, by this process's clock."""
        now = time.monotonic()
        with self._database.read() as connection:
            rows = connection.execute(sa.select(workers.c.id, workers.c.beats)).all()
        seen = {}
        for worker_id, beats in rows:
            before = self._seen.get(worker_id)
            seen[worker_id] = before if before and before[0] == beats else (beats, now)
        self._seen = seen
        return [w for w, (_, at) in seen.items() if w != self._id and now - at > self._timeout]

    def bury(self, worker_id: str) -> None:
        """Its jobs have been taken over."""
        with self._database.write() as connection:
            connection.execute(workers.delete().where(workers.c.id == worker_id))


class Worker:
    """See the module.

    Args:
        settings: of the service.
        load_engine: name and settings → loaded engine (``vivant.engine.load_engine``).
        load_upscaler: name → upscaler.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        load_engine: Callable[[str, Settings], Engine],
        load_upscaler: Callable[[str], Any],
    ) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._dropped: set[str] = set()
        self._database = open_database(settings, durable=False)
        self._database.patiently(self._database.migrate)
        self._slot = Slot.take(settings.service_dir / "slots")
        self._id = f"{self._slot.name}-{uuid.uuid4().hex[:12]}"
        objects = open_objects(settings)
        scratch = settings.service_dir / "scratch" / f"worker-{self._slot.number}"
        shutil.rmtree(scratch, ignore_errors=True)
        ledger = Ledger(self._database)

        @cache
        def engines(name: str) -> Engine:
            return load_engine(name, settings)

        self._bench = Bench(
            ledger,
            objects,
            settings,
            scratch,
            engines=engines,
            upscalers=load_upscaler,
            stopping=self._stopping,
        )
        facts = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "engines": {name: why_not(name) for name in settings.engines},
            "gpu": gpu_name(),
        }
        self._pulse = Pulse(
            self._database, self._id, self._slot.name, settings.worker_timeout, facts
        )
        self._sweeper = Sweeper(ledger, objects, settings)

    def run(self, *, parent: IO[str] | None = None) -> None:
        """Work until told to stop; does not return.

        Args:
            parent: a pipe that closes when the process that started this one is gone.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        if parent is not None:
            threading.Thread(target=self._wait_for, args=(parent,), daemon=True).start()
        former = self._database.patiently(self._pulse.begin)
        threading.Thread(target=self._live, name="vivant-pulse", daemon=True).start()
        self._launch()
        self._take_over(former)
        log.info("worker ready", extra={"worker": self._id})
        threading.Thread(target=self._warm_up, name="vivant-warm-up", daemon=True).start()
        threading.Thread(target=self._tidy, name="vivant-sweep", daemon=True).start()
        while not self._stopping.wait(60):
            continue
        self._leave()

    def stop(self) -> None:
        """Give running jobs back and end."""
        self._stopping.set()

    def _launch(self) -> None:
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": self._database.url,
            "system_database_engine": self._database.engine,
            "application_version": APPLICATION_VERSION,
            "executor_id": self._id,
            "use_listen_notify": False,
            "log_level": "WARNING",
        }
        DBOS(config=config)
        workflows.register(lambda: self._bench)
        DBOS.launch()
        workflows.register_queues()
        logs.configure(self._settings.log_format)

    def _live(self) -> None:
        """Beat, and bury the dead."""
        while not self._stopping.wait(BEAT_SECONDS):
            try:
                if not self._pulse.beat():
                    log.error("this worker was taken for dead: starting anew")
                    os._exit(EXIT_DECLARED_DEAD)
                self._take_over(self._pulse.dead())
            except DatabaseError as error:
                log.warning("no heartbeat: %s", error.message)
            except Exception:  # the pulse must not stop
                log.exception("heartbeat failed")

    def _take_over(self, dead: list[str]) -> None:
        for worker_id in dead:
            log.warning("taking over from a dead worker", extra={"worker": worker_id})
            DBOS._recover_pending_workflows([worker_id])
            self._pulse.bury(worker_id)

    def _warm_up(self) -> None:
        try:
            self._bench.warm_up(self._settings.default_engine)
        except VivantError as error:
            log.warning("the default engine cannot be loaded: %s", error.message)

    def _tidy(self) -> None:
        while not self._stopping.wait(self._sweeper.pause):
            try:
                self._resume_dropped()
                self._sweeper.sweep()
            except VivantError as error:
                log.warning("sweeping failed: %s", error.message)
            except Exception:  # the sweeper must not stop
                log.exception("sweeping failed")

    def _resume_dropped(self) -> None:
        """Put back what is this worker's by the database, and which none of its threads is at.

        That happens where the database went away at the very moment a stage ended. What is
        dropped must be so for two rounds.
        """
        dbos = _get_dbos_instance()
        mine = DBOS.list_workflows(
            status="PENDING", executor_id=self._id, load_input=False, load_output=False
        )
        at_work = set(dbos._active_workflows_set.activeList())
        dropped = {workflow.workflow_id for workflow in mine} - at_work
        for workflow_id in dropped & self._dropped:
            log.warning("a dropped stage is put back: %s", workflow_id)
            dbos._sys_db.reenqueue_for_recovery(workflow_id, [self._id], PREPARE_QUEUE)
        self._dropped = dropped - self._dropped

    def _wait_for(self, parent: IO[str]) -> None:
        while parent.read(1):
            continue
        self.stop()

    def _leave(self) -> None:
        """Let runs give their jobs back, then go without waiting for the rest."""
        time.sleep(0.1)
        deadline = time.monotonic() + 8.0
        while self._bench.running and time.monotonic() < deadline:
            time.sleep(0.05)
        log.info("worker stopped", extra={"worker": self._id})
        logging.shutdown()
        os._exit(0)
