"""Writes ``compare.json`` and ``compare.csv``."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from vivant.compare.clips import ComparedClip, Comparison
from vivant.compare.findings import Findings, scores_of
from vivant.compare.sentences import heading, paragraph, price
from vivant.report import plain, spreadsheet_text

SCHEMA_VERSION = 1

JSON_NAME, CSV_NAME, PAGE_NAME = "compare.json", "compare.csv", "compare.html"


def earlier_looks(folder: Path) -> tuple[str, ...]:
    """Evidence keys of the pages that were written into this folder before, oldest first."""
    try:
        looks = json.loads((folder / JSON_NAME).read_text("utf-8"))["looks"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(str(look) for look in looks) if isinstance(looks, list) else ()


def as_json(comparison: Comparison, findings: Findings, looks: tuple[str, ...]) -> dict[str, Any]:
    """Everything, as plain values."""
    plan = comparison.plan
    judged = {r.variant: {j.name: j for j in r.judged} for r in findings.recommendations}
    return {
        "schema_version": SCHEMA_VERSION,
        "title": plan.title["en"],
        "titles": dict(plan.title),
        "plan": plain(plan),
        "pictures": [{"name": p.name, "sha256": p.sha256} for p in comparison.pictures],
        "failures": plain(comparison.failures),
        "look": findings.look,
        "looks": list(looks),
        "recommendations": [
            {
                "variant": r.variant,
                "advice": r.advice,
                "more": r.more,
                "pairs": r.pairs,
                "fidelity_fails": list(r.fails),
                "heading": dict(heading(r, plan, findings)),
                "text": dict(paragraph(r, plan, findings)),
                "price": dict(price(findings, r, plan)),
            }
            for r in findings.recommendations
        ],
        "scores": [
            {
                "variant": table.variant,
                "score": name,
                "group": group,
                "unit": unit,
                **plain(pair),
                "pictures_better": table.pictures[name][0],
                "pictures": table.pictures[name][1],
                "p_corrected": judged[table.variant][name].p
                if name in judged[table.variant]
                else None,
                "finding": judged[table.variant][name].finding
                if name in judged[table.variant]
                else None,
            }
            for table in findings.tables
            for name, (group, unit, pair) in table.scores.items()
        ],
        "spending": plain(findings.spending),
        "clips": [_clip(cell) for cell in comparison.cells.values()],
    }


def _clip(cell: ComparedClip) -> dict[str, Any]:
    bill = cell.report["bill"]
    return {
        "variant": cell.variant,
        "picture": cell.picture,
        "seed": cell.seed,
        "clip": cell.clip.link,
        "verdict": cell.report["verdict"],
        "seconds": cell.report["seconds"],
        "amount": bill["amount"] if bill else None,
        "currency": bill["currency"] if bill else None,
        "scores": {
            name: score["value"]
            for name, score in scores_of(cell).items()
            if score["group"] != "performance"
        },
    }


def as_csv(comparison: Comparison) -> str:
    """One row per clip: what it is, what it took, every score."""
    rows = [_clip(cell) for cell in comparison.cells.values()]
    names = list(dict.fromkeys(name for row in rows for name in row["scores"]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ("variant", "picture", "seed", "clip", "verdict", "seconds", "amount", "currency")
    writer.writerow([*head, *names])
    for row in rows:
        writer.writerow(
            [spreadsheet_text(row[name]) for name in head]
            + [row["scores"].get(name) for name in names]
        )
    return out.getvalue()
