"""A worker process: takes jobs from the queues, tells that it lives, takes over from the dead.

Who is alive is told by counters that stop rising, timed by each looker's own monotonic clock, so
that moving a machine's clock kills nobody. A process holds a *slot* (a lock file) while it lives;
whoever gets the slot next knows that its former holder is dead and takes over its jobs at once.
Knows nothing of HTTP, nor of what a stage does.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, Queue
from sqlalchemy.exc import DBAPIError

from vivant.checks import keep_workers
from vivant.errors import DatabaseError, MachineError, VivantError
from vivant.service import handover, logs, workflows
from vivant.service.abilities import gpu_name, gpu_names, why_not
from vivant.service.claims import Claims
from vivant.service.database import Database
from vivant.service.engines import Engines
from vivant.service.ledger import Ledger
from vivant.service.news import News
from vivant.service.places import open_database, open_objects
from vivant.service.queues import (
    APPLICATION,
    APPLICATION_VERSION,
    PREPARE_QUEUE,
    older,
    render_queue,
)
from vivant.service.stages import Bench
from vivant.service.sweeper import Sweeper
from vivant.service.tables import workers
from vivant.settings import Settings, use_gpu
from vivant.types import Engine
from vivant.version import __version__

BEAT_SECONDS = 1.0
"""Between two beats, at most."""

BEATS_TO_DEATH = 8
"""A worker that has missed so many is dead: a beat comes at least every eighth of the timeout."""

SLOTS = 64
"""Worker processes on one machine, at most."""

HAND_OVER_SECONDS = 3.0
"""A leaving worker tries that long to tell the others."""

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

    def beat(self) -> None:
        """Move the time of a file beside the lock, for those who watch containers."""
        try:
            Path(self._file.name).with_suffix(".beat").touch()
        except OSError:
            return  # a full disk is told elsewhere

    @property
    def number(self) -> str:
        """Its part of the file's name."""
        return self.name.rsplit("-", 1)[-1]


def _machine(folder: Path) -> str:
    """Random, kept beside the lock files, and told apart by the host's name.

    Host names alone are not unique, and a disk may be copied to another host.
    """
    path = folder / "machine"
    if not path.exists():
        made = folder / f"machine-{uuid.uuid4().hex}"
        made.write_text(uuid.uuid4().hex)
        try:
            made.rename(path) if os.name == "nt" else os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink(missing_ok=True)
    both = f"{path.read_text()} {socket.gethostname()}"
    return hashlib.sha256(both.encode()).hexdigest()[:12]


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


class Peer(NamedTuple):
    """A worker as others see it; after ``timeout`` seconds of silence it is dead."""

    id: str
    version: str
    timeout: float


class Pulse:
    """This worker's row, and what it thinks of the others'."""

    def __init__(
        self, database: Database, worker_id: str, slot: str, timeout: float, facts: dict[str, Any]
    ) -> None:
        self._database, self._id, self._slot = database, worker_id, slot
        self._timeout, self._facts = timeout, facts
        self._beats = 0
        self._seen: dict[str, tuple[int, float]] = {}
        self.living: list[Peer] = []

    def begin(self) -> list[Peer]:
        """Write the first beat; the slot's former holders, which are dead."""
        with self._database.write() as connection:
            former = connection.execute(
                sa.select(workers.c.id, workers.c.facts).where(
                    workers.c.slot == self._slot, workers.c.id != self._id
                )
            ).all()
            connection.execute(
                workers.insert().values(
                    id=self._id, slot=self._slot, beats=0, at=time.time(), facts=self._facts
                )
            )
        return [self._peer(worker_id, facts) for worker_id, facts in former]

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

    def look(self) -> list[Peer]:
        """Note who lives; the workers whose counter has not risen for the timeout, by our clock."""
        now = time.monotonic()
        with self._database.read() as connection:
            rows = connection.execute(sa.select(workers.c.id, workers.c.beats, workers.c.facts))
            seen, found = {}, {}
            for worker_id, beats, facts in rows:
                before = self._seen.get(worker_id)
                seen[worker_id] = before if before and before[0] == beats else (beats, now)
                found[worker_id] = self._peer(worker_id, facts)
        self._seen = seen
        late = {
            worker_id
            for worker_id, (_, at) in seen.items()
            if worker_id != self._id and now - at > found[worker_id].timeout
        }
        self.living = sorted(peer for worker_id, peer in found.items() if worker_id not in late)
        return [found[worker_id] for worker_id in late]

    def _peer(self, worker_id: str, facts: Mapping[str, Any]) -> Peer:
        version = str(facts.get("version", APPLICATION_VERSION))
        return Peer(worker_id, version, float(facts.get("timeout", self._timeout)))

    @property
    def leads(self) -> bool:
        """Whether this one does what need be done only once; repeating it is no harm."""
        return bool(self.living) and min(peer.id for peer in self.living) == self._id

    def bury(self, worker_id: str) -> None:
        """Its jobs have been taken over."""
        with self._database.write() as connection:
            connection.execute(workers.delete().where(workers.c.id == worker_id))


