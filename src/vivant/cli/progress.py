"""Progress while a clip is made: bars on a terminal, lines elsewhere."""

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
    begin: Callable[[], None] = lambda: None,
    *,
    left: Callable[[Progress], float | None] | None = None,
) -> Iterator[Observer]:
    """Live bars, one per stage, on a terminal; quarterly lines where there is none.

    Args:
        console: where they are shown.
        begin: called once, when the first stage shows: until then only mistakes come to light,
            and a mistake is one line.
        left: takes every progress, and gives the seconds until the clip is finished; None where
            nobody can tell. Not shown where it is not given.
    """
    bars = _Bars(console, left) if console.is_terminal else None
    show = bars.observe if bars else _quarters(console)
    begun = False
    lock = threading.Lock()

    def observe(progress: Progress) -> None:
        nonlocal begun
        if progress.stage not in _SHOWN:
            return
        with lock:
            if not begun:
                begin()
                begun = True
        show(progress)

    try:
        yield observe
    finally:
        if bars:
            bars.stop()


class _Bars:
    """Begin at the first stage that shows, so that what was printed before stays above."""

    def __init__(
        self, console: Console, left: Callable[[Progress], float | None] | None = None
    ) -> None:
        self._bars = Bars(
            TextColumn("  {task.description:<10}"),
            BarColumn(bar_width=36),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
        )
        self._left = left
        self._tasks: dict[Stage, TaskID] = {}
        self._lock = threading.Lock()

    def observe(self, progress: Progress) -> None:
        with self._lock:
            self._bars.start()
            if progress.stage not in self._tasks:
                label = STAGE_LABELS[progress.stage]
                self._tasks[progress.stage] = self._bars.add_task(
                    label, total=progress.total, left=""
                )
            self._bars.update(
                self._tasks[progress.stage], completed=progress.done, total=progress.total
            )
            if self._left is not None:
                self._show_left(self._left(progress))

    def _show_left(self, seconds: float | None) -> None:
        """In the first line, for the whole clip: a stage that ends soon says nothing of it."""
        told = "" if seconds is None else f"clip: about {seconds:.0f} s left"
        for number, task in enumerate(self._tasks.values()):
            self._bars.update(task, left="" if number else told)

    def stop(self) -> None:
        self._bars.stop()


def _quarters(console: Console) -> Observer:
    seen: dict[Stage, int] = {}
    lock = threading.Lock()

    def observe(progress: Progress) -> None:
        if progress.total < 1:
            return
        quarter = 4 * progress.done // progress.total
        with lock:
            if progress.done == 1:  # of another clip
                seen.pop(progress.stage, None)
            if quarter <= seen.get(progress.stage, 0):
                return
            seen[progress.stage] = quarter
            label = STAGE_LABELS[progress.stage]
            console.print(f"  {label}: {progress.done}/{progress.total} {progress.unit}s")

    return observe
