"""``/v1/videos``: make, find, cancel and delete clips."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vivant.api import examples, show
from vivant.api.auth import Owner, Paced, Reader, Shared
from vivant.api.content import send
from vivant.api.errors import HttpError
from vivant.api.events import stream
from vivant.api.fetch import fetch
from vivant.api.fields import read_fields
from vivant.api.models import check_options
from vivant.api.state import State
from vivant.api.upload import Upload
from vivant.errors import DatabaseError, StorageError
from vivant.service.adapters import check_adapters
from vivant.service.admission import request_hash, same
from vivant.service.job import (
    SOURCE,
    Job,
    Order,
    key,
    new_id,
    remove_unfinished,
    request_json,
)

router = APIRouter(prefix="/v1/videos", tags=["videos"])

POLL_AFTER_MS = {"queued": "1000", "in_progress": "500", "completed": "0", "failed": "0"}

LARGE_BYTES = 4_000_000

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,199}")


@router.post(
    "", status_code=202, openapi_extra=examples.CREATE, responses=examples.errors(400, 409, 413,
    415, 429), response_model=None, summary="Make a clip",
)  # fmt: skip
async def create(request: Request, shared: Shared, owner: Paced) -> Response:
    """Accept a job. It survives any restart from here on."""
    job = await submit(request, shared, owner)
    return answer(job, shared, 202)


@router.post(
    "/sync", openapi_extra=examples.CREATE, response_class=Response,
    responses={200: {"content": {"video/mp4": {}}}, **examples.errors(400, 409, 413, 415, 429)},
    summary="Make a clip and wait for it",
)  # fmt: skip
async def create_sync(request: Request, shared: Shared, owner: Paced) -> Response:
    """Answer with the clip itself. A client that goes away cancels the job."""
    job = await submit(request, shared, owner)
    try:
        await _finished(request, shared, job)
    except asyncio.CancelledError:
        await asyncio.shield(asyncio.to_thread(end, shared, job.id, owner))
        raise
    job = await asyncio.to_thread(shared.ledger.get, job.id, owner)
    if job.status != "completed":
        error = job.error or {}
        status = 409 if error.get("code") == "cancelled" else 500
        if str(error.get("code", "")).startswith(("image_", "invalid_", "lora_")):
            status = 400
        raise HttpError(
            status,
            error.get("message", "the job failed"),
            error.get("code", "internal"),
            param=error.get("param"),
            headers={"x-vivant-video-id": job.id},
        )
    return await send(shared, request, job, "video", headers={"x-vivant-video-id": job.id})


@router.get("", response_model=None, responses=examples.LIST, summary="List clips")
async def list_videos(
    shared: Shared,
    owner: Owner,
    after: Annotated[str | None, Query(max_length=100)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
) -> dict[str, Any]:
    """A page of this key's clips, by creation."""
    jobs, more = await asyncio.to_thread(
        shared.ledger.page, owner, after=after, limit=limit, order=order
    )
    data = [show.video(job, shared.secret) for job in jobs]
    return show.page(data, more=more)


@router.get(
    "/{video_id}", response_model=None, responses=examples.VIDEO, summary="How far a clip is"
)
async def retrieve(video_id: str, shared: Shared, reader: Reader) -> Response:
    """The newest state."""
    job = await asyncio.to_thread(shared.ledger.get, video_id, reader)
    return answer(job, shared, 200)


@router.delete("/{video_id}", responses=examples.errors(404), summary="Delete a clip")
async def delete(video_id: str, shared: Shared, owner: Owner) -> dict[str, Any]:
    """Forget a clip and its files; a running job is cancelled first."""
    await asyncio.to_thread(erase, shared, video_id, owner)
    return {"id": video_id, "object": "video.deleted", "deleted": True}


@router.post(
    "/{video_id}/cancel", response_model=None, responses=examples.VIDEO, summary="Stop a clip"
)
async def cancel(video_id: str, shared: Shared, owner: Owner) -> Response:
    """Stop within one step; a finished job stays as it is."""
    job = await asyncio.to_thread(end, shared, video_id, owner)
    return answer(job, shared, 200)