class Worker:
    """See the module.

    Args:
        settings: of the service.
        load_engine: name and settings → loaded engine (``vivant.engines.load_engine``).
        load_upscaler: name → upscaler.
        make_bench: takes what :class:`Bench` takes; another one where clips are rendered elsewhere.
        why_not: engine → why it cannot run where clips are rendered; empty where it can.
        gpu: what clips are rendered on; this worker's own GPU where not given.
        renders_at_once: clips this worker has under way side by side.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        load_engine: Callable[[str, Settings], Engine],
        load_upscaler: Callable[[str], Any],
        make_bench: Callable[..., Bench] = Bench,
        why_not: Callable[[str], str] = why_not,
        gpu: Callable[[], str | None] | None = None,
        renders_at_once: int = 1,
    ) -> None:
        self._settings = settings
        self._renders_at_once = renders_at_once
        self._told = threading.Event()
        self._stopping, self._leaving = threading.Event(), threading.Event()
        self._dropped: set[str] = set()
        self._ready = False
        self._known: list[Peer] = []
        self._registered: dict[str, Queue] = {}
        self._database = open_database(settings, durable=False)
        self._database.patiently(self._database.migrate)
        self._slot = Slot.take(settings.service_dir / "slots")
        if len(gpu_names()) > 1:
            use_gpu(int(self._slot.number) % len(gpu_names()))
        self._id = f"{self._slot.name}-{uuid.uuid4().hex[:12]}"
        objects = open_objects(settings)
        scratch = settings.service_dir / "scratch" / f"worker-{self._slot.number}"
        shutil.rmtree(scratch, ignore_errors=True)
        ledger = Ledger(self._database)
        self._bench = make_bench(
            ledger,
            objects,
            settings,
            scratch,
            engines=Engines(lambda name: load_engine(name, settings)),
            upscalers=load_upscaler,
            stopping=self._stopping,
            closing=self._told,
            clips_at_once=renders_at_once,
        )
        reasons = {name: why_not(name) for name in settings.engines}
        # On one machine there is nobody else: the reason is the answer.
        self._engines = [n for n, reason in reasons.items() if not reason or self._database.sqlite]
        facts = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "version": APPLICATION_VERSION,
            "vivant": __version__,
            "timeout": settings.worker_timeout,
            "engines": reasons,
            "gpu": (gpu or partial(gpu_name, int(self._slot.number)))(),
        }
        self._pulse = Pulse(
            self._database, self._id, self._slot.name, settings.worker_timeout, facts
        )
        self._sweeper = Sweeper(ledger, objects, settings)
        self._claims = Claims(
            News(self._database),
            {name: workflows.room(name, renders_at_once) for name in self._queues},
            self._claim,
            lambda name: workflows.pace(name, len(self._pulse.living)),
        )

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
        with keep_workers():
            while not self._told.wait(60):
                continue
            self._drain()
        self._leave()

    def stop(self) -> None:
        """Begin no clip any more, finish what is at hand within the time set, and end.

        Told twice, give running jobs back at once.
        """
        if self._told.is_set() or self._settings.drain_seconds == 0:
            self._stopping.set()
        self._told.set()

    @property
    def _queues(self) -> list[str]:
        return [PREPARE_QUEUE, *(render_queue(name) for name in self._engines)]

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
        DBOS.listen_queues([])
        workflows.register(lambda: self._bench)
        DBOS.launch()
        handover.dismiss_askers()
        self._registered = workflows.register_queues(
            self._queues, renders_at_once=self._renders_at_once
        )
        self._claims.start()
        self._ready = True
        logs.configure(self._settings.log_format)

    def _claim(self, queue: str, running: int) -> list[Future[Any]]:
        return handover.claim(self._registered[queue], running, self._id, APPLICATION_VERSION)

    def _live(self) -> None:
        """Beat, and bury the dead."""
        pause = min(BEAT_SECONDS, self._settings.worker_timeout / BEATS_TO_DEATH)
        while not self._leaving.wait(pause):
            self._slot.beat()
            try:
                if not self._pulse.beat():
                    log.error("this worker was taken for dead: starting anew")
                    os._exit(EXIT_DECLARED_DEAD)
                self._take_over(self._pulse.look())
                if self._ready and self._known != self._pulse.living:
                    self._known = self._pulse.living
                    if self._pulse.leads:  # who came or went may have been the last of its version
                        self._adopt()
                if self._ready and self._pulse.leads:
                    self._take_back_strays()
            except (DatabaseError, DBAPIError) as error:
                log.warning("no heartbeat: %s", error)
            except Exception:  # the pulse must not stop
                log.exception("heartbeat failed")

    def _take_over(self, dead: list[Peer]) -> None:
        for peer in dead if self._ready else ():
            found = handover.take_back(peer.id, peer.version)
            log.warning(
                "took over from a dead worker", extra={"worker": peer.id, "stages": len(found)}
            )
            self._pulse.bury(peer.id)

    def _take_back_strays(self) -> None:
        for worker_id, version in handover.strays():
            for stage in handover.take_back(worker_id, version):
                log.warning("taken back from a worker that is gone: %s", stage)

    def _warm_up(self) -> None:
        default = self._settings.default_engine
        try:
            self._bench.warm_up(default if default in self._engines else self._engines[0])
        except IndexError:
            log.warning("this worker can run no engine: it prepares pictures and publishes clips")
        except VivantError as error:
            log.warning("the default engine cannot be loaded: %s", error.message)

    def _tidy(self) -> None:
        while not self._stopping.wait(self._sweeper.pause):
            try:
                self._resume_dropped()
                if self._pulse.leads:
                    self._adopt()
                    self._sweeper.sweep()
            except VivantError as error:
                log.warning("sweeping failed: %s", error.message)
            except Exception:  # the sweeper must not stop
                log.exception("sweeping failed")

    def _adopt(self) -> None:
        """Do what waits for older workers, where there are none any more."""
        alive = {peer.version for peer in self._pulse.living}
        outdated = [version for version in older(APPLICATION_VERSION) if version not in alive]
        if found := handover.adopt(APPLICATION_VERSION, outdated):
            log.info("%d stages of older versions are done by this one", found)

    def _resume_dropped(self) -> None:
        """Put back what is this worker's by the database, and which none of its threads is at.

        That happens where the database went away at the very moment a stage ended. What is
        dropped must be so for two rounds.
        """
        dropped = handover.dropped(self._id, APPLICATION_VERSION)
        again = dropped & self._dropped
        for stage in handover.take_back(self._id, APPLICATION_VERSION, only=again) if again else ():
            log.warning("a dropped stage is put back: %s", stage)
        self._dropped = dropped - self._dropped

    def _wait_for(self, parent: IO[str]) -> None:
        while parent.read(1):
            continue
        self.stop()

    def _drain(self) -> None:
        """Let the clip at hand end, as long as the operator allows."""
        self._claims.narrow([PREPARE_QUEUE])
        until = time.monotonic() + self._settings.drain_seconds
        if self._bench.running and not self._stopping.is_set():
            log.info("draining: no new clip is begun")
        while self._bench.running and time.monotonic() < until and not self._stopping.is_set():
            time.sleep(0.05)
        self._stopping.set()

    def _leave(self) -> None:
        """Let runs give their jobs back, hand all stages on, and go without waiting for more."""
        time.sleep(0.1)
        deadline = time.monotonic() + 8.0
        while self._bench.running and time.monotonic() < deadline:
            time.sleep(0.05)
        self._leaving.set()
        handing = threading.Thread(target=self._hand_over, daemon=True)
        handing.start()
        handing.join(HAND_OVER_SECONDS)  # DBOS would wait for a lost database for ever
        log.info("worker stopped", extra={"worker": self._id})
        logging.shutdown()
        os._exit(0)

    def _hand_over(self) -> None:
        try:
            self._claims.stop(HAND_OVER_SECONDS / 2)
            handover.take_back(self._id, APPLICATION_VERSION)
            self._pulse.bury(self._id)
        except (DatabaseError, DBAPIError) as error:
            log.warning("others will notice later that this worker is gone: %s", error)
