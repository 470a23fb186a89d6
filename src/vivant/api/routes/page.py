"""The page at ``/``, its files, the page as one file, and the list of routes at ``/docs``."""

from __future__ import annotations

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from vivant.api.errors import HttpError
from vivant.web import PAGE_POLICY, Asset, asset, sample_asset, single_file

router = APIRouter(include_in_schema=False)

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


@router.get("/sample.png")
async def sample_picture(request: Request) -> Response:
    """The sample picture."""
    return file(request, sample_asset())


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
    headers = {
        "ETag": found.etag,
        "Cache-Control": "no-cache",
        "Content-Security-Policy": PAGE_POLICY,
    }
    if request.headers.get("if-none-match") == found.etag:
        return Response(status_code=304, headers=headers)
    return Response(found.body, media_type=found.media_type, headers=headers)


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
