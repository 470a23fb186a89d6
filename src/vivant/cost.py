"""What a clip costs: seconds × rate of the device × exchange rate.

The tables hold defaults; :class:`vivant.settings.Settings` replaces or adds rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vivant.errors import OptionError
from vivant.types import Bill, RareClip, several

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
"""US dollars per second: Modal's list prices of mid-2026 (modal.com/pricing).

``cpu`` is two physical cores.
"""

CORE_RATE = 0.0000131
"""US dollars per second of one physical CPU core beside a GPU, from the same price list."""

GIB_RATE = 0.00000222
"""US dollars per second of one GiB of memory beside a GPU, from the same price list."""

EXCHANGE: dict[str, float] = {"USD": 1.0, "KRW": 1450.0}
"""Units per US dollar. Other currencies need a rate in the settings: none is guessed."""

SYMBOLS: dict[str, str] = {"USD": "$", "KRW": "₩", "EUR": "€", "JPY": "¥", "GBP": "£"}


def rate_name(device: str, rates: Mapping[str, float]) -> str | None:
    """The key of ``rates`` for a device: ``NVIDIA H200`` → ``H200``; None if there is none.

    The longest key that the device's name contains wins, so that an ``A100-80`` is never billed
    as an ``A10``.
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


def count_of(device: str) -> int:
    """How many devices :func:`vivant.types.several` named."""
    count, times, _ = device.partition(" × ")
    return int(count) if times and count.isdecimal() else 1


def bill(
    device: str,
    seconds: float,
    *,
    currency: str = "KRW",
    rates: Mapping[str, float] | None = None,
    exchange: Mapping[str, float] | None = None,
) -> Bill | None:
    """The bill of ``seconds`` on ``device``; None if the device has no rate.

    Args:
        device: ``cpu``, a GPU's marketing name, or a key of the rates; ``4 × …`` is four of them.
        seconds: wall time for which the device was held.
        currency: three letters, any case.
        rates: US dollars per second; replace or extend :data:`RATES`.
        exchange: units per US dollar; replace or extend :data:`EXCHANGE`.

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
    count = count_of(device)
    rate = count * table[row]
    usd = seconds * rate
    return Bill(
        device=several(count, row),
        seconds=seconds,
        rate=rate,
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


def container_rate(gpu_rate: float, *, cores: float, memory_gib: float) -> float:
    """US dollars per second of a GPU container on Modal, which bills cores and memory extra.

    Args:
        gpu_rate: US dollars per second of its GPU.
        cores: physical CPU cores.
        memory_gib: memory, GiB.
    """
    return gpu_rate + cores * CORE_RATE + memory_gib * GIB_RATE


def usd_per_clip(
    clip_seconds: float,
    rate: float,
    *,
    clips: int = 1,
    start_seconds: float = 0.0,
    idle_seconds: float = 0.0,
) -> float:
    """US dollars per clip, if a container starts, makes ``clips`` in a row and then idles.

    With one clip this is the whole bill of a rare clip: Modal charges the start and the idle time
    before the container stops like the time of the clip.

    Args:
        clip_seconds: for which each clip holds the container.
        rate: US dollars per second of the container, see :func:`container_rate`.
        clips: how many share the start and the idle time; at least 1.
        start_seconds: from the container's start until it can make a clip.
        idle_seconds: from the last clip until the container stops.
    """
    if clips < 1:
        raise ValueError(f"clips is {clips}: at least 1 shares the start")
    return rate * (clip_seconds + (start_seconds + idle_seconds) / clips)


@dataclass(frozen=True, slots=True)
class PaidContainer:
    """A container that is started for a clip and charged until it stops.

    Attributes:
        engine: the engine it runs.
        rate: US dollars per second of all of it, see :func:`container_rate`.
        start_seconds: from its start until it can make a clip.
        idle_seconds: from the last clip until it stops.
    """

    engine: str
    rate: float
    start_seconds: float
    idle_seconds: float

    def rare_clip(self, clip_seconds: float) -> float:
        """US dollars of one clip from nothing: start, clip and waiting."""
        return usd_per_clip(
            clip_seconds,
            self.rate,
            start_seconds=self.start_seconds,
            idle_seconds=self.idle_seconds,
        )

    def rare_bill(self, clip_seconds: float, clip: Bill) -> RareClip:
        """:meth:`rare_clip` in the currency of the clip's own bill."""
        usd = self.rare_clip(clip_seconds)
        return RareClip(
            start_seconds=self.start_seconds,
            waiting_seconds=self.idle_seconds,
            usd=usd,
            currency=clip.currency,
            amount=usd * clip.exchange_rate,
        )


def no_rate(device: str) -> str:
    """The warning for a device that has no rate."""
    return (
        f"cost: not measured, no rate is known for {device!r}; "
        f"""set one, e.g. VIVANT_RATES='{{"{device}": 0.0003}}'"""
    )


def money(amount: float, currency: str) -> str:
    """An amount for people, e.g. ``₩25`` or ``$0.0175``; small amounts keep two figures."""
    symbol = SYMBOLS.get(currency, f"{currency} ")
    if currency == "USD":
        if 0 < amount < 0.001:
            return f"{symbol}{amount:.{1 - math.floor(math.log10(amount))}f}"
        return f"{symbol}{amount:.4f}"
    return f"{symbol}{amount:,.0f}" if amount >= 10 else f"{symbol}{amount:.2g}"
