"""One file from the Hub to the disk: resumed where it stopped, hashed as it comes, checked."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from vivant.errors import MissingPartError, OutputError, WeightsError
from vivant.weights.hub import Hub, RemoteFile

CHUNK = 4 << 20
"""Bytes read at once."""

RETRIES = 3
"""Connections that bring nothing, one after another, before a download is given up."""

PAUSE = 2.0
"""Seconds before the first of them; twice as long before each further one."""


def fetch(
    hub: Hub,
    file: RemoteFile,
    target: Path,
    tell: Callable[[int], None],
    *,
    known: str | None,
    link: Callable[[Path], bool],
) -> str:
    """One file, complete and hashed.

    Args:
        hub: where it comes from.
        file: which one.
        target: where it goes.
        tell: told the bytes that are there.
        known: SHA-256 of the file at ``target``, where it was hashed before.
        link: puts the same file of another model at a path; False where there is none.

    Returns:
        Its SHA-256, hexadecimal.

    Raises:
        MissingPartError: the Hub cannot be reached, or the connection breaks off for good.
        OutputError: it cannot be written.
        WeightsError: it is not the pinned one.
    """
    wanted = file.sha256 or known
    if known != wanted:
        known = None  # pulled before the registry knew better: hash it again
    if target.is_file() and target.stat().st_size == file.size and known:
        tell(file.size)
        return known
    partial = unfinished(target)
    partial.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file():
        target.replace(partial)
    start = partial.stat().st_size if partial.is_file() else 0
    if start > file.size:
        partial.unlink()
        start = 0
    if not start and link(partial):
        partial.replace(target)
        assert file.sha256 is not None  # noqa: S101 - found by it
        return file.sha256
    digest: Any = hashlib.sha256()
    if start:
        _feed(partial, digest)
    try:
        digest = _download(hub, file, partial, start, digest, tell)
    except OSError as error:
        raise OutputError(f"{partial} cannot be written: {error.strerror}") from None
    found = str(digest.hexdigest())
    if wanted and found != wanted:
        partial.unlink()
        raise WeightsError(
            f"{file.path} of {file.part.repo} has SHA-256 {found[:12]}…, not the pinned "
            f"{wanted[:12]}…: it was deleted; pull again"
        )
    partial.replace(target)
    return found


def _download(
    hub: Hub,
    file: RemoteFile,
    partial: Path,
    start: int,
    digest: Any,
    tell: Callable[[int], None],
) -> Any:
    """Append the bytes from ``start`` on; the digest of all of them.

    A connection that breaks off is opened again where it stopped, as long as bytes come: the count
    of tries begins anew with each byte, so that this is no loop of tenacity's.
    """
    idle, came = 0, False
    while start < file.size:
        before = start
        try:
            response, resumed = hub.stream(file, start)
        except MissingPartError:
            if not came:
                raise
        else:
            if not resumed:
                digest, start, before = hashlib.sha256(), 0, 0
            with closing(response), partial.open("ab" if start else "wb") as out:
                while block := hub.read(response, CHUNK):
                    out.write(block)
                    digest.update(block)
                    start += len(block)
                    tell(min(start, file.size))
        came = came or start > before
        idle = 0 if start > before else idle + 1
        if idle > RETRIES:
            raise MissingPartError(
                f"{file.path} broke off at {start} of {file.size} bytes: pull again to resume"
            )
        if start < file.size:
            time.sleep(PAUSE * 2**idle / 2)
    if start > file.size:
        partial.unlink()
        raise WeightsError(
            f"{file.path} of {file.part.repo} has more than the {file.size} bytes it should: "
            "it was deleted; pull again"
        )
    return digest


def unfinished(path: Path) -> Path:
    """Where a file lies until it is complete."""
    return path.with_name(path.name + ".part")


def _feed(path: Path, digest: Any, tell: Callable[[int], None] | None = None) -> None:
    done = 0
    with path.open("rb") as source:
        while block := source.read(CHUNK):
            digest.update(block)
            done += len(block)
            if tell is not None:
                tell(done)


def hash_file(path: Path, tell: Callable[[int], None] | None = None) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    _feed(path, digest, tell)
    return digest.hexdigest()
