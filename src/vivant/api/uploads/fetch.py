"""Pictures by URL, where the operator switched that on: public https addresses only.

The host's name is resolved here, every address it has must be public, and the connection goes to
the very address that was checked, so that neither a redirect nor a second answer of the DNS leads
inside.
"""

from __future__ import annotations

import asyncio
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from vivant.api.errors import HttpError
from vivant.api.uploads.picture_files import PictureFile, PictureUpload, safe_name
from vivant.settings import Settings

MAX_REDIRECTS = 3
CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 30.0
"""From the first byte sent to the last one received, over all redirects."""

PORT = 443

AT_ONCE = 4
"""Pictures fetched side by side; others wait, and hold up nothing but themselves."""

_THREADS = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="vivant-fetch")

_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "::/96",  # IPv4-compatible, deprecated
        "64:ff9b::/96",  # NAT64: leads to an IPv4 address
        "64:ff9b:1::/48",  # NAT64 of a local network
        "100::/64",  # discarded
        "2001::/23",  # IETF protocol assignments, Teredo among them
        "2002::/16",  # 6to4: leads to an IPv4 address
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fec0::/10",  # site-local, deprecated
    )
)
"""IANA's special-purpose registries, beyond what :mod:`ipaddress` of all versions knows."""

Resolve = Callable[[str], list[str]]
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
            with _ended(connection.sock, until):
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
    """A connection to the very address that was checked, and the path to ask for.

    Raises:
        HttpError: not an https URL of the public internet, or not reachable.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _refused("the URL is malformed") from None
    if parts.scheme != "https" or not host or parts.username or port not in (None, PORT):
        raise _refused("only https:// URLs on port 443 and without a password are fetched")
    address = public_address(host)
    connection = http.client.HTTPSConnection(host, PORT, timeout=CONNECT_SECONDS)
    try:
        plain = socket.create_connection((address, PORT), CONNECT_SECONDS)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except OSError as error:
        raise _refused(f"{host} cannot be reached ({type(error).__name__})") from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return connection, path


def public_address(host: str, resolve: Resolve | None = None) -> str:
    """An address of ``host``, all of whose addresses are public.

    Raises:
        HttpError: unknown, or with an address that is not on the public internet.
    """
    try:
        found = (resolve or _resolve)(host)
    except (OSError, UnicodeError):
        raise _refused(f"{host[:100]} is unknown") from None
    if not found or not all(_public(address) for address in found):
        raise _refused(f"{host[:100]} is not on the public internet")
    return found[0]


def _resolve(host: str) -> list[str]:
    return [str(entry[4][0]) for entry in socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM)]


def _public(text: str) -> bool:
    address = ipaddress.ip_address(text.split("%", 1)[0])
    if any(address in network for network in _SPECIAL if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return _public(str(address.ipv4_mapped))
    return address.is_global and not address.is_multicast


@contextmanager
def _ended(line: socket.socket, until: float) -> Iterator[None]:
    """Cut a line off when its time is up, whatever it is at: every byte may come just in time."""

    def cut() -> None:
        with suppress(OSError):  # it has ended
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, until - time.monotonic()), cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


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
