"""The database of jobs: one SQLite file, or Postgres. The only place that knows which."""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.pool import ConnectionPoolEntry
from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from vivant.errors import DatabaseError, OptionError
from vivant.service.schema import MIGRATIONS, make_private, revision_of, upgrade
from vivant.service.tables import REVISION, meta
from vivant.settings import Settings

T = TypeVar("T")

ADMISSION_LOCK = 0x7669_7661
"""Postgres advisory lock under which jobs are counted and accepted."""

BUSY_TIMEOUT_MS = 10_000

LOCK_GLANCE_SECONDS = 0.002
"""Between two looks whether SQLite's write lock is free, of a process that clients wait for."""

IDLE_SECONDS = 1.0
"""A connection that was idle for longer is asked whether it is still there."""

PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c idle_in_transaction_session_timeout=3000",
}
"""Of libpq: a connection whose other end is gone (a cut line, a lost host) ends in about 10 s and
not after the quarter of an hour that TCP would try on. A process that is frozen or cut off in the
middle of a transaction, which takes milliseconds otherwise, loses it and its locks after 3 s:
before that nobody could take over the job whose row it holds. (Timeouts in milliseconds.)"""


class Database:
    """An engine, and transactions on it.

    Args:
        url: ``sqlite:///path`` or ``postgresql+psycopg://…`` (``postgresql://`` is understood).
        pool_size: connections held; twice as many at a peak.
        durable: wait for the disk at every commit, so that what was accepted survives even a
            power cut. Without it SQLite may lose the last moments at a power cut, and nothing
            at a kill: right for progress, which would be made again.
    """

    def __init__(self, url: str, *, pool_size: int = 8, durable: bool = True) -> None:
        self.url = normal_url(url)
        self.sqlite = self.url.startswith("sqlite")
        self.engine = sa.create_engine(
            self.url,
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_timeout=10,
            connect_args={} if self.sqlite else dict(PATIENCE),
        )
        # SQLite's waiting writers sleep and look again; within a process a lock wakes the next.
        self._writing: AbstractContextManager[Any] = Lock() if self.sqlite else nullcontext()
        self._durable = durable
        if self.sqlite:
            level = "FULL" if durable else "NORMAL"

            @event.listens_for(self.engine, "connect")
            def prepare(connection: Any, _: object) -> None:
                # DBOS expects writers to queue up from BEGIN on
                connection.isolation_level = "IMMEDIATE"
                connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
                connection.execute("PRAGMA foreign_keys=ON")
                connection.execute(f"PRAGMA synchronous={level}")

        else:
            ping_what_was_idle(self.engine)

    @property
    def path(self) -> Path | None:
        """Of the SQLite file; None where it is Postgres."""
        return Path(str(self.engine.url.database)) if self.sqlite else None

    def migrate(self, *, stages: bool = True) -> None:
        """Check a SQLite file, and bring DBOS's tables and ours to the newest layout.

        Args:
            stages: DBOS's too; who does not touch jobs need not wait for its import.

        Raises:
            DatabaseError: the database cannot be reached or written, is damaged, or is of a newer
                Vivant.
        """
        try:
            if self.path is not None:
                self._check_file(self.path)
            if stages:
                from dbos import DBOS

                DBOS.migrate(self.url)
        except (DBAPIError, sqlite3.Error) as error:
            raise unreachable(error) from error
        self.upgrade()

    def upgrade(self, *, revision: str = REVISION, folder: Path = MIGRATIONS) -> None:
        """Bring our tables to the layout of a revision; several processes may do so at once.

        Raises:
            DatabaseError: the database cannot be reached, or is of a newer Vivant.
        """
        with self.read() as connection:
            if revision_of(connection) == revision:
                return
        with self.write(exclusive=True) as connection:
            upgrade(connection, self.path, revision=revision, folder=folder)

    def _check_file(self, path: Path) -> None:
        """Make the file if it is missing, readable by its owner only; otherwise check it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_private(path)
        except OSError as error:
            raise DatabaseError(
                f"the database {path} cannot be written ({error.strerror}): give another folder "
                "with --data, or make this one writable"
            ) from error
        with self.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if found != "ok":
            raise damaged(f"{path}: {found}")

    def remember(self, key: str, make: Callable[[], str]) -> str:
        """The value kept under ``key``, made the first time it is asked for."""
        find = sa.select(meta.c.value).where(meta.c.key == key)
        with self.read() as connection:
            found = connection.execute(find).scalar()
        if found is None:
            try:
                with self.write() as connection:
                    connection.execute(meta.insert().values(key=key, value=make()))
            except IntegrityError:
                pass  # another process was first
            with self.read() as connection:
                found = connection.execute(find).scalar_one()
        return str(found)

    def secret(self) -> bytes:
        """32 random bytes that every process on this database shares."""
        return bytes.fromhex(self.remember("secret", lambda: secrets.token_hex(32)))

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading; each statement sees what is committed by then."""
        with self._translated(), self.engine.connect() as connection:
            if not self.sqlite:  # BEGIN and ROLLBACK would be two thirds of what is sent
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection

    @contextmanager
    def write(self, *, exclusive: bool = False) -> Iterator[sa.Connection]:
        """A transaction, committed at the end.

        Args:
            exclusive: hold the admission lock, so that what was counted stays true.
        """
        with self._translated(), self._writing, self.engine.begin() as connection:
            if self.sqlite:
                self._begin(connection)
            elif exclusive:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(ADMISSION_LOCK)))
            yield connection

    def _begin(self, connection: sa.Connection) -> None:
        """Take SQLite's write lock.

        SQLite's own wait sleeps longer and longer, up to 100 ms. That is right for workers; who
        accepts jobs has a client waiting, and looks again at once.
        """
        driver: Any = connection.connection.driver_connection
        until = time.monotonic() + BUSY_TIMEOUT_MS / 1e3
        driver.execute("PRAGMA busy_timeout=0")
        try:
            while self._durable and time.monotonic() < until:
                if _taken(driver):
                    return
                time.sleep(LOCK_GLANCE_SECONDS)
        finally:
            driver.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def patiently(self, work: Callable[[], T], *, seconds: float = 120.0) -> T:
        """``work()``, again with growing pauses while the database is away or full.

        Raises:
            DatabaseError: it did not come back within ``seconds``.
        """
        again = Retrying(
            retry=retry_if_exception_type(DatabaseError),
            wait=wait_exponential(multiplier=0.1, max=3) + wait_random(0, 0.1),
            stop=stop_before_delay(seconds),
            reraise=True,
        )
        return again(work)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (IntegrityError, ProgrammingError):
            raise
        except sa.exc.DataError as error:  # such as a NUL in a name: trying again does not help
            raise OptionError("a name or text holds characters that cannot be stored") from error
        except (DBAPIError, sa.exc.TimeoutError, sqlite3.Error) as error:
            raise unreachable(error) from error

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _taken(driver: sqlite3.Connection) -> bool:
    """Whether the write lock could be had, without any waiting."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def ping_what_was_idle(engine: sa.Engine) -> None:
    """Ask a connection whether it is still there, where it was not used for :data:`IDLE_SECONDS`.

    SQLAlchemy's own ``pool_pre_ping`` does so at every use, which was a fifth of all statements.
    """

    @event.listens_for(engine, "checkin")
    def note(_: object, record: ConnectionPoolEntry) -> None:
        record.info["used"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
        used = record.info.get("used")
        if used is None or time.monotonic() - used < IDLE_SECONDS:
            return
        try:
            engine.dialect.do_ping(connection)
        except psycopg.Error as error:
            raise sa.exc.DisconnectionError from error  # the pool makes another


def damaged(what: str) -> DatabaseError:
    """The error for a SQLite file that is damaged."""
    return DatabaseError(
        f"the database is damaged ({what[:300]}): stop the service, put a back-up in its place "
        "(docs/service.md tells how) and start again"
    )


def unreachable(error: Exception) -> DatabaseError:
    """The error for a database that does not answer."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    first = text[0][:300] if text else type(error).__name__
    if "malformed" in first or "not a database" in first:
        return damaged(first)
    if "disk is full" in first or "No space left" in first or "disk I/O error" in first:
        return DatabaseError(
            f"the database cannot be written ({first}): make room", code="storage_full"
        )
    return DatabaseError(f"the database does not answer ({first}): try again in a moment")


def normal_url(url: str) -> str:
    """``postgres://`` and ``postgresql://`` as SQLAlchemy with psycopg wants them.

    Raises:
        OptionError: any other database.
    """
    for prefix in ("postgresql+psycopg://", "sqlite:///"):
        if url.startswith(prefix):
            return url
    for prefix in ("postgresql://", "postgres://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    raise OptionError(
        f"database_url {url.split('@')[-1][:80]!r} is not sqlite:///FILE or postgresql://…",
        param="database_url",
    )


def database_url(settings: Settings) -> str:
    """The URL that the operator set, or a SQLite file in ``service_dir``."""
    return settings.database_url or f"sqlite:///{settings.service_dir / 'vivant.db'}"


def open_database(settings: Settings, *, durable: bool = True) -> Database:
    """The database of jobs, not yet connected to."""
    return Database(database_url(settings), durable=durable)
