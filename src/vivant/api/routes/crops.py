"""``/v1/crops`` and ``/v1/previews``: what would be shown of a picture, and how it would move."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from vivant.api import openapi
from vivant.api.auth import RateLimitedOwner, Shared
from vivant.api.schemas import VideoFields

router = APIRouter(prefix="/v1", tags=["before"])


@router.post(
    "/crops", openapi_extra=openapi.CROP, responses=openapi.errors(400, 413, 415, 429),
    summary="What would be shown",
)  # fmt: skip
async def crops(request: Request, shared: Shared, _: RateLimitedOwner) -> dict[str, Any]:
    """Decode a picture and answer exactly the crop that a clip of the same fields shows."""
    async with shared.uploads.read(request) as upload:
        clip = VideoFields.read(upload.fields).to_request(b"", shared.settings)
        (picture,) = await shared.uploads.pictures(upload)
        assert picture.file is not None  # noqa: S101 - it was fetched
        return await shared.crop_worker.crop(picture.file, clip)


@router.post(
    "/previews", openapi_extra=openapi.CROP, responses=openapi.errors(400, 413, 415, 429),
    summary="How each preset would move it",
)  # fmt: skip
async def previews(request: Request, shared: Shared, _: RateLimitedOwner) -> dict[str, Any]:
    """Draw a short clip of low size for each preset of the living engine; nothing is stored.

    ``data`` is empty where no face of the picture can live, or the engine is not offered.
    """
    async with shared.uploads.read(request) as upload:
        clip = VideoFields.read(upload.fields).to_request(b"", shared.settings)
        (picture,) = await shared.uploads.pictures(upload)
        assert picture.file is not None  # noqa: S101 - it was fetched
        return await shared.crop_worker.previews(picture.file, clip)
