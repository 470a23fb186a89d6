"""Multipart bodies: Starlette's parser, with pictures written to the disk and strict limits."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any, Protocol, cast
from urllib.parse import unquote

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from vivant.api.errors import HttpError
from vivant.api.uploads.picture_files import (
    PICTURE_FIELDS,
    PictureFiles,
    no_picture,
    safe_name,
)

MAX_FIELD_BYTES = 100_000
"""One form field; the longest is a prompt of 2,000 characters."""

MAX_FIELDS = 100
MAX_HEADER_BYTES = 8_000
"""Headers of one part."""

MAX_BOUNDARY_BYTES = 200

_EXTENDED_NAME = re.compile(rb";\s*filename\*\s*=\s*\"?([\w.-]+)'[^']*'([^;\"\s]+)", re.IGNORECASE)


class _Writable(Protocol):
    def write(self, data: bytes) -> None: ...


class _PicturePart(UploadFile):
    """A part whose bytes go to a picture's file, and never to memory as Starlette's own do."""

    def __init__(self, file: _Writable, name: str) -> None:
        super().__init__(file=cast("Any", file), filename=name)

    async def write(self, data: bytes) -> None:
        """Written at once: handing a chunk to a thread takes longer than writing it."""
        self.file.write(data)

    async def seek(self, offset: int) -> None:
        """The parser goes back to the beginning; this file is only written."""


class UploadParser(MultiPartParser):
    """Reads one body.

    Args:
        headers: of the request.
        stream: its bytes.
        pictures: where pictures go.
    """

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], pictures: PictureFiles
    ) -> None:
        super().__init__(headers, stream)
        self._pictures = pictures
        self._fields: dict[str, str] = {}
        self._header_bytes = 0
        self._ended = False

    async def fields(self) -> dict[str, Any]:
        """Read the whole body: its text fields.

        Raises:
            HttpError: 400 or 413.
            OSError: the disk does not take a picture.
        """
        _, options = parse_options_header(self.headers.get("content-type"))
        if not 0 < len(options.get(b"boundary", b"")) <= MAX_BOUNDARY_BYTES:
            raise HttpError(400, "the multipart body has no usable boundary", "invalid_multipart")
        try:
            await self.parse()
        except MultiPartException as error:
            why = str(error.__cause__ or error.message)[:120]
            raise HttpError(
                400, f"the multipart body is damaged ({why})", "invalid_multipart"
            ) from None
        if not self._ended:
            raise HttpError(400, "the multipart body is cut off", "invalid_multipart")
        return dict(self._fields)

    def on_part_begin(self) -> None:
        """The parser calls back from here on: a new part."""
        super().on_part_begin()
        self._header_bytes = 0
        if len(self._fields) >= MAX_FIELDS:
            raise HttpError(413, f"more than {MAX_FIELDS} fields", "too_large")

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Part of a header's name."""
        self._count_header(end - start)
        super().on_header_field(data, start, end)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Part of a header's value."""
        self._count_header(end - start)
        super().on_header_value(data, start, end)

    def _count_header(self, more: int) -> None:
        self._header_bytes += more
        if self._header_bytes > MAX_HEADER_BYTES:
            raise HttpError(413, "a part's headers are too long", "too_large")

    def on_headers_finished(self) -> None:
        """What the part is: a picture or a text field."""
        part = self._current_part
        _, options = parse_options_header(part.content_disposition)
        try:
            part.field_name = name = options.get(b"name", b"").decode()
        except UnicodeDecodeError:
            raise HttpError(400, "a field's name is not UTF-8", "invalid_multipart") from None
        if not name:
            raise HttpError(400, "a part has no name", "invalid_multipart")
        file_name = _file_name(part.content_disposition or b"", options)
        if name in PICTURE_FIELDS:
            if file_name is None:
                raise no_picture(name, "is text: send it as a file part, or base64 in JSON")
            called = safe_name(file_name)
            part.file = _PicturePart(self._pictures.add(called), called)
        elif file_name is not None:
            raise HttpError(400, _no_file(name[:40]), "unknown_field", param=name[:40])
        elif name in self._fields:
            raise _wrong(400, name, "is given twice", "invalid_option")

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Part of a field, or of a picture, which :meth:`parse` writes."""
        part = self._current_part
        if part.file is None and len(part.data) + end - start > MAX_FIELD_BYTES:
            raise _wrong(
                413, part.field_name, f"is longer than {MAX_FIELD_BYTES} bytes", "too_large"
            )
        super().on_part_data(data, start, end)

    def on_part_end(self) -> None:
        """A field is complete."""
        part = self._current_part
        if part.file is not None:
            super().on_part_end()
            return
        try:
            self._fields[part.field_name] = part.data.decode()
        except UnicodeDecodeError:
            raise _wrong(400, part.field_name, "is not UTF-8", "invalid_option") from None

    def on_end(self) -> None:
        """The last boundary was read."""
        self._ended = True


def _no_file(name: str) -> str:
    if name in ("sound", "audio"):
        return (
            "sound files are not taken here: lay music or a voice under the finished clip, or use "
            "--sound FILE on the command line; generate_audio=true asks ltx2 for sound of its own"
        )
    return f"{name!r} takes no file: send the picture as input_reference"


def _file_name(disposition: bytes, options: dict[bytes, bytes]) -> str | None:
    """``filename*`` (RFC 5987), which the parser leaves out, or else ``filename``."""
    extended = _EXTENDED_NAME.search(disposition)
    if extended is not None:
        encoding = "latin-1" if extended[1].lower() == b"iso-8859-1" else "utf-8"
        return unquote(extended[2].decode("ascii", "replace"), encoding, "replace")
    name = options.get(b"filename")
    return None if name is None else name.decode(errors="replace")


def _wrong(status: int, name: str, why: str, code: str) -> HttpError:
    return HttpError(status, f"{name[:40]!r} {why}", code, param=name[:40])
