"""``/v1/webhooks/secret``: with which a client's server checks that an event is ours."""

from __future__ import annotations

from fastapi import APIRouter

from vivant.api import openapi
from vivant.api.auth import Owner, Shared
from vivant.api.errors import HttpError
from vivant.service.webhooks import signing_secret

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.get(
    "/secret",
    responses=openapi.errors(404),
    summary="The secret that signs this key's webhooks",
)
async def secret(shared: Shared, who: Owner) -> dict[str, str]:
    """The same as long as the service keeps its database; each API key has one of its own."""
    if not shared.settings.webhooks:
        raise HttpError(404, "this service sends no webhooks", "webhooks_off")
    return {"object": "webhook.secret", "secret": signing_secret(shared.secret, who)}
