"""A JSON body taken apart: the picture in it, base64 or a data URL, to the disk.

Knows nothing of what the other values mean.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from typing import Any

from vivant.api.errors import HttpError
from vivant.api.upload import PICTURE_FIELDS, PictureFile, given_twice, no_picture

_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)
_BLANKS = {ord(blank): None for blank in " \t\r\n"}
_PIECE = 4 * 262_144
"""Characters of base64 decoded at once; a multiple of four."""


def take_json(body: bytearray, picture: PictureFile) -> tuple[dict[str, Any], str | None]:
    """Every value but the picture, which goes to ``picture``; its URL where it was given so.

    Args:
        body: emptied here, so that it is not held while the picture is decoded.
        picture: where the picture goes.

    Raises:
        HttpError: 400 or 413.
        OSError: the disk does not take the picture.
    """
    try:
        content = json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise HttpError(400, f"the body is not JSON ({str(error)[:120]})", "invalid_json") from None
    finally:
        body.clear()
    if not isinstance(content, dict):
        raise HttpError(400, "the body is not a JSON object: send {…}", "invalid_json")
    given = [name for name in PICTURE_FIELDS if content.get(name) is not None]
    if len(given) > 1:
        raise given_twice()
    url = None
    for name in given:
        text = _text(name, content.pop(name))
        if text[:8].lower().startswith(("https://", "http://")):
            url = text
        else:
            _decode(name, text, picture)
    return {name: value for name, value in content.items() if value is not None}, url


def _text(name: str, value: Any) -> str:
    """The string itself, or as the ``openai`` client nests it in ``image_url``."""
    for nested in ("image_url", "url"):
        if isinstance(value, dict):
            value = value.get(nested)
    if not isinstance(value, str) or not value:
        raise no_picture(name, "is not a base64 string or a data URL")
    return value


def _decode(name: str, text: str, picture: PictureFile) -> None:
    match = _DATA_URL.match(text[:200])
    if match:
        text = text[match.end() :]
    elif text[:5] == "data:":
        raise no_picture(name, "is a data URL without ;base64,")
    picture.check(len(text) // 4 * 3 - 3)  # before anything is decoded; the exact count follows
    for data in _pieces(name, text):
        picture.write(data)


def _pieces(name: str, text: str) -> Iterator[bytes]:
    """Base64 in pieces, so that the whole is not held once more."""
    if any(blank in text for blank in " \t\r\n"):
        text = text.translate(_BLANKS)
    try:
        for start in range(0, len(text), _PIECE):
            piece = text[start : start + _PIECE]
            if "=" in piece and start + _PIECE < len(text):
                raise ValueError("padding in the middle")  # noqa: TRY301
            yield base64.b64decode(piece, validate=True)
    except (binascii.Error, ValueError):
        raise no_picture(name, "is not base64: check that it was not cut off") from None


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not a JSON number")
