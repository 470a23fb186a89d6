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

from vivant.engines.ltx2.readahead import read_ahead
from vivant.errors import MissingPartError, OptionError, OutputError, WeightsError
from vivant.weights import LOCK, MODELS, Hub, Library, find_model, read_header
from vivant.weights.download import RETRIES
from vivant.weights.registry import LIGHTRICKS

NAME = "ltx-2-19b-distilled-lora-384"
FILE = "ltx-2-19b-distilled-lora-384.safetensors"
BODY = bytes(range(256)) * 40


class Server(ThreadingHTTPServer):
    body = BODY
    cut: int | None = None
    """Bytes after which every connection ends, as though that were all."""
    drop: int | None = None
    """Bytes after which every connection breaks, short of what it promised."""
    size = len(BODY)
    names: tuple[str, ...] = (FILE, "README.md")
    listing: bytes | None = None
    ranges: list[str]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if "/revision/" in self.path:
            self.answer(json.dumps({"sha": "c0ffee"}).encode())
        elif "/tree/" in self.path:
            # one page a file: what comes later must not be lost
            page = int(self.path.partition("page=")[2] or 0)
            entry: dict[str, Any] = {"type": "file", "path": self.server.names[page], "size": 3}
            if page == 0:
                entry |= {
                    "size": self.server.size,
                    "lfs": {"oid": hashlib.sha256(BODY).hexdigest()},
                }
            address = f"http://127.0.0.1:{self.server.server_port}{self.path.partition('&')[0]}"
            more = page + 1 < len(self.server.names)
            link = f'<{address}&page={page + 1}>; rel="next"' if more else ""
            self.answer(self.server.listing or json.dumps([entry]).encode(), link=link)
        else:
            start = self.headers.get("Range", "")
            self.server.ranges.append(start)
            first = int(start.removeprefix("bytes=").removesuffix("-")) if start else 0
            body = self.server.body[first : self.server.cut]
            end = len(body) if self.server.drop is None else self.server.drop
            self.answer(body, 206 if start else 200, end=end)

    def answer(
        self, body: bytes, status: int = 200, *, link: str = "", end: int | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if link:
            self.send_header("Link", link)
        self.end_headers()
        self.wfile.write(body[:end])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vivant.weights.download.PAUSE", 0.0)


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
    # tried again where it stopped, given up, and taken up there by the next pull
    assert server.ranges == ["", *["bytes=1000-"] * (RETRIES + 2)]
    assert state.status == "complete"
    assert state.commits == (LIGHTRICKS,)
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


@pytest.mark.parametrize(
    "content", ["nope", "[]", '{"files": []}', '{"files": {"a": {"size": 3}}}']
)
def test_lock_files_that_are_none(tmp_path: Path, content: str) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / LOCK).write_text(content)
    for ask in (Library(tmp_path).state, Library(tmp_path).need, Library(tmp_path).verify):
        with pytest.raises(WeightsError, match=f"delete it and run `vivant weights pull {NAME}`"):
            ask(NAME)


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


def test_a_connection_that_breaks_is_taken_up_again(tmp_path: Path, server: Server) -> None:
    server.drop = 4000
    assert library(tmp_path, server).pull(NAME).status == "complete"
    assert server.ranges == ["", "bytes=4000-", "bytes=8000-"]
    assert (tmp_path / NAME / FILE).read_bytes() == BODY


def test_more_bytes_than_there_should_be(tmp_path: Path, server: Server) -> None:
    server.size = len(BODY) - 1
    with pytest.raises(WeightsError, match="more than"):
        library(tmp_path, server).pull(NAME)
    assert [path.name for path in (tmp_path / NAME).iterdir()] == [LOCK]


@pytest.mark.parametrize(
    ("listing", "kind", "words"),
    [
        (b"<html>please log in</html>", MissingPartError, "does not answer as a Hub"),
        (
            json.dumps([{"type": "file", "path": "transformer/../../x", "size": 3}]).encode(),
            WeightsError,
            "no Hub",
        ),
        (b"[]", MissingPartError, "layout has changed"),
        (b'{"error": "later"}', MissingPartError, "does not answer as a Hub"),
    ],
)
def test_hubs_that_are_none(
    tmp_path: Path, server: Server, listing: bytes, kind: type[Exception], words: str
) -> None:
    server.listing = listing
    with pytest.raises(kind, match=words):
        library(tmp_path, server).pull("ltx-2-19b-distilled")
    assert not list(tmp_path.iterdir())


def test_adapters_of_any_repository(tmp_path: Path, server: Server) -> None:
    books = library(tmp_path, server)
    state = books.pull("someone/style.v2-lora")
    assert state.commits == ("c0ffee",)
    assert state.folder == tmp_path / "someone--style.v2-lora"
    assert [path.name for path in state.folder.glob("*.safetensors")] == [FILE]
    assert books.adapters() == ["someone/style.v2-lora"]
    assert books.need("someone/style.v2-lora") == state.folder

    server.names = (FILE, "other.safetensors")
    with pytest.raises(OptionError, match=r"2 safetensors files, not one .*other\.safetensors"):
        books.pull("someone/two")
    assert not (tmp_path / "someone--two").exists()
    one = books.pull(f"someone/two/{FILE}")
    assert [path.name for path in one.folder.glob("*.safetensors")] == [FILE]
    for name in ("../x/y", "a/b/../c.safetensors", "/etc/passwd", "a", "a/b.safetensors", "a/b/c"):
        with pytest.raises(OptionError, match="unknown"):
            find_model(name)


def test_what_another_model_has_is_not_fetched_again(tmp_path: Path, server: Server) -> None:
    books = library(tmp_path, server)
    books.pull(NAME)
    before = len(server.ranges)
    books.pull("someone/copy")
    assert len(server.ranges) == before
    ours, theirs = tmp_path / NAME / FILE, tmp_path / "someone--copy" / FILE
    assert ours.samefile(theirs)
    # but only if it is what it should be
    ours.write_bytes(b"x" * len(BODY))
    books.pull("someone/third")
    assert len(server.ranges) == before + 1
    assert (tmp_path / "someone--third" / FILE).read_bytes() == BODY


def test_the_registry_is_pinned_and_says_where_it_is_not() -> None:
    branches = set()
    for name, model in MODELS.items():
        assert model.name == name
        for part in model.parts:
            assert part.repo.startswith("Lightricks/") or part.revision == "main"
            if len(part.revision) != 40:
                branches.add(part.repo)
        if model.kind == "model":
            wanted = {pattern for part in model.parts for pattern in part.patterns}
            # a stale copy of the text encoder lies beside it, 52 GB
            assert "text_encoder/*" not in wanted
            assert {"text_encoder/model*", "tokenizer/*"} <= wanted
            assert model.upsampler_file in wanted or "latent_upsampler/*" in wanted
    assert branches == {"rootonchair/LTX-2-19b-distilled", "Lightricks/LTX-2.3"} | {
        model.parts[0].repo for name, model in MODELS.items() if name.startswith("camera-")
    }
