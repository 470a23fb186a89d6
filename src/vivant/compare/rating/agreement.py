"""Judgements held against scores: which check sees what the person sees, and which does not.

A check *sees* a difference if its two values lie at least 5 % of its limit apart, the smallest
difference that matters to :mod:`vivant.compare.recommendation`. A pair counts as agreement or
disagreement only if both the person and the check prefer a side. The interval of the share is the
exact one (Clopper and Pearson, Biometrika 26, 1934).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from scipy import stats

from vivant.checks.limits import limits
from vivant.compare.rating.journal import Judgement
from vivant.compare.rating.pairs import ClipPair
from vivant.compare.recommendation import ALPHA, better_when, margin
from vivant.compare.statistics import CONFIDENCE, holm, sign_test

FEWEST = 6
"""A check needs this many pairs to be called disagreeing: 95 % confidence needs six."""

AgreementFinding = Literal["agrees", "disagrees", "unclear", "few"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One check against the person.

    Attributes:
        agreed: pairs in which both prefer the same side.
        disagreed: pairs in which they prefer different sides.
        unseen: pairs in which the person prefers a side and the check sees no difference.
        extra: pairs in which the check sees a difference and the person does not.
        share: of ``agreed`` in agreed and disagreed; None where there is none.
        low: of the 95 % interval of that share.
        high: of the same interval.
        p: against tossing a coin, two-sided, corrected by Holm for all checks.
    """

    name: str
    agreed: int
    disagreed: int
    unseen: int
    extra: int
    share: float | None
    low: float | None
    high: float | None
    p: float
    finding: AgreementFinding

    @property
    def decided(self) -> int:
        """Pairs in which both prefer a side."""
        return self.agreed + self.disagreed


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """How often the person preferred ``second`` to ``first``."""

    first: str
    second: str
    wins: int
    losses: int
    ties: int
    p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingResults:
    """All results.

    Attributes:
        judged: pairs with a judgement.
        pairs: all pairs.
        looked: judgements given after a look at the results.
        pictures: different pictures among the judged pairs.
        at_a: share of decided judgements for the side that stood at A; far from a half means a
            habit, not a preference.
        agreements: least agreement first; those that rest on few pairs last.
        worst: the check that disagrees most; None where no check rests on :data:`FEWEST` pairs or
            none disagrees at all.
    """

    judged: int
    pairs: int
    looked: int
    pictures: int
    at_a: float | None
    preferences: tuple[Preference, ...]
    agreements: tuple[Agreement, ...]
    worst: str | None


def verdicts(pairs: Sequence[ClipPair], judgements: Mapping[str, Judgement]) -> RatingResults:
    """Set the judgements against the scores."""
    said = [(pair, judgements[pair.id]) for pair in pairs if pair.id in judgements]
    counted = [(name, _count(name, said)) for name in limits()]
    counted = [(name, count) for name, count in counted if any(count)]
    corrected = holm([sign_test(count[0], count[1]) for _, count in counted])
    agreements = sorted(
        (_agreement(name, count, p) for (name, count), p in zip(counted, corrected, strict=True)),
        key=lambda a: (a.finding == "few", 1.0 if a.share is None else a.share, -a.decided),
    )
    worst = agreements[0] if agreements else None
    decided = [j for _, j in said if j.answer != "tie"]
    return RatingResults(
        judged=len(said),
        pairs=len(pairs),
        looked=sum(j.looked for _, j in said),
        pictures=len({pair.picture for pair, _ in said}),
        at_a=(
            sum((j.answer == "second") == (j.a == 1) for j in decided) / len(decided)
            if decided
            else None
        ),
        preferences=_preferences(said),
        agreements=tuple(agreements),
        worst=worst.name if worst and worst.finding != "few" and worst.disagreed else None,
    )


def _count(name: str, said: Sequence[tuple[ClipPair, Judgement]]) -> tuple[int, int, int, int]:
    """Agreed, disagreed, unseen, extra."""
    agreed = disagreed = unseen = extra = 0
    sign = 1 if better_when(name) == "higher" else -1
    for pair, judgement in said:
        first, second = (side.scores.get(name) for side in pair.sides)
        if first is None or second is None:
            continue
        gain = sign * (second - first)
        sees = gain != 0 and abs(gain) >= margin(name)
        if judgement.answer == "tie":
            extra += sees
        elif not sees:
            unseen += 1
        elif (gain > 0) == (judgement.answer == "second"):
            agreed += 1
        else:
            disagreed += 1
    return agreed, disagreed, unseen, extra


def _agreement(name: str, count: tuple[int, int, int, int], p: float) -> Agreement:
    agreed, disagreed, unseen, extra = count
    total = agreed + disagreed
    share = low = high = None
    if total:
        share = agreed / total
        interval = stats.binomtest(agreed, total).proportion_ci(CONFIDENCE, "exact")
        low, high = float(interval.low), float(interval.high)
    finding: AgreementFinding = "unclear"
    if total < FEWEST:
        finding = "few"
    elif p <= ALPHA:
        finding = "agrees" if agreed > disagreed else "disagrees"
    return Agreement(
        name=name, agreed=agreed, disagreed=disagreed, unseen=unseen, extra=extra, share=share,
        low=low, high=high, p=p, finding=finding,
    )  # fmt: skip


def _preferences(said: Sequence[tuple[ClipPair, Judgement]]) -> tuple[Preference, ...]:
    groups: dict[tuple[str, str], list[str]] = {}
    for pair, judgement in said:
        names = (pair.sides[0].name, pair.sides[1].name)
        groups.setdefault(names, []).append(judgement.answer)
    return tuple(
        Preference(
            first=first,
            second=second,
            wins=answers.count("second"),
            losses=answers.count("first"),
            ties=answers.count("tie"),
            p=sign_test(answers.count("second"), answers.count("first")),
        )
        for (first, second), answers in groups.items()
    )
