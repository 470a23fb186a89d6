"""``report.json``: every frozen result as plain JSON, with a versioned schema.

Knows nothing of how results come about.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from vivant.types import Verification

SCHEMA_VERSION = 1

_NUMBERS = re.compile(r"\[\s+((?:-?[\d.eE+-]+,?\s+)+)\]")
"""A list of nothing but numbers, as ``json.dumps(indent=…)`` spreads it out."""


_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")


def spreadsheet_text(value: Any) -> Any:
    """``value`` as a cell of a CSV: text that spreadsheets would run as a formula gets a quote.

    Spreadsheets ignore blanks before a formula, and take fullwidth signs for ASCII ones.
    """
    if not isinstance(value, str) or not _FORMULA.match(value):
        return value
    return f"'{value}"


def plain(value: Any) -> Any:
    """``value`` as dicts, lists, strings, numbers, booleans and None.

    Whole fractions become integers and others ``"30000/1001"``; numbers that JSON does not know
    (NaN, infinities) become None; keys become strings.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else str(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.9g}") if np.isfinite(value) else None
    return value


def verification_json(verification: Verification) -> dict[str, Any]:
    """A verification with its verdict, as ``vivant verify --json`` and ``report.json`` show it."""
    return {"verdict": verification.verdict, **plain(verification)}


def to_json(value: Any) -> str:
    """``value`` as indented JSON for people: short lists of numbers stay on one line."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def report_json(report: Any) -> dict[str, Any]:
    """A :class:`vivant.types.Report` as ``report.json`` holds it.

    The verification is laid open: ``verdict``, ``scores`` and ``facts`` are top-level keys, the
    same objects as ``vivant verify --json`` prints.
    """
    body = plain(report)
    body.pop("verification")
    verification = verification_json(report.verification)
    warnings = [*body.pop("warnings"), *verification.pop("warnings")]
    return {**body, **verification, "warnings": list(dict.fromkeys(warnings))}


def trimmed(report: Mapping[str, Any]) -> dict[str, Any]:
    """Of a ``report.json`` what findings and pages of comparisons read; a tenth of it or less."""
    bill = report["bill"]
    return {
        "verdict": report["verdict"],
        "seconds": report["seconds"],
        "bill": bill
        and {name: bill[name] for name in ("usd", "amount", "currency", "exchange_rate")},
        "scores": [
            {name: score[name] for name in ("name", "group", "unit", "value", "verdict")}
            for score in report["scores"]
        ],
    }
