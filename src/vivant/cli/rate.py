"""``vivant rate``: the blind test of a folder of clips, in this machine's browser."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli.browser import open_page
from vivant.cli.language import language, say

if TYPE_CHECKING:
    from vivant.compare.rating.agreement import RatingResults


def rate(
    folder: Annotated[
        Path, typer.Argument(help="What compare or batch wrote with -o.", metavar="DIR")
    ],
    port: Annotated[int, typer.Option(help="0 picks a free one.", min=0, max=65535)] = 0,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    report: Annotated[
        bool, typer.Option("--report", help="Only write the results of what is judged.")
    ] = False,
) -> None:
    """Judge pairs of clips blindly, and see which check sees what you see.

    Every answer is kept at once in rate.jsonl; stop at any time, and the same command goes on.
    The results are written as rate.html and rate.json.
    """
    from vivant.compare.rating.journal import JOURNAL, Journal
    from vivant.compare.rating.pairs import read_pairs
    from vivant.compare.rating.results import PAGE_NAME, write_results
    from vivant.settings import default_settings

    pairs = read_pairs(folder)
    journal = Journal(folder / JOURNAL)
    if not report:
        from vivant.compare.rating.server import RatingSession, create_app, serve

        def ready(address: str) -> None:
            judged = len(journal.judgements)
            line = say("rate_ready", pairs=len(pairs.all), judged=judged, address=address)
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
            open_page(address, browser)

        try:
            serve(
                create_app(RatingSession(folder, pairs, journal), default_settings()), port, ready
            )
        except KeyboardInterrupt:
            sys.stdout.write("\n")
    _tell(write_results(folder, pairs, journal), folder / PAGE_NAME)


def _tell(found: RatingResults, page: Path) -> None:
    from vivant.compare.rating.results import summary

    for words in summary(found):
        sys.stdout.write(f"  {words[language()]}\n")
    line = say("rate_results", judged=found.judged, pairs=found.pairs, page=page)
    sys.stdout.write(f"  {line}\n")


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(rate)
