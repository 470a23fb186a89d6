"""A folder of clips named by what they were made from, so that no work is ever done twice.

Knows nothing of comparisons or batches, nor of how a clip is made: only of keys, of what is
finished, and of who else is at work in the folder.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vivant.errors import OutputError
from vivant.report import plain
from vivant.types import Request
from vivant.video.files import COMPANIONS

KEY_LENGTH = 20
"""Hexadecimal digits of a key: 80 bits, no two clips of a folder ever share one."""


LOCK = ".vivant-lock"
"""In a folder where a command is at work, or was."""


def request_key(request: Request, picture_sha256: str, versions: Mapping[str, str]) -> str:
    """What decides the frames, as one short name: picture, request and versions."""
    fields = {
        name: plain(getattr(request, name))
        for name in request.__dataclass_fields__
        if name != "image"
    }
    text = json.dumps(
        {"picture": picture_sha256, "request": fields, "versions": dict(versions)},
        sort_keys=True,
        ensure_ascii=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def finished(clip: Path) -> dict[str, Any] | None:
    """The report of ``clip``, where clip and report are whole; None where there is work to do.

    The clip is the last file to be put in place (see :func:`vivant.video.files.publish`).
    """
    try:
        if not clip.stat().st_size:
            return None
        text = clip.with_name(f"{clip.stem}.{COMPANIONS['report']}").read_text("utf-8")
        report = json.loads(text)
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None


@contextmanager
def held(folder: Path, *, clips: Path | None = None) -> Iterator[None]:
    """Be the only one at work in ``folder``; leftovers of killed runs are swept out of ``clips``.

    Raises:
        OutputError: the folder cannot be made or written, or somebody else is at work in it.
    """
    clips = clips or folder
    new = [path for path in dict.fromkeys((clips, folder)) if not path.exists()]
    try:
        clips.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(
            f"cannot write in {folder}: {error.strerror}; choose another place with -o"
        ) from error
    if not _lock(handle):
        os.close(handle)
        raise OutputError(f"another vivant is at work in {folder}: wait, or choose another -o")
    try:
        for leftover in clips.glob(".vivant-*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
        yield
    except BaseException:
        _take_away(new, folder / LOCK)
        raise
    finally:
        os.close(handle)  # frees the lock, as the end of the process does


def _take_away(new: list[Path], lock: Path) -> None:
    """Folders made for work of which nothing came."""
    for path in new:
        if path.is_dir() and all(inside == lock for inside in path.iterdir()):
            (path / lock.name).unlink(missing_ok=True)
            path.rmdir()


def _lock(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows: two runs in one folder are the user's own care there
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def write_whole(path: Path, text: str) -> None:
    """Write ``text`` to ``path``: the old content or the new, never half of it.

    Raises:
        OutputError: it cannot be written.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        aside.write_text(text, "utf-8")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path}: {error.strerror}; choose another place with -o"
        ) from error
