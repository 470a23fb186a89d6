"""The files of the web page, as they are served. There is no build step.

One file is generated: a JavaScript module with the questions and sentences of the checks. It is
made from the same tables as the report, so that page and report use the same words.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from vivant.errors import MissingPartError
from vivant.picture.sample_picture import demo_picture

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""``Content-Security-Policy`` of the served page: no inline code, no other origin."""

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

VENDOR_FOLDER = "assets/js/vendor"
"""Libraries of others, each as its package has it, with its licence beside it."""

CHECK_WORDS_PATH = "assets/js/result/check_words.js"
"""The generated module: ``CHECKLIST``, ``SENTENCES`` and ``SUMMARY`` of the checks."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page.

    Attributes:
        media_type: ``Content-Type``.
        etag: strong, quoted; changes with the content.
        gzipped: the body for browsers that accept gzip; None where that saves nothing.
    """

    body: bytes
    media_type: str
    etag: str
    gzipped: bytes | None = None


def asset(path: str) -> Asset | None:
    """The file at ``path`` below the page's root, e.g. ``index.html`` or ``assets/js/main.js``.

    None where there is no such file. Paths are looked up in a table of the page's own files, so
    ``..`` cannot reach another file.
    """
    return _assets().get(path)


def asset_paths() -> tuple[str, ...]:
    """Every path for which :func:`asset` returns a file, sorted."""
    return tuple(sorted(_assets()))


@cache
def _assets() -> dict[str, Asset]:
    bodies = {CHECK_WORDS_PATH: _check_words()}
    root = files("vivant.web")
    bodies["index.html"] = root.joinpath("index.html").read_bytes()
    _read_folder(root.joinpath("assets"), "assets", bodies)
    return {
        path: Asset(
            body, MEDIA_TYPES[path[path.rindex(".") :]], _etag(body), gzip.compress(body, mtime=0)
        )
        for path, body in bodies.items()
    }


@cache
def sample_asset() -> Asset | None:
    """The picture of ``vivant demo``, to try the page with; None where its file is missing."""
    try:
        body = demo_picture()
    except MissingPartError:
        return None
    return Asset(body, "image/jpeg", _etag(body))


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _read_folder(folder: Traversable, prefix: str, into: dict[str, bytes]) -> None:
    for entry in folder.iterdir():
        path = f"{prefix}/{entry.name}"
        if entry.is_dir():
            _read_folder(entry, path, into)
        else:
            into[path] = entry.read_bytes()


def _check_words() -> bytes:
    # read as files, because importing vivant.checks would load OpenCV
    checks = files("vivant").joinpath("checks")
    tables = {"CHECKLIST": "checklist", "SENTENCES": "sentences", "SUMMARY": "report/summary"}
    lines = ["// Generated from checklist.json, sentences.json and report/summary.json."]
    for constant, name in tables.items():
        table = json.loads(checks.joinpath(f"{name}.json").read_text("utf-8"))
        lines.append(f"export const {constant} = {json.dumps(table, ensure_ascii=False)};")
    return "\n".join([*lines, ""]).encode()
