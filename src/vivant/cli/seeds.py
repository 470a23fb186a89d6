"""``vivant animate --seeds``: what is printed, and the parts that make it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vivant.types import Request, Series, Take


def make_seeds(
    request: Request,
    folder: Path,
    seeds: tuple[int, ...],
    out: Console,
    progress: Console,
    begin: Callable[[], None],
    *,
    currency: str | None,
    json: bool,
    force: bool,
) -> None:
    """``animate --seeds``: a line after every clip, then a table of all.

    ``begin`` prints the settings, once work has begun.

    Raises:
        typer.Exit: with 4 where a clip could not be made and others were.
    """
    from vivant.cli import console as show
    from vivant.errors import EngineError
    from vivant.python_api import animate_many
    from vivant.report import to_json
    from vivant.settings import default_settings

    def begin_all() -> None:
        begin()
        show.heading(out, "STARTING GENERATION", f"{len(seeds)} clips into {folder}")

    def watch(take: Take, done: int) -> None:
        words = take.result.verdict.replace("_", " ") if take.result else take.reason
        progress.print(
            f"  [{done}/{len(seeds)}] seed {take.seed}: {words}, {take.seconds:.1f} s",
            markup=False,
            soft_wrap=True,
        )

    with show.progress_bars(progress, begin_all) as observe:
        series = animate_many(
            request,
            folder,
            seeds,
            observe=observe,
            watch=watch,
            settings=default_settings(),
            currency=currency,
            force=force,
        )
    if json:
        sys.stdout.write(to_json(as_json(series)))
    else:
        show.log_series(out, series)
    if any(take.result is None for take in series.takes):
        raise typer.Exit(EngineError.exit_code)


def as_json(series: Series) -> dict[str, Any]:
    """A series as plain values: every clip's own report, or why there is none."""
    from vivant.report import plain, report_json

    return {
        "clips": [
            {
                "seed": take.seed,
                "clip": None if take.result is None else str(take.result.clip),
                "seconds": plain(take.seconds),
                "reason": take.reason,
                "report": None if take.result is None else report_json(take.result.report),
            }
            for take in series.takes
        ],
        "page": str(series.page),
        "contact_sheet": str(series.contact_sheet),
        "seconds": plain(series.seconds),
        "bill": plain(series.bill),
    }
