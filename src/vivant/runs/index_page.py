"""The index page of a folder of clips, in Korean and English; it links the clips beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2

from vivant.checks.checklist import verdict_word
from vivant.checks.sentences import translated
from vivant.cost import money
from vivant.known_sentences import in_korean
from vivant.page_template import page_template
from vivant.video.files import COMPANIONS
from vivant.web.theme import report_theme

_MARKS = {"pass": "✓", "warn": "!", "fail": "✕", "not_measured": "–"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipEntry:
    """One clip of the page.

    Attributes:
        name: of the clip's file, without ``.mp4``.
        picture: shown where there is no clip.
        report: of the finished clip; None where there is none.
        reason: why there is no clip.
    """

    name: str
    picture: str
    report: Mapping[str, Any] | None
    reason: str = ""


def render(entries: Sequence[ClipEntry], title: str, *, of_seeds: bool = False) -> str:
    """The page as text, to stand in the folder of the clips.

    Args:
        entries: one per clip.
        title: heading.
        of_seeds: they are clips of one picture, without the tables of a batch.
    """
    reports = [entry.report for entry in entries if entry.report]
    bills = [report["bill"] for report in reports if report["bill"]]
    usd = sum(b["usd"] for b in bills)
    return _template().render(
        title=title,
        of_seeds=of_seeds,
        items=[_item(entry) for entry in entries],
        seconds=sum(report["seconds"] for report in reports),
        cost=money(usd * bills[0]["exchange_rate"], bills[0]["currency"]) if bills else None,
        counts={
            verdict: sum(report["verdict"] == verdict for report in reports) for verdict in _MARKS
        },
        failed=len(entries) - len(reports),
    )


def _item(entry: ClipEntry) -> dict[str, Any]:
    name, report = entry.name, entry.report
    bill = report["bill"] if report else None
    return {
        "name": name,
        "picture": entry.picture,
        "reason": {"en": entry.reason, "ko": in_korean(entry.reason)},
        "report": report,
        "cost": money(bill["amount"], bill["currency"]) if bill else None,
        "clip": quote(f"{name}.mp4"),
        "thumbnail": quote(f"{name}.{COMPANIONS['thumbnail']}"),
        "page": quote(f"{name}.{COMPANIONS['page']}"),
        "sheet": quote(f"{name}.{COMPANIONS['contact_sheet']}"),
        "troubles": [
            {"en": score["reason"], "ko": translated(score["reason"], "ko")}
            for score in (report["scores"] if report else [])
            if score["verdict"] == "fail"
        ],
    }


@cache
def _template() -> jinja2.Template:
    return page_template(
        "vivant.runs",
        "index.html.j2",
        verdict_word=verdict_word,
        marks=_MARKS,
        theme=report_theme(),
    )
