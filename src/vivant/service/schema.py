"""Brings a database to the newest layout, with Alembic.

A migration is one transaction under a lock, so that several processes may start at the same time.
A SQLite file is copied before it. Migrations only add, so that older workers go on meanwhile.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from vivant.errors import DatabaseError
from vivant.service.database import Database, make_private
from vivant.service.tables import REVISION, jobs

VERSION_TABLE = "vivant_schema"

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database, *, revision: str = REVISION, folder: Path = MIGRATIONS) -> None:
    """Run the migrations that the database has not seen.

    Args:
        database: of any age.
        revision: of the newest migration.
        folder: of the migrations.

    Raises:
        DatabaseError: it cannot be reached, or is of a newer Vivant.
    """
    with database.read() as connection:
        if _revision(connection) == revision:
            return  # and Alembic is not imported
    with database.write(exclusive=True) as connection:
        found = _revision(connection)
        if found == revision:
            return  # another process was first
        if found > revision:
            raise DatabaseError(
                f"the database has layout {found} and this Vivant knows {revision}: "
                "use the Vivant that made it, or another database"
            )
        if database.path is not None and sa.inspect(connection).has_table(jobs.name):
            back_up(
                database.path, database.path.with_name(f"{database.path.name}.before-{revision}")
            )
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(connection: sa.Connection) -> str:
    """Of the newest migration that was run; empty where none was."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return ""
    table = sa.table(VERSION_TABLE, sa.column("version_num"))
    return str(connection.execute(sa.select(table.c.version_num)).scalar() or "")


def back_up(database: Path, copy: Path) -> None:
    """A consistent copy of a SQLite file that is in use, whole or not at all."""
    half = copy.with_name(f"{copy.name}.half")
    half.unlink(missing_ok=True)
    make_private(half)
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(half)) as target:
        source.backup(target)
    half.replace(copy)
