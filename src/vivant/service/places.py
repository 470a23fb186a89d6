"""Where the service keeps things, from its settings."""

from __future__ import annotations

from vivant.service.database import Database
from vivant.service.objects import Objects
from vivant.settings import Settings


def database_url(settings: Settings) -> str:
    """The operator's, or a SQLite file of our own."""
    return settings.database_url or f"sqlite:///{settings.service_dir / 'vivant.db'}"


def open_database(settings: Settings, *, durable: bool = True) -> Database:
    """The database of jobs, not yet connected to."""
    return Database(database_url(settings), durable=durable)


def open_objects(settings: Settings) -> Objects:
    """The object store."""
    return Objects.open(
        settings.objects_url or settings.service_dir / "objects", settings.objects_options
    )
