"""``/v1/models``, ``/v1/estimate``, ``/v1/config``: what there is, and what it would cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query

from vivant.api import examples
from vivant.api.auth import Owner, Shared
from vivant.api.errors import HttpError
from vivant.api.fields import MAX_PROMPT, QUALITIES, read_fields
from vivant.api.state import State
from vivant.api.status import living
from vivant.cost import EXCHANGE, RATES, bill, rate_name
from vivant.errors import OptionError
from vivant.grid import ASPECTS, MAX_SIDE, MIN_SIDE
from vivant.runs.estimates import Estimate
from vivant.runs.estimates import estimate as estimate_clip
from vivant.service.progress import timings
from vivant.settings import Settings
from vivant.types import DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT, Request
from vivant.upscalers import UPSCALERS
from vivant.version import __version__

router = APIRouter(prefix="/v1", tags=["before"])

CREATED = 1_767_225_600
"""1 January 2026; the field must be there, and means nothing."""

MOVES: Mapping[str, str] = {"ltx2": "person"}

FORMATS = ("JPEG", "PNG", "WebP", "AVIF", "HEIC", "GIF", "BMP", "TIFF")


def recipes(engine: str) -> list[str]:
    """Names that ``recipe`` may have."""
    if engine != "ltx2":
        return []
    from vivant.engines.ltx2.recipes import RECIPES

    return list(RECIPES)


def check_options(request: Request) -> None:
    """Refuse options an engine does not have, before the job is accepted.

    Raises:
        OptionError: naming the option.
    """
    if request.engine == "camera":
        from vivant.engines.camera.options import CameraOptions

        CameraOptions.parse(request.options)
    elif request.engine == "ltx2":
        from vivant.engines.ltx2.options import LTX2Options

        LTX2Options.from_request(request)
    elif request.engine == "fake":
        from vivant.engines.fake import FakeOptions

        FakeOptions.from_request(request)
    if request.upscaler not in ("auto", *UPSCALERS):
        raise OptionError(
            f"upscaler {request.upscaler[:40]!r} is unknown: choose auto or one of "
            f"{', '.join(UPSCALERS)}",
            param="upscaler",
        )


async def _models(shared: State) -> list[dict[str, Any]]:
    workers = await living(shared)
    found = []
    for name in shared.settings.engines:
        reasons = [facts["engines"].get(name, "unknown to the worker") for facts in workers]
        available = any(reason == "" for reason in reasons)
        reason = "" if available else next(iter(reasons), "no worker is running")
        measured = await asyncio.to_thread(shared.ledger.measured, name)
        device = _device(shared.settings, name, workers, measured)
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
                "recipes": recipes(name),
                "device": device,
                "usd_per_second": _rate(shared.settings, device),
            }
        )
    return found


def _device(
    settings: Settings,
    engine: str,
    workers: list[Mapping[str, Any]],
    measured: list[Mapping[str, Any]],
) -> str | None:
    """What an engine runs on: what is paid for, what it ran on, or what the workers have."""
    if settings.device:
        return settings.device
    if measured:
        return str(measured[0]["device"])
    if engine != "ltx2":
        return "cpu"
    return next((facts["gpu"] for facts in workers if facts.get("gpu")), None)


def _rate(settings: Settings, device: str | None) -> float | None:
    table = {**RATES, **settings.rates}
    row = None if device is None else rate_name(device, table)
    return None if row is None else table[row]


@router.get("/models", summary="Engines")
async def models(shared: Shared, _: Owner) -> dict[str, Any]:
    """What can make clips, and whether it can now."""
    return {"object": "list", "data": await _models(shared)}


@router.get("/models/{model_id}", responses=examples.errors(404), summary="One engine")
async def model(model_id: str, shared: Shared, _: Owner) -> dict[str, Any]:
    """One of the list."""
    for found in await _models(shared):
        if found["id"] == model_id:
            return found
    raise HttpError(
        404, "there is no such model: /v1/models lists them", "not_found", param="model"
    )


@router.get("/estimate", responses=examples.errors(400), summary="Time and cost of a clip")
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
    currency: Annotated[str | None, Query(max_length=8)] = None,
) -> dict[str, Any]:
    """From clips this service has made; null where it has made none."""
    given = {
        "model": model, "seconds": seconds, "num_frames": num_frames, "fps": fps,
        "aspect": aspect, "size": size, "currency": currency,
    }  # fmt: skip
    settings = shared.settings
    wanted = read_fields({k: v for k, v in given.items() if v}, settings)
    request = replace(wanted.request, options={"recipe": recipe} if recipe else {})
    found, device = await estimated(shared, request)
    counts = await asyncio.to_thread(shared.ledger.counts)
    ahead = counts.get("queued", 0) + counts.get("in_progress", 0)
    return {
        "object": "estimate",
        "model": request.engine,
        "device": device,
        "seconds": rounded(found.seconds),
        "seconds_low": rounded(found.low),
        "seconds_high": rounded(found.high),
        "basis": found.basis,
        "queue_seconds": rounded(None if found.seconds is None else ahead * found.seconds),
        "costs": costs(settings, device, found.seconds, wanted.currency),
        "num_frames": request.num_frames,
        "width": request.width,
        "height": request.height,
    }


async def estimated(shared: State, request: Request) -> tuple[Estimate, str | None]:
    """What one clip would take, and on what; None where that is not known."""
    measured = await asyncio.to_thread(shared.ledger.measured, request.engine)
    found = estimate_clip(timings(measured), request)
    device = found.device or _device(
        shared.settings, request.engine, await living(shared), measured
    )
    return found, device


def costs(
    settings: Settings, device: str | None, seconds: float | None, currency: str | None
) -> list[dict[str, Any]]:
    """Seconds on a device in the currency asked for and in dollars; empty without a rate."""
    found = []
    if seconds is not None and device:
        for code in dict.fromkeys([currency or settings.currency, "USD"]):
            charged = bill(
                device, seconds, currency=code, rates=settings.rates, exchange=settings.exchange
            )
            if charged is not None:
                found.append({"currency": charged.currency, "amount": round(charged.amount, 6)})
    return found


def rounded(value: float | None) -> float | None:
    """For people and programs: hundredths."""
    return None if value is None else round(value, 2)


@router.get("/config", summary="Defaults, limits and prices")
async def config(shared: Shared, who: Owner) -> dict[str, Any]:
    """What the page needs to know."""
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
        "formats": list(FORMATS),
        "url_fetch": settings.url_fetch,
    }
