"""``/v1/batches``: jobs that were sent under one name, seen and ended together.

A batch is nothing but that name: each of its jobs is accepted, made, fails and is deleted on its
own, so that a bad picture stops none of the others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Any

from fastapi import APIRouter

from vivant.api import examples, show
from vivant.api.auth import Owner, Shared
from vivant.api.state import State
from vivant.api.videos import end
from vivant.errors import JobNotFoundError, printable
from vivant.service.job import Job

router = APIRouter(prefix="/v1/batches", tags=["batches"])


@router.get(
    "/{batch}", response_model=None, responses=examples.errors(404), summary="How far a batch is"
)
async def retrieve(batch: str, shared: Shared, owner: Owner) -> dict[str, Any]:
    """Its clips in the order they were sent, and the bill so far."""
    return describe(batch, await asyncio.to_thread(_jobs, shared, batch, owner), shared.secret)


@router.post(
    "/{batch}/cancel", response_model=None, responses=examples.errors(404), summary="End a batch"
)
async def cancel(batch: str, shared: Shared, owner: Owner) -> dict[str, Any]:
    """Cancel what is not finished; finished clips stay."""

    def work() -> list[Job]:
        for job in shared.ledger.batch(batch, owner, active=True):
            end(shared, job.id, owner)
        return _jobs(shared, batch, owner)

    return describe(batch, await asyncio.to_thread(work), shared.secret)


def describe(batch: str, jobs: list[Job], secret: bytes) -> dict[str, Any]:
    """The batch object."""
    return {
        "id": batch,
        "object": "batch",
        "counts": dict(Counter(job.status for job in jobs)),
        "verdicts": dict(Counter(job.verdict for job in jobs if job.verdict)),
        "progress": sum(100 if not j.active else j.progress for j in jobs) // len(jobs),
        **bill(jobs),
        "data": [show.video(job, secret) for job in jobs],
    }


def bill(jobs: Collection[Job]) -> dict[str, Any]:
    """Time and cost of jobs so far."""
    costs = [cost for job in jobs if (cost := show.cost(job))]
    currencies = {cost["currency"] for cost in costs}
    return {
        "inference_time_s": round(sum(show.seconds(job) or 0.0 for job in jobs), 3),
        "cost": {
            # jobs may be billed in different currencies; all have a price in dollars
            "usd": round(sum(cost["usd"] for cost in costs), 7),
            **(
                {"currency": currencies.pop(), "amount": round(sum(c["amount"] for c in costs), 4)}
                if len(currencies) == 1
                else {"currency": None, "amount": None}
            ),
        },
    }


def _jobs(shared: State, batch: str, owner: str | None) -> list[Job]:
    found = shared.ledger.batch(batch, owner)
    if not found:
        shown = printable(batch[:64])
        raise JobNotFoundError(
            f"there is no batch {shown!r}: its videos name it in their field batch", param="batch"
        )
    return found
