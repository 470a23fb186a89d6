"""``/v1/videos``: make, find, cancel and delete clips."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vivant.api import openapi
from vivant.api.auth import Owner, RateLimitedOwner, Reader, Shared
from vivant.api.errors import HttpError, from_job
from vivant.api.events import stream
from vivant.api.routes.content import send
from vivant.api.state import State
from vivant.api.submission import cancel as cancel_job
from vivant.api.submission import delete as delete_job
from vivant.api.submission import submit
from vivant.api.video_answer import list_json, video_json
from vivant.service.job import Job

router = APIRouter(prefix="/v1/videos", tags=["videos"])

POLL_AFTER_MS = {"queued": "1000", "in_progress": "500", "completed": "0", "failed": "0"}

CLIENT_CLOSED_REQUEST = 499
"""Status in the log for a request whose client has left."""


@router.post(
    "", status_code=202, openapi_extra=openapi.CREATE, responses=openapi.errors(400, 409, 413,
    415, 429), response_model=None, summary="Make a clip",
)  # fmt: skip
async def create(request: Request, shared: Shared, owner: RateLimitedOwner) -> Response:
    """Accept a job. It survives any restart from here on."""
    job = await submit(request, shared, owner)
    return answer(job, shared, 202)


@router.post(
    "/sync", openapi_extra=openapi.CREATE, response_class=Response,
    responses={200: {"content": {"video/mp4": {}}}, **openapi.errors(400, 409, 413, 415, 429)},
    summary="Make a clip and wait for it",
)  # fmt: skip
async def create_sync(request: Request, shared: Shared, owner: RateLimitedOwner) -> Response:
    """Answer with the clip itself. A client that goes away cancels the job."""
    job = await submit(request, shared, owner)
    stayed = False
    try:
        stayed = await _followed(request, shared, job)
    finally:
        if not stayed:
            await asyncio.shield(asyncio.to_thread(cancel_job, shared, job.id, owner))
    if not stayed:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    job = await asyncio.to_thread(shared.job_store.get, job.id, owner)
    if job.status != "completed":
        raise from_job(job.error or {}, {"x-vivant-video-id": job.id})
    return await send(shared, request, job, "video", headers={"x-vivant-video-id": job.id})


@router.get("", response_model=None, responses=openapi.LIST, summary="List clips")
async def list_videos(
    shared: Shared,
    owner: Owner,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> dict[str, Any]:
    """A page of this key's clips, by creation."""
    jobs, more = await asyncio.to_thread(
        shared.job_store.page, owner, after=after, limit=limit, order=order
    )
    data = [video_json(job, shared.secret) for job in jobs]
    return list_json(data, more=more)


@router.get(
    "/{video_id}", response_model=None, responses=openapi.VIDEO, summary="How far a clip is"
)
async def retrieve(video_id: str, shared: Shared, reader: Reader) -> Response:
    """The newest state."""
    job = await asyncio.to_thread(shared.job_store.get, video_id, reader)
    return answer(job, shared, 200)


@router.delete("/{video_id}", responses=openapi.errors(404), summary="Delete a clip")
async def delete(video_id: str, shared: Shared, owner: Owner) -> dict[str, Any]:
    """Delete a clip and its files; a running job is cancelled first."""
    await asyncio.to_thread(delete_job, shared, video_id, owner)
    return {"id": video_id, "object": "video.deleted", "deleted": True}


@router.post(
    "/{video_id}/cancel", response_model=None, responses=openapi.VIDEO, summary="Stop a clip"
)
async def cancel(video_id: str, shared: Shared, owner: Owner) -> Response:
    """Stop within one step; a finished job stays as it is."""
    job = await asyncio.to_thread(cancel_job, shared, video_id, owner)
    return answer(job, shared, 200)


@router.post("/{video_id}/remix", include_in_schema=False)
async def remix(_: Owner) -> None:
    """Part of OpenAI's Videos API; refused here, with what to do instead."""
    raise HttpError(
        400,
        "a finished clip cannot be remixed here: send its picture again to /v1/videos with another "
        "prompt or seed (/v1/videos/{id}/content?variant=source has the picture)",
        "remix_not_supported",
    )


@router.get(
    "/{video_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **openapi.errors(404)},
    summary="Follow a clip",
)
async def events(
    video_id: str,
    request: Request,
    shared: Shared,
    reader: Reader,
    last_event_id: Annotated[int | None, Query(ge=0, le=2**31 - 1)] = None,
) -> StreamingResponse:
    """Server-sent events: stage, step, frame, time left and cost so far."""
    header = request.headers.get("last-event-id", "")
    if header.isascii() and header.isdigit() and len(header) < 10:
        last_event_id = int(header)
    job = await asyncio.to_thread(shared.job_store.get, video_id, reader)
    return StreamingResponse(
        stream(shared.events, shared.job_store, job, last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def answer(job: Job, shared: State, status: int) -> JSONResponse:
    """A video object with the hint when to ask again."""
    return JSONResponse(
        video_json(job, shared.secret),
        status,
        {
            "openai-poll-after-ms": POLL_AFTER_MS[job.status],
            "Cache-Control": "no-store",
            "x-vivant-video-id": job.id,
        },
    )


async def _followed(request: Request, shared: State, job: Job) -> bool:
    """Wait for the end of a job; whether the client waited, too."""
    events: AsyncIterator[bytes] = stream(shared.events, shared.job_store, job, None)

    async def follow() -> None:
        async for _ in events:
            continue

    following = asyncio.create_task(follow())
    try:
        while not following.done():
            await asyncio.wait({following}, timeout=0.5)
            if await request.is_disconnected():
                return False
        return True
    finally:
        following.cancel()
