"""Statistics of paired differences.

A pair is one picture and seed, made by two variants. The sign test only asks which of the two is
better, so it needs no assumption about the distribution of the differences. The interval of the
median difference is the one that belongs to the sign test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import stats

BetterWhen = Literal["higher", "lower"]
"""Which way a score gets better."""

CONFIDENCE = 0.95
"""Of the intervals of the median difference."""

POWER = 0.8
"""Probability that "run N more" is enough, if the share of wins stays the same."""

MOST_PAIRS = 400
"""Most pairs that are ever asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """One score over all pairs: variant minus baseline.

    Attributes:
        pairs: where both clips were measured.
        baseline: median of the baseline's values.
        variant: median of the variant's values.
        difference: median of the differences, in the score's unit.
        low: of the 95 % interval of that median; None where there are too few pairs (< 6).
        high: of the same interval.
        wins: pairs in which the variant is better.
        losses: pairs in which it is worse; the rest are ties and are not counted.
        p: two-sided sign test, uncorrected.
    """

    better: BetterWhen
    pairs: int
    baseline: float
    variant: float
    difference: float
    low: float | None
    high: float | None
    wins: int
    losses: int
    p: float

    @property
    def ties(self) -> int:
        """Pairs with equal values."""
        return self.pairs - self.wins - self.losses

    @property
    def gain(self) -> float:
        """The median difference, positive where the variant is better."""
        return self.difference if self.better == "higher" else -self.difference

    @property
    def gain_interval(self) -> tuple[float, float] | None:
        """The interval of :attr:`gain`."""
        if self.low is None or self.high is None:
            return None
        if self.better == "higher":
            return self.low, self.high
        return -self.high, -self.low


def paired(
    baseline: Sequence[float], variant: Sequence[float], better: BetterWhen
) -> Paired | None:
    """Compare two lists of values, pair by pair; None where there is no pair.

    Args:
        baseline: values of the baseline's clips.
        variant: values of the variant's clips, in the same order.
        better: which way the score gets better.
    """
    before = np.asarray(baseline, dtype=np.float64)
    after = np.asarray(variant, dtype=np.float64)
    if before.shape != after.shape:
        raise ValueError(f"{len(before)} values against {len(after)}: pairs are needed")
    if not len(before):
        return None
    difference = after - before
    gain = difference if better == "higher" else -difference
    wins, losses = int((gain > 0).sum()), int((gain < 0).sum())
    low, high = median_interval(difference)
    return Paired(
        better=better,
        pairs=len(before),
        baseline=float(np.median(before)),
        variant=float(np.median(after)),
        difference=float(np.median(difference)),
        low=low,
        high=high,
        wins=wins,
        losses=losses,
        p=sign_test(wins, losses),
    )


@lru_cache(maxsize=4096)
def sign_test(wins: int, losses: int) -> float:
    """Two-sided p of as lopsided a result if both were equally good; 1 without a decision."""
    if wins + losses == 0:
        return 1.0
    return float(stats.binomtest(wins, wins + losses).pvalue)


def median_interval(values: Sequence[float] | np.ndarray) -> tuple[float | None, float | None]:
    """95 % interval of the median from order statistics, as ``scipy.stats.quantile_test`` has it.

    ``(None, None)`` for fewer than six values: no two of them enclose the median that often.
    """
    ranks = _interval_ranks(len(values))
    if ranks is None:
        return None, None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return float(ordered[ranks[0]]), float(ordered[ranks[1]])


@lru_cache(maxsize=4096)
def _interval_ranks(count: int) -> tuple[int, int] | None:
    """Which of ``count`` ordered values bound the interval: the ranks depend on nothing else."""
    test = stats.quantile_test(np.arange(count, dtype=np.float64), q=0, p=0.5)
    low, high = test.confidence_interval(CONFIDENCE)
    return (int(low), int(high)) if math.isfinite(low) and math.isfinite(high) else None


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p-values, in the order given (S. Holm, Scand. J. Statist. 6, 1979).

    Calling "different" whatever is ≤ α errs in any one of them at most with probability α.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)


def fewest_pairs(alpha: float) -> int:
    """Fewest pairs that can be significant, if all go one way: 2 · ½ⁿ ≤ α."""
    return max(1, math.ceil(1 - math.log2(alpha)))


@lru_cache(maxsize=4096)
def pairs_needed(share: float, alpha: float) -> int:
    """Pairs at which the sign test settles it with probability :data:`POWER`.

    Args:
        share: of decided pairs that go one way, 0 … 1; the larger side counts.
        alpha: level of the single test.

    Returns:
        :data:`MOST_PAIRS` where that many would not be enough.
    """
    pairs = np.arange(fewest_pairs(alpha), MOST_PAIRS)
    # fewest wins that are significant: 2·P(X ≥ k) ≤ α
    wins = stats.binom.isf(alpha / 2, pairs, 0.5) + 1
    enough = stats.binom.sf(wins - 1, pairs, max(share, 1 - share)) >= POWER
    return int(pairs[enough.argmax()]) if enough.any() else MOST_PAIRS
