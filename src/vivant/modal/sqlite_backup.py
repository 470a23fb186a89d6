"""Saves a SQLite file elsewhere while it is in use, and brings it back.

A Volume of Modal takes whole files well and a database in use badly: so the front works on the
container's own disk and copies: at once when :meth:`SqliteBackup.save` is called, and else within
seconds. What was written since is lost when the container is killed. Knows nothing of what is in
the database.
"""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

SAVE_SECONDS = 2.0
"""What a kill can take back, at most, plus the time of one copy."""

log = logging.getLogger("vivant.keeper")


class SqliteBackup:
    """See the module.

    Args:
        database: the file in use.
        kept: where its copy goes.
        commit: makes what was copied last, e.g. ``Volume.commit``.
    """

    def __init__(self, database: Path, kept: Path, commit: Callable[[], None]) -> None:
        self._database, self._kept, self._commit = database, kept, commit
        self._stopping, self._saving = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="vivant-keeper", daemon=True)
        self._version = -1

    def restore(self) -> bool:
        """Bring the copy back; whether there was one."""
        if self._database.exists() or not self._kept.exists():
            return False
        self._database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._kept, self._database)
        return True

    def start(self) -> None:
        """Save now and whenever something was written, until :meth:`stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Save a last time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def save(self) -> None:
        """A consistent copy, whole or not at all, and not before it is one."""
        self._kept.parent.mkdir(parents=True, exist_ok=True)
        half = self._kept.with_suffix(".half")
        with self._saving:
            with (
                closing(sqlite3.connect(self._database)) as source,
                closing(sqlite3.connect(half)) as target,
            ):
                source.backup(target)
            half.replace(self._kept)
            self._commit()

    def _run(self) -> None:
        with closing(sqlite3.connect(self._database)) as looker:
            stopping = False
            while True:
                try:
                    version = looker.execute("PRAGMA data_version").fetchone()[0]
                    if version != self._version:
                        self.save()
                        self._version = version
                except (OSError, sqlite3.Error) as error:
                    log.warning("not saved yet: %s", error)
                if stopping:
                    return
                stopping = self._stopping.wait(SAVE_SECONDS)
