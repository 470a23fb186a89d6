"""Which workers are alive: those whose heartbeat counter rises."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from vivant.api.state import State
from vivant.errors import VivantError
from vivant.service.tables import workers

_SEEN: dict[str, tuple[int, float]] = {}
"""Worker → its counter, and this process's monotonic time when it last rose."""


async def live_workers(shared: State) -> list[Mapping[str, Any]]:
    """What the living workers say of themselves: engines, GPU and so on."""
    rows = await asyncio.to_thread(_beats, shared)
    now = time.monotonic()
    found = []
    for worker_id, (beats, at, facts) in rows.items():
        before = _SEEN.get(worker_id)
        if before is None:
            # Seen for the first time: its own clock decides, until the counter is read again.
            fresh = abs(time.time() - at) < shared.settings.worker_timeout
            _SEEN[worker_id] = (beats, now if fresh else now - 1e6)
        elif before[0] != beats:
            _SEEN[worker_id] = (beats, now)
        if now - _SEEN[worker_id][1] < shared.settings.worker_timeout:
            found.append(facts)
    for gone in set(_SEEN) - set(rows):
        del _SEEN[gone]
    return found


def _beats(shared: State) -> dict[str, tuple[int, float, Mapping[str, Any]]]:
    query = sa.select(workers.c.id, workers.c.beats, workers.c.at, workers.c.facts)
    try:
        with shared.database.read() as connection:
            return {row[0]: (row[1], row[2], row[3]) for row in connection.execute(query)}
    except VivantError:
        return {}
