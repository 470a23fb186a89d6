"""How often the rule of ``vivant compare`` is right: simulated variants of known effect.

``uv run bench/compare_power.py`` draws pairs for five deciding scores. Effects are in units of the
smallest difference that matters; ``spread`` is the standard deviation of a pair's difference in
the same unit. Under no effect the same evidence grows and is looked at three times, as users do.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from vivant.compare.recommendation import VariantEvidence, better_when, margin, recommend
from vivant.compare.statistics import paired
from vivant.types import Group

SCORES: tuple[tuple[str, Group], ...] = (
    ("identity_mean", "fidelity"),
    ("face_deformation", "fidelity"),
    ("flicker", "quality"),
    ("face_sharpness", "quality"),
    ("noise", "quality"),
)

CASES: tuple[tuple[str, dict[str, float], str], ...] = (
    ("sharper", {"face_sharpness": 4.0}, "use"),
    ("softer", {"face_sharpness": -4.0}, "keep"),
    ("sharper, less alike", {"face_sharpness": 4.0, "identity_mean": -4.0}, "keep"),
    ("sharper, noisier", {"face_sharpness": 4.0, "noise": -4.0}, "choose"),
)


def evidence(
    rng: np.random.Generator, gains: dict[str, np.ndarray], pairs: int
) -> list[VariantEvidence]:
    """The first ``pairs`` of what was drawn."""
    scores = {}
    for name, group in SCORES:
        side, gain = better_when(name), gains[name][:pairs]
        before = rng.normal(1, 0.2, len(gain))
        pair = paired(list(before), list(before + (gain if side == "higher" else -gain)), side)
        assert pair is not None
        scores[name] = (group, pair)
    return [VariantEvidence(variant="variant", scores=scores, pairs=pairs)]


def draw(
    rng: np.random.Generator, effects: dict[str, float], spread: float, pairs: int
) -> dict[str, np.ndarray]:
    """Gains of every score, in the score's unit."""
    return {
        name: margin(name) * (effects.get(name, 0.0) + rng.normal(0, spread, pairs))
        for name, _ in SCORES
    }


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=2000, help="simulated comparisons per row")
    count = parser.parse_args().n
    rng = np.random.default_rng(7)
    print(f"no effect, three looks (10, 20, 30 pairs), {count} comparisons: called a difference")
    for spread in (0.5, 1.5, 6.0):
        wrong = 0
        for _ in range(count):
            gains = draw(rng, {}, spread, 30)
            advice = {
                recommend(evidence(rng, gains, pairs), look)[0].advice
                for look, pairs in ((1, 10), (2, 20), (3, 30))
            }
            wrong += bool(advice & {"use", "keep", "choose"})
        print(f"  spread {spread:>3}: {100 * wrong / count:.2f} %   (bound 5 %)")
    print("known effect of four margins, spread 1: right answer by number of pairs")
    for title, effects, right in CASES:
        shares = []
        for pairs in (10, 20, 30, 40):
            found: Counter[str] = Counter(
                recommend(evidence(rng, draw(rng, effects, 1.0, pairs), pairs))[0].advice
                for _ in range(count)
            )
            shares.append(f"{pairs}: {100 * found[right] / count:.1f} %")
        print(f"  {title:<20} {right:<7} " + "  ".join(shares))


if __name__ == "__main__":
    main()
