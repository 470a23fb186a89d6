"""A multipart body taken apart: pictures to the disk, fields to memory."""

from __future__ import annotations

from typing import Any

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from vivant.api.body import Body
from vivant.api.errors import HttpError
from vivant.api.upload import PICTURE_FIELDS, PictureFile, PictureFiles, no_picture, safe_name

MAX_FIELD_BYTES = 100_000
"""One form field; the longest is a prompt of 2,000 characters."""

MAX_FIELDS = 100
MAX_HEADER_BYTES = 8_000
"""Headers of one part."""

MAX_BOUNDARY_BYTES = 200


class Form:
    """One body. The parser calls back; what it finds is kept until the part ends.

    Args:
        pictures: where the pictures go.

    Attributes:
        fields: name → text.
    """

    def __init__(self, pictures: PictureFiles) -> None:
        self.fields: dict[str, Any] = {}
        self._pictures = pictures
        self._picture: PictureFile | None = None
        self._header_name, self._header_value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._field, self._value = "", bytearray()
        self._ended = False

    async def read(self, body: Body, boundary: bytes) -> None:
        """The whole body.

        Raises:
            HttpError: 400 or 413.
            OSError: the disk does not take the picture.
        """
        if not boundary or len(boundary) > MAX_BOUNDARY_BYTES:
            raise HttpError(400, "the multipart body has no usable boundary", "invalid_multipart")
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_part_data": self._part_data,
                "on_part_end": self._part_ends,
                "on_header_field": self._header_of(self._header_name),
                "on_header_value": self._header_of(self._header_value),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_end": self._all_ends,
            },
        )
        try:
            await body.read(parser.write)
            parser.finalize()
        except MultipartParseError as error:
            raise HttpError(
                400, f"the multipart body is damaged ({str(error)[:120]})", "invalid_multipart"
            ) from None
        if not self._ended:
            raise HttpError(400, "the multipart body is cut off", "invalid_multipart")

    def _part_begins(self) -> None:
        self._headers, self._field, self._picture = {}, "", None
        self._value.clear()
        if len(self.fields) >= MAX_FIELDS:
            raise HttpError(413, f"more than {MAX_FIELDS} fields", "too_large")

    def _header_of(self, kept: bytearray) -> Any:
        def take(data: bytes, start: int, end: int) -> None:
            if len(self._header_name) + len(self._header_value) + end - start > MAX_HEADER_BYTES:
                raise HttpError(413, "a part's headers are too long", "too_large")
            kept.extend(memoryview(data)[start:end])

        return take

    def _header_ends(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        try:
            self._field = options.get(b"name", b"").decode()
        except UnicodeDecodeError:
            raise HttpError(400, "a field's name is not UTF-8", "invalid_multipart") from None
        if not self._field:
            raise HttpError(400, "a part has no name", "invalid_multipart")
        file_name = options.get(b"filename")
        if self._field in PICTURE_FIELDS:
            if file_name is None:
                raise no_picture(self._field, "is text: send it as a file part, or base64 in JSON")
            self._picture = self._pictures.add(safe_name(file_name.decode(errors="replace")))
        elif file_name is not None:
            raise HttpError(
                400,
                f"{self._shown!r} takes no file: send the picture as input_reference",
                "unknown_field",
                param=self._shown,
            )
        elif self._field in self.fields:
            raise self._wrong(400, "is given twice", "invalid_option")

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        part = memoryview(data)[start:end]
        if self._picture is not None:
            self._picture.write(part)
            return
        self._value.extend(part)
        if len(self._value) > MAX_FIELD_BYTES:
            raise self._wrong(413, f"is longer than {MAX_FIELD_BYTES} bytes", "too_large")

    def _part_ends(self) -> None:
        if self._picture is not None:
            return
        try:
            self.fields[self._field] = self._value.decode()
        except UnicodeDecodeError:
            raise self._wrong(400, "is not UTF-8", "invalid_option") from None

    def _all_ends(self) -> None:
        self._ended = True

    @property
    def _shown(self) -> str:
        return self._field[:40]

    def _wrong(self, status: int, why: str, code: str) -> HttpError:
        return HttpError(status, f"{self._shown!r} {why}", code, param=self._shown)
