"""About ten lines on a finished clip: the verdict first, then why, the files, time and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vivant.checks.checklist import Answer, answers
from vivant.checks.sentences import reason, translated
from vivant.cli.language import language, localized, say
from vivant.cli.terminal import clean
from vivant.cost import money

if TYPE_CHECKING:
    from vivant.cli.options import RunOptions
    from vivant.types import Bill, Result, Score, Verdict, Verification

STYLES: dict[Verdict, str] = {
    "pass": "bold green",
    "warn": "bold yellow",
    "fail": "bold red",
    "not_measured": "dim",
}

MOST_ANSWERS = 3
"""Questions that did not pass, at most so many are shown; the report has all."""

MOST_NOTES = 2

LABEL_CELLS = 14
"""Columns of the labels on the left."""


def colored_verdict(verdict: Verdict) -> Text:
    """The verdict as one coloured word."""
    return Text(say(f"verdict_{verdict}"), style=STYLES[verdict])


def log_clip(run: RunOptions, result: Result) -> None:
    """What there is to say about a clip that was made now."""
    console, report = run.out, result.report
    facts = report.verification.facts
    log_verdict(console, report.verification, "made")
    log_row(
        console,
        say("label_clip"),
        say(
            "clip_facts",
            path=_near(result.clip),
            width=facts.width,
            height=facts.height,
            seconds=f"{facts.seconds:.1f}",
            size=f"{facts.size_bytes / 1e6:.1f}",
        ),
    )
    log_row(console, say("label_report"), _near(result.page))
    log_row(console, say("label_time"), _time_and_cost(run, report.seconds, report.bill))
    _log_notes(console, (*report.warnings, *report.verification.warnings))
    log_row(console, say("label_next"), _next_step(run, result))


def log_summary(console: Console, verification: Verification, page: Path | None) -> None:
    """What there is to say about a clip that was verified."""
    log_verdict(console, verification, "verified")
    if page is not None:
        log_row(console, say("label_report"), str(page))
    _log_notes(console, verification.warnings)


def log_verdict(console: Console, verification: Verification, what: str) -> None:
    """The verdict in a sentence, the questions that did not pass, and how many did.

    Args:
        console: where.
        verification: of the clip.
        what: ``made`` or ``verified``, for the sentence.
    """
    found = answers(verification)
    verdict = verification.verdict
    worst = [answer for answer in found if answer.verdict == verdict]
    sentence = say(f"{what}_{verdict}", count=len(worst))
    console.print()
    console.print(Text("  ") + colored_verdict(verdict) + Text(f"  {sentence}", style="bold"))
    console.print()
    for answer in _worth_telling(found):
        text = f"{answer.question[language()]} {_why(answer)}"
        log_row(console, say(f"verdict_{answer.verdict}"), text, STYLES[answer.verdict])
    log_row(console, say("label_checks"), _counts(found))


def log_row(console: Console, label: str, text: str, style: str = "dim") -> None:
    """``  label     text``: hanging lines on a terminal, one line elsewhere."""
    marked = Text(clean(label), style=style)
    marked.align("left", LABEL_CELLS)
    if not console.is_terminal:
        console.print(Text("  ") + marked + Text(clean(text)), soft_wrap=True)
        return
    table = Table.grid(padding=0)
    table.add_column(width=LABEL_CELLS + 2)
    table.add_column(overflow="fold")
    table.add_row(Text("  ") + marked, Text(clean(text)))
    console.print(table)


def reason_of(score: Score) -> str:
    """Why a score has its verdict, in the language that is spoken."""
    if language() == "en" or "message" not in score.facts:
        return localized(score.reason)
    return reason(score.facts, language())


def _worth_telling(found: Sequence[Answer]) -> list[Answer]:
    """What did not pass, failures first; and the person, if she could not be measured."""
    failed, warned = (
        [answer for answer in found if answer.verdict == verdict] for verdict in ("fail", "warn")
    )
    unknown = [
        answer
        for answer in found
        if answer.verdict == "not_measured" and answer.group == "fidelity" and answer.scores
    ]
    return [*[*failed, *warned][:MOST_ANSWERS], *unknown[:1]]


def _near(path: Path) -> str:
    """As short as the working directory allows."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _why(answer: Answer) -> str:
    for score in answer.scores:
        if score.verdict == answer.verdict:
            return reason_of(score)
    return ""


def _counts(found: Iterable[Answer]) -> str:
    """``18 passed, 1 to look at, 2 not measured``."""
    counted = Counter(answer.verdict for answer in found)
    order: tuple[Verdict, ...] = ("pass", "warn", "fail", "not_measured")
    return ", ".join(say(f"count_{v}", count=counted[v]) for v in order if counted[v])


def _time_and_cost(run: RunOptions, seconds: float, bill: Bill | None) -> str:
    settings = run.settings
    text = say("took", seconds=f"{seconds:.1f}")
    if bill is not None:
        text += f", {money(bill.amount, bill.currency)}"
    target = f"{settings.target_seconds:g}"
    return f"{text} {say('target', seconds=target)}"


def _log_notes(console: Console, notes: Iterable[str]) -> None:
    told = list(dict.fromkeys(notes))
    for note in told[:MOST_NOTES]:
        text = localized(translated(note, language()))
        log_row(console, say("label_note"), text[:1].upper() + text[1:], "yellow")
    if len(told) > MOST_NOTES:
        log_row(console, "", say("more_notes", count=len(told) - MOST_NOTES))


def _next_step(run: RunOptions, result: Result) -> str:
    """What people do next: another take, or what helps against the failure."""
    if result.verdict in ("fail", "warn"):
        for answer in answers(result.report.verification):
            if answer.verdict == result.verdict and answer.next:
                return answer.next[language()].partition(": ")[2]
    seed = run.request.seed + 1
    return say("next_take", seed=seed)
