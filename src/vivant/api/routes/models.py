"""``/v1/models``, ``/v1/estimate``, ``/v1/config``: what there is, and what it would cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query

from vivant.api import openapi
from vivant.api.auth import Owner, Shared
from vivant.api.engine_options import check_options
from vivant.api.errors import HttpError
from vivant.api.estimates import (
    costs,
    device_of,
    estimate_clip,
    jobs_ahead,
    rare_clip,
    rounded,
)
from vivant.api.live_workers import live_workers
from vivant.api.schemas import MAX_PROMPT, QUALITIES, VideoFields
from vivant.api.state import State
from vivant.cost import EXCHANGE, RATES, rate_name
from vivant.engines import options_of
from vivant.grid import ASPECTS, MAX_SIDE, MIN_SIDE
from vivant.provenance.facts import GENERATED, SOURCE_TYPES
from vivant.provenance.label_text import RULES
from vivant.settings import Settings
from vivant.types import DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT, ENGINES_WITH_SOUND
from vivant.version import __version__

router = APIRouter(prefix="/v1", tags=["before"])

CREATED = 1_767_225_600
"""1 January 2026. The field is part of OpenAI's format and has no meaning here."""

MOVES: Mapping[str, str] = {"living": "person", "ltx2": "person"}

FORMATS = ("JPEG", "PNG", "WebP", "AVIF", "HEIC", "GIF", "BMP", "TIFF")


async def _models(shared: State) -> list[dict[str, Any]]:
    workers = await live_workers(shared)
    found = []
    for name in shared.settings.engines:
        reasons = [facts["engines"].get(name, "unknown to the worker") for facts in workers]
        available = any(reason == "" for reason in reasons)
        reason = "" if available else next(iter(reasons), "no worker is running")
        measured = await asyncio.to_thread(shared.job_store.measured, name)
        device = device_of(shared.settings, name, workers, measured)
        options = options_of(name)
        found.append(
            {
                "id": name,
                "object": "model",
                "created": CREATED,
                "owned_by": "vivant",
                "moves": MOVES.get(name, "camera"),
                "available": available,
                "reason": reason,
                "default": name == shared.settings.default_engine,
                "recipes": list(options.recipes),
                "sound": name in ENGINES_WITH_SOUND,
                "sound_max_frames": options.max_sound_frames,
                "generative": SOURCE_TYPES.get(name, GENERATED) == GENERATED,
                "device": device,
                "usd_per_second": _rate(shared.settings, device),
            }
        )
    return found


def _rate(settings: Settings, device: str | None) -> float | None:
    table = {**RATES, **settings.rates}
    row = None if device is None else rate_name(device, table)
    return None if row is None else table[row]


@router.get("/models", responses=openapi.MODELS, summary="Engines")
async def models(shared: Shared, _: Owner) -> dict[str, Any]:
    """What can make clips, and whether it can now."""
    return {"object": "list", "data": await _models(shared)}


@router.get("/models/{model_id}", responses=openapi.MODEL, summary="One engine")
async def model(model_id: str, shared: Shared, _: Owner) -> dict[str, Any]:
    """One of the list."""
    for found in await _models(shared):
        if found["id"] == model_id:
            return found
    raise HttpError(
        404, "there is no such model: /v1/models lists them", "not_found", param="model"
    )


@router.get("/estimate", responses=openapi.errors(400), summary="Time and cost of a clip")
async def estimate(
    shared: Shared,
    _: Owner,
    model: Annotated[str | None, Query(max_length=100)] = None,
    seconds: Annotated[str | None, Query(max_length=40)] = None,
    num_frames: Annotated[str | None, Query(max_length=20)] = None,
    fps: Annotated[str | None, Query(max_length=20)] = None,
    aspect: Annotated[str | None, Query(max_length=10)] = None,
    size: Annotated[str | None, Query(max_length=20)] = None,
    recipe: Annotated[str | None, Query(max_length=60)] = None,
    generate_audio: Annotated[str | None, Query(max_length=10)] = None,
    currency: Annotated[str | None, Query(max_length=8)] = None,
) -> dict[str, Any]:
    """From clips this service has made; null where it has made none.

    What ``POST /v1/videos`` would refuse is refused with the same sentence.
    """
    given = {
        "model": model, "seconds": seconds, "num_frames": num_frames, "fps": fps,
        "aspect": aspect, "size": size, "recipe": recipe, "generate_audio": generate_audio,
        "currency": currency,
    }  # fmt: skip
    settings = shared.settings
    fields = VideoFields.read({name: value for name, value in given.items() if value})
    request = fields.to_request(b"", settings)
    check_options(request)
    found, device = await estimate_clip(shared, request)
    ahead = await jobs_ahead(shared)
    return {
        "object": "estimate",
        "model": request.engine,
        "device": device,
        "seconds": rounded(found.seconds),
        "seconds_low": rounded(found.low),
        "seconds_high": rounded(found.high),
        "basis": found.basis,
        "queue_seconds": rounded(None if found.seconds is None else ahead * found.seconds),
        "costs": costs(settings, device, found.seconds, fields.currency),
        "rare_clip": rare_clip(shared, request.engine, found.seconds, fields.currency),
        "num_frames": request.num_frames,
        "width": request.width,
        "height": request.height,
    }


@router.get("/config", summary="Defaults, limits and prices")
async def config(shared: Shared, who: Owner) -> dict[str, Any]:
    """Settings and limits that the page needs."""
    settings = shared.settings
    return {
        "version": __version__,
        "default_model": settings.default_engine,
        "auth": bool(who),
        "defaults": {
            "prompt": DEFAULT_PROMPT,
            "negative_prompt": DEFAULT_NEGATIVE_PROMPT,
            "seconds": 4,
            "fps": 24,
            "aspect": "16:9",
            "seed": 0,
            "quality": "standard",
            "currency": settings.currency,
            "label": settings.label,
        },
        "aspects": {name: list(size) for name, size in ASPECTS.items()},
        "qualities": list(QUALITIES),
        "currencies": {**EXCHANGE, **settings.exchange},
        "rates": {**RATES, **settings.rates},
        "limits": {
            "max_image_bytes": settings.max_image_bytes,
            "max_frames": settings.max_frames,
            "min_side": MIN_SIDE,
            "max_side": MAX_SIDE,
            "max_prompt_characters": MAX_PROMPT,
            "result_days": settings.result_days,
        },
        "label_rules": list(RULES),
        "formats": list(FORMATS),
        "url_fetch": settings.url_fetch,
        "webhooks": settings.webhooks,
    }
