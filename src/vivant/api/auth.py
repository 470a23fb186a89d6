"""Who sends a request, and how often they may: API keys, access tokens, the rate limit."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from vivant.api.errors import HttpError
from vivant.api.state import State
from vivant.errors import BusyError
from vivant.service.keys import access_allowed

CLIENTS = 10_000
"""Most clients that the rate limit keeps count of; the oldest are dropped."""


async def state(request: Request) -> State:
    """The service's state, for routes; a coroutine, or every request would wait for a thread."""
    found = request.app.state.vivant
    assert isinstance(found, State)  # noqa: S101 - narrows Starlette's Any
    return found


Shared = Annotated[State, Depends(state)]


async def key_required(shared: State) -> bool:
    """Whether requests need an API key: always where others can reach the service."""
    if not shared.keyring.fresh:
        await asyncio.to_thread(shared.keyring.any)
    return not shared.loopback or shared.keyring.any()


async def owner(request: Request, shared: Shared) -> str:
    """The id of the API key; empty where the service has none and only loopback reaches it.

    Raises:
        HttpError: 401.
    """
    presented = request.headers.get("authorization", "")
    scheme, _, key = presented.partition(" ")
    if not await key_required(shared):
        return ""
    if not presented:
        raise HttpError(
            401,
            "an API key is needed: send Authorization: Bearer vk_…",
            "missing_key",
            headers={"WWW-Authenticate": "Bearer"},
        )
    found = None
    if scheme.lower() == "bearer" and len(key) < 200:
        found = shared.keyring.owner(key.strip())
    if found is None:
        raise HttpError(
            401,
            "the API key is not valid: `vivant keys list` on the server shows which are",
            "invalid_key",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return found


Owner = Annotated[str, Depends(owner)]


async def reader(request: Request, shared: Shared) -> str | None:
    """Who reads what the path names: its owner, or None for a client with its access token."""
    token = request.query_params.get("access")
    if token is not None and "authorization" not in request.headers:
        (named,) = request.path_params.values()
        if not access_allowed(shared.secret, named, token):
            raise HttpError(401, "the access token is not this one's", "invalid_key")
        whose = await asyncio.to_thread(shared.job_store.owner_of, named)
        if whose and not await asyncio.to_thread(shared.keyring.active, whose):
            raise HttpError(401, "the API key of this access token was revoked", "invalid_key")
        return None
    return await owner(request, shared)


Reader = Annotated[str | None, Depends(reader)]


@dataclass
class TokenBucket:
    """Tokens that refill; one request takes one.

    Attributes:
        tokens: left at the time ``at`` of the monotonic clock.
    """

    tokens: float
    at: float


class RateLimiter:
    """Requests per minute of each client, by the token bucket.

    Args:
        per_minute: tokens that refill in a minute; as many requests may come at once.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, client: str) -> None:
        """Count one request.

        Raises:
            BusyError: too many came.
        """
        now = time.monotonic()
        bucket = self._buckets.pop(client, None) or TokenBucket(float(self._per_minute), now)
        rate = self._per_minute / 60
        bucket.tokens = min(self._per_minute, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        self._buckets[client] = bucket
        while len(self._buckets) > CLIENTS:
            del self._buckets[next(iter(self._buckets))]
        if bucket.tokens < 1:
            raise BusyError(
                f"more than {self._per_minute} requests a minute: slow down",
                retry_after=(1 - bucket.tokens) / rate,
                code="rate_limited",
            )
        bucket.tokens -= 1


async def rate_limited(request: Request, who: Owner) -> str:
    """The owner, whose request is within the rate limit.

    Raises:
        BusyError: too many requests came from this key or address.
    """
    client = who or (request.client.host if request.client else "")
    request.app.state.rate_limiter.take(client)
    return who


RateLimitedOwner = Annotated[str, Depends(rate_limited)]
