"""``/v1/crops``: what part of a picture would be shown."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from vivant.api import examples
from vivant.api.auth import Paced, Shared
from vivant.api.errors import HttpError
from vivant.api.fetch import fetch
from vivant.api.fields import read_fields

router = APIRouter(prefix="/v1", tags=["before"])


@router.post(
    "/crops", openapi_extra=examples.CROP, responses=examples.errors(400, 413, 415, 429),
    summary="What would be shown",
)  # fmt: skip
async def crops(request: Request, shared: Shared, _: Paced) -> dict[str, Any]:
    """Decode a picture and choose its framing, without making anything."""
    async with shared.intake.read(request) as upload:
        wanted = read_fields(upload.fields, shared.settings).request
        if upload.url is not None:
            await fetch(upload, shared.settings, shared.uploads)
        if upload.picture is None:
            raise HttpError(
                400,
                "there is no picture: send it as input_reference",
                "missing_field",
                param="input_reference",
            )
        return await shared.previewer.look(upload.picture, wanted.width, wanted.height)
