"""``vivant animate --seeds``: what is printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from vivant.cli.language import localized, say
from vivant.cli.made import log_start

if TYPE_CHECKING:
    from vivant.cli.options import RunOptions
    from vivant.types import Series, Take


def make_seeds(run: RunOptions, seeds: tuple[int, ...]) -> None:
    """``animate --seeds``: a line after every clip, then a table of all.

    Raises:
        typer.Exit: with 4 where a clip could not be made and others were.
    """
    from vivant.cli.clip_meter import clip_meter
    from vivant.cli.progress import progress_bars
    from vivant.errors import EngineError

    meter = clip_meter(run.request, run.settings, len(seeds))

    def begin() -> None:
        log_start(run, seeds)

    def watch(take: Take, done: int) -> None:
        meter.next_clip()
        words = say(f"verdict_{take.result.verdict}") if take.result else localized(take.reason)
        line = say("seed_done", seed=take.seed, words=words, seconds=f"{take.seconds:.1f}")
        run.progress.print(f"  [{done}/{len(seeds)}] {line}", markup=False, soft_wrap=True)

    with progress_bars(
        run.progress, meter, begin, label="making_many", verbose=run.verbose
    ) as observe:
        from vivant.python_api import animate_many

        series = animate_many(
            run.request,
            run.output,
            seeds,
            observe=observe,
            watch=watch,
            settings=run.settings,
            currency=run.currency,
            force=run.force,
        )
    from vivant.cli.run_log import log_series
    from vivant.report import to_json

    if run.json:
        sys.stdout.write(to_json(as_json(series)))
    else:
        log_series(run.out, series)
    if any(take.result is None for take in series.takes):
        raise typer.Exit(EngineError.exit_code)
    if run.strict and any(take.result.verdict == "fail" for take in series.takes if take.result):
        raise typer.Exit(1)


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
