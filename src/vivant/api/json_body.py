"""A JSON body taken apart: the pictures in it, base64 or data URLs, to the disk.

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
from vivant.api.upload import PICTURE_FIELDS, PictureFile, PictureFiles, given_twice, no_picture

_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)
_BLANKS = {ord(blank): None for blank in " \t\r\n"}
_PIECE = 4 * 262_144
"""Characters of base64 decoded at once; a multiple of four."""


def take_json(body: bytearray, pictures: PictureFiles, *, listed: bool) -> dict[str, Any]:
    """Every value but the pictures, which go to ``pictures``.

    Args:
        body: emptied here, so that it is not held while a picture is decoded.
        pictures: where the pictures go.
        listed: whether a list of them is understood.

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
    for name in given:
        value = content.pop(name)
        several = listed and isinstance(value, list)
        for number, one in enumerate(value if several else [value], 1):
            text = _text(name, one)
            if text[:8].lower().startswith(("https://", "http://")):
                pictures.add_url(text)
            else:
                called = f"picture {number}" if several else "picture"
                _decode(name, text, pictures.add(called))
    return {name: value for name, value in content.items() if value is not None}


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
