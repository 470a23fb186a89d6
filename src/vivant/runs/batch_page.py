"""The index page of a batch, in Korean and English. It links the clips that lie beside it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2

from vivant.checks.checklist import verdict_word
from vivant.cost import money
from vivant.runs.batch import Outcome
from vivant.video.files import COMPANIONS

_MARKS = {"pass": "✓", "warn": "!", "fail": "✕", "not_measured": "–"}


def render(outcomes: Sequence[Outcome], title: str, *, of_seeds: bool = False) -> str:
    """The page as text, to stand in the folder of the clips.

    Args:
        outcomes: of every clip.
        title: heading.
        of_seeds: they are clips of one picture, without the tables of a batch.
    """
    reports = [o.report for o in outcomes if o.report]
    bills = [report["bill"] for report in reports if report["bill"]]
    usd = sum(b["usd"] for b in bills)
    return _template().render(
        title=title,
        of_seeds=of_seeds,
        items=[_item(outcome) for outcome in outcomes],
        seconds=sum(report["seconds"] for report in reports),
        cost=money(usd * bills[0]["exchange_rate"], bills[0]["currency"]) if bills else None,
        counts={
            verdict: sum(report["verdict"] == verdict for report in reports) for verdict in _MARKS
        },
        failed=sum(o.state == "failed" for o in outcomes),
    )


def _item(outcome: Outcome) -> dict[str, Any]:
    name, report = outcome.row.name, outcome.report
    bill = report["bill"] if report else None
    return {
        "name": name,
        "picture": outcome.row.picture,
        "reason": outcome.reason,
        "report": report,
        "cost": money(bill["amount"], bill["currency"]) if bill else None,
        "clip": quote(f"{name}.mp4"),
        "thumbnail": quote(f"{name}.{COMPANIONS['thumbnail']}"),
        "page": quote(f"{name}.{COMPANIONS['page']}"),
        "sheet": quote(f"{name}.{COMPANIONS['contact_sheet']}"),
        "troubles": [s for s in report["scores"] if s["verdict"] == "fail"] if report else [],
    }


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("vivant.runs", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.globals.update(verdict_word=verdict_word, marks=_MARKS)
    return environment.get_template("batch.html.j2")
