"""What a clip would take and cost, from clips that this service has made."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from vivant.api.live_workers import live_workers
from vivant.api.state import State
from vivant.cost import EXCHANGE, bill
from vivant.runs.estimates import Estimate, estimate
from vivant.service.progress import timings
from vivant.settings import Settings
from vivant.types import Request


async def estimate_clip(shared: State, request: Request) -> tuple[Estimate, str | None]:
    """Seconds of one clip, and the device they are spent on; None where that is not known."""
    measured = await asyncio.to_thread(shared.job_store.measured, request.engine)
    found = estimate(timings(measured), request)
    device = found.device or device_of(
        shared.settings, request.engine, await live_workers(shared), measured
    )
    return found, device


def device_of(
    settings: Settings,
    engine: str,
    workers: list[Mapping[str, Any]],
    measured: list[Mapping[str, Any]],
) -> str | None:
    """What an engine runs on: what the operator pays for, what it ran on, or the workers' GPU."""
    if settings.device:
        return settings.device
    if measured:
        return str(measured[0]["device"])
    if engine != "ltx2":
        return "cpu"
    return next((facts["gpu"] for facts in workers if facts.get("gpu")), None)


async def jobs_ahead(shared: State) -> int:
    """Number of jobs that wait or run."""
    counts = await asyncio.to_thread(shared.job_store.counts)
    return int(counts.get("queued", 0) + counts.get("in_progress", 0))


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


def rare_clip(
    shared: State, engine: str, seconds: float | None, currency: str | None
) -> dict[str, Any] | None:
    """The bill of one clip from nothing, start and waiting included; None where nothing starts."""
    container, settings = shared.container, shared.settings
    if container is None or container.engine != engine:
        return None
    exchange = {**EXCHANGE, **settings.exchange}
    codes = dict.fromkeys([(currency or settings.currency).upper(), "USD"])
    usd = None if seconds is None else container.rare_clip(seconds)
    return {
        "start_seconds": container.start_seconds,
        "waiting_seconds": container.idle_seconds,
        "costs": []
        if usd is None
        else [{"currency": code, "amount": round(usd * exchange[code], 6)} for code in codes],
    }


def rounded(value: float | None) -> float | None:
    """Rounded to hundredths."""
    return None if value is None else round(value, 2)
