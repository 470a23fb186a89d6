"""Seconds and cost of the job against the user's targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vivant.checks.metric import CannotMeasure, Spec, score, unmeasured
from vivant.cost import money
from vivant.types import RareClip, Score, Verdict

SECONDS: Final = Spec("seconds", "performance", "s")
COST: Final = Spec("cost", "performance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What making the clip took.

    Attributes:
        seconds: wall time of the whole job.
        target_seconds: the user's upper bound; their note says 50-65 s, "< 67 s".
        cost: in ``currency``.
        target_cost: the user's bound in the same currency (₩25).
        rare_clip: the cost with the start and the waiting of a container; told, not judged.
    """

    seconds: float
    target_seconds: float = 67.0
    cost: float | None = None
    target_cost: float | None = None
    currency: str = "KRW"
    rare_clip: RareClip | None = None


def performance_scores(performance: Performance | None) -> tuple[Score, ...]:
    """Two scores; a missed target warns, it says nothing against the clip."""
    if performance is None:
        why = CannotMeasure("not_made_here")
        return unmeasured(SECONDS, why), unmeasured(COST, why)
    verdict: Verdict = "pass" if performance.seconds <= performance.target_seconds else "warn"
    seconds = score(
        SECONDS,
        performance.seconds,
        verdict,
        limit=performance.target_seconds,
        message=f"seconds.{verdict}",
    )
    if performance.cost is None:
        return seconds, unmeasured(COST, CannotMeasure("no_cost"))
    if performance.target_cost is None:
        cost_verdict: Verdict = "pass"
    else:
        cost_verdict = "pass" if performance.cost <= performance.target_cost else "warn"
    rare = performance.rare_clip
    said = "free" if performance.target_cost is None else cost_verdict
    spec = Spec(COST.name, COST.group, performance.currency)
    cost = score(
        spec,
        performance.cost,
        cost_verdict,
        limit=performance.target_cost,
        message=f"cost.{said}" if rare is None else f"cost.{said}_rare",
        facts={
            "amount": money(performance.cost, performance.currency),
            "target": money(performance.target_cost or 0.0, performance.currency),
            **({} if rare is None else _rare_facts(rare)),
        },
    )
    return seconds, cost


def _rare_facts(rare: RareClip) -> dict[str, float | str]:
    return {
        "rare_amount": money(rare.amount, rare.currency),
        "start_seconds": rare.start_seconds,
        "waiting_seconds": rare.waiting_seconds,
    }
