"""Which workers live, and which one of them leads.

DBOS recovers only the stages of its own executor id, when it starts. Who is dead on a running
system, its authors leave to a paid service (Conductor). This module is ours for that reason: one
row of one table (``vivant_workers``) for each worker, and one rule: **a worker whose row is gone is
dead**. The row is deleted

- by any worker that has seen its counter stand still for ``worker_timeout``, timed by that
  worker's own monotonic clock, so that moving a machine's clock kills nobody;
- by the next process that gets its lock file (see :class:`WorkerSlot`), at once;
- by the worker itself when it leaves.

A worker that finds its own row gone ends and starts anew. The leader puts the stages of workers
without a row back into their queues.
"""

from __future__ import annotations

import hashlib
import socket
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from filelock import FileLock, Timeout

from vivant.errors import MachineError
from vivant.service.database import Database
from vivant.service.tables import meta, workers

BEAT_SECONDS = 1.0
"""Between two beats, at most."""

BEATS_PER_TIMEOUT = 8
"""A beat comes at least every eighth of the timeout."""

SLOTS = 64
"""Worker processes on one machine, at most."""

LEADER = "leader"
"""Key in the table of single values: the id of the leading worker."""


class WorkerSlot:
    """A lock file held for the life of the process; the first one that is free.

    Args:
        folder: of the lock files, on the machine's own disk.

    Attributes:
        number: from 0 on this machine.
        name: unique over machines.

    Raises:
        MachineError: all are taken.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(SLOTS):
            self._lock = FileLock(folder / f"slot-{number}.lock", thread_local=False)
            try:
                self._lock.acquire(blocking=False)
            except Timeout:
                continue
            self.number, self.name = number, f"{_machine(folder)}-{number}"
            self._beat = folder / f"slot-{number}.beat"
            return
        raise MachineError(f"{SLOTS} workers run here already: stop some")

    def touch(self) -> None:
        """Move the time of a file beside the lock, for those who watch containers."""
        try:
            self._beat.touch()
        except OSError:
            return  # a full disk is reported by others

    def release(self) -> None:
        """Let another process have it."""
        self._lock.release()


def _machine(folder: Path) -> str:
    """12 hex digits that tell this machine and folder from others.

    Host names alone are not unique, and a disk may be copied to another host.
    """
    path = folder / "machine"
    with FileLock(folder / "machine.lock"):
        if not path.exists():
            path.write_text(uuid.uuid4().hex)
        both = f"{path.read_text()} {socket.gethostname()}"
    return hashlib.sha256(both.encode()).hexdigest()[:12]


class LivingWorker(NamedTuple):
    """A worker as others see it."""

    id: str
    version: str


class Heartbeat:
    """This worker's row, and what it thinks of the others'.

    Args:
        database: of the jobs.
        worker_id: never used before.
        slot: name of the lock file that this process holds.
        timeout: seconds of silence after which this worker is dead.
        facts: what others may know of it; ``timeout`` and ``version`` are read by them.

    Attributes:
        living: by id, as of the last :meth:`look`.
        leads: whether this worker is the leader, as of the last :meth:`look`.
    """

    def __init__(
        self,
        database: Database,
        worker_id: str,
        slot: str,
        timeout: float,
        facts: Mapping[str, Any],
    ) -> None:
        self._database, self._id, self._slot = database, worker_id, slot
        self._timeout, self._facts = timeout, dict(facts)
        self._beats = 0
        self._seen: dict[str, tuple[int, float]] = {}
        self.living: list[LivingWorker] = []
        self.leads = False

    @property
    def pause(self) -> float:
        """Seconds between two beats."""
        return min(BEAT_SECONDS, self._timeout / BEATS_PER_TIMEOUT)

    def begin(self) -> None:
        """Write this worker's row; delete those of the slot's former holders, which are dead."""
        with self._database.write() as connection:
            connection.execute(workers.delete().where(workers.c.slot == self._slot))
            connection.execute(
                workers.insert().values(
                    id=self._id, slot=self._slot, beats=0, at=time.time(), facts=self._facts
                )
            )

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

    def look(self) -> list[str]:
        """Time the others' counters, delete the rows of the dead, and see who leads.

        Returns:
            Ids of the workers whose rows were deleted.
        """
        now = time.monotonic()
        query = sa.select(workers.c.id, workers.c.beats, workers.c.facts)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        seen, dead, living = {}, [], []
        for worker_id, beats, facts in rows:
            before = self._seen.get(worker_id)
            seen[worker_id] = before if before and before[0] == beats else (beats, now)
            timeout = float(facts.get("timeout", self._timeout))
            if worker_id != self._id and now - seen[worker_id][1] > timeout:
                dead.append(worker_id)
            else:
                living.append(LivingWorker(worker_id, str(facts.get("version"))))
        self._seen, self.living = seen, sorted(living)
        for worker_id in dead:
            self.delete_worker(worker_id)
        self.leads = self._lead()
        return dead

    def alive(self) -> set[str]:
        """Ids of the workers that have a row now."""
        with self._database.read() as connection:
            return set(connection.execute(sa.select(workers.c.id)).scalars())

    def delete_worker(self, worker_id: str) -> None:
        """Declare a worker dead."""
        with self._database.write() as connection:
            connection.execute(workers.delete().where(workers.c.id == worker_id))

    def leave(self) -> None:
        """This worker ends."""
        self.delete_worker(self._id)

    def _lead(self) -> bool:
        """Whether this worker leads; it takes the lead where the leader's row is gone."""
        leader = self._database.remember(LEADER, lambda: self._id)
        if leader == self._id:
            return True
        if any(worker.id == leader for worker in self.living):
            return False
        # one statement, so that two workers cannot both take it
        take = (
            meta.update()
            .where(meta.c.key == LEADER, meta.c.value.not_in(sa.select(workers.c.id)))
            .values(value=self._id)
        )
        with self._database.write() as connection:
            return connection.execute(take).rowcount > 0
