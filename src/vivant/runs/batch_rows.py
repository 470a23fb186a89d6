"""What a batch makes: one row per picture, from a folder or a CSV.

A row that cannot be made is kept, with its reason, so that the rest goes on.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vivant.errors import InputError, VivantError, printable
from vivant.types import Request

COLUMNS = (
    "image", "output", "prompt", "negative", "frames", "seconds", "fps", "aspect", "size",
    "seed", "engine", "upscaler", "quality", "label", "label_seconds", "sound", "last",
    "options", "crop", "focus", "rotate",
)  # fmt: skip
"""What a CSV may hold; only ``image`` must be there, and an empty field is the command's own."""

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".bmp", ".tif", ".tiff"}
)
"""Files of a folder that are taken for pictures."""

MAX_ROWS = 100_000

ParseRow = Callable[[Path, Mapping[str, str]], Request]
"""Picture and the row's own settings → request; raises ``VivantError`` where it is impossible."""


@dataclass(frozen=True, slots=True)
class Row:
    """One clip to make.

    Attributes:
        number: of the row, from 1; in a CSV the header is not counted.
        name: of the clip's file, without ``.mp4``; no two rows share one.
        request: None where the row cannot be made; ``reason`` says why.
    """

    number: int
    name: str
    picture: str
    request: Request | None
    reason: str = ""


def read_rows(source: Path, parse: ParseRow) -> tuple[Row, ...]:
    """Rows of a folder of pictures, by name, or of a CSV.

    Raises:
        InputError: neither; a CSV without ``image`` or with columns that are not known.
    """
    if source.is_dir():
        pictures = pictures_in(source)
        if not pictures:
            raise InputError(f"folder {source} holds no pictures", param="source")
        return _named([(path, {}) for path in pictures], parse)
    return _named(_csv(source), parse)


def pictures_in(folder: Path) -> list[Path]:
    """Files of a folder that look like pictures, by name."""
    return sorted(
        p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file()
    )


def _csv(source: Path) -> list[tuple[Path, dict[str, str]]]:
    try:
        # spreadsheets write a byte-order mark
        text = source.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{source} is not UTF-8 text: save it as CSV UTF-8") from None
    except OSError as error:
        raise InputError(
            f"{source} cannot be read: {error.strerror}; give a folder of pictures or a CSV",
            param="source",
        ) from None
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    try:
        columns = [(name or "").strip().lower() for name in reader.fieldnames or ()]
        if "image" not in columns:
            raise InputError(
                f"{source.name} has no column 'image': its first line names the columns "
                f"({', '.join(COLUMNS)})",
                param="source",
            )
        unknown = [name for name in columns if name not in COLUMNS]
        if unknown or len(set(columns)) < len(columns):
            raise InputError(
                f"{source.name}: column {(unknown or columns)[0]!r} is unknown or there twice "
                f"(known: {', '.join(COLUMNS)})",
                param="source",
            )
        reader.fieldnames = columns
        found = []
        for fields in reader:
            row = {k: (v or "").strip() for k, v in fields.items() if isinstance(k, str)}
            if any(row.values()):
                found.append(
                    (
                        source.parent / row.pop("image"),
                        {k: _placed(k, v, source) for k, v in row.items() if v},
                    )
                )
    except csv.Error as error:
        raise InputError(f"{source.name}, line {reader.line_num}: {error}") from None
    if not 1 <= len(found) <= MAX_ROWS:
        raise InputError(f"{source.name} has {len(found)} rows: 1…{MAX_ROWS} are possible")
    return found


def _placed(column: str, text: str, source: Path) -> str:
    """A row's value; files lie beside the CSV, as pictures do."""
    if column not in ("sound", "last") or (column == "sound" and text.lower() in ("on", "off")):
        return text
    return str(source.parent / text)


def _named(entries: list[tuple[Path, dict[str, str]]], parse: ParseRow) -> tuple[Row, ...]:
    rows = []
    taken: set[str] = set()
    for number, (picture, settings) in enumerate(entries, start=1):
        wanted = settings.pop("output", "") or picture.stem
        name = base = _file_name(wanted)
        shown = printable(picture.name)
        copy = 2
        while name.lower() in taken:  # some file systems do not tell case apart
            name, copy = f"{base}-{copy}", copy + 1
        taken.add(name.lower())
        try:
            rows.append(Row(number, name, shown, parse(picture, settings)))
        except VivantError as error:
            # the message may quote a name that is not UTF-8
            rows.append(Row(number, name, shown, None, printable(error.message)))
    return tuple(rows)


def _file_name(text: str) -> str:
    """A name that stays inside the folder."""
    stem = re.sub(r"\.mp4$", "", text.strip(), flags=re.IGNORECASE)
    clean = printable(re.sub(r'[\x00-\x1f<>:"/\\|?*]+', "_", stem)).strip(". ")
    return clean[:100] or "clip"
