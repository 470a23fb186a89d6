"""``/v1/videos/{id}/content``: files of a clip, whole or in part."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse

from vivant.api import openapi
from vivant.api.auth import Reader, Shared
from vivant.api.errors import HttpError
from vivant.api.file_names import disposition
from vivant.api.small_pictures import SMALL, small_copy
from vivant.api.state import State
from vivant.api.video_answer import variants_of
from vivant.service.job import VARIANTS, Job, key

router = APIRouter(prefix="/v1/videos", tags=["videos"])

Variant = Literal[
    "video", "thumbnail", "contact_sheet", "spritesheet", "report", "report_html", "source",
    "reference",
]  # fmt: skip

MEDIA_TYPES: Mapping[str, str] = {
    "clip.mp4": "video/mp4",
    "thumbnail.jpg": "image/jpeg",
    "contact_sheet.jpg": "image/jpeg",
    "reference.jpg": "image/jpeg",
    **dict.fromkeys(SMALL.values(), "image/jpeg"),
    "report.json": "application/json",
    "report.html": "text/html; charset=utf-8",
    "source": "application/octet-stream",
}

SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
"""Of uploads, which were checked to be pictures; AVIF and HEIC have theirs at byte 4."""

REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "media-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "sandbox allow-scripts allow-downloads allow-modals"
)
"""A report is a page of ours about somebody's file. Its script turns frames and languages, saves
the clip and opens the print dialog; the sandbox gives it an origin of its own and nothing to speak
to, so that it can reach neither the page's storage nor the service."""

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.ASCII)


@router.head("/{video_id}/content", include_in_schema=False)
@router.get(
    "/{video_id}/content",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"video/mp4": {}, "image/jpeg": {}, "application/json": {}}},
        206: {"content": {"video/mp4": {}}},
        304: {"description": "not modified"},
        **openapi.errors(404, 410, 416),
    },
    summary="Download a file of a clip",
)
async def content(
    video_id: str,
    request: Request,
    shared: Shared,
    reader: Reader,
    variant: Variant = "video",
    download: Annotated[bool, Query()] = False,
    small: Annotated[bool, Query()] = False,
) -> Response:
    """The clip, its pictures, its report, or the picture it was made from.

    ``small`` gives a copy of thumbnail or reference with at most 256 pixels a side.
    """
    if small and VARIANTS[variant] not in SMALL:
        raise HttpError(
            400,
            f"small is for thumbnail and reference, not for {variant}: leave small out",
            "invalid_option",
            param="small",
        )
    job = await asyncio.to_thread(shared.job_store.get, video_id, reader)
    headers = {}
    if reader is None:
        # who has the token may look, from wherever: the page of a comparison, also one on a disk
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if download:
        headers["Content-Disposition"] = disposition(job, variant)
    return await send(shared, request, job, variant, headers=headers, small=small)


async def send(
    shared: State,
    request: Request,
    job: Job,
    variant: str,
    *,
    headers: Mapping[str, str],
    small: bool = False,
) -> Response:
    """One object, in the range asked for.

    Args:
        small: its small copy; for a variant that may have one.

    Raises:
        HttpError: 404, 410 or 416.
    """
    if job.swept_at is not None:
        raise HttpError(410, "the files of this video have expired: make it again", "expired")
    if variant not in variants_of(job):
        state = job.status if job.error is None else f"{job.status} ({job.error['code']})"
        raise HttpError(
            404, f"there is no {variant} yet: the video is {state}", "not_ready", param="variant"
        )
    name = VARIANTS[variant]
    if small:
        name = await asyncio.to_thread(small_copy, shared.objects, job.id, name)
    stored = await asyncio.to_thread(shared.objects.head, key(job.id, name))
    if stored is None:
        raise HttpError(404, f"the {variant} is not there any more", "not_found", param="variant")
    whole = ((job.result or {}).get("sizes") or {}).get(name, stored.size)
    if stored.size != whole:
        raise HttpError(
            404,
            f"the {variant} is damaged ({stored.size} of {whole} bytes): make it again",
            "damaged",
            param="variant",
        )
    etag = f'"{stored.etag}"'
    media_type = MEDIA_TYPES[name]
    if variant == "source":
        first = b"".join(
            await asyncio.to_thread(list, shared.objects.read(stored.key, 0, min(16, stored.size)))
        )
        media_type = _picture_type(first)
    found = {
        **headers,
        "ETag": etag,
        "Last-Modified": format_datetime(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    if name == "report.html":
        found["Content-Security-Policy"] = REPORT_POLICY
    if _matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=found)
    if request.method == "HEAD":
        found["Content-Length"] = str(stored.size)
        return Response(headers=found, media_type=media_type)
    start, end, status = 0, stored.size, 200
    wanted = request.headers.get("range")
    condition = request.headers.get("if-range")
    if wanted is not None and (condition is None or condition == etag):
        part = byte_range(wanted, stored.size)
        if part is not None:
            start, end = part
            status = 206
            found["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
    found["Content-Length"] = str(end - start)
    return StreamingResponse(shared.objects.read(stored.key, start, end), status, found, media_type)


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """``bytes=0-99`` → ``(0, 100)``; None for what may be ignored (RFC 9110, 14.2).

    Several ranges at once are answered with the whole file, as the RFC allows.

    Raises:
        HttpError: 416, outside the file.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        start, end = max(0, size - int(last)), size
        if int(last) == 0:
            start = size
    else:
        start = int(first)
        end = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
    if start >= size:
        raise HttpError(
            416,
            f"the file has {size} bytes",
            "range_not_satisfiable",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end


def _matches(header: str, etag: str) -> bool:
    return any(part.strip().removeprefix("W/") in (etag, "*") for part in header.split(","))


def _picture_type(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return "image/avif" if head[8:12] in (b"avif", b"avis") else "image/heic"
    for signature, media_type in SIGNATURES:
        if head.startswith(signature):
            return media_type
    return "application/octet-stream"
