"""Every error → status and ``{"error": {message, type, code, param}}``, in one place."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException

from vivant.errors import (
    BusyError,
    Cancelled,
    ConflictError,
    DatabaseError,
    InputError,
    JobNotFoundError,
    MissingPartError,
    StorageError,
    VivantError,
    WeightsError,
)
from vivant.field_errors import what_is_wrong

log = logging.getLogger("vivant.api")


class HttpError(Exception):
    """Errors of HTTP itself: missing keys, bodies that are too large, ranges outside a file.

    Args:
        status: of the response.
        message: one sentence.
        code: stable snake_case identifier.
        param: field at fault.
        headers: of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        code: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.param, self.headers = param, dict(headers or {})


STATUSES: tuple[tuple[type[VivantError], int], ...] = (
    (JobNotFoundError, 404),
    (ConflictError, 409),
    (InputError, 400),
    (BusyError, 429),
    (MissingPartError, 400),
    (DatabaseError, 503),
    (StorageError, 503),
    (VivantError, 500),
)
"""First match wins."""

JOB_STATUSES = {Cancelled.code: 409, MissingPartError.code: 400, WeightsError.code: 500}
"""Status for the error of a job, by its code: a job keeps no more of it."""

INPUT_CODES = ("image_", "invalid_", "lora_")
"""How all other codes begin that are the caller's to mend."""

TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

PHRASES = {
    404: ("not_found", "there is no such page: /docs lists what there is"),
    405: ("method_not_allowed", "this address does not know that method: see /docs"),
}

RETRY_UNAVAILABLE = "2"
"""``Retry-After`` of a 503: databases restart within seconds."""


def response(
    status: int,
    message: str,
    code: str,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The response for an error; all errors have this shape."""
    kind = TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    body = {"error": {"message": message, "type": kind, "code": code, "param": param}}
    return JSONResponse(body, status, dict(headers or {}))


def from_vivant(error: VivantError) -> JSONResponse:
    """The response for an error of :mod:`vivant.errors`."""
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    headers = {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    code = error.error_code
    if status == 503:
        headers["Retry-After"] = RETRY_UNAVAILABLE
        code = "storage_full" if code == "storage_full" else "unavailable"
        log.error("not available: %s", error.message)
        full = "the disk of the service is full: try again later"
        away = "the service cannot reach its database or storage: try again in a moment"
        return response(status, full if code == "storage_full" else away, code, None, headers)
    return response(status, error.message, code, error.param, headers)


def from_job(error: Mapping[str, Any], headers: Mapping[str, str]) -> HttpError:
    """The error of a request that waited for a job; ``error``: of the job."""
    code, message = error.get("code", "internal"), error.get("message", "the job failed")
    status = JOB_STATUSES.get(code, 400 if code.startswith(INPUT_CODES) else 500)
    return HttpError(status, message, code, param=error.get("param"), headers=headers)


def install(app: FastAPI) -> None:
    """Install the handlers of all errors."""

    @app.exception_handler(VivantError)
    async def ours(_: Request, error: VivantError) -> JSONResponse:
        return from_vivant(error)

    @app.exception_handler(HttpError)
    async def http(_: Request, error: HttpError) -> JSONResponse:
        return response(error.status, error.message, error.code, error.param, error.headers)

    @app.exception_handler(HTTPException)
    async def starlette(_: Request, error: HTTPException) -> JSONResponse:
        code, message = PHRASES.get(error.status_code, ("http_error", str(error.detail)))
        return response(error.status_code, message, code, None, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        first: ErrorDetails = error.errors()[0]
        param = str(first["loc"][-1])
        return response(400, f"{param} {what_is_wrong(first)}", "invalid_parameter", param)

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> JSONResponse:
        log.error("a request failed for a reason that nobody foresaw", exc_info=error)
        return response(500, "the service failed; its log tells more", "internal")
