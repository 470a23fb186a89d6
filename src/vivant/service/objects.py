"""Pictures, clips and reports by key, in a local folder or an S3 bucket.

Keys are chosen by the caller and deterministic, so that writing again replaces and never
duplicates. Errors of the store are raised as errors of :mod:`vivant.errors`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import LocalStore, from_url

from vivant.errors import OptionError, StorageError
from vivant.settings import Settings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

CHUNK_BYTES = 1 << 20
"""How much of an object is in memory at once, both ways."""


PART_BYTES = 5 * CHUNK_BYTES
"""Of an upload in parts: the least S3 allows. One at a time, so that many uploads stay small."""


RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=10)}
"""Of one request, while the caller waits. Who can wait longer tries again by itself, and can be
cancelled meanwhile."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's facts.

    Attributes:
        etag: changes whenever the content does; opaque.
        modified: when it was written.
    """

    key: str
    size: int
    etag: str
    modified: datetime


class Objects:
    """See the module. Safe to use from several threads.

    Args:
        store: any obstore store.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def open(cls, where: str | Path, options: Mapping[str, str] | None = None) -> Objects:
        """A folder (made where it is missing), or a URL such as ``s3://bucket/prefix``.

        Args:
            where: path, ``file://`` or ``s3://`` URL.
            options: of obstore's S3 configuration (``endpoint``, ``access_key_id``, …), and
                ``allow_http`` for endpoints without TLS; for a URL.

        Raises:
            OptionError: not a place that objects can be in.
        """
        text = str(where)
        try:
            if "://" not in text:
                return cls(LocalStore(Path(text).expanduser().resolve(), mkdir=True))
            config = dict(options or {})
            plain = config.pop("allow_http", "false").lower() in ("1", "true", "yes")
            client = {"allow_http": plain, "connect_timeout": "5s", "timeout": "60s"}
            return cls(
                from_url(text, config=config, client_options=client, retry_config=RETRIES)  # type: ignore[call-overload]
            )
        except (BaseError, OSError, ValueError, TypeError) as error:
            raise OptionError(
                f"objects_url {text!r} cannot be used ({_first_line(error)}): "
                "give a folder or s3://bucket/prefix",
                param="objects_url",
            ) from error

    @property
    def _folder(self) -> Path | None:
        """Where the objects are files."""
        if isinstance(self._store, LocalStore) and self._store.prefix is not None:
            return Path(self._store.prefix)
        return None

    def put_file(self, key: str, path: Path) -> None:
        """Upload a file, in parts where it is large; it appears whole or not at all."""
        with _translated(f"{key} cannot be stored"):
            obstore.put(self._store, key, path, chunk_size=PART_BYTES, max_concurrency=1)

    def take_file(self, key: str, path: Path) -> None:
        """Move a file in: a rename where the store is a folder on the same disk, else an upload.

        The file may be gone afterwards, and may be there still: its owner removes what is left.
        """
        folder = self._folder
        if folder is not None:
            with _translated(f"{key} cannot be stored"):
                target = folder / key
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    path.replace(target)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                else:
                    return
        self.put_file(key, path)

    def put(self, key: str, data: bytes) -> None:
        """Store a small object."""
        with _translated(f"{key} cannot be stored"):
            obstore.put(self._store, key, data)

    def copy(self, key: str, to: str) -> None:
        """Copy an object to another key, within the store."""
        with _translated(f"{to} cannot be stored"):
            obstore.copy(self._store, key, to)

    def get(self, key: str) -> bytes:
        """A whole object; for small ones.

        Raises:
            StorageError: with code ``object_missing`` where there is none.
        """
        with _translated(f"{key} cannot be read"):
            return bytes(obstore.get(self._store, key).bytes())

    def get_file(self, key: str, path: Path) -> None:
        """Download an object into a file."""
        with _translated(f"{key} cannot be read"), path.open("wb") as file:
            for chunk in obstore.get(self._store, key).stream(CHUNK_BYTES):
                file.write(chunk)

    def head(self, key: str) -> Stored | None:
        """Facts of an object, or None where there is none."""
        with _translated(f"{key} cannot be looked up"):
            try:
                return _stored(obstore.head(self._store, key))
            except (NotFoundError, FileNotFoundError):
                return None

    def read(self, key: str, start: int, end: int) -> Iterator[bytes]:
        """Bytes ``start`` … ``end`` (exclusive) in chunks."""
        for first in range(start, end, CHUNK_BYTES):
            with _translated(f"{key} cannot be read"):
                yield bytes(
                    obstore.get_range(
                        self._store, key, start=first, end=min(first + CHUNK_BYTES, end)
                    )
                )

    def walk(self, prefix: str) -> Iterator[Stored]:
        """Every object whose key starts with the folder ``prefix``."""
        with _translated(f"{prefix} cannot be listed"):
            for page in obstore.list(self._store, prefix):
                for meta in page:
                    yield _stored(meta)

    def newest(self, prefix: str) -> float:
        """When something below ``prefix`` was written last, seconds since 1970; 0 where nothing is.

        Uploads that are under way count too, or were cut off: a local store lists no such file.
        """
        times = [stored.modified.timestamp() for stored in self.walk(prefix)]
        times += [path.stat().st_mtime for path in self._staged(prefix) if path.exists()]
        return max(times, default=0.0)

    def move_folder(self, prefix: str, to: str) -> int:
        """Put everything below ``prefix`` below ``to``; how many objects there were."""
        keys = [stored.key for stored in self.walk(prefix)]
        for key in keys:
            self.copy(key, f"{to}/{key.removeprefix(f'{prefix}/')}")
        self.delete_folder(prefix)
        return len(keys)

    def _staged(self, prefix: str) -> list[Path]:
        """Files that a local store writes before it renames them to an object's name."""
        folder = self._folder
        return [] if folder is None else list((folder / prefix).rglob("*#*"))

    def folders(self, prefix: str) -> list[str]:
        """Names directly below the folder ``prefix``."""
        with _translated(f"{prefix} cannot be listed"):
            found = obstore.list_with_delimiter(self._store, prefix)["common_prefixes"]
            return [path.rstrip("/").rsplit("/", 1)[-1] for path in found]

    def delete(self, *keys: str) -> None:
        """Remove objects; those that are not there are no error."""
        for key in keys:
            with _translated(f"{key} cannot be removed"):
                try:
                    obstore.delete(self._store, key)
                except (NotFoundError, FileNotFoundError):
                    continue

    def delete_folder(self, prefix: str) -> int:
        """Remove everything below ``prefix``; how many objects there were."""
        keys = [stored.key for stored in self.walk(prefix)]
        self.delete(*keys)
        if self._folder is not None:
            folder = self._folder / prefix
            for staged in self._staged(prefix):
                staged.unlink(missing_ok=True)
            if folder.is_dir():
                for path in sorted(folder.rglob("*"), reverse=True):
                    if path.is_dir():
                        _remove_empty(path)
                _remove_empty(folder)
        return len(keys)

    def check(self) -> None:
        """Write a probe and read it again; the next check writes over it.

        Raises:
            StorageError: the store does not work.
        """
        self.put("probe/ready", b"vivant")
        if self.get("probe/ready") != b"vivant":
            raise StorageError("the object store returns other bytes than were written")


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # somebody is writing there again


def _stored(meta: obstore.ObjectMeta) -> Stored:
    etag = (meta["e_tag"] or f"{meta['size']:x}-{meta['last_modified'].timestamp():.6f}").strip('"')
    return Stored(meta["path"], meta["size"], etag, meta["last_modified"])


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except (NotFoundError, FileNotFoundError) as error:
        raise StorageError(f"{what}: it is not there", code="object_missing") from error
    except (BaseError, OSError) as error:
        text = str(error)
        full = "No space left" in text or "os error 28" in text
        raise StorageError(
            f"{what}: " + ("the disk is full; make room" if full else _first_line(error)),
            code="storage_full" if full else None,
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def open_objects(settings: Settings) -> Objects:
    """The object store of a service: the operator's, or a folder of our own."""
    return Objects.open(
        settings.objects_url or settings.service_dir / "objects", settings.objects_options
    )
