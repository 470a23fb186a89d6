"""``/v1/comparisons``: the same pictures and seeds in several ways, and which of them to use.

A comparison is a batch whose jobs are known for what they are: it is accepted as a whole or not
at all, its clips are jobs like any other, and ``/v1/batches`` cancels what is left of it.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vivant.api import examples, show
from vivant.api.auth import Owner, Paced, Reader, Shared
from vivant.api.compared import describe, evidence, filled, look, presets_json, seen, told_json
from vivant.api.comparing import MAX_PICTURES, accept, estimate_json, picture_count
from vivant.api.errors import HttpError
from vivant.api.fetch import fetch
from vivant.api.plans import read_plan
from vivant.api.status import living
from vivant.api.videos import erase, idempotency_key_of, large
from vivant.errors import JobNotFoundError, OptionError

router = APIRouter(prefix="/v1/comparisons", tags=["comparisons"])

POLL_AFTER_MS = "2000"

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "media-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-scripts"
)
"""As of reports (:data:`vivant.api.content.REPORT_POLICY`); its players make blobs of clips."""


@router.get("/presets", response_model=None, summary="Ready comparisons")
async def presets(shared: Shared, _: Owner) -> dict[str, Any]:
    """Those that the engines of this service can run, and whether a worker can now."""
    workers = await living(shared)
    return {"object": "list", "data": await asyncio.to_thread(presets_json, shared, workers)}


@router.post(
    "/estimate", response_model=None, openapi_extra=examples.COMPARISON_ESTIMATE,
    responses=examples.errors(400, 413, 415, 429), summary="Time and cost of a comparison",
)  # fmt: skip
async def estimate(request: Request, shared: Shared, owner: Paced) -> dict[str, Any]:
    """Of all its clips together, from clips this service has made; null where it has made none."""
    async with shared.intake.read_all(request, most=MAX_PICTURES) as (fields, found):
        pictures = picture_count(fields, found)
    asked = await asyncio.to_thread(read_plan, fields, shared.settings)
    return await estimate_json(shared, owner, asked, pictures)


@router.post(
    "", status_code=202, response_model=None, openapi_extra=examples.COMPARISON,
    responses=examples.errors(400, 409, 413, 415, 429), summary="Compare variants",
)  # fmt: skip
async def create(request: Request, shared: Shared, owner: Paced) -> Response:
    """Accept one job for every picture, variant and seed, or nothing at all."""
    idempotency_key = idempotency_key_of(request)
    if idempotency_key is None and large(request):
        await asyncio.to_thread(shared.admission.look, owner)
    async with shared.intake.read_all(request, most=MAX_PICTURES) as (fields, uploads):
        if "pictures" in fields:
            raise OptionError("pictures is for estimates: send the pictures", param="pictures")
        asked = await asyncio.to_thread(read_plan, fields, shared.settings)
        for upload in uploads:
            if upload.url is not None:
                await fetch(upload, shared.settings, shared.uploads)
        if not uploads:
            raise HttpError(
                400, "there is no picture: send one or several as input_reference",
                "missing_field", param="input_reference",
            )  # fmt: skip
        kept = await asyncio.to_thread(accept, shared, owner, asked, uploads, idempotency_key)
    return JSONResponse(
        await describe(shared, kept),
        202,
        {"openai-poll-after-ms": POLL_AFTER_MS, "Cache-Control": "no-store"},
    )


@router.get(
    "", response_model=None, responses=examples.errors(400, 404), summary="List comparisons"
)
async def list_comparisons(
    shared: Shared,
    owner: Owner,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> dict[str, Any]:
    """This key's, newest first, without their findings."""

    def work() -> tuple[list[dict[str, Any]], bool]:
        found, more = shared.comparisons.page(owner, limit=limit, after=after)
        return [told_json(shared, kept, seen(shared, kept)) for kept in found], more

    data, more = await asyncio.to_thread(work)
    return show.page(data, more=more)


@router.get(
    "/{comparison_id}", response_model=None, responses=examples.COMPARED,
    summary="How far a comparison is, and what it shows",
)  # fmt: skip
async def retrieve(comparison_id: str, shared: Shared, reader: Reader) -> Response:
    """Its clips, and the findings: while clips are being made, without a decision."""
    kept = await asyncio.to_thread(shared.comparisons.get, comparison_id, reader)
    body = await describe(shared, kept)
    over = body["status"] in ("completed", "failed")
    return JSONResponse(
        body, headers={"openai-poll-after-ms": "0" if over else POLL_AFTER_MS,
                       "Cache-Control": "no-store"},
    )  # fmt: skip


@router.delete("/{comparison_id}", responses=examples.errors(404), summary="Delete a comparison")
async def delete(comparison_id: str, shared: Shared, owner: Owner) -> dict[str, Any]:
    """Forget it with all of its clips; what is being made is cancelled first."""

    def work() -> None:
        kept = shared.comparisons.get(comparison_id, owner)
        for job_id in shared.ledger.existing(kept.jobs):
            try:
                erase(shared, job_id, owner)
            except JobNotFoundError:
                continue  # somebody was faster
        shared.comparisons.delete(comparison_id)

    await asyncio.to_thread(work)
    return {"id": comparison_id, "object": "comparison.deleted", "deleted": True}


@router.get(
    "/{comparison_id}/page",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/html": {}}}, **examples.errors(404)},
    summary="A comparison as a page",
)
async def page(
    comparison_id: str,
    shared: Shared,
    reader: Reader,
    download: Annotated[bool, Query()] = False,
) -> Response:
    """The page of ``vivant compare``: one file, with the clips in it unless they are too large."""
    kept = await asyncio.to_thread(shared.comparisons.get, comparison_id, reader)
    kept, gathered = await asyncio.to_thread(look, shared, kept)
    if not gathered.clips:
        raise HttpError(404, "there is no page yet: no clip is finished", "not_ready")
    told = await asyncio.to_thread(evidence, shared, kept, gathered)
    there = {clip["key"]: clip["job"] for clip in told["clips"] if clip["there"]}
    mark = secrets.token_hex(16)
    text = await shared.analyst.page(told, mark, "service" if there else "gone")
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "private, no-cache"}
    if download:
        headers["Content-Disposition"] = f'attachment; filename="{comparison_id}.html"'
    return StreamingResponse(
        filled(shared, text, mark, there), media_type="text/html; charset=utf-8", headers=headers
    )
