"""Bodies, read as they come in: files go to the disk, limits are kept while they stream.

A picture is never whole in memory, except while base64 in JSON is taken apart, one at a time.
Knows nothing of what the fields mean.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from vivant.api.errors import HttpError
from vivant.errors import DatabaseError

PICTURE_FIELDS = ("input_reference", "image")

MAX_FIELD_BYTES = 100_000
"""One form field; the longest is a prompt of 2,000 characters."""

MAX_FIELDS = 100
MAX_HEADER_BYTES = 8_000
"""Headers of one part."""

IDLE_SECONDS = 30.0
"""A body may pause that long."""

DRAIN_BYTES = 64_000_000
DRAIN_SECONDS = 5.0
"""What is refused is read on for so long, because most clients read no answer before that."""

_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)
_PIECE = 4 * 262_144
"""Characters of base64 decoded at once; a multiple of four."""


@dataclass
class Upload:
    """What a request brought.

    Attributes:
        fields: everything but the picture; text from forms, values from JSON.
        picture: file with the picture; None where there was none.
        name: the client's file name, shortened; never used as a path.
        url: where the picture is to be fetched, where it was given so.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    picture: Path | None = None
    size: int = 0
    sha256: str = ""
    name: str = ""
    url: str | None = None


class Intake:
    """Reads bodies.

    Args:
        folder: for the files.
        max_bytes: of a picture.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._one_json = asyncio.Semaphore(1)

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator[Upload]:
        """The body; its file is removed afterwards.

        Raises:
            HttpError: 400, 408, 413 or 415.
        """
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        body = _Body(request, self._max_bytes * 3 // 2 + 1_000_000)
        upload = Upload()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._folder, delete=False) as file:
                upload.picture = Path(file.name)
                try:
                    body.check_length()
                    await self._take(kind, options, body, upload, file)
                except HttpError:
                    await body.drain()
                    raise
            if not upload.size:
                upload.picture.unlink(missing_ok=True)
                upload.picture = None
            yield upload
        except OSError as error:
            full = error.errno == 28
            raise DatabaseError(
                f"an upload cannot be kept: {error.strerror}",
                code="storage_full" if full else None,
            ) from error
        finally:
            if upload.picture is not None:
                upload.picture.unlink(missing_ok=True)

    async def _take(
        self,
        kind: bytes,
        options: dict[bytes, bytes],
        body: _Body,
        upload: Upload,
        file: IO[bytes],
    ) -> None:
        if kind == b"multipart/form-data":
            await _Form(upload, file, self._max_bytes).read(body, options)
        elif kind in (b"application/json", b""):
            await self._read_json(body, upload, file)
        else:
            raise HttpError(
                415, "send multipart/form-data or application/json", "unsupported_media_type"
            )

    async def _read_json(self, body: _Body, upload: Upload, file: IO[bytes]) -> None:
        async with self._one_json:
            spool = bytearray()
            async for chunk in body.chunks():
                spool += chunk
            await asyncio.to_thread(self._take_json, spool, upload, file)

    def _take_json(self, spool: bytearray, upload: Upload, file: IO[bytes]) -> None:
        try:
            content = json.loads(spool, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise HttpError(
                400, f"the body is not JSON ({str(error)[:120]})", "invalid_json"
            ) from None
        finally:
            spool.clear()
        if not isinstance(content, dict):
            raise HttpError(400, "the body is not a JSON object: send {…}", "invalid_json")
        given = [name for name in PICTURE_FIELDS if content.get(name) is not None]
        if len(given) > 1:
            raise _twice()
        for name in given:
            self._take_picture(name, content.pop(name), upload, file)
        upload.fields = {name: value for name, value in content.items() if value is not None}

    def _take_picture(self, name: str, value: Any, upload: Upload, file: IO[bytes]) -> None:
        if isinstance(value, dict):
            value = value.get("image_url")
            if isinstance(value, dict):
                value = value.get("url")
        if not isinstance(value, str) or not value:
            raise HttpError(
                400, f"{name} is not a base64 string or a data URL", "invalid_image", param=name
            )
        if value[:8].lower() == "https://" or value[:7].lower() == "http://":
            upload.url = value
            return
        match = _DATA_URL.match(value[:200])
        if match:
            value = value[match.end() :]
        elif value[:5] == "data:":
            raise HttpError(
                400, f"{name} is a data URL without ;base64,", "invalid_image", param=name
            )
        if len(value) // 4 * 3 > self._max_bytes + 3:
            raise _too_large(self._max_bytes)
        digest = hashlib.sha256()
        for data in self._decoded(name, value):
            upload.size += len(data)
            if upload.size > self._max_bytes:
                raise _too_large(self._max_bytes)
            digest.update(data)
            file.write(data)
        file.flush()
        upload.sha256, upload.name = digest.hexdigest(), "picture"

    def _decoded(self, name: str, value: str) -> Iterator[bytes]:
        """Base64 in pieces, so that the whole is not held once more."""
        if any(blank in value for blank in " \t\r\n"):
            value = value.translate(_BLANKS)
        try:
            for start in range(0, len(value), _PIECE):
                piece = value[start : start + _PIECE]
                if "=" in piece and start + _PIECE < len(value):
                    raise ValueError("padding in the middle")  # noqa: TRY301
                yield base64.b64decode(piece, validate=True)
        except (binascii.Error, ValueError):
            raise HttpError(
                400,
                f"{name} is not base64: check that it was not cut off",
                "invalid_image",
                param=name,
            ) from None


class _Body:
    """A request's bytes, counted and timed."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        self._request, self._max_bytes = request, max_bytes
        self._stream = request.stream()
        self._read = 0
        self._ended = False

    def check_length(self) -> None:
        """Refuse by what the client announces, before anything is read."""
        length = self._request.headers.get("content-length")
        if length is not None and length.isdigit() and int(length) > self._max_bytes:
            raise _too_large(self._max_bytes)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, at most so much of it."""
        while True:
            chunk = await self._next()
            if chunk is None:
                return
            if self._read > self._max_bytes:
                raise _too_large(self._max_bytes)
            yield chunk

    async def drain(self) -> None:
        """Read on for a while without keeping anything."""
        until = time.monotonic() + DRAIN_SECONDS
        start = self._read
        try:
            while self._read - start < DRAIN_BYTES and time.monotonic() < until:
                if await self._next() is None:
                    return
        except (HttpError, ClientDisconnect):
            return

    async def _next(self) -> bytes | None:
        if self._ended:
            return None
        try:
            chunk = await asyncio.wait_for(anext(self._stream, None), IDLE_SECONDS)
        except TimeoutError:
            self._ended = True
            raise HttpError(
                408, f"nothing came for {IDLE_SECONDS:g} s: send the request again", "timeout"
            ) from None
        except ClientDisconnect:
            self._ended = True
            raise HttpError(400, "the connection was closed half-way", "disconnected") from None
        if chunk is None or chunk == b"":
            # the stream ends with an empty chunk
            self._ended = True
            return None
        self._read += len(chunk)
        return chunk


class _Form:
    """Takes a multipart body apart: one file to the disk, fields to memory."""

    def __init__(self, upload: Upload, file: IO[bytes], max_bytes: int) -> None:
        self._upload, self._file, self._max_bytes = upload, file, max_bytes
        self._hash = hashlib.sha256()
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value = bytearray()
        self._is_file = False
        self._ended = False

    async def read(self, body: _Body, options: dict[bytes, bytes]) -> None:
        boundary = options.get(b"boundary", b"")
        if not boundary or len(boundary) > 200:
            raise HttpError(400, "the multipart body has no usable boundary", "invalid_multipart")
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_end": self._on_end,
            },
        )
        try:
            async for chunk in body.chunks():
                parser.write(chunk)
            parser.finalize()
        except MultipartParseError as error:
            raise HttpError(
                400, f"the multipart body is damaged ({str(error)[:120]})", "invalid_multipart"
            ) from None
        if not self._ended:
            raise HttpError(400, "the multipart body is cut off", "invalid_multipart")
        self._file.flush()
        self._upload.sha256 = self._hash.hexdigest()

    def _on_part_begin(self) -> None:
        self._headers, self._name, self._is_file = {}, "", False
        self._value = bytearray()
        if len(self._upload.fields) >= MAX_FIELDS:
            raise HttpError(413, f"more than {MAX_FIELDS} fields", "too_large")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]
        self._check_header()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]
        self._check_header()

    def _check_header(self) -> None:
        if len(self._header_name) + len(self._header_value) > MAX_HEADER_BYTES:
            raise HttpError(413, "a part's headers are too long", "too_large")

    def _on_header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        try:
            self._name = options.get(b"name", b"").decode()
        except UnicodeDecodeError:
            raise HttpError(400, "a field's name is not UTF-8", "invalid_multipart") from None
        if not self._name:
            raise HttpError(400, "a part has no name", "invalid_multipart")
        if self._name in PICTURE_FIELDS and b"filename" in options:
            if self._upload.name:
                raise _twice()
            self._is_file = True
            self._upload.name = safe_name(options[b"filename"].decode(errors="replace"))
        elif b"filename" in options:
            raise HttpError(
                400,
                f"{self._name[:40]!r} takes no file: send the picture as input_reference",
                "unknown_field",
                param=self._name[:40],
            )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_file:
            self._value += data[start:end]
            if len(self._value) > MAX_FIELD_BYTES and self._name not in PICTURE_FIELDS:
                raise HttpError(
                    413,
                    f"{self._name[:40]!r} is longer than {MAX_FIELD_BYTES} bytes",
                    "too_large",
                    param=self._name[:40],
                )
            if len(self._value) > MAX_FIELD_BYTES:
                raise HttpError(
                    400,
                    f"{self._name} is text: send it as a file part, or base64 in JSON",
                    "invalid_image",
                    param=self._name,
                )
            return
        part = data[start:end]
        self._upload.size += len(part)
        if self._upload.size > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._hash.update(part)
        self._file.write(part)

    def _on_part_end(self) -> None:
        if self._is_file:
            return
        if self._name in PICTURE_FIELDS:
            raise HttpError(
                400,
                f"{self._name} is text: send it as a file part, or base64 in JSON",
                "invalid_image",
                param=self._name,
            )
        if self._name in self._upload.fields:
            raise HttpError(
                400, f"{self._name[:40]!r} is given twice", "invalid_option", param=self._name[:40]
            )
        try:
            self._upload.fields[self._name] = self._value.decode()
        except UnicodeDecodeError:
            raise HttpError(
                400, f"{self._name[:40]!r} is not UTF-8", "invalid_option", param=self._name[:40]
            ) from None

    def _on_end(self) -> None:
        self._ended = True


_BLANKS = {ord(blank): None for blank in " \t\r\n"}


def safe_name(text: str) -> str:
    """The last part of a file name, printable, at most 100 characters; ``picture`` if empty."""
    last = re.split(r"[/\\]", text)[-1]
    shown = "".join(c if c.isprintable() else "\ufffd" for c in last)
    return shown[:100].strip(". ") or "picture"


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")


def _too_large(max_bytes: int) -> HttpError:
    return HttpError(
        413,
        f"the picture has more than the {max_bytes / 1e6:g} MB allowed: save it smaller or as JPEG",
        "too_large",
        param="input_reference",
    )


def _twice() -> HttpError:
    return HttpError(
        400, "the picture is given twice: send input_reference only", "invalid_image",
        param="input_reference",
    )  # fmt: skip
