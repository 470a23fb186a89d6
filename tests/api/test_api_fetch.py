"""Pictures by URL: nothing inside is reached, by name, by number, by redirect or by DNS."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service_process import picture
from vivant.api.errors import HttpError
from vivant.api.uploads.fetch import MAX_REDIRECTS, connected, download, fetch
from vivant.api.uploads.picture_files import PictureUpload
from vivant.errors import InputError
from vivant.service.public_address import public_address
from vivant.settings import Settings

PUBLIC = "93.184.215.14"


def answering(*addresses: str) -> Callable[[str], list[str]]:
    """A resolver that knows one answer."""
    return lambda _: list(addresses)


SPECIAL = [ipaddress.ip_network(network) for network in ("192.0.0.0/24", "192.88.99.0/24")]
"""Not public either, whatever this version of Python says."""


@given(st.ip_addresses())
@example(ipaddress.ip_address("169.254.169.254"))  # the clouds' metadata
@example(ipaddress.ip_address("::ffff:127.0.0.1"))
@example(ipaddress.ip_address("64:ff9b::7f00:1"))  # NAT64 of 127.0.0.1
@example(ipaddress.ip_address("2002:7f00:1::"))  # 6to4 of 127.0.0.1
@example(ipaddress.ip_address("100.64.0.1"))  # carrier-grade NAT
@example(ipaddress.ip_address("224.0.0.1"))
@example(ipaddress.ip_address("fd00::1"))
def test_only_public_addresses_pass(address: Any) -> None:
    real = getattr(address, "ipv4_mapped", None) or address
    try:
        assert public_address("studio.example", answering(str(address))) == str(address)
    except InputError:
        special = any(address in network for network in SPECIAL)
        assert address.version == 6 or special or not address.is_global or address.is_multicast
    else:
        assert real.is_global
        assert not real.is_multicast


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1",
     "2002:a00:1::", "fe80::1%eth0", "0.1.2.3", "100.64.0.1", "224.0.0.1"],
)  # fmt: skip
def test_one_private_address_among_public_ones_is_enough(address: str) -> None:
    assert public_address("studio.example", answering(PUBLIC)) == PUBLIC
    with pytest.raises(InputError, match="not on the public internet"):
        public_address("studio.example", answering(PUBLIC, address))


@pytest.mark.parametrize(
    "address",
    ["64:ff9b:1::a00:1", "64:ff9b::a00:1", "fec0::1", "::127.0.0.1", "::8.8.8.8", "192.0.0.192",
     "192.0.0.9", "2002:7f00:1::", "2001:0:7f00:1::", "100::1", "5f00::1", "3fff::1",
     "192.88.99.1"],
)  # fmt: skip
def test_addresses_of_special_use_are_not_public(address: str) -> None:
    with pytest.raises(InputError, match="not on the public internet"):
        public_address("studio.example", lambda _: [address])


def test_names_that_lead_nowhere() -> None:
    def unknown(host: str) -> list[str]:
        raise OSError(host)

    with pytest.raises(InputError, match="unknown"):
        public_address("nowhere.example", unknown)
    with pytest.raises(InputError, match="not on the public internet"):
        public_address("empty.example", answering())


@pytest.mark.parametrize(
    "url",
    ["http://example.com/a.png", "ftp://example.com/a.png", "file:///etc/passwd", "https:///a.png",
     "https://example.com:8443/a.png", "https://me@example.com/a.png", "https://[::1/a.png",
     "https://localhost/a.png", "https://127.0.0.1/a.png", "https://[::1]/a.png",
     "https://2130706433/a.png", ""],
)  # fmt: skip
def test_urls_that_are_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(HttpError) as refused:
        connected(url)
    assert (refused.value.status, refused.value.code) == (400, "invalid_image_url")


def test_it_is_switched_off_by_default(tmp_path: Path) -> None:
    with pytest.raises(HttpError, match="fetches no URLs"):
        asyncio.run(fetch(PictureUpload(url=f"https://{PUBLIC}/a.png"), Settings(), tmp_path))
    assert not list(tmp_path.iterdir())


class Pictures(BaseHTTPRequestHandler):
    """A picture, and redirects: to it, to this machine, and round in a circle."""

    def do_GET(self) -> None:
        if self.path == "/me.png":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(picture())
            return
        if self.path.startswith("/slow"):
            self.drip()
            return
        if self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", str(len(picture())))
            self.end_headers()
            self.wfile.write(picture()[:-10])
            return
        where = {"/moved": "/me.png", "/inside": "https://127.0.0.1/me.png"}
        self.send_response(404 if self.path == "/none" else 302)
        self.send_header("Location", where.get(self.path, self.path))
        self.end_headers()

    def drip(self) -> None:
        """A byte now and then: no wait is long, and none is the last."""
        if self.path == "/slow-body":
            self.send_response(200)
            self.end_headers()
        else:
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(b"x")
                time.sleep(0.02)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def connect() -> Iterator[Callable[[str], tuple[http.client.HTTPConnection, str]]]:
    """``studio.example`` leads to a server of the test; all else is checked as ever."""
    with HTTPServer(("127.0.0.1", 0), Pictures) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()

        def to(url: str) -> tuple[http.client.HTTPConnection, str]:
            start = "https://studio.example"
            if not url.startswith(start):
                return connected(url)
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
            return connection, url.removeprefix(start)

        yield to
        server.shutdown()
        thread.join()


def test_a_picture_comes_also_after_a_redirect(connect: Any, tmp_path: Path) -> None:
    for path in ("me.png", "moved"):
        upload = PictureUpload(url=f"https://studio.example/{path}")
        download(upload, tmp_path, 1_000_000, connect)
        assert upload.file is not None
        assert upload.file.read_bytes() == picture()
        assert (upload.name, upload.size) == ("me.png", len(picture()))


@pytest.mark.parametrize(
    ("path", "limit", "said"),
    [
        ("inside", 1_000_000, "not on the public internet"),
        ("circle", 1_000_000, f"more than {MAX_REDIRECTS} redirects"),
        ("none", 1_000_000, "answered 404"),
        ("cut", 1_000_000, "closed the connection half-way"),
        ("me.png", 100, "more than"),
    ],
)
def test_what_a_server_may_not_do(
    connect: Any, tmp_path: Path, path: str, limit: int, said: str
) -> None:
    with pytest.raises(HttpError, match=said):
        download(PictureUpload(url=f"https://studio.example/{path}"), tmp_path, limit, connect)


@pytest.mark.parametrize("path", ["slow-body", "slow-head"])
def test_a_server_that_drips_is_cut_off(
    connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr("vivant.api.uploads.fetch.TOTAL_SECONDS", 0.3)
    with pytest.raises(HttpError, match=r"within 0\.3 s"):
        download(PictureUpload(url=f"https://studio.example/{path}"), tmp_path, 1_000_000, connect)
