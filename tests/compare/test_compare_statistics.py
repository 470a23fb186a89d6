"""Paired statistics against SciPy and against counting, and the rule against known truths."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from vivant.compare.clips import Failure
from vivant.compare.failure_reasons import failure_reason
from vivant.compare.recommendation import (
    Recommendation,
    VariantEvidence,
    better_when,
    level,
    margin,
    recommend,
)
from vivant.compare.statistics import (
    MOST_PAIRS,
    POWER,
    fewest_pairs,
    holm,
    median_interval,
    paired,
    pairs_needed,
    sign_test,
)
from vivant.types import Group

NAMES: tuple[tuple[str, Group], ...] = (
    ("identity_mean", "fidelity"),
    ("face_deformation", "fidelity"),
    ("flicker", "quality"),
    ("face_sharpness", "quality"),
    ("noise", "quality"),
)


def test_the_sign_test_counts_coin_tosses() -> None:
    assert sign_test(17, 3) == pytest.approx(0.002577, abs=1e-6)  # the example of the README
    for pairs in range(1, 9):
        tosses = list(itertools.product((0, 1), repeat=pairs))
        for wins in range(pairs + 1):
            lopsided = sum(abs(sum(t) - pairs / 2) >= abs(wins - pairs / 2) for t in tosses)
            assert sign_test(wins, pairs - wins) == pytest.approx(lopsided / len(tosses))
    assert sign_test(0, 0) == 1.0


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_pair_agrees_with_scipy(differences: list[float]) -> None:
    before = np.arange(len(differences), dtype=float)
    after = before + np.asarray(differences)
    moved = after - before
    found = paired(list(before), list(after), "higher")
    assert found is not None
    wins, losses = int((moved > 0).sum()), int((moved < 0).sum())
    assert (found.wins, found.losses, found.ties) == (
        wins, losses, len(moved) - wins - losses
    )  # fmt: skip
    if wins + losses:
        assert found.p == pytest.approx(stats.binomtest(wins, wins + losses).pvalue)
    assert found.difference == pytest.approx(float(np.median(moved)))
    mirrored = paired(list(before), list(after), "lower")
    assert mirrored is not None
    assert (mirrored.wins, mirrored.losses) == (losses, wins)
    assert mirrored.gain == -found.gain


def test_the_interval_holds_the_median_as_often_as_it_says() -> None:
    """Order statistics by counting: X(k) … X(n+1−k) misses with 2·P(Bin(n, ½) < k)."""
    assert median_interval([1.0, 2, 3, 4, 5]) == (None, None)
    values = np.random.default_rng(6).normal(0, 1, 17)
    expected = stats.quantile_test(values, q=0, p=0.5).confidence_interval(0.95)
    assert median_interval(values) == (expected.low, expected.high)
    for pairs in (6, 9, 20, 41):
        values = np.arange(pairs, dtype=float)
        low, high = median_interval(values)
        assert low is not None
        assert high is not None
        kept = (values >= low) & (values <= high)
        outside = int((pairs - kept.sum()) / 2)
        assert 2 * stats.binom.cdf(outside, pairs, 0.5) <= 0.05
        assert 2 * stats.binom.cdf(outside + 2, pairs, 0.5) > 0.05


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_by_its_definition(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    order = np.argsort(p_values, kind="stable")
    for alpha in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, index in enumerate(order):  # step down until the first that is too large
            if p_values[index] * (len(p_values) - rank) > alpha:
                break
            rejected.add(int(index))
        assert {i for i, p in enumerate(adjusted) if p <= alpha} == rejected
    assert all(a >= p for a, p in zip(adjusted, p_values, strict=True))


def test_pairs_needed_have_the_power_they_promise() -> None:
    for share, alpha in ((0.95, 0.01), (0.8, 0.005), (0.65, 0.025)):
        pairs = pairs_needed(share, alpha)
        power = sum(
            stats.binom.pmf(wins, pairs, share)
            for wins in range(pairs + 1)
            if stats.binomtest(wins, pairs).pvalue <= alpha and wins > pairs / 2
        )
        assert power >= POWER
    assert pairs_needed(0.5, 0.01) == MOST_PAIRS
    for alpha in (0.05, 0.0125, 0.005):
        assert sign_test(fewest_pairs(alpha), 0) <= alpha < sign_test(fewest_pairs(alpha) - 1, 0)


def test_all_looks_together_spend_one_twentieth() -> None:
    assert math.fsum(level(look) for look in range(1, 60)) == pytest.approx(0.05)


def simulated(
    rng: np.random.Generator, pairs: int, effects: dict[str, float], spread: float, look: int = 1
) -> Recommendation:
    """A variant whose scores differ by ``effects``, in units of what matters."""
    scores = {}
    for name, group in NAMES:
        side, unit = better_when(name), margin(name)
        before = rng.normal(1, 0.2, pairs)
        gain = unit * (effects.get(name, 0.0) + rng.normal(0, spread, pairs))
        pair = paired(list(before), list(before + (gain if side == "higher" else -gain)), side)
        assert pair is not None
        scores[name] = (group, pair)
    return recommend([VariantEvidence(variant="b", scores=scores, pairs=pairs)], look)[0]


@pytest.mark.parametrize("spread", [1.5, 6.0])
def test_no_effect_is_seldom_taken_for_one(spread: float) -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(150):
        # the same evidence growing, looked at three times: any false call counts
        advice = {
            simulated(rng, pairs, {}, spread, look).advice
            for look, pairs in ((1, 10), (2, 20), (3, 30))
        }
        wrong += bool(advice & {"use", "keep", "choose"})
    assert wrong / 150 <= 0.05


@pytest.mark.parametrize(
    ("effects", "advice"),
    [
        ({"face_sharpness": 4.0}, "use"),
        ({"face_sharpness": -4.0}, "keep"),
        ({"face_sharpness": 4.0, "identity_mean": -4.0}, "keep"),
        ({"face_sharpness": 4.0, "noise": -4.0}, "choose"),
    ],
)
def test_a_known_effect_is_found(effects: dict[str, float], advice: str) -> None:
    rng = np.random.default_rng(2)
    right = sum(simulated(rng, 40, effects, 1.0).advice == advice for _ in range(100))
    assert right >= 95


def test_no_difference_is_said_when_it_is_shown() -> None:
    rng = np.random.default_rng(3)
    right = sum(simulated(rng, 40, {}, 0.5).advice == "same" for _ in range(100))
    assert right >= 95


def test_few_pairs_ask_for_more() -> None:
    found = simulated(np.random.default_rng(4), 4, {"face_sharpness": 5.0}, 0.5)
    assert found.advice == "more"
    assert 5 <= found.more <= 30  # nine in all are the least that can convince five scores


def one_score(name: str, group: Group, differences: list[float], **about: int) -> Recommendation:
    pair = paired([1.0] * len(differences), [1.0 + d for d in differences], better_when(name))
    assert pair is not None
    fails = (about.get("before", 0), about.get("after", 0))
    return recommend(
        [
            VariantEvidence(
                variant="b",
                scores={name: (group, pair)},
                pairs=len(differences),
                identical=about.get("identical", 0),
                fails=fails,
            )
        ]
    )[0]


def test_special_findings() -> None:
    sharper = [0.2 + i / 100 for i in range(12)]
    assert one_score("face_sharpness", "quality", sharper).advice == "use"
    # sharper, but more clips fail a fidelity check: not recommended
    assert one_score("face_sharpness", "quality", sharper, after=3).advice == "choose"
    # significant and too small to matter
    assert one_score("face_sharpness", "quality", [1e-4] * 12).advice == "same"
    assert one_score("face_sharpness", "quality", [0.0] * 12, identical=12).advice == "identical"
    assert recommend([VariantEvidence(variant="b", scores={}, pairs=0)])[0].advice == "nothing"


def test_unpaired_values_are_refused() -> None:
    assert paired([], [], "higher") is None
    with pytest.raises(ValueError, match="pairs are needed"):
        paired([1.0], [1.0, 2.0], "higher")


@pytest.mark.parametrize(
    ("variant", "reason", "korean"),
    [
        ("", "is the same picture as {a}.jpg", "{a}.jpg 사진과 같은 사진입니다."),
        ("", "cannot be read: Permission denied", "파일을 읽을 수 없습니다 (Permission denied)."),
        ("b", "cancelled on request", "만들기를 취소했습니다."),
        ("b", "the clip was deleted", "영상이 삭제되었습니다."),
        ("", "a.jpg is empty", "이 사진은 쓸 수 없습니다. 자세한 내용: a.jpg is empty"),
        ("b", "engine {x} failed", "이 영상은 만들지 못했습니다. 자세한 내용: engine {x} failed"),
    ],
)
def test_reasons_of_failures_are_korean_too(variant: str, reason: str, korean: str) -> None:
    told = failure_reason(Failure("a.jpg", variant, 0, reason))
    assert told == {"en": reason, "ko": korean}
