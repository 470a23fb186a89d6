"""The database's layout, brought to the newest one with Alembic.

Migrations only add, so that older workers go on meanwhile.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from vivant.errors import DatabaseError
from vivant.service.tables import REVISION, jobs

VERSION_TABLE = "vivant_schema"

MIGRATIONS = Path(__file__).parent / "migrations"


def revision_of(connection: sa.Connection) -> str:
    """Of the newest migration that was run; empty where none was."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return ""
    table = sa.table(VERSION_TABLE, sa.column("version_num"))
    return str(connection.execute(sa.select(table.c.version_num)).scalar() or "")


def upgrade(
    connection: sa.Connection,
    file: Path | None,
    *,
    revision: str = REVISION,
    folder: Path = MIGRATIONS,
) -> None:
    """Run the migrations that the database has not seen.

    Args:
        connection: in a transaction that holds the write lock, which is committed afterwards.
        file: of a SQLite database; it is copied before.
        revision: of the newest migration.
        folder: of the migrations.

    Raises:
        DatabaseError: it is of a newer Vivant.
    """
    found = revision_of(connection)
    if found == revision:
        return  # another process was first
    if found > revision:
        raise DatabaseError(
            f"the database has layout {found} and this Vivant knows {revision}: "
            "use the Vivant that made it, or another database"
        )
    if file is not None and sa.inspect(connection).has_table(jobs.name):
        back_up(file, file.with_name(f"{file.name}.before-{revision}"))
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def back_up(file: Path, copy: Path) -> None:
    """A consistent copy of a SQLite file that is in use, whole or not at all."""
    half = copy.with_name(f"{copy.name}.half")
    half.unlink(missing_ok=True)
    make_private(half)
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(half)) as target:
        source.backup(target)
    half.replace(copy)


def make_private(path: Path) -> None:
    """Make an empty file that only its owner can read, where there is none.

    SQLite gives its other files (``-wal``, ``-shm``) the same mode.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
