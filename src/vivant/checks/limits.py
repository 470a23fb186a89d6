"""The limits the checks hold their numbers against, read from ``limits.json``.

The file is written by ``bench/calibrate.py``, and by hand only for a
new check until it was calibrated; ``docs/calibration.md`` says how
each limit was got.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

from vivant.types import Verdict


@dataclass(frozen=True, slots=True)
class Limit:
    """Where a number stops being fine.

    Attributes:
        side: ``above``: larger is worse; ``below``: smaller is worse.
        fail: beyond it the clip fails; None for numbers that never fail a clip.
        warn: beyond it the user is told; None where there is only a fail.
        how: one sentence: how the limit was got.
    """

    side: Literal["above", "below"]
    fail: float | None
    warn: float | None
    how: str

    def judge(self, value: float) -> Verdict:
        """Pass, warn or fail. A limit itself still passes."""
        if self._beyond(value, self.fail):
            return "fail"
        return "warn" if self._beyond(value, self.warn) else "pass"

    def shown(self, verdict: Verdict) -> float | None:
        """The limit to print beside a value: the one it broke, else the next one it faces."""
        if verdict == "fail":
            return self.fail
        if verdict == "warn":
            return self.warn
        return self.fail if self.warn is None else self.warn

    def _beyond(self, value: float, limit: float | None) -> bool:
        if limit is None:
            return False
        return value > limit if self.side == "above" else value < limit


@cache
def limits() -> Mapping[str, Limit]:
    """Score name → limit."""
    text = files("vivant.checks").joinpath("limits.json").read_text(encoding="utf-8")
    return {name: Limit(**entry) for name, entry in json.loads(text)["limits"].items()}
