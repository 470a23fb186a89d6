"""Reads the bodies of requests: pictures go to files, limits are kept while bytes come in."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from vivant.api.errors import HttpError
from vivant.api.uploads.body import Body
from vivant.api.uploads.fetch import fetch
from vivant.api.uploads.json_body import JsonBody
from vivant.api.uploads.multipart import UploadParser
from vivant.api.uploads.picture_files import PictureFiles, PictureUpload, Upload
from vivant.errors import DatabaseError, printable
from vivant.request_fields import plain_text
from vivant.settings import Settings

OTHER_BYTES = 1_000_000
"""Of a body, besides its picture."""

TOGETHER = 4
"""The pictures of one form may have so many times what one may have."""


class UploadReader:
    """See the module.

    Args:
        folder: for the files.
        settings: limits of pictures, and whether URLs are fetched.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self._settings, self._max_bytes = settings, settings.max_image_bytes

    @asynccontextmanager
    async def read(self, request: Request, *, most: int = 1) -> AsyncIterator[Upload]:
        """A body with up to ``most`` pictures.

        Their files are removed afterwards, where nobody has moved them away.

        Raises:
            HttpError: 400, 408, 413 or 415.
            DatabaseError: the disk does not take them.
        """
        pictures = PictureFiles(self.folder, self._max_bytes, most)
        form = _media_type(request) == b"multipart/form-data"
        limit = self._max_bytes * 3 // 2 + OTHER_BYTES  # base64 is 4/3 of it
        subject = "the picture has"
        if most > 1 and form:
            limit, subject = TOGETHER * self._max_bytes + OTHER_BYTES, "the pictures have"
        elif most > 1:
            subject = "the body (send pictures as a form, which holds more) has"
        body = Body(request, limit, subject)
        try:
            try:
                body.check_length()
                fields = await _take(request, body, pictures)
                for name, value in fields.items():
                    _check_text(name, [name, value])
            except HttpError:
                await body.drain()
                raise
            finally:
                pictures.close()
            yield Upload(fields, pictures.found)
        except OSError as error:
            raise DatabaseError(
                f"an upload cannot be kept: {error.strerror}",
                code="storage_full" if error.errno == errno.ENOSPC else None,
            ) from error
        finally:
            pictures.remove()

    async def pictures(self, upload: Upload) -> list[PictureUpload]:
        """The upload's pictures; those given as a URL are fetched.

        Raises:
            HttpError: 400, there is none, or one cannot be fetched.
        """
        for picture in upload.pictures:
            if picture.url is not None:
                await fetch(picture, self._settings, self.folder)
        if not upload.pictures:
            raise HttpError(
                400,
                "there is no picture: send it as input_reference",
                "missing_field",
                param="input_reference",
            )
        return upload.pictures


async def _take(request: Request, body: Body, pictures: PictureFiles) -> dict[str, Any]:
    media_type = _media_type(request)
    if media_type == b"multipart/form-data":
        return await UploadParser(request.headers, body.chunks(), pictures).fields()
    if media_type in (b"application/json", b""):
        json_body = JsonBody(pictures)
        async for chunk in body.chunks():
            json_body.write(chunk)
        return await asyncio.to_thread(json_body.fields)
    raise HttpError(415, "send multipart/form-data or application/json", "unsupported_media_type")


def _check_text(name: str, value: Any) -> None:
    """Refuse NUL and lone surrogates, which databases cannot hold, wherever they are.

    Raises:
        HttpError: 400.
    """
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, dict):
            rest += [*one, *one.values()]
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, str):
            try:
                plain_text(one)
            except ValueError:
                name = printable(name[:40])
                raise HttpError(
                    400, f"{name} contains characters that are no text", "invalid_option",
                    param=name,
                ) from None  # fmt: skip


def _media_type(request: Request) -> bytes:
    return parse_options_header(request.headers.get("content-type", ""))[0]
