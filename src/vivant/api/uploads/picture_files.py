"""The pictures of one request, each written to a file while it comes in."""

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
class PictureUpload:
    """One picture as it came.

    Attributes:
        file: where it is; None until a URL is fetched.
        size: bytes.
        sha256: hexadecimal digits.
        name: the client's file name, shortened; never used as a path.
        url: where it is to be fetched; None where the picture itself came.
    """

    file: Path | None = None
    size: int = 0
    sha256: str = ""
    name: str = ""
    url: str | None = None


@dataclass
class Upload:
    """A request's body, taken apart.

    Attributes:
        fields: everything but the pictures; text from forms, values from JSON.
        pictures: in the order they came.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    pictures: list[PictureUpload] = field(default_factory=list)


class PictureFile:
    """A new file that is counted and hashed while it is written.

    Args:
        folder: where it is made, under a random name.
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
        """Close the file; it stays."""
        os.close(self._file)


class PictureFiles:
    """The pictures of one body.

    Args:
        folder: for their files.
        max_bytes: of each.
        most: how many may come.

    Attributes:
        most: as given.
        found: what came, in order.
    """

    def __init__(self, folder: Path, max_bytes: int, most: int) -> None:
        self.most = most
        self.found: list[PictureUpload] = []
        self._folder, self._max_bytes = folder, max_bytes
        self._files: list[PictureFile] = []

    def new_file(self) -> PictureFile:
        """A file that counts as a picture only once it is given to :meth:`add`.

        Raises:
            OSError: it cannot be made.
        """
        try:
            file = PictureFile(self._folder, self._max_bytes)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = PictureFile(self._folder, self._max_bytes)
        self._files.append(file)
        return file

    def add(self, name: str, file: PictureFile | None = None) -> PictureFile:
        """Count a file as the next picture; its size and hash are filled in by :meth:`close`.

        Args:
            name: the client's name of it.
            file: from :meth:`new_file`; a new one where None.

        Raises:
            HttpError: 400, more came than may.
            OSError: the file cannot be made.
        """
        self._check()
        file = file or self.new_file()
        self.found.append(PictureUpload(file=file.path, name=name))
        return file

    def add_url(self, url: str) -> None:
        """A picture that is to be fetched.

        Raises:
            HttpError: 400, more came than may.
        """
        self._check()
        self.found.append(PictureUpload(url=url))

    def _check(self) -> None:
        if len(self.found) < self.most:
            return
        if self.most == 1:
            raise given_twice()
        raise HttpError(
            400, f"more than the {self.most} pictures allowed at once: send them in parts",
            "too_many_pictures", param="input_reference",
        )  # fmt: skip

    def close(self) -> None:
        """Close the files and fill in what is in them; empty ones count as none."""
        written = {file.path: file for file in self._files}
        for file in self._files:
            file.close()
        for upload in list(self.found):
            if upload.file is None:
                continue
            file = written[upload.file]
            upload.size, upload.sha256 = file.size, file.sha256
            if not file.size:
                self.found.remove(upload)

    def remove(self) -> None:
        """Remove the files that are still in their place."""
        for path in [file.path for file in self._files] + [one.file for one in self.found]:
            if path is not None:
                path.unlink(missing_ok=True)


_BINARY: int = getattr(os, "O_BINARY", 0)


def safe_name(text: str) -> str:
    """The last part of a file name, printable, at most 100 characters; ``picture`` if empty."""
    last = re.split(r"[/\\]", text)[-1]
    return printable(last)[:100].strip(". ") or "picture"


def too_large(max_bytes: int, subject: str = "the picture has") -> HttpError:
    """413, with the limit and the remedy."""
    return HttpError(
        413,
        f"{subject} more than the {max_bytes / 1e6:g} MB allowed: save it smaller or as JPEG",
        "too_large",
        param="input_reference",
    )


def given_twice() -> HttpError:
    """400: the picture was given twice."""
    return HttpError(
        400, "the picture is given twice: send input_reference only", "invalid_image",
        param="input_reference",
    )  # fmt: skip


def no_picture(name: str, why: str) -> HttpError:
    """400: the field of the picture holds none."""
    return HttpError(400, f"{name} {why}", "invalid_image", param=name)
