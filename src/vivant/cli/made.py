"""What is printed when clips begin and when one is finished: a summary, or with ``-v`` the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from vivant.cli.language import say
from vivant.cli.terminal import clean

if TYPE_CHECKING:
    from vivant.cli.options import RunOptions
    from vivant.types import Result


def log_start(run: RunOptions, seeds: tuple[int, ...]) -> None:
    """What is going to be made."""
    if run.verbose:
        from vivant.cli.run_log import heading, log_settings

        log_settings(run, seeds)
        into = f"{len(seeds)} clips into {run.output}" if len(seeds) > 1 else ""
        heading(run.out, "STARTING GENERATION", into)
        return
    request = run.request
    line = say(
        "start_clip" if len(seeds) == 1 else "start_clips",
        count=len(seeds),
        picture=run.picture,
        width=request.width,
        height=request.height,
        seconds=f"{request.seconds:.1f}",
        engine=request.engine,
    )
    run.progress.print(Text(clean(f"  {line}")), soft_wrap=True)


def log_made(run: RunOptions, result: Result) -> None:
    """What became of it."""
    if run.verbose:
        from vivant.cli.run_log import log_result

        log_result(run.out, result, run.settings)
    else:
        from vivant.cli.summary import log_clip

        log_clip(run, result)
