"""The page's files as they are served: no build step, no request to anywhere else.

Knows nothing of HTTP beyond media types. One file is made: the checklist and the sentences of the
checks, from their own tables, so that the page and the reports cannot say different things.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from vivant.errors import MissingPartError
from vivant.picture.sample_picture import sample_picture

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""``Content-Security-Policy`` of the served page: nothing inline, nothing from elsewhere."""

MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

WORDS_PATH = "assets/js/words.js"
"""The file that is made."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of the page.

    Attributes:
        media_type: ``Content-Type``.
        etag: strong, quoted; changes with the content.
    """

    body: bytes
    media_type: str
    etag: str


def asset(path: str) -> Asset | None:
    """The file at ``path`` below the page's root, e.g. ``index.html`` or ``assets/js/main.js``.

    None where there is no such file. Only the page's own files are ever found, so a path that
    tries to climb out finds nothing.
    """
    return _assets().get(path)


def asset_paths() -> tuple[str, ...]:
    """Every path that :func:`asset` knows, sorted."""
    return tuple(sorted(_assets()))


@cache
def _assets() -> dict[str, Asset]:
    bodies = {WORDS_PATH: _words()}
    root = files("vivant.web")
    bodies["index.html"] = root.joinpath("index.html").read_bytes()
    _gather(root.joinpath("assets"), "assets", bodies)
    return {
        path: Asset(body, MEDIA_TYPES[path[path.rindex(".") :]], _etag(body))
        for path, body in bodies.items()
    }


@cache
def sample_asset() -> Asset | None:
    """The picture of ``vivant demo``, to try the page with; None where it is not installed."""
    try:
        body = sample_picture()
    except MissingPartError:
        return None
    return Asset(body, "image/png", _etag(body))


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _gather(folder: Traversable, prefix: str, into: dict[str, bytes]) -> None:
    for entry in folder.iterdir():
        path = f"{prefix}/{entry.name}"
        if entry.is_dir():
            _gather(entry, path, into)
        else:
            into[path] = entry.read_bytes()


def _words() -> bytes:
    # read as files: importing the checks would load OpenCV for a few sentences
    checks = files("vivant").joinpath("checks")
    lines = ["// Made from vivant/checks/checklist.json and sentences.json."]
    for constant, name in (("CHECKLIST", "checklist"), ("SENTENCES", "sentences")):
        table = json.loads(checks.joinpath(f"{name}.json").read_text("utf-8"))
        lines.append(f"export const {constant} = {json.dumps(table, ensure_ascii=False)};")
    return "\n".join([*lines, ""]).encode()
