"""``/v1/batches``: jobs that were sent under one name, shown and cancelled together.

A batch is only that name: each of its jobs is accepted, made, failed and deleted on its own, so
that a bad picture does not stop the others.
"""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter

from vivant.api import openapi
from vivant.api.auth import Owner, Shared
from vivant.api.state import State
from vivant.api.submission import cancel as cancel_job
from vivant.api.video_answer import batch_json
from vivant.errors import JobNotFoundError, printable
from vivant.service.job import Job

router = APIRouter(prefix="/v1/batches", tags=["batches"])


@router.get(
    "/{batch}", response_model=None, responses=openapi.errors(404), summary="How far a batch is"
)
async def retrieve(batch: str, shared: Shared, owner: Owner) -> dict[str, Any]:
    """Its clips in the order they were sent, and the bill so far."""
    return batch_json(batch, await asyncio.to_thread(_jobs, shared, batch, owner), shared.secret)


@router.post(
    "/{batch}/cancel", response_model=None, responses=openapi.errors(404), summary="End a batch"
)
async def cancel(batch: str, shared: Shared, owner: Owner) -> dict[str, Any]:
    """Cancel what is not finished; finished clips stay."""

    def work() -> list[Job]:
        for job in shared.job_store.batch(batch, owner, active=True):
            cancel_job(shared, job.id, owner)
        return _jobs(shared, batch, owner)

    return batch_json(batch, await asyncio.to_thread(work), shared.secret)


def _jobs(shared: State, batch: str, owner: str | None) -> list[Job]:
    found = shared.job_store.batch(batch, owner)
    if not found:
        shown = printable(batch[:64])
        raise JobNotFoundError(
            f"there is no batch {shown!r}: its videos name it in their field batch", param="batch"
        )
    return found
