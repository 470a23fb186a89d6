"""``/v1/crops``: what part of a picture would be shown."""

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
