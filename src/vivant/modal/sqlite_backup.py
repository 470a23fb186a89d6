"""Copies a SQLite file to another folder while it is in use, and restores it from there.

A Modal Volume stores whole files well, but a SQLite file that is in use badly. So the web app
keeps its database on the container's own disk and copies it to the Volume: at once when
:meth:`SqliteBackup.save` is called, otherwise every 2 s if something was written. If the
container is killed, what was written after the last copy is lost.
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
"""Time between two looks for changes: a kill loses at most this and the time of one copy."""

log = logging.getLogger("vivant.modal.sqlite_backup")


class SqliteBackup:
    """Keeps ``copy`` up to date with ``database``.

    Args:
        database: the file in use.
        copy: where its copy is written.
        commit: makes the copy permanent, e.g. ``Volume.commit``.
    """

    def __init__(self, database: Path, copy: Path, commit: Callable[[], None]) -> None:
        self._database, self._copy, self._commit = database, copy, commit
        self._stopping, self._saving = threading.Event(), threading.Lock()
        self._thread = threading.Thread(target=self._run, name="vivant-sqlite-backup", daemon=True)
        self._saved_version = -1

    def restore(self) -> bool:
        """Restore the database from the copy, if there is no database yet.

        Returns:
            Whether it was restored.
        """
        if self._database.exists() or not self._copy.exists():
            return False
        self._database.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._copy, self._database)
        return True

    def start(self) -> None:
        """Save now, then after every change until :meth:`stop`."""
        self._thread.start()

    def stop(self) -> None:
        """Save a last time."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def save(self) -> None:
        """Write a consistent copy; the old copy stays until the new one is complete."""
        self._copy.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._copy.with_suffix(".half")
        with self._saving:
            with (
                closing(sqlite3.connect(self._database)) as source,
                closing(sqlite3.connect(unfinished)) as target,
            ):
                source.backup(target)
            unfinished.replace(self._copy)
            self._commit()

    def _run(self) -> None:
        with closing(sqlite3.connect(self._database)) as connection:
            stopping = False
            while True:
                try:
                    # changes whenever another connection has committed something
                    version = connection.execute("PRAGMA data_version").fetchone()[0]
                    if version != self._saved_version:
                        self.save()
                        self._saved_version = version
                except (OSError, sqlite3.Error) as error:
                    log.warning("the database is not saved yet: %s", error)
                if stopping:
                    return
                stopping = self._stopping.wait(SAVE_SECONDS)
