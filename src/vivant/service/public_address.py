"""Connections to addresses of the public internet only, for URLs that clients give.

The host's name is resolved here, every address it has must be public, and the connection goes to
the very address that was checked, so that neither a redirect nor a second answer of the DNS leads
inside.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from vivant.errors import InputError

PORT = 443

CONNECT_SECONDS = 5.0

Resolve = Callable[[str], list[str]]

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


def host_of(url: str) -> str:
    """The host of an https URL.

    Raises:
        InputError: another scheme or port, or a password in it.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InputError("the URL is malformed") from None
    if parts.scheme != "https" or not host or parts.username or port not in (None, PORT):
        raise InputError("only https:// URLs on port 443 and without a password are fetched")
    return host


def connected(url: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection to the very address that was checked, and the path to ask for.

    Raises:
        InputError: not an https URL of the public internet, or not reachable.
    """
    host = host_of(url)
    address = public_address(host)
    connection = http.client.HTTPSConnection(host, PORT, timeout=CONNECT_SECONDS)
    try:
        plain = socket.create_connection((address, PORT), CONNECT_SECONDS)
        connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except OSError as error:
        raise InputError(f"{host} cannot be reached ({type(error).__name__})") from None
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return connection, path


def public_address(host: str, resolve: Resolve | None = None) -> str:
    """An address of ``host``, all of whose addresses are public.

    Raises:
        InputError: unknown, or with an address that is not on the public internet.
    """
    try:
        found = (resolve or _resolve)(host)
    except (OSError, UnicodeError):
        raise InputError(f"{host[:100]} is unknown") from None
    if not found or not all(_public(address) for address in found):
        raise InputError(f"{host[:100]} is not on the public internet")
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
def ended(line: socket.socket, until: float) -> Iterator[None]:
    """Cut a line off when its time is up, whatever it is at: every byte may come just in time.

    Args:
        line: connected.
        until: by ``time.monotonic()``.
    """

    def cut() -> None:
        with suppress(OSError):  # it has ended
            line.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, until - time.monotonic()), cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
