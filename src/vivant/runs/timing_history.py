"""How long clips took on this machine, in a small file of the cache.

Without the file there are no estimates; nothing else needs it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from vivant.errors import OutputError
from vivant.runs.clip_cache import write_whole
from vivant.runs.estimates import Timing, estimate, request_pixels, request_recipe
from vivant.settings import Settings
from vivant.types import Request

HISTORY = "clip-timings.json"
"""In the cache: engine → timings of clips that were made on this machine, oldest first."""

KEPT = 20
"""Clips of an engine that are remembered."""


def expected(request: Request, settings: Settings, device: str | None = None) -> float | None:
    """Seconds a clip like this takes; None where none of about its size was made here.

    Args:
        request: of the clip.
        settings: say where the cache is.
        device: what it will be made on; what the engine last ran on where None.
    """
    known = _history(settings).get(request.engine, [])
    on = device or last_device(request.engine, settings)
    there = [timing for timing in reversed(known) if timing.device == on]
    return estimate(there, request).reliable_seconds


def last_device(engine: str, settings: Settings) -> str | None:
    """What the engine last ran on; None where it never did."""
    timings = _history(settings).get(engine)
    return timings[-1].device if timings else None


def remember(request: Request, report: Mapping[str, Any], settings: Settings) -> None:
    """Note what a finished clip took, from its ``report.json``; nothing where it cannot be."""
    history = _history(settings)
    timing = Timing(
        seconds=float(report["seconds"]),
        pixels=request_pixels(request),
        device=str(report["engine"]["device"]),
        recipe=request_recipe(request),
    )
    history[request.engine] = [*history.get(request.engine, ()), timing][-KEPT:]
    body = {engine: [asdict(timing) for timing in timings] for engine, timings in history.items()}
    with suppress(OSError, OutputError):
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        write_whole(settings.cache_dir / HISTORY, json.dumps(body))


def _history(settings: Settings) -> dict[str, list[Timing]]:
    try:
        found = json.loads((settings.cache_dir / HISTORY).read_text("utf-8"))
        return {
            str(engine): [Timing(**entry) for entry in entries] for engine, entries in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
