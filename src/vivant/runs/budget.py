"""The budget of all attempts together, and what was spent of it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

from vivant.cost import EXCHANGE, SYMBOLS, bill_for, money, no_rate
from vivant.errors import Cancelled, OptionError
from vivant.settings import Settings
from vivant.types import Observer, Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What all attempts together may take: either seconds or money.

    Attributes:
        seconds: wall time.
        amount: in ``currency``.
    """

    seconds: float | None = None
    amount: float | None = None
    currency: str = "KRW"

    @classmethod
    def parse(cls, text: str) -> Budget:
        """``"120s"``, ``"₩100"``, ``"100 KRW"``, ``"$0.10"``.

        Raises:
            OptionError: neither seconds nor money, or not above zero.
        """
        plain = text.strip().replace(",", "").replace("원", "KRW")
        for code, symbol in SYMBOLS.items():
            plain = plain.replace(symbol, code)
        found = re.fullmatch(
            r"(?P<before>[A-Za-z]{3})?\s*(?P<number>\d+\.?\d*|\.\d+)\s*(?P<after>[A-Za-z]{1,3})?",
            plain,
        )
        unit = (found["before"] or found["after"] or "") if found else ""
        both = bool(found and found["before"] and found["after"])
        value = float(found["number"]) if found else 0.0
        if not found or both or value <= 0 or not (unit.lower() == "s" or len(unit) == 3):
            raise OptionError(
                f"budget {text!r} is neither seconds nor money: write 120s, ₩100 or $0.10",
                param="budget",
            )
        if unit.lower() == "s":
            return cls(seconds=value)
        return cls(amount=value, currency=unit.upper())

    def check_currency(self, settings: Settings) -> None:
        """Refuse a currency without an exchange rate.

        Raises:
            OptionError: no exchange rate is known.
        """
        known = {**EXCHANGE, **settings.exchange}
        if self.amount is not None and self.currency not in known:
            raise OptionError(
                f"no exchange rate for {self.currency!r} (known: {', '.join(sorted(known))})",
                param="budget",
            )

    def spent_words(self, seconds: float, usd: float | None, settings: Settings) -> str:
        """What was spent of it, as ``19.6 s of 40 s, $0.0005`` or ``19.6 s, ₩0.73 of ₩100``."""
        if self.seconds is not None:
            return f"{seconds:.1f} s of {self}" + ("" if usd is None else f", {money(usd, 'USD')}")
        rate = {**EXCHANGE, **settings.exchange}[self.currency]
        return f"{seconds:.1f} s, {money((usd or 0.0) * rate, self.currency)} of {self}"

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds:g} s"
        return money(self.amount or 0.0, self.currency)


class BudgetMeter:
    """Counts what was spent of a budget.

    Args:
        budget: of all attempts together.
        device: what time is billed by; called each time, as an engine may know it only once it
            was loaded.
        settings: prices.
        clock: seconds.
        spent: seconds that were spent before now.

    Raises:
        OptionError: a currency without an exchange rate, or a device without a price.
    """

    def __init__(
        self,
        budget: Budget,
        device: Callable[[], str],
        settings: Settings,
        clock: Callable[[], float] = time.perf_counter,
        spent: float = 0.0,
    ) -> None:
        self.budget, self._device, self._settings, self._clock = budget, device, settings, clock
        self._started = clock() - spent
        if budget.amount is None:
            return
        budget.check_currency(settings)
        if self.usd(1.0) is None:
            raise OptionError(f"{no_rate(device())}; or give the budget in seconds", param="budget")

    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def usd(self, seconds: float) -> float | None:
        """US dollars of ``seconds``; None where the device has no rate."""
        found = bill_for(self._device(), seconds, self._settings, "USD")
        return found.usd if found else None

    def covers(self, more: float) -> bool:
        """Whether ``more`` seconds still fit."""
        seconds = self.elapsed() + more
        if self.budget.seconds is not None:
            return seconds <= self.budget.seconds
        usd = self.usd(seconds)
        rate = {**EXCHANGE, **self._settings.exchange}[self.budget.currency]
        return usd is not None and usd * rate <= (self.budget.amount or 0.0)

    def check_first(self, likely: float | None) -> None:
        """Refuse a budget that one clip of ``likely`` seconds would not fit in.

        Raises:
            OptionError: it would not; None is not known and not refused.
        """
        if likely is None or self.covers(likely):
            return
        usd, cost = self.usd(likely), ""
        if usd is not None and self.budget.amount is not None:
            rate = {**EXCHANGE, **self._settings.exchange}[self.budget.currency]
            cost = f", {money(usd * rate, self.budget.currency)}"
        used = self.elapsed()
        before = f", and {used:.1f} s of it are used already" if used >= 0.1 else ""
        raise OptionError(
            f"budget {self.budget} is smaller than one clip (about {likely:.1f} s{cost} on "
            f"this machine{before}): give more, or a shorter clip",
            param="budget",
        )

    def observer(self, observe: Observer) -> Observer:
        """``observe``, which then raises :class:`BudgetEndedError` once the budget is spent.

        A clip that is being stored is not stopped.
        """

        def watch(progress: Progress) -> None:
            observe(progress)
            if progress.stage != "store" and not self.covers(0.0):
                raise BudgetEndedError

        return watch


class BudgetEndedError(Cancelled):
    """The budget ended in the middle of an attempt."""
