"""The index of a folder of clips that differ by their seed: a page, and one contact sheet.

It lists every finished clip of the folder, whenever it was made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from vivant.runs.clip_cache import finished, write_whole
from vivant.runs.index_page import ClipEntry, render
from vivant.types import Image, Take
from vivant.video.files import COMPANIONS
from vivant.video.sheet import joined, write_jpeg

PAGE = "index.html"
CONTACT_SHEET = "contact_sheet.jpg"

_NAME = re.compile(r"(?P<picture>.*)-seed-(?P<seed>[0-9]+)")
_MARK = '<meta name="generator" content="Vivant seeds">'


def is_ours(folder: Path) -> bool:
    """Whether the page in the folder is an index that Vivant wrote."""
    try:
        with (folder / PAGE).open(encoding="utf-8", errors="replace") as file:
            return _MARK in file.read(2_000)
    except OSError:
        return False


def write_index(folder: Path, takes: Sequence[Take]) -> None:
    """Write page and contact sheet of what is in ``folder``, with what failed among ``takes``.

    Raises:
        OutputError: they cannot be written.
    """
    found = _finished(folder)
    entries = [
        ClipEntry(name=clip.stem, picture=clip.name, report=report) for clip, report in found
    ]
    entries += [
        ClipEntry(name="", picture=f"seed {take.seed}", report=None, reason=take.reason)
        for take in takes
        if take.result is None
    ]
    write_whole(folder / PAGE, render(entries, folder.resolve().name, of_seeds=True))
    sheets = [
        (f"seed {_seed(clip)}   {report['verdict'].replace('_', ' ')}", sheet)
        for clip, report in found
        if (sheet := _sheet(clip)) is not None
    ]
    if sheets:
        aside = folder / f".{CONTACT_SHEET}.part"
        write_jpeg(aside, joined(sheets))
        aside.replace(folder / CONTACT_SHEET)


def _finished(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Clips with their reports, by picture and seed."""
    clips = [path for path in folder.glob("*.mp4") if _NAME.fullmatch(path.stem)]
    found = []
    for clip in sorted(clips, key=lambda path: (_picture(path), _seed(path))):
        report = finished(clip)
        if report is not None:
            found.append((clip, report))
    return found


def _picture(clip: Path) -> str:
    match = _NAME.fullmatch(clip.stem)
    return match["picture"] if match else ""


def _seed(clip: Path) -> int:
    match = _NAME.fullmatch(clip.stem)
    return int(match["seed"]) if match else 0


def _sheet(clip: Path) -> Image | None:
    """The clip's own contact sheet, if it is still there."""
    try:
        path = clip.with_name(f"{clip.stem}.{COMPANIONS['contact_sheet']}")
        with PillowImage.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError:
        return None