@router.get(
    "/{video_id}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}, **examples.errors(404)},
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
    job = await asyncio.to_thread(shared.ledger.get, video_id, reader)
    return StreamingResponse(
        stream(shared.broker, shared.ledger, job, last_event_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def answer(job: Job, shared: State, status: int) -> JSONResponse:
    """A video object with the hint when to ask again."""
    return JSONResponse(
        show.video(job, shared.secret),
        status,
        {
            "openai-poll-after-ms": POLL_AFTER_MS[job.status],
            "Cache-Control": "no-store",
            "x-vivant-video-id": job.id,
        },
    )


async def submit(request: Request, shared: State, owner: str) -> Job:
    """Read a request and take its job in."""
    idempotency_key = idempotency_key_of(request)
    if idempotency_key is None and large(request):
        # Full already: say so before megabytes are read. With a key the job may be there.
        await asyncio.to_thread(shared.admission.look, owner)
    async with shared.intake.read(request) as upload:
        wanted = read_fields(upload.fields, shared.settings)
        if upload.url is not None:
            await fetch(upload, shared.settings, shared.uploads)
        if upload.picture is None:
            raise HttpError(
                400,
                "there is no picture: send it as input_reference",
                "missing_field",
                param="input_reference",
            )
        order = Order(
            request=wanted.request,
            picture={"name": upload.name, "size": upload.size, "sha256": upload.sha256},
            currency=wanted.currency,
            priority=wanted.priority,
            budget=wanted.budget,
            batch=wanted.batch,
        )
        return await asyncio.to_thread(_accept, shared, owner, order, upload, idempotency_key)


def large(request: Request) -> bool:
    """Whether a look at the queue costs less than the upload."""
    length = request.headers.get("content-length", "")
    return not length.isdigit() or int(length) > LARGE_BYTES


def _accept(
    shared: State, owner: str, order: Order, upload: Upload, idempotency_key: str | None
) -> Job:
    assert upload.picture is not None  # noqa: S101 - checked by the caller
    check_options(order.request)
    check_adapters(order.request, shared.settings)
    if idempotency_key is not None:
        found = shared.admission.find(owner, idempotency_key)
        if found is not None:
            same(found.request_hash, request_hash(request_json(order), order), idempotency_key)
            return shared.ledger.get(found.id, owner)
    check_signature(upload)
    job_id = new_id()
    name = key(job_id, SOURCE)
    shared.objects.take_file(name, upload.picture)
    try:
        job, new = shared.admission.accept(job_id, order, owner, idempotency_key=idempotency_key)
    except BaseException:
        discard(shared, name)
        raise
    if not new:
        discard(shared, name)
    return job if new else shared.ledger.get(job.id, owner)


def check_signature(upload: Upload) -> None:
    """Refuse what its first bytes show to be no picture.

    Raises:
        ImageError: with the reason. All else is found out when it is decoded, elsewhere.
    """
    from vivant.picture.source import sniff

    assert upload.picture is not None  # noqa: S101 - checked by the caller
    with upload.picture.open("rb") as file:
        head = file.read(4096)
        if head[4:8] == b"ftyp":  # its boxes reach to the end
            head += file.read()
    if head[:4] == b"RIFF":
        head = head[:4] + b"\0\0\0\0" + head[8:]  # its length is checked when all of it is read
    sniff(head, "the picture")


def discard(shared: State, name: str) -> None:
    """Remove one object that nobody needs."""
    with suppress(StorageError):  # the sweeper removes it later
        shared.objects.delete(name)


def end(shared: State, job_id: str, owner: str | None) -> Job:
    """Cancel a job and take it off the queues."""
    job = shared.ledger.cancel(job_id, owner, keep_seconds=shared.keep_seconds)
    shared.admission.withdraw(job_id)
    if not job.active:
        with suppress(StorageError):  # they go when the job expires
            remove_unfinished(shared.objects, job_id)
    return job


def erase(shared: State, job_id: str, owner: str) -> None:
    """Forget a job and its files; a running one is cancelled first.

    Raises:
        JobNotFoundError: there is none, or it is somebody else's.
    """
    shared.ledger.get(job_id, owner)
    try:
        _forget(shared, job_id, owner)
    except DatabaseError as error:
        if error.error_code != "storage_full":
            raise
        shared.objects.delete_folder(f"jobs/{job_id}")  # makes the room that the database needs
        _forget(shared, job_id, owner)


def _forget(shared: State, job_id: str, owner: str) -> None:
    end(shared, job_id, owner)
    shared.ledger.delete(job_id, owner)
    shared.objects.delete_folder(f"jobs/{job_id}")
    shared.admission.forget(job_id)


async def _finished(request: Request, shared: State, job: Job) -> None:
    """Wait for the end of a job, or cancel it when the client goes away."""
    source: AsyncIterator[bytes] = stream(shared.broker, shared.ledger, job, None)

    async def follow() -> None:
        async for _ in source:
            continue

    following = asyncio.create_task(follow())
    try:
        while not following.done():
            await asyncio.wait({following}, timeout=0.5)
            if await request.is_disconnected():
                raise asyncio.CancelledError
    finally:
        following.cancel()


def idempotency_key_of(request: Request) -> str | None:
    """The header's value.

    Raises:
        HttpError: 400.
    """
    value = request.headers.get("idempotency-key")
    if value is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(value):
        raise HttpError(
            400,
            "Idempotency-Key is not 1…200 printable ASCII characters",
            "invalid_option",
            param="Idempotency-Key",
        )
    return value
