"""What a run of a job has cost so far, as clients see it."""

from __future__ import annotations

from typing import Any

from vivant.cost import bill
from vivant.settings import Settings


class RunCost:
    """The bill of a run so far, as clients see it.

    Args:
        settings: rates and exchange rates.
        currency: of the bill; the settings' own where None.

    Attributes:
        device: what is billed; empty until the engine is loaded.
    """

    def __init__(self, settings: Settings, currency: str | None) -> None:
        self._settings, self._currency = settings, currency
        self.device = ""

    def __call__(self, seconds: float) -> dict[str, Any] | None:
        """The bill of ``seconds``; None where there is no rate or no device yet."""
        if not self.device:
            return None
        return _price(self._settings, self.device, seconds, self._currency)

    def final(self, seconds: float) -> dict[str, Any] | None:
        """The bill of the finished run."""
        cost = self(seconds)
        return None if cost is None else {**cost, "final": True}


def _price(
    settings: Settings, device: str, seconds: float, currency: str | None
) -> dict[str, Any] | None:
    """Seconds on a device as clients see them; None where there is no rate."""
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
