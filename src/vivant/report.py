"""The report of a clip: what goes into it, and ``report.json`` with its versioned schema."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from fractions import Fraction
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from vivant.cost import no_rate
from vivant.crop_area import Framing
from vivant.types import (
    Bill,
    EngineInfo,
    Portrait,
    RareClip,
    Report,
    Request,
    Stage,
    StageTime,
    Verification,
)
from vivant.version import __version__

SCHEMA_VERSION = 1

LIBRARIES = ("av", "opencv-contrib-python-headless", "dlib-bin", "numpy", "torch", "diffusers")
"""Packages whose versions decide what the frames look like."""

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Production:
    """How a clip was made, and what that took.

    Attributes:
        engine: what made the frames, with what it did.
        upscaler: its name; ``none`` where the engine draws at the clip's size.
        device: that is billed.
        seconds: wall time from the job's start until its last frame was checked.
        bill: of these seconds; None where the device has no rate.
        rare_clip: the bill with the container's start and waiting; None where none was started.
        stages: wall seconds of every stage; they add up to ``seconds``.
        credentials: see :class:`vivant.types.Report`.
        notes: sentences that the user must read.
    """

    engine: EngineInfo
    upscaler: str
    device: str
    seconds: float
    bill: Bill | None
    stages: Mapping[Stage, float]
    credentials: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    rare_clip: RareClip | None = None


def describe(
    request: Request,
    portrait: Portrait,
    verification: Verification,
    production: Production,
    files: Mapping[str, str],
) -> Report:
    """The report of a finished clip.

    Args:
        request: what was asked for.
        portrait: the picture.
        verification: all scores of the clip.
        production: how it was made.
        files: role (``clip``, ``thumbnail``, …) → file name.
    """
    made = production
    unpriced = () if made.bill is not None else (no_rate(made.device),)
    return Report(
        schema_version=SCHEMA_VERSION,
        vivant_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=request_settings(request),
        source=portrait.source,
        crop=portrait.crop.scaled(portrait.source.width / portrait.pixels.shape[1]),
        faces=len(portrait.faces),
        engine=made.engine,
        upscaler=made.upscaler,
        verification=verification,
        stages=tuple(StageTime(stage=s, seconds=t) for s, t in made.stages.items()),
        seconds=made.seconds,
        peak_memory_mb=peak_memory_mb(),
        bill=made.bill,
        files=files,
        warnings=tuple(
            dict.fromkeys((*portrait.warnings, *made.engine.notes, *made.notes, *unpriced))
        ),
        versions=library_versions(),
        credentials=made.credentials,
        rare_clip=made.rare_clip,
    )


def request_settings(request: Request) -> dict[str, Any]:
    """The request's fields without the picture; what came later, as crop or sound, where given.

    Clips that were made before these fields existed are found again by what they had.
    """
    found = {
        name: getattr(request, name)
        for name in Request.__dataclass_fields__
        if name not in ("image", "crop", "focus", "rotate", "sound", "last")
    }
    for name in ("sound", "last"):
        if value := getattr(request, name):
            found[name] = True if value is True else _file_fields(value)
    return found | framing_fields(request.framing)


def _file_fields(file: Path | bytes) -> dict[str, str]:
    """Name and hash of a file beside the picture."""
    name = file.name if isinstance(file, Path) else ""
    try:
        data = file.read_bytes() if isinstance(file, Path) else file
    except OSError:  # it is gone: no clip was made with it
        return {"name": name, "sha256": ""}
    return {"name": name, "sha256": hashlib.sha256(data).hexdigest()}


def framing_fields(framing: Framing) -> dict[str, str | int]:
    """What was decided about the picture, as users write it; nothing where it was not."""
    given = {"crop": framing.crop, "focus": framing.focus}
    found: dict[str, str | int] = {name: str(value) for name, value in given.items() if value}
    return found | ({"rotate": framing.rotate} if framing.rotate else {})


def peak_memory_mb() -> float:
    """Largest resident memory this process has had, MB (10**6 bytes)."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def library_versions() -> dict[str, str]:
    """Installed versions of :data:`LIBRARIES`, and Python's."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def plain(value: Any) -> Any:
    """``value`` as dicts, lists, strings, numbers, booleans and None.

    Whole fractions become integers and others ``"30000/1001"``; numbers that JSON does not know
    (NaN, infinities) become None; keys become strings.
    """
    if type(value) in (str, int, bool, type(None)):
        return value
    if type(value) is float:
        return float(f"{value:.9g}") if math.isfinite(value) else None
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
        return plain(value.item())
    return value


def verification_json(verification: Verification) -> dict[str, Any]:
    """A verification with its verdict, as ``vivant verify --json`` and ``report.json`` show it."""
    return {"verdict": verification.verdict, **plain(verification)}


def to_json(value: Any) -> str:
    """``value`` as indented JSON for people: short lists of numbers stay on one line."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text) + "\n"


def report_json(report: Report) -> dict[str, Any]:
    """A :class:`vivant.types.Report` as ``report.json`` holds it.

    ``verdict``, ``scores`` and ``facts`` are top-level keys, the same objects as
    ``vivant verify --json`` prints.
    """
    body = plain(report)
    body.pop("verification")
    verification = verification_json(report.verification)
    warnings = [*body.pop("warnings"), *verification.pop("warnings")]
    return {**body, **verification, "warnings": list(dict.fromkeys(warnings))}


def trimmed(report: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a ``report.json`` that comparisons need, a tenth of it or less."""
    bill = report["bill"]
    return {
        "verdict": report["verdict"],
        "seconds": report["seconds"],
        "bill": bill
        and {name: bill[name] for name in ("usd", "amount", "currency", "exchange_rate")},
        # two signed files are never alike
        "credentials": {
            "content_sha256": (report.get("credentials") or {}).get("content_sha256", "")
        },
        "scores": [
            {name: score[name] for name in ("name", "group", "unit", "value", "verdict")}
            for score in report["scores"]
        ],
    }
