"""What a request brought, and the file its picture goes to while it is read.

Knows nothing of how a body is encoded, nor of what the fields mean.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vivant.api.errors import HttpError
from vivant.errors import printable

PICTURE_FIELDS = ("input_reference", "image")


@dataclass
class Upload:
    """See the module.

    Attributes:
        fields: everything but the picture; text from forms, values from JSON.
        picture: file with the picture; None where there was none.
        size: of the picture in bytes.
        sha256: of the picture, as hexadecimal digits.
        name: the client's file name, shortened; never used as a path.
        url: where the picture is to be fetched, where it was given so.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    picture: Path | None = None
    size: int = 0
    sha256: str = ""
    name: str = ""
    url: str | None = None


class PictureFile:
    """A new file that is counted and hashed while it is written.

    Args:
        folder: where it is made, under a name nobody guesses.
        max_bytes: of the picture.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.path = folder / secrets.token_hex(16)
        self.size = 0
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o644)

    def write(self, data: bytes | memoryview) -> None:
        """Append.

        Raises:
            HttpError: 413, more than ``max_bytes`` came.
            OSError: the disk does not take it.
        """
        self.check(len(data))
        self.size += len(data)
        self._hash.update(data)
        while data:
            data = data[os.write(self._file, data) :]

    def check(self, more: int) -> None:
        """Refuse what would become too large.

        Raises:
            HttpError: 413.
        """
        if self.size + more > self._max_bytes:
            raise too_large(self._max_bytes)

    @property
    def sha256(self) -> str:
        """Of what was written, as hexadecimal digits."""
        return self._hash.hexdigest()

    def close(self) -> None:
        """Let go of the file; it stays."""
        os.close(self._file)


class PictureFiles:
    """The pictures of one body, each in a file of its own.

    Args:
        folder: where they are made.
        max_bytes: of each.
        most: how many may come.

    Attributes:
        found: what came, in order: a file, or the URL it is to be fetched from.
    """

    def __init__(self, folder: Path, max_bytes: int, most: int) -> None:
        self._folder, self._max_bytes, self._most = folder, max_bytes, most
        self.found: list[Upload] = []
        self._files: list[PictureFile] = []

    def add(self, name: str) -> PictureFile:
        """A file for the next one; filled in by :meth:`close`.

        Raises:
            HttpError: 400, more came than may.
            OSError: it cannot be made.
        """
        self._check()
        try:
            file = PictureFile(self._folder, self._max_bytes)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = PictureFile(self._folder, self._max_bytes)
        self._files.append(file)
        self.found.append(Upload(picture=file.path, name=name))
        return file

    def add_url(self, url: str) -> None:
        """One that is to be fetched.

        Raises:
            HttpError: 400, more came than may.
        """
        self._check()
        self.found.append(Upload(url=url))

    def _check(self) -> None:
        if len(self.found) < self._most:
            return
        if self._most == 1:
            raise given_twice()
        raise HttpError(
            400, f"more than the {self._most} pictures allowed at once: send them in parts",
            "too_many_pictures", param="input_reference",
        )  # fmt: skip

    def close(self) -> None:
        """Let go of the files, and say what is in them; empty ones count as none."""
        for file in self._files:
            file.close()
            upload = next(one for one in self.found if one.picture == file.path)
            if file.size:
                upload.size, upload.sha256 = file.size, file.sha256
            else:
                self.found.remove(upload)

    def remove(self) -> None:
        """Remove what nobody has moved away."""
        for path in [file.path for file in self._files] + [one.picture for one in self.found]:
            if path is not None:
                path.unlink(missing_ok=True)


_BINARY: int = getattr(os, "O_BINARY", 0)


def safe_name(text: str) -> str:
    """The last part of a file name, printable, at most 100 characters; ``picture`` if empty."""
    last = re.split(r"[/\\]", text)[-1]
    shown = printable(last)
    return shown[:100].strip(". ") or "picture"


def too_large(max_bytes: int, subject: str = "the picture has") -> HttpError:
    """413, with the limit and the remedy."""
    return HttpError(
        413,
        f"{subject} more than the {max_bytes / 1e6:g} MB allowed: save it smaller or as JPEG",
        "too_large",
        param="input_reference",
    )


def given_twice() -> HttpError:
    """400: which of the two pictures is meant?"""
    return HttpError(
        400, "the picture is given twice: send input_reference only", "invalid_image",
        param="input_reference",
    )  # fmt: skip


def no_picture(name: str, why: str) -> HttpError:
    """400: the field of the picture holds none."""
    return HttpError(400, f"{name} {why}", "invalid_image", param=name)
