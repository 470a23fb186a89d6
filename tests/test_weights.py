"""Pulling from a real HTTP server, resuming, and refusing what is not the pinned file."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from vivant.engine.ltx2.readahead import read_ahead
from vivant.errors import MissingPartError, OptionError, OutputError, WeightsError
from vivant.weights import LOCK, MODELS, Hub, Library, find_model, read_header

NAME = "ltx-2-19b-distilled-lora-384"
FILE = "ltx-2-19b-distilled-lora-384.safetensors"
BODY = bytes(range(256)) * 40


class Server(ThreadingHTTPServer):
    body = BODY
    cut: int | None = None
    size = len(BODY)
    ranges: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if "/revision/" in self.path:
            self.answer(json.dumps({"sha": "c0ffee"}).encode())
        elif "/tree/" in self.path:
            entries: list[dict[str, Any]] = [
                {
                    "type": "file",
                    "path": FILE,
                    "size": self.server.size,
                    "lfs": {"oid": hashlib.sha256(BODY).hexdigest()},
                },
                {"type": "file", "path": "README.md", "size": 3},
            ]
            self.answer(json.dumps(entries).encode())
        else:
            start = self.headers.get("Range", "")
            self.server.ranges.append(start)
            first = int(start.removeprefix("bytes=").removesuffix("-")) if start else 0
            self.answer(self.server.body[first : self.server.cut], 206 if start else 200)

    def answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        made.ranges = []
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def library(folder: Path, server: Server) -> Library:
    return Library(folder, Hub(f"http://127.0.0.1:{server.server_port}"))


def test_pull_resumes_verifies_and_pins(tmp_path: Path, server: Server) -> None:
    books = library(tmp_path, server)
    assert books.state(NAME).status == "absent"
    server.cut = 1000
    with pytest.raises(MissingPartError, match="broke off at 1000"):
        books.pull(NAME)
    server.cut = None
    seen: list[int] = []
    state = books.pull(NAME, lambda progress: seen.append(progress.done))
    assert server.ranges == ["", "bytes=1000-"]
    assert state.status == "complete"
    assert state.commits == ("c0ffee",)
    assert seen[-1] == len(BODY)
    assert books.verify(NAME) == 1
    assert books.need(NAME) == tmp_path / NAME
    lock = json.loads((tmp_path / NAME / LOCK).read_text())
    assert lock["files"][FILE]["sha256"] == hashlib.sha256(BODY).hexdigest()
    assert Library(tmp_path).pull(NAME).status == "complete"  # offline, and nothing to fetch

    (tmp_path / NAME / FILE).write_bytes(BODY[:-1] + b"x")
    with pytest.raises(WeightsError, match="not the file that was pulled"):
        books.verify(NAME)
    (tmp_path / NAME / FILE).unlink()
    server.body = BODY[::-1]
    with pytest.raises(WeightsError, match="not the pinned"):
        books.pull(NAME)
    assert not (tmp_path / NAME / FILE).exists()


def test_offline_unreachable_and_unknown(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match="offline mode is on"):
        Library(tmp_path).pull(NAME)
    with pytest.raises(MissingPartError, match="cannot be reached"):
        Library(tmp_path, Hub("http://127.0.0.1:9")).pull(NAME)
    with pytest.raises(MissingPartError, match="vivant weights pull"):
        Library(tmp_path).need(NAME)
    with pytest.raises(OptionError, match="choose one of"):
        find_model("gpt")


def test_headers_that_are_no_headers(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    with pytest.raises(MissingPartError):
        read_header(path)
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    assert read_header(path) == {}
    path.write_bytes((4).to_bytes(8, "little") + b"nope")
    with pytest.raises(WeightsError, match="no readable"):
        read_header(path)


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(
    tmp_path: Path, server: Server
) -> None:
    server.size = 10**18
    with pytest.raises(OutputError, match=r"1000000000\.0 GB are to be downloaded .* are free"):
        library(tmp_path, server).pull(NAME)
    assert server.ranges == []
    assert not (tmp_path / NAME).exists()


def test_what_the_registry_knows_holds_over_what_was_pulled(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = library(tmp_path, server)
    books.pull(NAME)
    model = find_model(NAME)
    for known, complaint in (
        (hashlib.sha256(BODY).hexdigest(), None),
        ("0" * 64, "not the pinned"),
    ):
        pinned = replace(model, parts=(replace(model.parts[0], sha256={FILE: known}),))
        monkeypatch.setitem(MODELS, NAME, pinned)
        if complaint is None:
            assert books.pull(NAME).status == "complete"
        else:
            with pytest.raises(WeightsError, match=complaint):
                books.pull(NAME)


def test_reading_ahead_reads_everything_and_only_where_it_can_help(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(BODY)
    assert read_ahead([tmp_path], gpu=tmp_path / "none") == []
    assert read_ahead([tmp_path / "nothing"], gpu=tmp_path) == []
    threads = read_ahead([tmp_path], gpu=tmp_path)
    assert threads
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
