"""Bodies, read as they come in: files go to the disk, limits are kept while they stream.

A picture is never whole in memory, except while base64 in JSON is taken apart, one at a time.
Knows nothing of what the fields mean.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from vivant.api.body import Body
from vivant.api.errors import HttpError
from vivant.api.form import Form
from vivant.api.json_body import take_json
from vivant.api.upload import PictureFiles, Upload
from vivant.errors import DatabaseError

OTHER_BYTES = 1_000_000
"""Of a body, besides its picture."""

TOGETHER = 4
"""The pictures of one form may have so many times what one may have."""


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
        """A body with one picture; its file is removed afterwards, if nobody has moved it away.

        Raises:
            HttpError: 400, 408, 413 or 415.
            DatabaseError: the disk does not take it.
        """
        async with self.read_all(request) as (fields, found):
            upload = found[0] if found else Upload()
            upload.fields = fields
            yield upload

    @asynccontextmanager
    async def read_all(
        self, request: Request, *, most: int = 1
    ) -> AsyncIterator[tuple[dict[str, Any], list[Upload]]]:
        """A body with up to ``most`` pictures: its fields, and the pictures in their order.

        Raises:
            HttpError: 400, 408, 413 or 415.
            DatabaseError: the disk does not take them.
        """
        pictures = PictureFiles(self._folder, self._max_bytes, most)
        limit = self._max_bytes * 3 // 2 + OTHER_BYTES  # base64 is 4/3 of it
        form = _kind(request)[0] == b"multipart/form-data"
        if most > 1 and form:
            body = Body(request, TOGETHER * self._max_bytes + OTHER_BYTES, "the pictures have")
        elif most > 1:
            body = Body(request, limit, "the body (send pictures as a form, which holds more) has")
        else:
            body = Body(request, limit)
        try:
            try:
                body.check_length()
                fields = await self._take(request, body, pictures, listed=most > 1)
            except HttpError:
                await body.drain()
                raise
            finally:
                pictures.close()
            yield fields, pictures.found
        except OSError as error:
            raise DatabaseError(
                f"an upload cannot be kept: {error.strerror}",
                code="storage_full" if error.errno == errno.ENOSPC else None,
            ) from error
        finally:
            pictures.remove()

    async def _take(
        self, request: Request, body: Body, pictures: PictureFiles, *, listed: bool
    ) -> dict[str, Any]:
        kind, options = _kind(request)
        if kind == b"multipart/form-data":
            form = Form(pictures)
            await form.read(body, options.get(b"boundary", b""))
            return form.fields
        if kind in (b"application/json", b""):
            async with self._one_json:
                spool = bytearray()
                await body.read(spool.extend)
                return await asyncio.to_thread(take_json, spool, pictures, listed=listed)
        raise HttpError(
            415, "send multipart/form-data or application/json", "unsupported_media_type"
        )


def _kind(request: Request) -> tuple[bytes, dict[bytes, bytes]]:
    return parse_options_header(request.headers.get("content-type", ""))
