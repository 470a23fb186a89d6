"""``batch.json`` and ``batch.csv``: one entry per row, with the bill."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from vivant.report import spreadsheet_text
from vivant.runs.batch import RowOutcome

SCHEMA_VERSION = 1

_COLUMNS = ("row", "picture", "clip", "state", "verdict", "seconds", "amount", "currency", "reason")


def as_json(outcomes: Sequence[RowOutcome]) -> dict[str, Any]:
    """Everything, as plain values."""
    rows = [_entry(outcome) for outcome in outcomes]
    return {
        "schema_version": SCHEMA_VERSION,
        "rows": rows,
        "seconds": sum(row["seconds"] or 0.0 for row in rows),
        "usd": sum(row["usd"] or 0.0 for row in rows),
    }


def as_csv(outcomes: Sequence[RowOutcome]) -> str:
    """The same as a table."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for outcome in outcomes:
        writer.writerow({k: spreadsheet_text(v) for k, v in _entry(outcome).items()})
    return out.getvalue()


def _entry(row_outcome: RowOutcome) -> dict[str, Any]:
    row, outcome = row_outcome
    report = outcome.report or {}
    bill = report.get("bill") or {}
    return {
        "row": row.number,
        "picture": row.picture,
        "clip": f"{row.name}.mp4" if outcome.report else None,
        # a clip that is there was made by an earlier run of the same batch
        "state": "failed" if outcome.state == "failed" else "made",
        "verdict": report.get("verdict"),
        "seconds": report.get("seconds"),
        "usd": bill.get("usd"),
        "amount": bill.get("amount"),
        "currency": bill.get("currency"),
        "reason": outcome.reason,
    }
