"""A folder or a CSV of pictures: makes the clips that are missing, and adds up their bill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from vivant.checks import keep_workers
from vivant.cost import bill_for
from vivant.errors import EngineError, InputError, OutputExistsError
from vivant.runs.batch_rows import Row
from vivant.runs.clip_cache import cached_report, finished
from vivant.runs.run import Outcome, Runner
from vivant.runs.timing_history import expected, last_device
from vivant.settings import Settings
from vivant.types import Bill

RowOutcome: TypeAlias = tuple[Row, Outcome]
"""A row, and what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEstimate:
    """What the missing clips will take.

    Attributes:
        clips: to be made.
        cached: finished already.
        unusable: rows that cannot be made.
        seconds: None where an engine among them has not been measured on this machine.
        costs: None as well where its device has no rate.
        unknown: engines without measurements.
    """

    clips: int
    cached: int
    unusable: int
    seconds: float | None
    costs: Bill | None
    unknown: tuple[str, ...]


def estimate_batch(
    rows: Sequence[Row], folder: Path, settings: Settings, currency: str | None = None
) -> BatchEstimate:
    """What the missing clips will take, from what clips of these engines took on this machine."""
    missing = [
        row.request
        for row in rows
        if row.request is not None and cached_report(_clip(row, folder), row.request) is None
    ]
    unusable = sum(row.request is None for row in rows)
    seconds = [expected(request, settings) for request in missing]
    known = [one for one in seconds if one is not None]
    unknown = {r.engine for r, one in zip(missing, seconds, strict=True) if one is None}
    total, costs = sum(known), None
    devices = {last_device(request.engine, settings) for request in missing}
    if not unknown and len(devices) == 1:
        costs = bill_for(devices.pop() or "", total, settings, currency)
    return BatchEstimate(
        clips=len(missing),
        cached=len(rows) - unusable - len(missing),
        unusable=unusable,
        seconds=None if unknown else total,
        costs=costs,
        unknown=tuple(sorted(unknown)),
    )


@keep_workers()
def run_batch(
    rows: Sequence[Row],
    folder: Path,
    runner: Runner,
    *,
    watch: Callable[[Row, Outcome, int], None] = lambda *_: None,
) -> list[RowOutcome]:
    """Make every row that is not finished; rows that cannot be made are noted and left out.

    Args:
        rows: what to make.
        folder: where the clips go.
        runner: makes the clips.
        watch: called after every row with what became of it and how many rows are done.

    Raises:
        MachineError: this machine cannot do it; what is finished stays.
        Cancelled: the observer said so; what is finished stays.
    """
    outcomes = []
    for done, row in enumerate(rows, start=1):
        outcome = _make(row, _clip(row, folder), runner)
        if outcome.error and not isinstance(outcome.error, (InputError, EngineError)):
            raise outcome.error
        outcomes.append((row, outcome))
        watch(row, outcome, done)
    return outcomes


def spent(outcomes: Sequence[RowOutcome]) -> tuple[float, float]:
    """Seconds and US dollars of the clips made now."""
    reports = [o.report for _, o in outcomes if o.state == "made" and o.report]
    return (
        sum(report["seconds"] for report in reports),
        sum(report["bill"]["usd"] for report in reports if report["bill"]),
    )


def _clip(row: Row, folder: Path) -> Path:
    return folder / f"{row.name}.mp4"


def _make(row: Row, clip: Path, runner: Runner) -> Outcome:
    if row.request is None:
        return Outcome(error=InputError(row.reason))
    if clip.exists() and finished(clip) is None:
        return Outcome(
            error=OutputExistsError(f"{clip.name} is there and is not Vivant's: move it away")
        )
    # forced: it replaces our clip of other settings, and companions that a killed run left
    return runner.run(row.request, clip, reuse=True, force=True)
