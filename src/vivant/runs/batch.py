"""Make what is missing, keep the bill. Knows nothing of CSVs, pages or terminals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vivant.checks import keep_workers
from vivant.cost import bill
from vivant.engines import load_engine
from vivant.errors import EngineError, InputError, OutputExistsError
from vivant.pipeline import check_request, run
from vivant.report import plain
from vivant.runs.batch_rows import Row
from vivant.runs.clip_cache import finished
from vivant.runs.timing_history import device, expected, remember
from vivant.settings import Settings
from vivant.types import Bill, Engine, Observer, Upscaler, ignore_progress
from vivant.upscalers import load_upscaler
from vivant.version import __version__
from vivant.video.files import COMPANIONS

State = Literal["made", "there", "failed"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row.

    Attributes:
        state: made now, there already, or failed with ``reason``.
        report: of the finished clip.
    """

    row: Row
    state: State
    report: Mapping[str, Any] | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the missing clips will take.

    Attributes:
        clips: to be made.
        there: finished already.
        unusable: rows that cannot be.
        seconds: None where an engine among them has not been measured on this machine.
        costs: None as well where its device has no rate.
        unknown: engines without measurements.
    """

    clips: int
    there: int
    unusable: int
    seconds: float | None
    costs: Bill | None
    unknown: tuple[str, ...]


def estimate(
    rows: Sequence[Row], folder: Path, settings: Settings, currency: str | None = None
) -> Estimate:
    """The bill beforehand, from what clips of these engines took on this machine."""
    missing = [
        row.request for row in rows if row.request is not None and made_already(row, folder) is None
    ]
    unusable = sum(row.request is None for row in rows)
    took = [expected(request, settings) for request in missing]
    unknown = tuple(
        sorted({r.engine for r, known in zip(missing, took, strict=True) if known is None})
    )
    seconds = costs = None
    if not unknown:
        seconds = sum(known for known in took if known is not None)
        devices = {device(request.engine, settings) for request in missing}
        if len(devices) == 1:
            costs = bill(
                settings.device or devices.pop() or "",
                seconds,
                currency=currency or settings.currency,
                rates=settings.rates,
                exchange=settings.exchange,
            )
    return Estimate(
        clips=len(missing),
        there=len(rows) - unusable - len(missing),
        unusable=unusable,
        seconds=seconds,
        costs=costs,
        unknown=unknown,
    )


@keep_workers()
def run_batch(
    rows: Sequence[Row],
    folder: Path,
    *,
    settings: Settings,
    observe: Observer = ignore_progress,
    watch: Callable[[Outcome, int], None] = lambda *_: None,
    currency: str | None = None,
) -> list[Outcome]:
    """Make every row that is not finished; what cannot be made is noted and left out.

    Args:
        rows: what to make.
        folder: where the clips go.
        settings: limits and prices.
        observe: called after every unit of work; may raise ``Cancelled``.
        watch: called after every row with what became of it and how many rows are done.
        currency: of the bills.

    Raises:
        MachineError: this machine cannot do it; what is finished stays.
        Cancelled: the observer said so; what is finished stays.
    """
    engines: dict[str, Engine] = {}
    upscalers: dict[str, Upscaler] = {}
    outcomes = []
    for done, row in enumerate(rows, start=1):
        outcome = _make(row, folder, settings, observe, currency, engines, upscalers)
        outcomes.append(outcome)
        watch(outcome, done)
    return outcomes


def made_already(row: Row, folder: Path) -> Mapping[str, Any] | None:
    """The report of the row's clip, if it was made from this picture with these settings."""
    report = finished(folder / f"{row.name}.mp4")
    request = row.request
    if report is None or request is None:
        return None
    try:
        image = request.image
        data = image if isinstance(image, bytes) else image.read_bytes()
    except OSError:
        return None
    wanted = {
        name: plain(getattr(request, name))
        for name in request.__dataclass_fields__
        if name != "image"
    }
    same = (
        report.get("source", {}).get("sha256") == hashlib.sha256(data).hexdigest()
        and report.get("settings") == json.loads(json.dumps(wanted))
        and report.get("vivant_version") == __version__
    )
    return report if same else None


def total(outcomes: Sequence[Outcome]) -> tuple[float, float]:
    """Seconds and US dollars of the clips made now."""
    reports = [o.report for o in outcomes if o.state == "made" and o.report]
    return (
        sum(report["seconds"] for report in reports),
        sum(report["bill"]["usd"] for report in reports if report["bill"]),
    )


def _make(
    row: Row,
    folder: Path,
    settings: Settings,
    observe: Observer,
    currency: str | None,
    engines: dict[str, Engine],
    upscalers: dict[str, Upscaler],
) -> Outcome:
    request = row.request
    if request is None:
        return Outcome(row, "failed", None, row.reason)
    there = made_already(row, folder)
    if there is not None:
        return Outcome(row, "there", there)
    clip = folder / f"{row.name}.mp4"
    try:
        if clip.exists() and finished(clip) is None:
            raise OutputExistsError(f"{clip.name} is there and is not Vivant's: move it away")
        check_request(request, settings)
        if request.engine not in engines:
            engines[request.engine] = load_engine(request.engine, settings)
        if request.upscaler not in upscalers:
            upscalers[request.upscaler] = load_upscaler(request.upscaler)
        run(
            request,
            clip,
            engine=engines[request.engine],
            upscaler=upscalers[request.upscaler],
            settings=settings,
            observe=observe,
            currency=currency,
            force=True,  # our own clip with other settings, or a killed run's companions
        )
    except (InputError, EngineError) as error:
        return Outcome(row, "failed", None, error.message)
    report = finished(clip)
    if report is None:
        return Outcome(row, "failed", None, f"{COMPANIONS['report']} is not there")
    remember(request, report, settings)
    return Outcome(row, "made", report)
