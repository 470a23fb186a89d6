"""The database's layout: new, from before there were migrations, damaged, and raced for."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from inline_service import job_spec
from vivant.errors import DatabaseError
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database
from vivant.service.job import new_id
from vivant.service.job_store import JobStore
from vivant.service.schema import MIGRATIONS, VERSION_TABLE
from vivant.service.tables import METADATA, REVISION

SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.add_column("vivant_jobs", sa.Column("mood", sa.Text))
    if {fails}:
        raise RuntimeError("in the middle")
"""


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        found = Database(f"sqlite:///{tmp_path / 'vivant.db'}")
        yield found
    else:
        found = Database(request.getfixturevalue("postgres"))
        clear(found)
        yield found
        clear(found)  # other files use this server, too, and would find a newer Vivant's layout
    found.close()


def clear(database: Database) -> None:
    with database.write() as connection:
        METADATA.drop_all(connection)
        connection.execute(sa.text(f"drop table if exists {VERSION_TABLE}"))


def columns(database: Database) -> set[str]:
    with database.read() as connection:
        return {column["name"] for column in sa.inspect(connection).get_columns("vivant_jobs")}


def folder_with(tmp_path: Path, *, fails: bool = False) -> Path:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder, dirs_exist_ok=True)
    (folder / "versions" / "r0002_mood.py").write_text(SECOND.format(fails=fails))
    return folder


def old_database(database: Database) -> str:
    """As it was made before there were migrations, with a job in it."""
    database.migrate()
    with database.write() as connection:
        connection.execute(sa.text(f"drop table {VERSION_TABLE}"))
        connection.execute(sa.text("drop table vivant_comparisons"))  # which came later
        connection.execute(sa.text("drop index vivant_jobs_of_owner"))
        connection.execute(sa.text("insert into vivant_meta values ('schema_version', '1')"))
    return Admission(database, Limits()).accept(new_id(), job_spec(7), "ann")[0].id


def test_the_newest_migration_leaves_the_tables_that_the_code_has(database: Database) -> None:
    database.migrate()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == REVISION
    with database.engine.connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_name": lambda name, kind, _: (
                    (kind != "table" or (name or "").startswith("vivant_"))
                    and name != VERSION_TABLE
                )
            },
        )
        assert compare_metadata(context, METADATA) == []


def test_a_database_from_before_keeps_its_jobs(database: Database) -> None:
    job_id = old_database(database)
    database.migrate()
    assert JobStore(database).get(job_id).request["seed"] == 7
    with database.read() as connection:
        found = sa.inspect(connection)
        assert found.has_table("vivant_comparisons")
        indexes = {index["name"] for index in found.get_indexes("vivant_jobs")}
    assert "vivant_jobs_of_owner" in indexes
    database.migrate()


def test_a_later_migration_is_run_once_by_racing_processes(
    database: Database, tmp_path: Path
) -> None:
    job_id = old_database(database)
    database.migrate()
    folder = folder_with(tmp_path)
    errors: list[BaseException] = []

    def start() -> None:
        own = Database(database.url)
        try:
            own.upgrade(revision="0002", folder=folder)
        except BaseException as error:
            errors.append(error)
            raise
        finally:
            own.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert "mood" in columns(database)
    assert JobStore(database).get(job_id).owner == "ann"
    with pytest.raises(DatabaseError, match="0002"):
        database.migrate()  # this Vivant is older now
    if database.path is not None:
        with closing(sqlite3.connect(f"{database.path}.before-0002")) as copy:
            assert copy.execute("select id from vivant_jobs").fetchall() == [(job_id,)]
            assert copy.execute("select * from vivant_schema").fetchall() == [("0001",)]


def test_a_migration_that_fails_leaves_the_layout_as_it_was(
    database: Database, tmp_path: Path
) -> None:
    database.migrate()
    with pytest.raises(RuntimeError, match="in the middle"):
        database.upgrade(revision="0002", folder=folder_with(tmp_path, fails=True))
    assert "mood" not in columns(database)
    database.upgrade(revision="0002", folder=folder_with(tmp_path))
    assert "mood" in columns(database)


@pytest.mark.parametrize("harm", ["truncated", "flipped", "something else"])
def test_a_damaged_file_is_told_at_the_start(tmp_path: Path, harm: str) -> None:
    file = tmp_path / "vivant.db"
    database = Database(f"sqlite:///{file}")
    database.migrate()
    for seed in range(50):
        Admission(database, Limits()).accept(new_id(), job_spec(seed), "ann")
    with database.engine.connect() as connection:
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
    database.close()
    data = bytearray(file.read_bytes())
    if harm == "truncated":
        del data[len(data) // 2 :]
    elif harm == "flipped":
        for at in range(4096, len(data), 4096):  # the head of every page
            data[at] ^= 0xFF
    else:
        data = bytearray(b"not a database at all " * 400)
    file.write_bytes(data)
    again = Database(f"sqlite:///{file}")
    with pytest.raises(DatabaseError, match=r"damaged.*back-up"):
        again.migrate()
    again.close()


def test_only_the_owner_can_read_the_database(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        database = Database(f"sqlite:///{tmp_path / 'service' / 'vivant.db'}")
        database.migrate()
        database.secret()
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in (tmp_path / "service", *(tmp_path / "service").iterdir())
        }
    finally:
        os.umask(before)
    database.close()
    assert modes.pop("service") == 0o700
    assert "vivant.db-wal" in modes
    assert set(modes.values()) == {0o600}


def test_a_database_that_is_new_enough_needs_no_alembic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'vivant.db'}")
    database.migrate()
    monkeypatch.setitem(__import__("sys").modules, "alembic", None)
    started = time.perf_counter()
    database.upgrade()
    assert time.perf_counter() - started < 1
    database.close()
