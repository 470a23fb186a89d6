"""Around every request: hosts, origins, headers, the log and the counters. Plain ASGI.

Pages of other origins may come where the operator lists them. A page opened from a disk has the
origin ``null``, which a sandboxed frame of any site has too: it may come where a key is needed,
because no browser sends one by itself, and elsewhere only where it is listed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vivant.api.errors import response
from vivant.api.routes.status import REQUESTS, SECONDS
from vivant.errors import DatabaseError
from vivant.settings import Settings

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

FILE_ORIGIN = "null"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}

API_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""``Content-Security-Policy`` of everything that brings no policy of its own."""

EXPOSED = (
    "openai-poll-after-ms, x-vivant-video-id, Content-Range, ETag, Retry-After, Content-Length"
)
ALLOWED_HEADERS = (
    "authorization, content-type, idempotency-key, last-event-id, range, if-none-match, if-range"
)

log = logging.getLogger("vivant.access")


class Guard:
    """See the module.

    Args:
        app: what is guarded.
        settings: origins that may come.
        key_required: whether an API key is needed at the moment.
        loopback: names other than this machine's are refused, so that a page elsewhere cannot
            reach the service by pointing its own name here.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        key_required: Callable[[], Awaitable[bool]],
        *,
        loopback: bool,
    ) -> None:
        self._app, self._key_required = app, key_required
        self._origins = frozenset(settings.cors_origins)
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        allowed = await self._allowed(origin)
        started = time.perf_counter()
        status = 0

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(MutableHeaders(scope=message), origin if allowed else None)
                route = getattr(scope.get("route"), "path", "other")
                REQUESTS.labels(_method(scope), route, str(status)).inc()
                SECONDS.labels(route).observe(time.perf_counter() - started)
            await send(message)

        refusal = self._nul(scope) or self._refusal(scope, headers, origin, allowed)
        try:
            if refusal is not None:
                await refusal(scope, receive, guarded)
            else:
                await self._app(scope, receive, guarded)
        finally:
            log.info(
                "request",
                extra={
                    "method": _method(scope),
                    "path": getattr(scope.get("route"), "path", "other"),
                    "job": scope.get("path_params", {}).get("video_id"),
                    "status": status,
                    "seconds": round(time.perf_counter() - started, 4),
                },
            )

    async def _allowed(self, origin: str | None) -> bool:
        if origin != FILE_ORIGIN or origin in self._origins:
            return origin in self._origins
        try:
            return await self._key_required()
        except DatabaseError:
            return False  # the route will say that it is away

    def _nul(self, scope: Scope) -> Response | None:
        """Refuse NUL, which databases cannot hold: no name and no value of ours has one."""
        if "\0" in scope["path"]:
            return response(404, "there is no such page: /docs lists what there is", "not_found")
        if b"%00" in scope["query_string"] or b"\0" in scope["query_string"]:
            return response(
                400, "the address contains %00, which is no text: leave it out", "invalid_parameter"
            )
        return None

    def _refusal(
        self, scope: Scope, headers: Headers, origin: str | None, allowed: bool
    ) -> Response | None:
        host = headers.get("host", "")
        if self._loopback and hostname(host) not in LOCAL_HOSTS:
            return response(
                403,
                "this service answers on this machine only: start it with --host to open it",
                "host_not_allowed",
            )
        if origin is None or allowed or _same(origin, host):
            return self._preflight(headers) if allowed and scope["method"] == "OPTIONS" else None
        if scope["method"] not in SAFE_METHODS:
            return response(
                403,
                "pages of that origin may not use this service: the operator allows them with "
                "VIVANT_CORS_ORIGINS",
                "origin_not_allowed",
            )
        return None

    def _preflight(self, headers: Headers) -> Response | None:
        if "access-control-request-method" not in headers:
            return None
        return Response(
            status_code=204,
            headers={
                "Access-Control-Allow-Methods": "GET, POST, DELETE",
                "Access-Control-Allow-Headers": ALLOWED_HEADERS,
                "Access-Control-Max-Age": "600",
            },
        )

    def _add_headers(self, headers: MutableHeaders, origin: str | None) -> None:
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", API_POLICY)
        headers.setdefault("Cache-Control", "no-store")
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = EXPOSED
            headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin")
        else:
            headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        headers.add_vary_header("Origin")


def hostname(host: str) -> str:
    """``localhost:8000``, ``[::1]:8000`` → the name without port and brackets, lower case.

    Empty where it is more than a name and a port (RFC 9110, 7.2).
    """
    if any(sign in host for sign in "@/?#\\"):
        return ""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same(origin: str, host: str) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _method(scope: Scope) -> str:
    method = scope["method"]
    return method if method in _METHODS else "other"


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
