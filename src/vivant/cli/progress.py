"""Progress while clips are made: one bar for all on a terminal, quarterly lines elsewhere.

With ``-v`` it is a bar, or quarterly lines, for each stage.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.progress import Progress as Bars

from vivant.cli.clip_meter import ClipMeter
from vivant.cli.language import say
from vivant.cli.waiting import end_waiting, show_waiting
from vivant.types import Observer, Progress, Stage

STAGE_LABELS: dict[Stage, str] = {
    "image": "read the picture",
    "load": "load the engine",
    "generate": "generate",
    "upscale": "upscale",
    "encode": "encode",
    "verify": "verify",
    "store": "store",
}

_SHOWN: frozenset[Stage] = frozenset({"load", "generate", "upscale", "encode", "verify"})


@contextmanager
def progress_bars(
    console: Console,
    meter: ClipMeter,
    begin: Callable[[], None] = lambda: None,
    *,
    starting: str = "starting",
    label: str = "making",
    verbose: bool = False,
) -> Iterator[Observer]:
    """How far it is, and how long it still takes.

    Args:
        console: where it is shown.
        meter: takes every progress.
        begin: called once, when the first stage shows: until then only mistakes come to light,
            and a mistake is one line.
        starting: message key of what is done until then, shown on a terminal at once.
        label: message key of what is done.
        verbose: each stage on its own.
    """
    shown = _shown_on(console, meter, label, verbose=verbose)
    show_waiting(starting, quiet=console.quiet)
    begun = False
    lock = threading.Lock()

    def observe(progress: Progress) -> None:
        nonlocal begun
        with lock:
            meter.take(progress)
            if progress.stage not in _SHOWN:
                return
            if not begun:
                end_waiting()
                begin()
                begun = True
            shown.show(progress)

    try:
        yield observe
    finally:
        end_waiting()
        shown.stop()


def _shown_on(
    console: Console, meter: ClipMeter, label: str, *, verbose: bool
) -> _OverallBar | _StageBars | _Quarters | _StageQuarters:
    if console.is_terminal:
        return _StageBars(console) if verbose else _OverallBar(console, meter, say(label))
    return _StageQuarters(console) if verbose else _Quarters(console, meter, say(label))


class _OverallBar:
    """It begins at the first stage that shows, so that what was printed before stays above."""

    def __init__(self, console: Console, meter: ClipMeter, label: str) -> None:
        self._meter = meter
        self._bar = Bars(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task(label, total=1.0, left="")

    def show(self, _: Progress) -> None:
        self._bar.start()
        left = self._meter.seconds_left
        self._bar.update(
            self._task,
            completed=self._meter.fraction,
            left="" if left is None else say("left", seconds=_seconds(left)),
        )

    def stop(self) -> None:
        self._bar.stop()


class _Quarters:
    """A line at every quarter."""

    def __init__(self, console: Console, meter: ClipMeter, label: str) -> None:
        self._console, self._meter, self._label = console, meter, label
        self._seen = 0

    def show(self, _: Progress) -> None:
        quarter = int(4 * self._meter.fraction)
        if not self._seen < quarter < 4:
            return
        self._seen = quarter
        left = self._meter.seconds_left
        told = "" if left is None else f", {say('left', seconds=_seconds(left))}"
        self._console.print(f"  {self._label}: {25 * quarter} %{told}", soft_wrap=True)

    def stop(self) -> None:
        """Nothing is open."""


def _seconds(left: float) -> str:
    """A number that does not pretend to be exact: whole seconds, fives from 20 s on."""
    return f"{left:.0f}" if left < 20 else f"{5 * round(left / 5)}"


class _StageBars:
    """A bar for each stage."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            TextColumn("  {task.description:<10}"),
            BarColumn(bar_width=36),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._tasks: dict[Stage, TaskID] = {}

    def show(self, progress: Progress) -> None:
        self._bars.start()
        if progress.stage not in self._tasks:
            label = STAGE_LABELS[progress.stage]
            self._tasks[progress.stage] = self._bars.add_task(label, total=progress.total)
        self._bars.update(
            self._tasks[progress.stage], completed=progress.done, total=progress.total
        )

    def stop(self) -> None:
        self._bars.stop()


class _StageQuarters:
    """Lines at every quarter of each stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[Stage, int] = {}

    def show(self, progress: Progress) -> None:
        if progress.total < 1:
            return
        quarter = 4 * progress.done // progress.total
        if progress.done == 1:  # of another clip
            self._seen.pop(progress.stage, None)
        if quarter <= self._seen.get(progress.stage, 0):
            return
        self._seen[progress.stage] = quarter
        label = STAGE_LABELS[progress.stage]
        self._console.print(f"  {label}: {progress.done}/{progress.total} {progress.unit}s")

    def stop(self) -> None:
        """Nothing is open."""
