"""What was tried, what to try next, and which attempt is the best.

All answers follow from the first request and the list of attempts, so that a run that was
interrupted between two attempts can go on from the list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from vivant.runs.budget import Budget, BudgetMeter
from vivant.runs.remedies import Remedy, remedies
from vivant.types import Request, Score, Verdict

MARGIN = 1.1
"""The next attempt is predicted to take the longest one's seconds times this: an end anchor adds
10 %."""

MOST_ATTEMPTS = 12
"""Most attempts, however large the budget: later ones rarely pass."""

StopCode = Literal[
    "passed", "attempts", "no_remedy", "budget", "budget_ended", "failed", "cancelled"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One clip that was tried.

    Attributes:
        remedy: what was changed since the attempt it followed; empty for the first.
        code: the same for programs.
        why: the failed checks that asked for it.
        verdict: None where it was not finished: the budget ended, or it failed.
        failed: names of the checks that failed.
        rank: smaller is better: failed fidelity checks, failed checks, warnings.
        usd: None where the device has no rate.
        trouble: why it was not finished; empty where the budget ended.
    """

    number: int
    remedy: str
    code: str
    why: tuple[str, ...]
    seed: int
    options: Mapping[str, Any]
    verdict: Verdict | None
    failed: tuple[str, ...]
    rank: tuple[int, ...]
    seconds: float
    usd: float | None
    trouble: str = ""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Attempt:
        """The inverse of ``asdict``, from values that were JSON in between."""
        values = {f.name: body[f.name] for f in fields(cls)}
        return cls(**{**values, **{n: tuple(values[n]) for n in ("why", "failed", "rank")}})


@dataclass(frozen=True, slots=True)
class Stop:
    """Why no further attempt is made: for programs, and as a plain sentence."""

    code: StopCode
    words: str


def next_attempt(
    request: Request, attempts: Sequence[Attempt], meter: BudgetMeter
) -> Remedy | Stop:
    """What to try after ``attempts`` at ``request``, or why nothing more is tried."""
    if not attempts:
        return Remedy("", "", request)
    last = attempts[-1]
    if last.trouble:
        return Stop("failed", f"attempt {last.number} could not be made: {last.trouble}")
    if last.verdict is None:
        ended = f"the budget of {meter.budget} ended during attempt {last.number}"
        return Stop("budget_ended", ended)
    if not last.failed:
        return Stop("passed", "it passed")
    if len(attempts) >= MOST_ATTEMPTS:
        return Stop("attempts", f"{MOST_ATTEMPTS} attempts are enough")
    tried = {_key(a.seed, a.options) for a in attempts}
    offers = [
        offer
        for offer in remedies(request_of(request, last), last.failed)
        if _key(offer.request.seed, offer.request.options) not in tried
    ]
    if not offers:
        return Stop("no_remedy", f"no remedy is known for {', '.join(last.failed)}")
    predicted = MARGIN * max(attempt.seconds for attempt in attempts)
    if not meter.covers(predicted):
        return Stop(
            "budget",
            f"another attempt takes about {predicted:.0f} s, more than is left of {meter.budget}",
        )
    return offers[0]


def request_of(request: Request, attempt: Attempt) -> Request:
    """The changed request that ``attempt`` made of ``request``."""
    return replace(request, seed=attempt.seed, options=dict(attempt.options))


def best(attempts: Sequence[Attempt]) -> Attempt | None:
    """The finished attempt with the smallest rank, the first of equals; None where none is."""
    done = [attempt for attempt in attempts if attempt.verdict is not None]
    return min(done, key=lambda attempt: attempt.rank, default=None)


def rank(scores: Sequence[Score]) -> tuple[int, int, int]:
    """Smaller is better: failed fidelity checks, failed checks, warnings."""
    failed = [score for score in scores if score.verdict == "fail"]
    return (
        sum(score.group == "fidelity" for score in failed),
        len(failed),
        sum(score.verdict == "warn" for score in scores),
    )


def attempts_json(budget: Budget, attempts: Sequence[Attempt], stop: Stop | None) -> dict[str, Any]:
    """The ``gate`` key of a report: every attempt, and why no further one was made.

    Args:
        budget: of all attempts.
        attempts: in the order they were made.
        stop: None while attempts are still made.
    """
    chosen = best(attempts)
    return {
        "budget": str(budget),
        "chosen": chosen.number if chosen else None,
        "passed": chosen is not None and not chosen.failed,
        "stopped": stop.words if stop else None,
        "stop": stop.code if stop else None,
        "attempts": [asdict(attempt) for attempt in attempts],
    }


def _key(seed: int, options: Mapping[str, Any]) -> str:
    return json.dumps([seed, dict(options)], sort_keys=True, default=str)
