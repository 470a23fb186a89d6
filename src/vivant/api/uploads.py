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

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from vivant.api.body import Body
from vivant.api.errors import HttpError
from vivant.api.form import Form
from vivant.api.json_body import take_json
from vivant.api.upload import PictureFile, Upload
from vivant.errors import DatabaseError

OTHER_BYTES = 1_000_000
"""Of a body, besides its picture."""


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
        """The body; its file is removed afterwards, where nobody has moved it away.

        Raises:
            HttpError: 400, 408, 413 or 415.
            DatabaseError: the disk does not take it.
        """
        body = Body(request, self._max_bytes * 3 // 2 + OTHER_BYTES)  # base64 is 4/3 of it
        picture, upload = None, Upload()
        try:
            picture = self._new_file()
            try:
                body.check_length()
                upload = await self._take(request, body, picture)
            except HttpError:
                await body.drain()
                raise
            finally:
                picture.close()
            if picture.size:
                upload.picture, upload.size = picture.path, picture.size
                upload.sha256 = picture.sha256
            yield upload
        except OSError as error:
            raise DatabaseError(
                f"an upload cannot be kept: {error.strerror}",
                code="storage_full" if error.errno == errno.ENOSPC else None,
            ) from error
        finally:
            if picture is not None:
                picture.path.unlink(missing_ok=True)
            if upload.picture is not None:  # another one where the picture was fetched
                upload.picture.unlink(missing_ok=True)

    def _new_file(self) -> PictureFile:
        try:
            return PictureFile(self._folder, self._max_bytes)
        except FileNotFoundError:
            self._folder.mkdir(parents=True, exist_ok=True)
            return PictureFile(self._folder, self._max_bytes)

    async def _take(self, request: Request, body: Body, picture: PictureFile) -> Upload:
        kind, options = parse_options_header(request.headers.get("content-type", ""))
        if kind == b"multipart/form-data":
            form = Form(picture)
            await form.read(body, options.get(b"boundary", b""))
            return Upload(form.fields, name=form.name)
        if kind in (b"application/json", b""):
            async with self._one_json:
                spool = bytearray()
                await body.read(spool.extend)
                fields, url = await asyncio.to_thread(take_json, spool, picture)
            return Upload(fields, name="picture" if picture.size else "", url=url)
        raise HttpError(
            415, "send multipart/form-data or application/json", "unsupported_media_type"
        )
