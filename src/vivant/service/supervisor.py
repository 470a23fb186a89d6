"""Keeps worker processes alive: starts them, and restarts them when they die or freeze."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import sqlalchemy as sa

from vivant.errors import DatabaseError
from vivant.service.database import BUSY_TIMEOUT_MS, Database
from vivant.service.tables import workers

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
HEALTHY_SECONDS = 30.0
"""Seconds: a worker that ran this long is restarted at once."""

PATIENCE = 12.0
"""Seconds a worker has to give its jobs back when the server stops."""

log = logging.getLogger("vivant.supervisor")


class Supervisor:
    """One worker process, watched by a thread.

    Args:
        database: to see its heartbeat.
        data_dir: of the service; other settings travel in the environment.
        timeout: seconds without a heartbeat after which it is dead, and soon killed.
        module: what is run; it must end when its standard input closes.
    """

    def __init__(
        self,
        database: Database,
        data_dir: Path,
        *,
        timeout: float,
        module: tuple[str, ...] = ("vivant", "worker", "--embedded"),
    ) -> None:
        self._database, self._data_dir, self._timeout = database, data_dir, timeout
        self._module = module
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="vivant-supervisor", daemon=True)
        self.restarts = 0

    def start(self) -> None:
        """Start the worker and watch it."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Of the worker, where it runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def stop(self) -> None:
        """Tell the worker to give its jobs back and to end, and wait for its end."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            started = time.monotonic()
            # Its own session: Ctrl-C is for the server, which ends it in good order. The pipe
            # closes when the server is gone, however it went.
            with subprocess.Popen(
                [sys.executable, "-m", *self._module, "--data", self._data_dir],
                stdin=subprocess.PIPE,
                start_new_session=os.name == "posix",
            ) as process:
                self._process = process
                self._watch(process)
            if self._stopping.is_set():
                return
            self.restarts += 1
            pause = (
                FIRST_PAUSE
                if time.monotonic() - started > HEALTHY_SECONDS
                else min(2 * pause, LONGEST_PAUSE)
            )
            log.warning("worker ended (%s): starting it anew", process.returncode)
            self._stopping.wait(pause)

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Until it ends; one that freezes is killed.

        Others take its jobs over after the timeout. It is killed later, because a beat may have
        to wait for the database on a busy machine.
        """
        last, since, look = -1, time.monotonic(), 0.0
        while process.poll() is None and not self._stopping.is_set():
            self._stopping.wait(0.1)
            now = time.monotonic()
            if now < look:
                continue
            if now - look > self._timeout:
                since = now  # this process was frozen itself
            look = now + 1.0
            try:
                beats = self._beats(process.pid)
            except DatabaseError:
                since = now
                continue
            if beats != last or last == -1:  # -1: it is still starting
                last, since = beats, now
            elif now - since > self._timeout + BUSY_TIMEOUT_MS / 1e3:
                log.error("worker froze: killing it")
                process.kill()
                return

    def _beats(self, pid: int) -> int:
        """The worker's counter; -1 where it has no row (yet, or any more)."""
        query = sa.select(workers.c.beats, workers.c.facts)
        with self._database.read() as connection:
            for beats, facts in connection.execute(query):
                if (facts.get("host"), facts.get("pid")) == (socket.gethostname(), pid):
                    return int(beats)
        return -1
