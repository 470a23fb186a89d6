"""``vivant animate --until-pass``: what is printed, and the parts that make it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from vivant.types import Request


def make_until_pass(
    request: Request,
    output: Path,
    budget: str,
    out: Console,
    progress: Console,
    begin: Callable[[], None],
    *,
    currency: str | None,
    json: bool,
    force: bool,
) -> None:
    """``animate --until-pass``: attempts, what each was for and what it cost, then the run log.

    ``begin`` prints the settings, once work has begun.
    """
    from vivant.cli import console as show
    from vivant.cost import money
    from vivant.runs.attempts import Attempt
    from vivant.runs.budget import Budget
    from vivant.runs.run import Runner
    from vivant.runs.until_pass import animate_until_pass
    from vivant.settings import default_settings

    settings = default_settings()
    limit = Budget.parse(budget)

    def begin_all() -> None:
        begin()
        show.heading(out, "UNTIL IT PASSES", f"Budget: {limit}")

    def tell(attempt: Attempt) -> None:
        words = attempt.remedy or "as asked"
        if attempt.why:
            words += f" (against {', '.join(attempt.why)})"
        verdict = f"fails {', '.join(attempt.failed)}" if attempt.failed else attempt.verdict
        cost = "" if attempt.usd is None else f", {money(attempt.usd, 'USD')}"
        show.row(
            out,
            f"Attempt {attempt.number}",
            f"{words}: {verdict or 'ended by the budget'}; {attempt.seconds:.1f} s{cost}",
        )

    with show.progress_bars(progress, begin_all) as observe:
        runner = Runner(settings, observe, currency)
        found = animate_until_pass(request, output, limit, runner, tell=tell, force=force)
    if json:
        sys.stdout.write(found.result.report_file.read_text("utf-8"))
        return
    show.log_result(out, found.result, settings)
    usd = [attempt.usd for attempt in found.attempts if attempt.usd is not None]
    show.heading(out, "PASSED" if found.passed else "NOT PASSED")
    show.row(out, "Delivered", f"attempt {found.chosen} of {len(found.attempts)}")
    show.row(out, "Stopped", found.stopped)
    show.row(out, "All in all", limit.told(found.seconds, sum(usd) if usd else None, settings))
