"""The page of a comparison: one file, in Korean and English."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, Literal

import jinja2

from vivant.checks.checklist import group_title, title, unit_word, verdict_word
from vivant.compare.clips import ComparedClip, Comparison, LocalClip
from vivant.compare.failure_reasons import failure_reason
from vivant.compare.findings import Findings
from vivant.compare.recommendation import ALPHA, MATTERS, JudgedScore
from vivant.compare.sentences import heading, paragraph, price
from vivant.cost import money
from vivant.page_template import page_template
from vivant.types import Group
from vivant.web.theme import report_theme

EMBED_LIMIT: Final = 48_000_000
"""Bytes of all clips together that are put inside the page; above, they are linked beside it."""

_P_VALUE: Final = re.compile(r" \(p = [^)]*\)")
"""Behind each finding of a paragraph: who wants it opens the statistics."""

_MARKS: Final = {"pass": "✓", "warn": "!", "fail": "✕", "not_measured": "–"}
_GROUPS: Final[tuple[Group, ...]] = ("fidelity", "quality", "ai_feel", "delivery")


ClipsLocation = Literal["folder", "service", "gone"]
"""Where the clips are: beside the page, at a service, or nowhere any more."""


def render(
    comparison: Comparison,
    findings: Findings,
    *,
    home: ClipsLocation = "folder",
    embed: Callable[[ComparedClip], str] | None = None,
) -> str:
    """The page as text.

    Args:
        comparison: the clips; their sizes and links are asked for, and their bytes for ``embed``.
        findings: what they show.
        home: where the clips are.
        embed: returns a clip as base64, or a placeholder for it; None: read from disk.
    """
    plan = comparison.plan
    cells = [cell for cell in comparison.cells.values() if cell.clip.there]
    embedded = home != "gone" and sum(cell.clip.size for cell in cells) <= EMBED_LIMIT
    judged: Mapping[str, Mapping[str, JudgedScore]] = {
        r.variant: {score.name: score for score in r.judged} for r in findings.recommendations
    }
    return _template().render(
        plan=plan,
        comparison=comparison,
        findings=findings,
        advice=[
            {
                "found": r,
                "heading": heading(r, plan, findings),
                "text": (text := paragraph(r, plan, findings)),
                "plain": {code: _P_VALUE.sub("", words) for code, words in text.items()},
                "price": price(findings, r, plan),
            }
            for r in findings.recommendations
        ],
        tables=[
            {
                "variant": table.variant,
                "groups": [
                    (
                        group_title(group),
                        [
                            (
                                name,
                                unit,
                                pair,
                                judged[table.variant].get(name),
                                table.pictures[name],
                            )
                            for name, (g, unit, pair) in table.scores.items()
                            if g == group
                        ],
                    )
                    for group in _GROUPS
                ],
            }
            for table in findings.tables
        ],
        embedded=embedded,
        home=home,
        clips=((cell.key, (embed or _base64)(cell)) for cell in cells) if embedded else (),
        data=_data(comparison, embedded=embedded),
        alpha=ALPHA,
        matters=MATTERS,
    )


def _data(comparison: Comparison, *, embedded: bool) -> dict[str, Any]:
    """What the page's script needs to know."""
    plan = comparison.plan
    pairs = []
    for picture in comparison.pictures:
        for seed in plan.seeds:
            found = {
                v.name: _player(comparison.cells[v.name, picture.name, seed], embedded=embedded)
                for v in plan.variants
                if (v.name, picture.name, seed) in comparison.cells
            }
            if found:
                pairs.append({"picture": picture.name, "seed": seed, "clips": found})
    return {
        "title": dict(plan.title),
        "fps": float(plan.fps),
        "frames": plan.num_frames,
        "variants": [variant.name for variant in plan.variants],
        "words": {variant.name: plan.called(variant.name) for variant in plan.variants},
        "pairs": pairs,
    }


def _player(cell: ComparedClip, *, embedded: bool) -> dict[str, Any]:
    where = {} if embedded else {"src": cell.clip.link}
    told = {"key": cell.key, "verdict": cell.report["verdict"], "there": cell.clip.there}
    return {**told, **where}


def _base64(cell: ComparedClip) -> str:
    assert isinstance(cell.clip, LocalClip)  # noqa: S101 - others are given with `embed`
    return base64.b64encode(cell.clip.path.read_bytes()).decode("ascii")


def _number(value: float | None) -> str:
    """For people: three significant figures, and no more than five decimals."""
    if value is None:
        return "–"
    if 0 < abs(value) < 1e-4:
        return f"{value:.5f}"
    return f"{value:.0f}" if value == 0 or abs(value) >= 100 else f"{value:.3g}"


def _signed(value: float | None) -> str:
    if value is None:
        return "–"
    text = _number(abs(value))
    return text if value == 0 else ("+" if value > 0 else "−") + text


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


@cache
def _template() -> jinja2.Template:
    return page_template(
        "vivant.compare",
        "page.html.j2",
        filters={"number": _number, "signed": _signed, "p": _p},
        failure_reason=failure_reason,
        title=title,
        unit_word=unit_word,
        verdict_word=verdict_word,
        marks=_MARKS,
        money=money,
        theme=report_theme(),
    )
