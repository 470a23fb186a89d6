"""``/health``, ``/ready``, ``/metrics``: for operators and monitoring."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import psutil
import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from vivant.api.auth import Shared, owner
from vivant.api.live_workers import live_workers
from vivant.api.state import State, free_bytes
from vivant.errors import VivantError

MIN_FREE_BYTES = 500_000_000
"""Room for a few uploads and clips."""

READY_SECONDS = 1.0
"""Seconds between two checks of ``/ready``, which writes to the store and needs no key; in between
the last answer is repeated."""

router = APIRouter(tags=["operation"])

log = logging.getLogger("vivant.api")

REGISTRY = CollectorRegistry()
REQUESTS = Counter(
    "vivant_http_requests", "Requests answered.", ("method", "route", "status"), registry=REGISTRY
)
SECONDS = Histogram(
    "vivant_http_request_seconds",
    "Time to the first byte of the answer.",
    ("route",),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
    registry=REGISTRY,
)
JOBS = Gauge("vivant_jobs", "Jobs known, by status.", ("status",), registry=REGISTRY)
WORKERS = Gauge("vivant_workers", "Workers alive.", registry=REGISTRY)
ABLE = Gauge(
    "vivant_workers_able", "Workers alive that can run an engine.", ("engine",), registry=REGISTRY
)
OLDEST = Gauge(
    "vivant_oldest_queued_seconds", "How long the oldest queued job has waited.", registry=REGISTRY
)
LISTENERS = Gauge("vivant_event_listeners", "Open event streams.", registry=REGISTRY)
MEMORY = Gauge("vivant_api_memory_bytes", "Resident memory of this process.", registry=REGISTRY)


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Is it alive?")
async def health(response: Response) -> dict[str, str]:
    """Answers as long as the process runs; checks nothing else."""
    # A page of another origin may see that the server runs. So it can tell a refusal from silence.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return {"status": "ok"}


@router.head("/ready", include_in_schema=False)
@router.get(
    "/ready", summary="Can a job run now?", responses={503: {"description": "what is missing"}}
)
async def ready(shared: Shared) -> JSONResponse:
    """Database, storage, disk, queue and workers, looked at afresh every second at most."""
    async with shared.readiness_lock:
        if shared.readiness is None or time.monotonic() - shared.readiness_at > READY_SECONDS:
            shared.readiness, shared.readiness_at = await _look(shared), time.monotonic()
        found = shared.readiness
    return JSONResponse(found, 200 if found["status"] == "ready" else 503)


async def _look(shared: State) -> dict[str, Any]:
    checks = {
        "database": await _tried(_database, shared, "the database cannot be reached: see the log"),
        "storage": await _tried(_storage, shared, "the storage cannot be used: see the log"),
        "disk": await _tried(_disk, shared),
        "queue": await _tried(_queue, shared),
    }
    alive = await live_workers(shared)
    engines = sorted({n for facts in alive for n, reason in facts["engines"].items() if not reason})
    if not alive:
        checks["worker"] = "no worker is running: vivant worker"
    elif not engines:
        checks["worker"] = "no worker can run any engine"
    else:
        checks["worker"] = "ok"
    good = all(result == "ok" for result in checks.values())
    return {"status": "ready" if good else "not_ready", "checks": checks, "engines": engines}


@router.get("/metrics", summary="Prometheus", response_class=Response)
async def metrics(request: Request, shared: Shared) -> Response:
    """Counters since the start of this process, and what there is now."""
    if not shared.loopback:
        await owner(request, shared)
    counts = await asyncio.to_thread(shared.job_store.counts)
    for status in ("queued", "in_progress", "completed", "failed"):
        JOBS.labels(status).set(counts.get(status, 0))
    alive = await live_workers(shared)
    WORKERS.set(len(alive))
    for engine in shared.settings.engines:
        ABLE.labels(engine).set(sum(not facts["engines"].get(engine, "no") for facts in alive))
    oldest = await asyncio.to_thread(shared.job_store.oldest)
    OLDEST.set(0 if oldest is None else max(0.0, time.time() - oldest))
    LISTENERS.set(shared.events.listeners)
    MEMORY.set(psutil.Process().memory_info().rss)
    return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)


async def _tried(check: Callable[[State], None], shared: State, words: str = "") -> str:
    """``ok``, or what is wrong; ``words`` where the error names paths: anybody may ask."""
    try:
        await asyncio.to_thread(check, shared)
    except VivantError as error:
        log.warning("not ready: %s", error.message)
        return words or error.message
    return "ok"


def _database(shared: State) -> None:
    with shared.database.read() as connection:
        connection.execute(sa.select(1))


def _storage(shared: State) -> None:
    shared.objects.check()


def _disk(shared: State) -> None:
    free = free_bytes(shared.settings)
    if free < MIN_FREE_BYTES:
        raise VivantError(f"{free / 1e6:.0f} MB are free on the disk: make room")


def _queue(shared: State) -> None:
    shared.admission.refuse_if_full("")
