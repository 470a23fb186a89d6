"""``/v1/comparisons``: the same pictures and seeds by several variants, and which is best.

A comparison is a batch of jobs that is accepted as a whole or not at all; ``/v1/batches`` cancels
what is not finished.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vivant.api import openapi
from vivant.api.auth import Owner, RateLimitedOwner, Reader, Shared
from vivant.api.comparison.answer import (
    comparison_json,
    findings_input,
    gather,
    gather_for_list,
    page_with_clips,
    presets_json,
    summary_json,
)
from vivant.api.comparison.fields import picture_count, read_plan
from vivant.api.comparison.submission import accept, estimate_json
from vivant.api.errors import HttpError
from vivant.api.live_workers import live_workers
from vivant.api.schemas import MAX_PICTURES
from vivant.api.submission import delete as delete_job
from vivant.api.submission import idempotency_key_of, is_large
from vivant.api.video_answer import list_json
from vivant.errors import JobNotFoundError, OptionError

router = APIRouter(prefix="/v1/comparisons", tags=["comparisons"])

POLL_AFTER_MS = "2000"

PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "media-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-scripts"
)
"""As of reports (``REPORT_POLICY``), and its players make blobs of clips."""


@router.get("/presets", response_model=None, summary="Ready comparisons")
async def presets(shared: Shared, _: Owner) -> dict[str, Any]:
    """Those that the engines of this service can run, and whether a worker can now."""
    workers = await live_workers(shared)
    return {"object": "list", "data": await asyncio.to_thread(presets_json, shared, workers)}


@router.post(
    "/estimate", response_model=None, openapi_extra=openapi.COMPARISON_ESTIMATE,
    responses=openapi.errors(400, 413, 415, 429), summary="Time and cost of a comparison",
)  # fmt: skip
async def estimate(request: Request, shared: Shared, owner: RateLimitedOwner) -> dict[str, Any]:
    """Of all its clips, from clips this service has made; null where it has made none."""
    async with shared.uploads.read(request, most=MAX_PICTURES) as upload:
        pictures = picture_count(upload.fields, len(upload.pictures))
    planned = await asyncio.to_thread(read_plan, upload.fields, shared.settings)
    return await estimate_json(shared, owner, planned, pictures)


@router.post(
    "", status_code=202, response_model=None, openapi_extra=openapi.COMPARISON,
    responses=openapi.errors(400, 409, 413, 415, 429), summary="Compare variants",
)  # fmt: skip
async def create(request: Request, shared: Shared, owner: RateLimitedOwner) -> Response:
    """Accept one job for every picture, variant and seed, or nothing at all."""
    idempotency_key = idempotency_key_of(request)
    if idempotency_key is None and is_large(request):
        await asyncio.to_thread(shared.admission.refuse_if_full, owner)
    async with shared.uploads.read(request, most=MAX_PICTURES) as upload:
        if "pictures" in upload.fields:
            raise OptionError("pictures is for estimates: send the pictures", param="pictures")
        planned = await asyncio.to_thread(read_plan, upload.fields, shared.settings)
        pictures = await shared.uploads.pictures(upload)
        kept = await asyncio.to_thread(accept, shared, owner, planned, pictures, idempotency_key)
    return JSONResponse(
        await comparison_json(shared, kept),
        202,
        {"openai-poll-after-ms": POLL_AFTER_MS, "Cache-Control": "no-store"},
    )


@router.get("", response_model=None, responses=openapi.errors(400, 404), summary="List comparisons")
async def list_comparisons(
    shared: Shared,
    owner: Owner,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> dict[str, Any]:
    """This key's, newest first, without their findings."""

    def work() -> tuple[list[dict[str, Any]], bool]:
        found, more = shared.comparisons.page(owner, limit=limit, after=after)
        return [summary_json(shared, kept, gather_for_list(shared, kept)) for kept in found], more

    data, more = await asyncio.to_thread(work)
    return list_json(data, more=more)


@router.get(
    "/{comparison_id}", response_model=None, responses=openapi.COMPARED,
    summary="How far a comparison is, and what it shows",
)  # fmt: skip
async def retrieve(comparison_id: str, shared: Shared, reader: Reader) -> Response:
    """Its clips, and the findings: while clips are being made, without a decision."""
    kept = await asyncio.to_thread(shared.comparisons.get, comparison_id, reader)
    body = await comparison_json(shared, kept)
    over = body["status"] in ("completed", "failed")
    return JSONResponse(
        body, headers={"openai-poll-after-ms": "0" if over else POLL_AFTER_MS,
                       "Cache-Control": "no-store"},
    )  # fmt: skip


@router.delete("/{comparison_id}", responses=openapi.errors(404), summary="Delete a comparison")
async def delete(comparison_id: str, shared: Shared, owner: Owner) -> dict[str, Any]:
    """Delete it with all of its clips; running jobs are cancelled first."""

    def work() -> None:
        kept = shared.comparisons.get(comparison_id, owner)
        for job_id in shared.job_store.existing(kept.jobs):
            try:
                delete_job(shared, job_id, owner)
            except JobNotFoundError:
                continue  # another request has deleted it
        shared.comparisons.delete(comparison_id)

    await asyncio.to_thread(work)
    return {"id": comparison_id, "object": "comparison.deleted", "deleted": True}


@router.get(
    "/{comparison_id}/page",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/html": {}}}, **openapi.errors(404)},
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
    kept, gathered = await asyncio.to_thread(gather, shared, kept)
    if not gathered.clips:
        raise HttpError(404, "there is no page yet: no clip is finished", "not_ready")
    found = await asyncio.to_thread(findings_input, shared, kept, gathered)
    there = {clip["key"]: clip["job"] for clip in found["clips"] if clip["there"]}
    mark = secrets.token_hex(16)
    text = await shared.comparison_worker.page(found, mark, "service" if there else "gone")
    headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "private, no-cache"}
    if download:
        headers["Content-Disposition"] = f'attachment; filename="{comparison_id}.html"'
    return StreamingResponse(
        page_with_clips(shared, text, mark, there),
        media_type="text/html; charset=utf-8",
        headers=headers,
    )
