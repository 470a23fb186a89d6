"""Pictures by URL, where the operator switched that on: public https addresses only."""

from __future__ import annotations

import asyncio
import http.client
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from vivant.api.errors import HttpError
from vivant.api.uploads.picture_files import PictureFile, PictureUpload, safe_name
from vivant.errors import InputError
from vivant.service import public_address as public
from vivant.settings import Settings

MAX_REDIRECTS = 3
TOTAL_SECONDS = 30.0
"""From the first byte sent to the last one received, over all redirects."""

AT_ONCE = 4
"""Pictures fetched side by side; others wait, and hold up nothing but themselves."""

_THREADS = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="vivant-fetch")

Connect = Callable[[str], tuple[http.client.HTTPConnection, str]]


async def fetch(upload: PictureUpload, settings: Settings, folder: Path) -> None:
    """Download ``upload.url`` into ``upload.file``.

    Raises:
        HttpError: switched off, not allowed, not reachable or too large.
    """
    if not settings.url_fetch:
        raise _refused("this service fetches no URLs: send the picture itself")
    await asyncio.get_running_loop().run_in_executor(
        _THREADS, download, upload, folder, settings.max_image_bytes
    )


def download(
    upload: PictureUpload, folder: Path, max_bytes: int, connect: Connect | None = None
) -> None:
    """Follow ``upload.url`` to a picture; every address on the way is checked anew.

    Args:
        upload: gets the picture.
        folder: for its file.
        max_bytes: of the picture.
        connect: URL → connection and path; :func:`connected` where None.

    Raises:
        HttpError: not allowed, not reachable or too large.
    """
    until = time.monotonic() + TOTAL_SECONDS
    url = upload.url or ""
    for _ in range(MAX_REDIRECTS + 1):
        connection, path = (connect or connected)(url)
        try:
            if connection.sock is None:
                connection.connect()
            with public.ended(connection.sock, until):
                sent = {"User-Agent": "vivant", "Accept": "image/*"}
                connection.request("GET", path, headers=sent)
                response = connection.getresponse()
                if response.status in (301, 302, 303, 307, 308):
                    url = urljoin(url, response.getheader("Location", ""))
                    continue
                if response.status != 200:
                    raise _refused(f"the picture's server answered {response.status}")
                _take(response, upload, folder, max_bytes, until)
                upload.name = safe_name(urlsplit(url).path)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if time.monotonic() >= until:
                raise _late() from None
            raise _refused(f"the picture could not be fetched ({type(error).__name__})") from None
        else:
            return
        finally:
            connection.close()
    raise _refused(f"more than {MAX_REDIRECTS} redirects")


def connected(url: str) -> tuple[http.client.HTTPConnection, str]:
    """See :func:`vivant.service.public_address.connected`.

    Raises:
        HttpError: not an https URL of the public internet, or not reachable.
    """
    try:
        return public.connected(url)
    except InputError as error:
        raise _refused(error.message) from None


def _take(
    response: http.client.HTTPResponse,
    upload: PictureUpload,
    folder: Path,
    max_bytes: int,
    until: float,
) -> None:
    picture = PictureFile(folder, max_bytes)
    upload.file = picture.path
    try:
        while chunk := response.read1(65_536):
            picture.write(chunk)
    finally:
        picture.close()
    if time.monotonic() >= until:
        raise _late()
    if response.length:
        raise _refused("the picture is cut off: its server closed the connection half-way")
    upload.size, upload.sha256 = picture.size, picture.sha256


def _late() -> HttpError:
    return _refused(f"the picture did not arrive within {TOTAL_SECONDS:g} s")


def _refused(message: str) -> HttpError:
    return HttpError(400, message, "invalid_image_url", param="input_reference")
