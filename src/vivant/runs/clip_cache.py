"""Folders of finished clips, so that no clip is made twice."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vivant.errors import OutputError
from vivant.report import plain, request_settings
from vivant.types import Request
from vivant.version import __version__
from vivant.video.files import COMPANIONS

KEY_LENGTH = 20
"""Hexadecimal digits of a key: 80 bits, so that two clips of a folder never share one."""

LOCK = ".vivant-lock"
"""Lock file of a folder; it stays when the command has ended."""


def request_key(request: Request, picture_sha256: str, versions: Mapping[str, str]) -> str:
    """What decides the frames, as one short name: picture, request and versions."""
    text = json.dumps(
        {
            "picture": picture_sha256,
            "request": plain(request_settings(request)),
            "versions": dict(versions),
        },
        sort_keys=True,
        ensure_ascii=False,
    )
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]


def finished(clip: Path) -> dict[str, Any] | None:
    """The report of ``clip``, where clip and report are whole; None where they are not.

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


def cached_report(clip: Path, request: Request) -> dict[str, Any] | None:
    """The report of ``clip``, if it was made from this picture with this request and version."""
    report = finished(clip)
    if report is None:
        return None
    image = request.image
    try:
        data = image if isinstance(image, bytes) else image.read_bytes()
    except OSError:
        return None
    same = (
        report.get("source", {}).get("sha256") == hashlib.sha256(data).hexdigest()
        and report.get("settings") == json.loads(json.dumps(plain(request_settings(request))))
        and report.get("vivant_version") == __version__
    )
    return report if same else None


@contextmanager
def lock_folder(folder: Path, *, clips: Path | None = None) -> Iterator[None]:
    """Be the only command at work in ``folder``.

    Temporary folders that a killed run left in ``clips`` are deleted. Where the block fails,
    folders that were made for it are deleted if they are empty.

    Args:
        folder: made if need be.
        clips: folder of the clips; ``folder`` itself where None.

    Raises:
        OutputError: the folder cannot be made or written, or another command is at work in it.
    """
    from filelock import FileLock, Timeout  # brings asyncio: 0.1 s

    clips = clips or folder
    new = [path for path in dict.fromkeys((clips, folder)) if not path.exists()]
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        clips.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise OutputError(
            f"another vivant is at work in {folder}: wait, or choose another -o"
        ) from None
    except OSError as error:
        raise OutputError(
            f"cannot write in {folder}: {error.strerror}; choose another place with -o"
        ) from error
    try:
        for leftover in clips.glob(".vivant-*"):
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
        yield
    except BaseException:
        _remove_empty(new, folder / LOCK)
        raise
    finally:
        lock.release()


def _remove_empty(new: list[Path], lock: Path) -> None:
    for path in new:
        if path.is_dir() and all(inside == lock for inside in path.iterdir()):
            (path / lock.name).unlink(missing_ok=True)
            path.rmdir()


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
