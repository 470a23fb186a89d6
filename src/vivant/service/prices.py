"""What a run has cost, as clients see it. Knows nothing of clocks."""

from __future__ import annotations

from typing import Any

from vivant.cost import bill
from vivant.settings import Settings


def price(
    settings: Settings, device: str, seconds: float, currency: str | None
) -> dict[str, Any] | None:
    """Seconds on a device as clients see it; None where there is no rate."""
    charged = bill(
        device,
        seconds,
        currency=currency or settings.currency,
        rates=settings.rates,
        exchange=settings.exchange,
    )
    if charged is None:
        return None
    return {
        "currency": charged.currency,
        "amount": round(charged.amount, 4),
        "usd": round(charged.usd, 7),
        "device": charged.device,
        "final": False,
    }
