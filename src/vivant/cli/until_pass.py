"""``vivant animate --until-pass``: what is printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from vivant.cli.language import language, localized, say
from vivant.cli.made import log_made, log_start

if TYPE_CHECKING:
    from vivant.cli.options import RunOptions
    from vivant.runs.attempts import Attempt
    from vivant.runs.budget import Budget
    from vivant.runs.until_pass import UntilPassResult


def make_until_pass(run: RunOptions, budget: str) -> None:
    """``animate --until-pass``: a line for each attempt with its reason and cost, then the clip."""
    from vivant.cli.clip_meter import clip_meter
    from vivant.cli.progress import progress_bars
    from vivant.runs.budget import Budget

    limit = Budget.parse(budget)
    meter = clip_meter(run.request, run.settings)

    def begin() -> None:
        log_start(run, (run.request.seed,))
        _heading(run, say("attempts_heading", budget=limit))

    def tell(attempt: Attempt) -> None:
        meter.next_clip()
        log_attempt(run, attempt)

    with progress_bars(run.progress, meter, begin, verbose=run.verbose) as observe:
        from vivant.runs.run import Runner
        from vivant.runs.until_pass import animate_until_pass

        runner = Runner(run.settings, observe, run.currency)
        found = animate_until_pass(
            run.request, run.output, limit, runner, tell=tell, force=run.force
        )
    if run.json:
        sys.stdout.write(found.result.report_file.read_text("utf-8"))
    else:
        log_made(run, found.result)
        log_attempts(run, found, limit)
    if run.strict and not found.passed:
        raise typer.Exit(1)


def log_attempt(run: RunOptions, attempt: Attempt) -> None:
    """What was tried, and what became of it."""
    from vivant.checks.checklist import title
    from vivant.cli.summary import log_row
    from vivant.cost import money

    def titles(names: tuple[str, ...]) -> str:
        return ", ".join(names if language() == "en" else (title(name)["ko"] for name in names))

    words = localized(attempt.remedy) if attempt.remedy else say("as_asked")
    if attempt.why:
        words += f" {say('against', names=titles(attempt.why))}"
    verdict = say("attempt_ended")
    if attempt.failed:
        verdict = say("attempt_fails", names=titles(attempt.failed))
    elif attempt.verdict:
        verdict = say(f"verdict_{attempt.verdict}")
    cost = "" if attempt.usd is None else f", {money(attempt.usd, 'USD')}"
    took = say("took", seconds=f"{attempt.seconds:.1f}")
    # on a terminal above the bar, by the console that draws the bar
    console = run.progress if run.progress.is_terminal else run.out
    log_row(console, say("attempt", number=attempt.number), f"{words}: {verdict}; {took}{cost}")


def log_attempts(run: RunOptions, found: UntilPassResult, limit: Budget) -> None:
    """Which attempt was delivered, and what all of them took."""
    from vivant.cli.summary import log_row

    usd = [attempt.usd for attempt in found.attempts if attempt.usd is not None]
    spent = limit.spent_words(found.seconds, sum(usd) if usd else None, run.settings)
    chosen = say("delivered_attempt", chosen=found.chosen, count=len(found.attempts))
    _heading(run, say("passed_heading" if found.passed else "not_passed_heading"))
    log_row(run.out, say("delivered"), chosen)
    log_row(run.out, say("stopped"), localized(found.stopped))
    log_row(run.out, say("all_in_all"), spent)


def _heading(run: RunOptions, text: str) -> None:
    run.out.print(f"\n{text}", style="bold cyan", markup=False)
