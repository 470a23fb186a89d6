"""The rule that turns paired differences into a recommendation. The page prints it.

1. The scores that decide are chosen beforehand; all of them, of all variants, are judged together.
2. A score is *better* or *worse* where the sign test, corrected by Holm, is at most α and the
   median difference is at least 5 % of the check's limit; it is *the same* where the whole 95 %
   interval is smaller than that; otherwise it is *unclear*.
3. Each look at more clips spends half of what is left: α is 0.05 / 2^look. All looks together
   err at most once in twenty.
4. Fidelity first: a variant that is worse in a fidelity score is not used, whatever else it is
   better at; one that fails more fidelity checks, or is not yet shown to be as faithful, is not
   recommended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vivant.checks.limits import limits
from vivant.compare.statistics import (
    MOST_PAIRS,
    BetterWhen,
    Paired,
    fewest_pairs,
    holm,
    pairs_needed,
)
from vivant.types import Group

ALPHA = 0.05
"""Chance of any false "better" or "worse" on the page where there is no difference at all."""

MATTERS = 0.05
"""Share of a check's limit below which a difference does not matter."""

ScoreFinding = Literal["better", "worse", "same", "unclear"]

Advice = Literal["use", "keep", "choose", "same", "more", "identical", "nothing", "wait"]
"""use the variant, keep the baseline, a trade-off, no difference that matters, run more,
the clips are identical, no score could be measured, clips are still being made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedScore:
    """One score that decides.

    Attributes:
        p: sign test, corrected for all scores of all variants.
        margin: smallest difference that matters, in the score's unit.
    """

    name: str
    group: Group
    paired: Paired
    p: float
    margin: float
    finding: ScoreFinding


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """What to do about one variant.

    Attributes:
        judged: the deciding scores that could be measured.
        more: how many more pairs to run; 0 unless ``advice`` is ``more``.
        blocked: the variant is better, but not shown to be as faithful.
        early: too few pairs for a forecast; ``more`` is the fewest that can prove anything.
        fails: clips with a failed fidelity check: baseline's, variant's.
    """

    variant: str
    advice: Advice
    judged: tuple[JudgedScore, ...]
    pairs: int
    more: int = 0
    blocked: bool = False
    early: bool = False
    fails: tuple[int, int] = (0, 0)

    def found(self, finding: ScoreFinding) -> tuple[JudgedScore, ...]:
        """Scores of one finding."""
        return tuple(score for score in self.judged if score.finding == finding)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantEvidence:
    """What one variant's clips show beside the baseline's.

    Attributes:
        scores: deciding score → group and paired values; only those that were measured.
        pairs: picture and seed pairs of which both clips exist.
        identical: pairs of which both clips are the same, byte for byte before they were signed.
        fails: clips with a failed fidelity check: baseline's, variant's.
    """

    variant: str
    scores: Mapping[str, tuple[Group, Paired]]
    pairs: int
    identical: int = 0
    fails: tuple[int, int] = (0, 0)


def better_when(name: str) -> BetterWhen:
    """Which way a score gets better: away from its limit."""
    return "higher" if limits()[name].side == "below" else "lower"


def margin(name: str) -> float:
    """Smallest difference that matters: :data:`MATTERS` of the limit at which the check fails."""
    limit = limits()[name]
    value = limit.fail if limit.fail is not None else limit.warn
    return MATTERS * abs(value) if value else 0.0


def level(look: int) -> float:
    """α of the ``look``-th look at growing evidence, counted from 1: they add up to 0.05."""
    return ALPHA / 2.0**look


def recommend(evidence: Sequence[VariantEvidence], look: int = 1) -> tuple[Recommendation, ...]:
    """One recommendation per variant, by the rule above."""
    alpha = level(look)
    tests = [(e.variant, name) for e in evidence for name in e.scores]
    raw = [e.scores[name][1].p for e in evidence for name in e.scores]
    adjusted = dict(zip(tests, holm(raw), strict=True))
    return tuple(
        _decide(
            e,
            tuple(
                _judge(name, group, pair, adjusted[e.variant, name], alpha)
                for name, (group, pair) in e.scores.items()
            ),
            # what the next look will have for the smallest p of the whole page
            level(look + 1) / max(1, len(tests)),
        )
        for e in evidence
    )


def undecided(evidence: Sequence[VariantEvidence]) -> tuple[Recommendation, ...]:
    """For clips that are still being made: judging at every look would err far too often."""
    return tuple(
        Recommendation(variant=e.variant, advice="wait", judged=(), pairs=e.pairs, fails=e.fails)
        for e in evidence
    )


def _judge(name: str, group: Group, pair: Paired, p: float, alpha: float) -> JudgedScore:
    enough = margin(name)
    interval = pair.gain_interval
    finding: ScoreFinding = "unclear"
    if interval is not None and -enough < interval[0] and interval[1] < enough:
        finding = "same"
    elif p <= alpha and abs(pair.gain) >= enough:
        finding = "better" if pair.wins > pair.losses else "worse"
    return JudgedScore(name=name, group=group, paired=pair, p=p, margin=enough, finding=finding)


def _decide(
    e: VariantEvidence, judged: tuple[JudgedScore, ...], next_alpha: float
) -> Recommendation:
    found = {score.finding for score in judged}
    fidelity = [score for score in judged if score.group == "fidelity"]
    advice: Advice
    blocked = False
    if not e.pairs:
        advice = "nothing"
    elif e.identical == e.pairs:
        advice = "identical"
    elif not judged:
        advice = "nothing"
    elif any(score.finding == "worse" for score in fidelity):
        advice = "keep"
    elif "worse" in found:
        advice = "choose" if "better" in found else "keep"
    elif "better" in found and e.fails[1] > e.fails[0]:
        advice = "choose"
    elif "better" in found:
        blocked = not all(map(_no_worse, fidelity))
        advice = "more" if blocked else "use"
    elif found == {"same"}:
        advice = "same"
    else:
        advice = "more"
    return Recommendation(
        variant=e.variant,
        advice=advice,
        judged=judged,
        pairs=e.pairs,
        more=_more(e.pairs, judged, next_alpha) if advice == "more" else 0,
        blocked=blocked,
        early=advice == "more" and e.pairs < fewest_pairs(next_alpha),
        fails=e.fails,
    )


def _no_worse(score: JudgedScore) -> bool:
    """Whether the interval excludes a loss that matters."""
    interval = score.paired.gain_interval
    return interval is not None and interval[0] > -score.margin


def _more(pairs: int, judged: Sequence[JudgedScore], alpha: float) -> int:
    """Pairs still to run until the first unclear score is likely to be settled."""
    if pairs < fewest_pairs(alpha):
        return fewest_pairs(alpha) - pairs
    wanted = [MOST_PAIRS]
    for score in judged:
        if score.finding != "unclear":
            continue
        pair = score.paired
        decided = pair.wins + pair.losses
        # one win and one loss are added: the share of a few pairs is not reliable
        share = (max(pair.wins, pair.losses) + 1) / (decided + 2)
        if abs(pair.gain) >= score.margin:
            wanted.append(pairs_needed(round(share, 3), alpha))
        interval = pair.gain_interval
        if interval is not None and abs(pair.gain) < score.margin:
            # the interval shrinks with the root of the pairs
            reach = max(interval[1] - pair.gain, pair.gain - interval[0])
            room = score.margin - abs(pair.gain)
            wanted.append(int(pairs * (reach / room) ** 2) + 1)
    return max(1, min(min(wanted), MOST_PAIRS) - pairs)
