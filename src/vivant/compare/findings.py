"""The numbers of the page: every variant's scores, time and cost against the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vivant.checks.limits import limits
from vivant.compare.clips import ComparedClip, Comparison, evidence_key
from vivant.compare.recommendation import (
    Recommendation,
    VariantEvidence,
    better_when,
    recommend,
    undecided,
)
from vivant.compare.statistics import Paired, paired
from vivant.types import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Time and money of one variant, medians over its clips.

    Attributes:
        amount: in ``currency``; None where the device has no rate.
    """

    clips: int
    seconds: float
    amount: float | None
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """Every score of one variant against the baseline.

    Attributes:
        scores: name → group, unit and paired values, in the report's order.
        pictures: score → (pictures in which the variant's median is better, all pictures).
    """

    variant: str
    scores: Mapping[str, tuple[Group, str, Paired]]
    pictures: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything the page says.

    Attributes:
        look: how many times the question has been evaluated, this time included; from 1.
        evidence: :func:`vivant.compare.clips.evidence_key` of the clips.
        seconds: median difference in seconds per clip, by variant.
        amounts: median difference in cost per clip, by variant, in the currency of ``spending``.
        planned: pairs of each variant if no clip fails.
        pictures: pictures of which there is a clip.
    """

    look: int
    evidence: str
    tables: tuple[ScoreTable, ...]
    spending: Mapping[str, Spending]
    seconds: Mapping[str, float]
    amounts: Mapping[str, float]
    recommendations: tuple[Recommendation, ...]
    pictures: int
    planned: int = 0


def evaluate(
    comparison: Comparison, earlier: Sequence[str] = (), *, final: bool = True
) -> Findings:
    """Compare every variant with the baseline.

    Args:
        comparison: the clips.
        earlier: :func:`evidence_key` of earlier pages of this folder, oldest first; looking again
            at the same clips does not count as another look.
        final: no clip of this plan is still being made; before that nothing is decided.
    """
    plan = comparison.plan
    key = evidence_key((cell.key for cell in comparison.cells.values()), plan.judged)
    look = [*earlier].index(key) + 1 if key in earlier else len(earlier) + 1
    tables, evidence = [], []
    seconds: dict[str, float] = {}
    amounts: dict[str, float] = {}
    for variant in plan.variants[1:]:
        pairs = list(comparison.pairs(variant.name))
        table = _table(variant.name, pairs)
        tables.append(table)
        evidence.append(
            VariantEvidence(
                variant=variant.name,
                scores={
                    name: (table.scores[name][0], table.scores[name][2])
                    for name in plan.judged
                    if name in table.scores
                },
                pairs=len(pairs),
                identical=sum(_same(a, b) for a, b in pairs),
                fails=(
                    sum(_fails(before) for before, _ in pairs),
                    sum(_fails(after) for _, after in pairs),
                ),
            )
        )
        if pairs:
            seconds[variant.name] = float(
                np.median([b.report["seconds"] - a.report["seconds"] for a, b in pairs])
            )
            costs = [
                b.report["bill"]["usd"] - a.report["bill"]["usd"]
                for a, b in pairs
                if a.report["bill"] and b.report["bill"]
            ]
            if costs:
                amounts[variant.name] = float(np.median(costs)) * currency(comparison)[1]
    return Findings(
        look=look,
        evidence=key,
        tables=tuple(tables),
        spending={v.name: _spending(comparison, v.name) for v in plan.variants},
        seconds=seconds,
        amounts=amounts,
        recommendations=recommend(evidence, look) if final else undecided(evidence),
        pictures=len({cell.picture for cell in comparison.cells.values()}),
        planned=len(comparison.pictures) * len(plan.seeds),
    )


def scores_of(cell: ComparedClip) -> dict[str, dict[str, Any]]:
    """Scores of a clip's report by name."""
    return {score["name"]: score for score in cell.report["scores"]}


def _table(variant: str, pairs: Sequence[tuple[ComparedClip, ComparedClip]]) -> ScoreTable:
    values: dict[str, list[tuple[str, float, float]]] = {}
    about: dict[str, tuple[Group, str]] = {}
    for before, after in pairs:
        first, second = scores_of(before), scores_of(after)
        for name in first:
            if name not in limits() or name not in second:
                continue
            a, b = first[name]["value"], second[name]["value"]
            if isinstance(a, int | float) and isinstance(b, int | float):
                values.setdefault(name, []).append((before.picture, float(a), float(b)))
                about[name] = (first[name]["group"], first[name]["unit"])
    scores: dict[str, tuple[Group, str, Paired]] = {}
    pictures: dict[str, tuple[int, int]] = {}
    for name, rows in values.items():
        pair = paired([a for _, a, _ in rows], [b for _, _, b in rows], better_when(name))
        if pair is not None:
            scores[name] = (*about[name], pair)
            pictures[name] = _by_picture(rows, higher=pair.better == "higher")
    return ScoreTable(variant=variant, scores=scores, pictures=pictures)


def _by_picture(rows: Sequence[tuple[str, float, float]], *, higher: bool) -> tuple[int, int]:
    """``(pictures whose median difference is a gain, pictures)``."""
    names = dict.fromkeys(name for name, _, _ in rows)
    gains = [float(np.median([b - a for n, a, b in rows if n == name])) for name in names]
    return sum(gain > 0 if higher else gain < 0 for gain in gains), len(names)


def _spending(comparison: Comparison, variant: str) -> Spending:
    cells = [cell for cell in comparison.cells.values() if cell.variant == variant]
    bills = [cell.report["bill"] for cell in cells if cell.report["bill"]]
    return Spending(
        clips=len(cells),
        seconds=float(np.median([c.report["seconds"] for c in cells])) if cells else 0.0,
        amount=(
            float(np.median([b["usd"] for b in bills])) * currency(comparison)[1] if bills else None
        ),
        currency=currency(comparison)[0],
    )


def currency(comparison: Comparison) -> tuple[str, float]:
    """The first bill's currency and its units per US dollar: clips may be billed in several."""
    for cell in comparison.cells.values():
        bill = cell.report["bill"]
        if bill:
            return str(bill["currency"]), float(bill["exchange_rate"])
    return "USD", 1.0


def _fails(cell: ComparedClip) -> bool:
    return any(
        score["group"] == "fidelity" and score["verdict"] == "fail"
        for score in cell.report["scores"]
    )


def _same(first: ComparedClip, second: ComparedClip) -> bool:
    """The same clip, apart from its signature, of which no two are alike."""
    contents = [
        (clip.report.get("credentials") or {}).get("content_sha256") for clip in (first, second)
    ]
    if all(contents):
        return contents[0] == contents[1]
    one, other = first.clip, second.clip
    return one.size == other.size and one.sha256 == other.sha256 != ""
