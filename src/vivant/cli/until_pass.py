"""``vivant animate --until-pass``: what is printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from vivant.cli.options import RunOptions
    from vivant.runs.budget import Budget
    from vivant.runs.until_pass import UntilPassResult


def make_until_pass(run: RunOptions, budget: str) -> None:
    """``animate --until-pass``: a line for each attempt with its reason and cost, then the log."""
    from vivant.cli.progress import progress_bars
    from vivant.cli.run_log import heading, log_result, log_settings, row
    from vivant.cost import money
    from vivant.runs.attempts import Attempt
    from vivant.runs.budget import Budget
    from vivant.runs.run import Runner
    from vivant.runs.until_pass import animate_until_pass

    limit = Budget.parse(budget)

    def begin() -> None:
        log_settings(run, (run.request.seed,))
        heading(run.out, "UNTIL IT PASSES", f"Budget: {limit}")

    def tell(attempt: Attempt) -> None:
        words = attempt.remedy or "as asked"
        if attempt.why:
            words += f" (against {', '.join(attempt.why)})"
        verdict = f"fails {', '.join(attempt.failed)}" if attempt.failed else attempt.verdict
        cost = "" if attempt.usd is None else f", {money(attempt.usd, 'USD')}"
        row(
            run.out,
            f"Attempt {attempt.number}",
            f"{words}: {verdict or 'ended by the budget'}; {attempt.seconds:.1f} s{cost}",
        )

    with progress_bars(run.progress, begin) as observe:
        runner = Runner(run.settings, observe, run.currency)
        found = animate_until_pass(
            run.request, run.output, limit, runner, tell=tell, force=run.force
        )
    if run.json:
        sys.stdout.write(found.result.report_file.read_text("utf-8"))
    else:
        log_result(run.out, found.result, run.settings)
        log_attempts(run, found, limit)
    if run.strict and not found.passed:
        raise typer.Exit(1)


def log_attempts(run: RunOptions, found: UntilPassResult, limit: Budget) -> None:
    """Which attempt was delivered, and what all of them took."""
    from vivant.cli.run_log import heading, row

    usd = [attempt.usd for attempt in found.attempts if attempt.usd is not None]
    heading(run.out, "PASSED" if found.passed else "NOT PASSED")
    row(run.out, "Delivered", f"attempt {found.chosen} of {len(found.attempts)}")
    row(run.out, "Stopped", found.stopped)
    row(run.out, "All in all", limit.told(found.seconds, sum(usd) if usd else None, run.settings))
