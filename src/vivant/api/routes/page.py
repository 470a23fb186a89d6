"""The page at ``/``, its files, the page as one file, and the list of routes at ``/docs``."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, Response

from vivant.api.auth import Shared
from vivant.api.errors import HttpError
from vivant.picture.sample_picture import DEMO_AUTHORS, DEMO_LICENCE, DEMO_SOURCE
from vivant.web import PAGE_POLICY, Asset, asset, sample_asset, single_file

router = APIRouter(include_in_schema=False)

EXAMPLE_AGE = 86_400
"""Seconds for which a browser keeps the examples. They change with the version."""

DOCS_STYLE = (
    "body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color-scheme:light dark}code{font-size:.95em}dt{margin-top:1rem}"
)
DOCS_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@router.get("/")
async def index(request: Request) -> Response:
    """The page."""
    return file(request, asset("index.html"))


@router.get("/assets/{path:path}")
async def assets(request: Request, path: str) -> Response:
    """Modules, styles and pictures of the page."""
    return file(request, asset(f"assets/{path}"))


@router.get("/sample.jpg")
async def sample_picture(request: Request) -> Response:
    """The sample picture."""
    return file(request, sample_asset())


@router.get("/examples")
async def examples(shared: Shared) -> dict[str, Any]:
    """The looping examples of the first screen; their clips are null until they are made.

    Only the page asks, when it is opened: its user's picture comes next.
    """
    shared.crop_worker.start()
    found = shared.examples.listed()
    if any(shared.examples.file(f"{one.preset}.mp4") is None for one in found):
        shared.examples.start()

    def path(name: str) -> str | None:
        return f"/examples/{name}" if shared.examples.file(name) else None

    return {
        "credit": {
            "authors": DEMO_AUTHORS,
            "source": DEMO_SOURCE,
            "licence": DEMO_LICENCE[0],
            "licence_url": DEMO_LICENCE[1],
        },
        "data": [
            {
                "preset": one.preset,
                "aspect": one.aspect,
                "width": one.width,
                "height": one.height,
                "poster": path(f"{one.preset}.jpg"),
                "clip": path(f"{one.preset}.mp4"),
            }
            for one in found
        ],
    }


@router.get("/examples/{name}")
async def example_file(shared: Shared, name: str) -> FileResponse:
    """A clip or a poster of the examples.

    Raises:
        HttpError: 404.
    """
    path = shared.examples.file(name)
    if path is None:
        raise HttpError(404, "there is no such file", "not_found")
    return FileResponse(path, headers={"Cache-Control": f"private, max-age={EXAMPLE_AGE}"})


@router.get("/vivant.html")
async def single(request: Request) -> Response:
    """The page as one HTML file to download; it suggests this server's address."""
    return HTMLResponse(
        single_file(str(request.base_url).rstrip("/")),
        headers={"Content-Disposition": 'attachment; filename="vivant.html"'},
    )


def file(request: Request, found: Asset | None) -> Response:
    """One file of the page.

    Raises:
        HttpError: 404.
    """
    if found is None:
        raise HttpError(404, "there is no such file", "not_found")
    accepted = request.headers.get("accept-encoding", "")
    packed = found.gzipped if "gzip" in accepted else None
    # two encodings are two representations, which must not share a strong tag
    etag = found.etag if packed is None else f'{found.etag[:-1]}-gzip"'
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if found.media_type.startswith("text/html"):  # 0.2 kB for each of a hundred files
        headers["Content-Security-Policy"] = PAGE_POLICY
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if packed is None:
        return Response(found.body, media_type=found.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(packed, media_type=found.media_type, headers=headers)


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The list of routes, made from the OpenAPI schema."""
    schema = request.app.openapi()
    rows = [
        f"<dt><code>{method.upper()} {escape(path)}</code> — {escape(operation['summary'])}</dt>"
        f"<dd>{escape(operation.get('description', ''))}</dd>"
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    body = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Vivant API</title>"
        f"<style>{DOCS_STYLE}</style><h1>Vivant API {escape(schema['info']['version'])}</h1>"
        f"<p>{escape(schema['info']['description'])} "
        f'The schema is at <a href="/openapi.json">/openapi.json</a>.</p>'
        f"<dl>{''.join(rows)}</dl></html>"
    )
    return HTMLResponse(body, headers={"Content-Security-Policy": DOCS_POLICY})
