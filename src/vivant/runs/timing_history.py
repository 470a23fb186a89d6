"""How long clips took on this machine, so that the next bill can be said beforehand.

A small file in the cache; losing it costs an estimate and nothing else. Knows nothing of how
clips are made.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping
from typing import Any

from vivant.runs.clip_cache import write_whole
from vivant.settings import Settings
from vivant.types import Request

HISTORY = "clip-seconds.json"
"""In the cache: seconds and million pixels of what was made on this machine, by engine."""

ALIKE = 4.0
"""Clips up to this many times larger or smaller foretell one another: a part of a clip's time does
not grow with it, so that seconds per pixel of a small clip say nothing of a large one."""

KEPT = 20
"""Clips of an engine that are remembered."""


def expected(request: Request, settings: Settings, on: str | None = None) -> float | None:
    """Seconds a clip like this takes, scaled by its pixels; None where none like it was made here.

    Args:
        request: of the clip.
        settings: say where the cache is.
        on: the device; what the engine last ran on where None. Other devices' clips say nothing.
    """
    known = _history(settings).get(request.engine, [])
    size = _millions(request)
    scaled = [
        entry["seconds"] * size / entry["millions"]
        for entry in known
        if entry["device"] == (on or known[-1]["device"])
        and 1 / ALIKE <= size / entry["millions"] <= ALIKE
    ]
    return float(statistics.median(scaled)) if scaled else None


def device(engine: str, settings: Settings) -> str | None:
    """What the engine last ran on; None where it never did."""
    entries = _history(settings).get(engine)
    return str(entries[-1]["device"]) if entries else None


def remember(request: Request, report: Mapping[str, Any], settings: Settings) -> None:
    """Note what a finished clip took, from its ``report.json``."""
    history = _history(settings)
    entry = {
        "seconds": report["seconds"],
        "millions": _millions(request),
        "device": report["engine"]["device"],
    }
    history[request.engine] = [*history.get(request.engine, ()), entry][-KEPT:]
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    write_whole(settings.cache_dir / HISTORY, json.dumps(history))


def _millions(request: Request) -> float:
    return request.num_frames * request.width * request.height / 1e6


def _history(settings: Settings) -> dict[str, list[dict[str, Any]]]:
    try:
        found = json.loads((settings.cache_dir / HISTORY).read_text("utf-8"))
        return {
            str(engine): [
                {
                    "seconds": float(e["seconds"]),
                    "millions": float(e["millions"]),
                    "device": str(e["device"]),
                }
                for e in entries
            ]
            for engine, entries in found.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
