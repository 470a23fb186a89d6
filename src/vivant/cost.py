"""What a clip costs: seconds × rate of the device × exchange rate.

The tables hold defaults; :class:`vivant.settings.Settings` replaces or adds rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vivant.errors import OptionError
from vivant.types import Bill

if TYPE_CHECKING:  # settings bring pydantic
    from vivant.settings import Settings

RATES: dict[str, float] = {
    "cpu": 0.0000262,
    "T4": 0.000164,
    "L4": 0.000222,
    "A10": 0.000306,
    "L40S": 0.000542,
    "A100-40": 0.000583,
    "A100-80": 0.000694,
    "RTX PRO 6000": 0.000842,
    "H100": 0.001097,
    "H200": 0.001261,
    "B200": 0.001736,
}
"""US dollars per second: Modal's list prices of mid-2026. ``cpu`` is two physical cores."""

EXCHANGE: dict[str, float] = {"USD": 1.0, "KRW": 1450.0}
"""Units per US dollar. 1,450 ₩ is the user's; others are set by the user, not guessed by us."""

SYMBOLS: dict[str, str] = {"USD": "$", "KRW": "₩", "EUR": "€", "JPY": "¥", "GBP": "£"}


def rate_name(device: str, rates: Mapping[str, float]) -> str | None:
    """The row of ``rates`` that ``device`` belongs to: ``NVIDIA H200`` → ``H200``.

    The longest row name contained in the device's name wins, so that an ``A100-80`` is never
    billed as an ``A10``. None where no row fits.
    """
    folded = device.upper().replace(" ", "").replace("GB", "")
    fitting = [name for name in rates if name.upper().replace(" ", "") in folded]
    exact = [name for name in fitting if name.upper() == device.upper()]
    names = exact or sorted(fitting, key=len)
    if not names and "A100" in folded:
        names = ["A100-80" if "80" in folded else "A100-40"]
    if names and names[-1] == "A10" and "A100" in folded:
        names = ["A100-80" if "80" in folded else "A100-40"]
    return names[-1] if names else None


def bill(
    device: str,
    seconds: float,
    *,
    currency: str = "KRW",
    rates: Mapping[str, float] | None = None,
    exchange: Mapping[str, float] | None = None,
) -> Bill | None:
    """The bill of ``seconds`` on ``device``; None where the device has no rate.

    Args:
        device: ``cpu``, a GPU's marketing name, or a row of the table.
        seconds: wall time the device was held.
        currency: three letters, any case.
        rates: laid over :data:`RATES`.
        exchange: laid over :data:`EXCHANGE`.

    Raises:
        OptionError: a currency without an exchange rate.
    """
    table = {**RATES, **(rates or {})}
    changes = {**EXCHANGE, **(exchange or {})}
    code = currency.upper()
    if code not in changes:
        raise OptionError(
            f"no exchange rate for {currency!r} (known: {', '.join(sorted(changes))}): "
            f"""set one, e.g. VIVANT_EXCHANGE='{{"{code}": 0.9}}'""",
            param="currency",
        )
    row = rate_name(device, table)
    if row is None:
        return None
    usd = seconds * table[row]
    return Bill(
        device=row,
        seconds=seconds,
        rate=table[row],
        usd=usd,
        currency=code,
        exchange_rate=changes[code],
        amount=usd * changes[code],
    )


def bill_for(
    device: str, seconds: float, settings: Settings, currency: str | None = None
) -> Bill | None:
    """The bill of ``seconds`` at the user's prices; None where the device has no rate.

    Args:
        device: that was used; ``settings.device`` is billed instead where it is set.
        seconds: wall time the device was held.
        settings: rates, exchange rates and the default currency.
        currency: of the bill; the settings' own where None.

    Raises:
        OptionError: a currency without an exchange rate.
    """
    return bill(
        settings.device or device,
        seconds,
        currency=currency or settings.currency,
        rates=settings.rates,
        exchange=settings.exchange,
    )


def no_rate(device: str) -> str:
    """The sentence for a device that cannot be billed."""
    return (
        f"cost: not measured, no rate is known for {device!r}; "
        f"""set one, e.g. VIVANT_RATES='{{"{device}": 0.0003}}'"""
    )


def money(amount: float, currency: str) -> str:
    """``₩25``, ``$0.0175``: as the user's log prints them; small amounts keep two figures."""
    symbol = SYMBOLS.get(currency, f"{currency} ")
    if currency == "USD":
        if 0 < amount < 0.001:
            return f"{symbol}{amount:.{1 - math.floor(math.log10(amount))}f}"
        return f"{symbol}{amount:.4f}"
    return f"{symbol}{amount:,.0f}" if amount >= 10 else f"{symbol}{amount:.2g}"
