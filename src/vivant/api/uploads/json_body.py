"""JSON bodies: long strings are decoded from base64 to files while they come in.

What is left, the body without its pictures, is short; only that is held in memory and parsed.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from typing import Any

from vivant.api.errors import HttpError
from vivant.api.uploads.picture_files import (
    PICTURE_FIELDS,
    PictureFile,
    PictureFiles,
    given_twice,
    no_picture,
)

LONG_BYTES = 100_000
"""A string longer than this can only be a picture: it goes to a file."""

MAX_BYTES = 300_000
"""The body without its long strings."""

MAX_CONTAINERS = 10_000
"""Objects and lists in a body."""

MAX_DEPTH = 50
"""Objects and lists inside each other."""

_DATA_URL = re.compile(rb"data:[\w.+-]+/[\w.+-]+(;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)
_STRING = rb'(?:[^"\\]++|\\.)*+'
# whole regions at once, and without backtracking: single steps would block the event loop
_NO_STRING_OPEN = re.compile(rb'(?:[^"]++|"' + _STRING + rb'")*+', re.DOTALL)
_STRING_REST = re.compile(_STRING + rb'(")?', re.DOTALL)
_BRACKET = re.compile(rb'(?:[^"\[\]{}]++|"' + _STRING + rb'"?+)*+([\[\]{}])', re.DOTALL)
_ESCAPE_CUT_OFF = re.compile(rb"\\(u[0-9a-fA-F]{0,3})?\Z")


class JsonBody:
    """One body.

    Args:
        pictures: where pictures go.
    """

    def __init__(self, pictures: PictureFiles) -> None:
        self._pictures = pictures
        self._text = bytearray()
        self._string: int | None = None  # where the string begins that is being read
        self._escaped = False
        self._long: _LongString | None = None
        self._mark = secrets.token_hex(16)
        self._longs: list[_LongString] = []

    def write(self, data: bytes) -> None:
        """The next bytes.

        Raises:
            HttpError: 413, too many for a body with so many pictures.
            OSError: the disk does not take a picture.
        """
        for start in range(0, len(data), LONG_BYTES):  # no long string is whole in a piece
            self._scan(data[start : start + LONG_BYTES])

    def _scan(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            if self._string is None:
                end = _end(_NO_STRING_OPEN, data, at)
                self._keep(data[at : end + 1])
                if end < len(data):  # at the quote of a string whose end is not here
                    self._string = len(self._text)
                at = end + 1
            else:
                end, closed = self._string_end(data, at)
                self._take(data[at:end])
                if closed:
                    self._close_string()
                at = end

    def fields(self) -> dict[str, Any]:
        """All values but the pictures; to be called once, after the last byte.

        Raises:
            HttpError: 400 or 413.
            OSError: the disk does not take a picture.
        """
        _check_shape(self._text)
        try:
            content = json.loads(self._text, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise HttpError(
                400, f"the body is not JSON ({str(error)[:120]})", "invalid_json"
            ) from None
        if not isinstance(content, dict):
            raise HttpError(400, "the body is not a JSON object: send {…}", "invalid_json")
        given = [name for name in PICTURE_FIELDS if content.get(name) is not None]
        if len(given) > 1:
            raise given_twice()
        for name in given:
            value = content.pop(name)
            several = self._pictures.most > 1 and isinstance(value, list)
            for number, one in enumerate(value if several else [value], 1):
                self._picture(name, _text(name, one), f"picture {number}" if several else "picture")
        if self._longs:
            raise HttpError(
                413, f"a field is longer than {LONG_BYTES} bytes, and is no picture", "too_large"
            )
        return {name: value for name, value in content.items() if value is not None}

    def _picture(self, name: str, text: str, called: str) -> None:
        """One picture: a URL, base64, or the mark of a long string that was decoded before."""
        if text[:8].lower().startswith(("https://", "http://")):
            self._pictures.add_url(text)
            return
        long = next((one for one in self._longs if one.mark == text), None)
        if long is None:
            long = _LongString(self._pictures.new_file(), "")
            long.write(text.encode(errors="replace"))
            long.close()
        else:
            self._longs.remove(long)
        if long.wrong:
            raise no_picture(name, long.wrong)
        self._pictures.add(called, long.file)

    def _string_end(self, data: bytes, at: int) -> tuple[int, bool]:
        """Where the string ends in ``data`` from ``at`` on, its quote included; whether it does."""
        if self._escaped:
            self._escaped = False
            at += 1
        rest = _STRING_REST.match(data, at)
        assert rest is not None  # noqa: S101 - it matches nothing, too
        if rest[1] is not None:
            return rest.end(), True
        self._escaped = rest.end() < len(data)  # by the last byte
        return len(data), False

    def _take(self, data: bytes) -> None:
        """Part of a string."""
        if self._long is not None:
            self._long.write_escaped(data)
            return
        self._text += data
        assert self._string is not None  # noqa: S101 - inside a string
        if len(self._text) - self._string > LONG_BYTES:
            if len(self._longs) >= self._pictures.most:
                raise HttpError(413, f"more than {self._pictures.most} long strings", "too_large")
            start = bytes(self._text[self._string :])
            del self._text[self._string :]
            mark = f"{self._mark}-{len(self._longs)}"
            self._long = _LongString(self._pictures.new_file(), mark)
            self._longs.append(self._long)
            self._long.write_escaped(start)

    def _close_string(self) -> None:
        self._string = None
        if self._long is not None:
            self._long.close()
            self._keep(self._long.mark.encode() + b'"')
            self._long = None
        else:
            self._keep(b"")

    def _keep(self, data: bytes) -> None:
        self._text += data
        if len(self._text) > MAX_BYTES + LONG_BYTES * self._pictures.most:
            raise HttpError(
                413, f"the body has more than {MAX_BYTES / 1e3:g} kB besides pictures", "too_large"
            )


class _LongString:
    """Base64, or a data URL of it, decoded into a file.

    Attributes:
        wrong: why it is no picture; empty while nothing speaks against it.
    """

    def __init__(self, file: PictureFile, mark: str) -> None:
        self.file, self.mark, self.wrong = file, mark, ""
        self._rest = b""
        self._begun, self._padded = False, False
        self._raw = b""

    def write_escaped(self, data: bytes) -> None:
        """A part as it stands in JSON, where a slash or a plus may be escaped."""
        data = self._raw + data.removesuffix(b'"') if data.endswith(b'"') else self._raw + data
        self._raw = b""
        if b"\\" in data:
            cut = _ESCAPE_CUT_OFF.search(data)
            if cut is not None:
                data, self._raw = data[: cut.start()], data[cut.start() :]
            try:
                data = json.loads(b'"%s"' % data).encode()
            except ValueError:
                self.wrong = self.wrong or _NOT_BASE64
                return
        self.write(data)

    def write(self, data: bytes) -> None:
        """A part of the string itself."""
        if self.wrong:
            return
        data = self._rest + data.translate(None, b" \t\r\n")
        if not self._begun:
            self._begun = True
            match = _DATA_URL.match(data[:200])
            if match:
                data = data[match.end() :]
            elif data[:5] == b"data:":
                self.wrong = "is a data URL without ;base64,"
                return
        whole = len(data) // 4 * 4
        self._rest = data[whole:]
        self._decode(data[:whole])

    def close(self) -> None:
        """After the last part."""
        if (self._rest or self._raw) and not self.wrong:
            self.wrong = _NOT_BASE64

    def _decode(self, data: bytes) -> None:
        if not data:
            return
        if self._padded:  # nothing may follow it
            self.wrong = _NOT_BASE64
            return
        self._padded = data.endswith(b"=")
        try:
            self.file.write(base64.b64decode(data, validate=True))
        except (binascii.Error, ValueError):
            self.wrong = _NOT_BASE64


_NOT_BASE64 = "is not base64: check that it was not cut off"


def _end(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    match = pattern.match(data, at)
    return at if match is None else match.end()


def _check_shape(text: bytes | bytearray) -> None:
    """Refuse bodies that would take long to parse, and much memory.

    Raises:
        HttpError: 400.
    """
    depth = containers = 0
    for match in _BRACKET.finditer(text):
        if match[1] in (b"{", b"["):
            depth, containers = depth + 1, containers + 1
            if depth > MAX_DEPTH or containers > MAX_CONTAINERS:
                raise HttpError(
                    400,
                    f"the body is not JSON that is understood here: more than {MAX_DEPTH} levels, "
                    f"or {MAX_CONTAINERS} objects and lists",
                    "invalid_json",
                )
        else:
            depth -= 1


def _text(name: str, value: Any) -> str:
    """The string itself, or as the ``openai`` client nests it in ``image_url``."""
    for nested in ("image_url", "url"):
        if isinstance(value, dict):
            value = value.get(nested)
    if not isinstance(value, str) or not value:
        raise no_picture(name, "is not a base64 string or a data URL")
    return value


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")
