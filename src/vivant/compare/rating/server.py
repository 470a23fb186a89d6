"""Serves the blind test to this machine's browser.

The service's guard protects it: only this machine's host names, no other origins, nothing from
elsewhere on the page. Before the results are shown, nothing that is sent to the browser tells which
clip is which.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from vivant.api.errors import response as refusal
from vivant.api.guard import Guard
from vivant.api.server import listen, url
from vivant.compare.rating.journal import Answer, Journal
from vivant.compare.rating.pairs import ClipPair, ClipPairs
from vivant.compare.rating.results import page, write_results
from vivant.errors import OutputError
from vivant.settings import Settings
from vivant.web import PAGE_POLICY, asset
from vivant.web.files import MEDIA_TYPES

MAX_BODY = 1_000
"""Most bytes of a judgement."""

OWN = {"": "index.html", "rate/rate.js": "rate.js", "rate/rate.css": "rate.css"}
"""Path → file of this page; all other assets are those of the service's page."""


class RatingSession:
    """The blind test of one folder."""

    def __init__(self, folder: Path, pairs: ClipPairs, journal: Journal) -> None:
        self._folder, self._pairs, self._journal = folder, pairs, journal
        self._order = pairs.shuffled(journal.seed)
        self._known: Mapping[str, ClipPair] = {pair.id: pair for pair in self._order}
        self._lock = threading.Lock()

    def listed(self) -> dict[str, Any]:
        """The pairs in the order of the test, without anything that tells their clips apart."""
        judged = self._journal.judgements
        return {"pairs": [{"id": p.id, "judged": p.id in judged} for p in self._order]}

    def clip(self, pair_id: str, place: str) -> Path | None:
        """The file that stands at ``a`` or ``b``."""
        pair = self._known.get(pair_id)
        if pair is None or place not in ("a", "b"):
            return None
        return pair.sides[pair.shown(self._journal.seed)["ab".index(place)]].clip

    def judge(self, pair_id: str, place: str, seconds: float) -> dict[str, int]:
        """Keep an answer; ``place`` is ``a``, ``b`` or ``tie``.

        Raises:
            KeyError: no such pair or answer.
            OutputError: it could not be written.
        """
        shown = self._known[pair_id].shown(self._journal.seed)
        answer: Answer = "tie"
        if place != "tie":
            answer = "first" if shown[{"a": 0, "b": 1}[place]] == 0 else "second"
        with self._lock:
            self._journal.judge(pair_id, answer, a=shown[0], seconds=seconds)
            return {"judged": len(self._journal.judgements), "pairs": len(self._order)}

    def results(self) -> tuple[str, str]:
        """The page of the results and its policy. Records that the results were seen."""
        with self._lock:
            self._journal.look()
            return page(self._pairs, write_results(self._folder, self._pairs, self._journal))


def create_app(rating: RatingSession, settings: Settings) -> Starlette:
    """The application around one folder."""

    def pairs(_: Request) -> Response:
        return JSONResponse(rating.listed())

    def clip(request: Request) -> Response:
        path = rating.clip(request.path_params["pair"], request.path_params["place"])
        if path is None or not path.is_file():
            return refusal(404, "there is no such clip any more", "not_found")
        return FileResponse(path, media_type="video/mp4")

    async def judge(request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0] != "application/json":
            return refusal(415, "send a judgement as application/json", "unsupported_media_type")
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY:
                return refusal(413, f"a judgement has at most {MAX_BODY} bytes", "too_large")
        try:
            said = json.loads(body)
            pair, answer, seconds = str(said["pair"]), str(said["answer"]), float(said["seconds"])
            # NaN and infinity are numbers to Python's JSON, and not to the journal's readers
            seconds = seconds if 0 <= seconds < math.inf else 0.0
            return JSONResponse(rating.judge(pair, answer, seconds), status_code=201)
        except (ValueError, TypeError, KeyError, RecursionError):
            return refusal(
                400,
                "a judgement names a pair of this test, the answer a, b or tie, and the seconds "
                "it took",
                "invalid_judgement",
            )
        except OutputError as error:
            return refusal(507, error.message, error.error_code)

    def result(_: Request) -> Response:
        try:
            text, policy = rating.results()
        except OutputError as error:
            return refusal(507, error.message, error.error_code)
        headers = {"Content-Security-Policy": policy}
        return Response(text, media_type="text/html; charset=utf-8", headers=headers)

    def file(request: Request) -> Response:
        path = request.path_params["path"]
        headers = {"Content-Security-Policy": PAGE_POLICY}
        if path in OWN:
            name = OWN[path]
            return Response(
                Path(__file__).with_name("page").joinpath(name).read_bytes(),
                media_type=MEDIA_TYPES[Path(name).suffix],
                headers=headers,
            )
        found = asset(path) if path.startswith("assets/") else None
        if found is None:
            return refusal(404, "there is no such file", "not_found")
        return Response(found.body, media_type=found.media_type, headers=headers)

    return Starlette(
        routes=[
            Route("/pairs", pairs),
            Route("/clips/{pair}/{place}", clip),
            Route("/judgements", judge, methods=["POST"]),
            Route("/result", result),
            Route("/{path:path}", file),
        ],
        middleware=[Middleware(Guard, settings, keyless, loopback=True)],
    )


async def keyless() -> bool:
    """No API key is needed: the guard only lets this machine in."""
    return False


def make_server(app: Starlette) -> uvicorn.Server:
    """The server; its ``run(sockets=[…])`` returns when it is stopped."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            lifespan="off",
        )
    )


def serve(app: Starlette, port: int, ready: Callable[[str], None]) -> None:
    """Serve on loopback until told to stop; ``ready`` is called with the address.

    Raises:
        MachineError: the port is taken.
    """
    listener = listen("127.0.0.1", port)
    ready(url(listener))
    make_server(app).run(sockets=[listener])
