"""The run log of ``-v``: settings and results of a clip with real values, in English.

It keeps the headings of the user's own tool, so that it reads like its log.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vivant.checks.checklist import Answer, answers, group_title
from vivant.cli.language import localized, say
from vivant.cli.summary import colored_verdict
from vivant.cli.terminal import clean
from vivant.cost import money
from vivant.settings import Settings
from vivant.types import Bill, Result, Score, Series, Verdict, Verification

if TYPE_CHECKING:
    from vivant.cli.options import RunOptions

MARKS: dict[Verdict, tuple[str, str]] = {
    "pass": ("PASS", "bold green"),
    "warn": ("LOOK", "bold yellow"),
    "fail": ("FAIL", "bold red"),
    "not_measured": ("not measured", "dim"),
}


def heading(console: Console, text: str, rest: str = "") -> None:
    """``[HEADING] rest``, as the user's log has them."""
    console.print(Text(f"\n[{text}]", style="bold cyan") + Text(clean(f" {rest}") if rest else ""))


def row(console: Console, label: str, value: str) -> None:
    """``  label:   value``."""
    console.print(
        Text(f"  {clean(label) + ':':<13}", style="dim") + Text(clean(value)), soft_wrap=True
    )


def mark(verdict: Verdict) -> Text:
    """A coloured PASS, LOOK, FAIL or ``not measured``."""
    word, style = MARKS[verdict]
    return Text(word, style=style)


def log_settings(run: RunOptions, seeds: tuple[int, ...]) -> None:
    """``[GENERATION SETTINGS]``: before anything is done."""
    console, request = run.out, run.request
    heading(console, "GENERATION SETTINGS")
    row(console, "Picture", run.picture)
    row(console, "Engine", request.engine)
    row(
        console,
        "Clip",
        f"{request.width}×{request.height}, {request.num_frames} frames, "
        f"{float(request.fps):g} fps, {request.seconds:.2f} s",
    )
    row(console, "Seed" if len(seeds) == 1 else "Seeds", ", ".join(map(str, seeds)))
    row(console, "Prompt", request.prompt)
    row(console, "Negative", request.negative_prompt)
    for name, value in request.options.items():
        row(console, name, str(value))
    row(console, "Target", f"< {run.settings.target_seconds:g} s")


def log_series(console: Console, series: Series) -> None:
    """A line per clip and one for all: verdict, identity, seconds and cost."""
    console.print(Text(f"\n{say('seeds_heading')}", style="bold cyan"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    table.add_column(say("seed"), justify="right")
    table.add_column(say("seeds_verdict"))
    for name in ("identity", "seconds", "cost"):
        table.add_column(say(f"seeds_{name}"), justify="right")
    for take in series.takes:
        if take.result is None:
            table.add_row(str(take.seed), say("seeds_not_made"), "", f"{take.seconds:.1f}", "")
            continue
        report = take.result.report
        scores = report.verification.scores
        identity = next((s.value for s in scores if s.name == "identity_min"), None)
        table.add_row(
            str(take.seed),
            colored_verdict(take.result.verdict),
            f"{identity:.3f}" if isinstance(identity, float) else "–",
            f"{take.seconds:.1f}",
            _cost(report.bill),
        )
    made = say("seeds_made", count=sum(take.result is not None for take in series.takes))
    seconds, cost = f"{series.seconds:.1f}", _cost(series.bill)
    table.add_row(say("seeds_all"), made, "", seconds, cost, style="bold")
    console.print(table)
    for take in series.takes:
        if take.result is None:
            line = say("seed_failed", seed=take.seed, reason=localized(take.reason))
            console.print(Text(clean(f"  {line}"), style="red"), soft_wrap=True)
    row(console, say("label_page"), str(series.page))


def _cost(costs: Bill | None) -> str:
    if costs is None:
        return "–"
    local = "" if costs.currency == "USD" else f" ({money(costs.amount, costs.currency)})"
    return f"{money(costs.usd, 'USD')}{local}"


def log_result(console: Console, result: Result, settings: Settings) -> None:
    """Everything after the settings, with real values."""
    report = result.report
    seconds = {stage.stage: stage.seconds for stage in report.stages}
    facts = report.verification.facts
    heading(console, "GENERATION COMPLETE", f"Time: {seconds.get('generate', 0.0):.1f}s")
    row(console, "Engine", f"{report.engine.name} on {report.engine.device}")
    row(console, "Moves", f"the {report.engine.moves}")
    for name, value in report.engine.provenance.items():
        row(console, name, str(value))

    heading(console, "CHARACTER FIDELITY VERIFICATION")
    log_differences(console, report.verification)

    heading(console, f"UPSCALING TO {report.settings['height']}p")
    if report.upscaler == "none":
        row(console, "Method", "none: the engine draws at the target size")
    else:
        row(console, "Method", report.upscaler)
        row(console, "Time", f"{seconds.get('upscale', 0.0):.1f}s")

    heading(console, f"FINAL VERIFICATION @ {facts.height}p")
    log_checklist(console, report.verification)

    heading(console, "COMPLETE")
    row(console, "Clip", str(result.clip))
    row(console, "Frames", str(facts.num_frames))
    row(console, "File size", f"{facts.size_bytes / 1e6:.2f} MB")
    row(console, "Duration", f"{facts.seconds:.2f} s")
    row(console, "Pictures", f"{result.contact_sheet.name}, {result.thumbnail.name}")
    row(console, "Report", f"{result.page.name}, {result.report_file.name}")

    heading(console, "PERFORMANCE")
    for stage, label in (
        ("image", "Picture"),
        ("load", "Loading"),
        ("generate", "Generation"),
        ("upscale", "Upscaling"),
        ("encode", "Encoding"),
        ("verify", "Verifying"),
    ):
        if stage in seconds:
            row(console, label, f"{seconds[stage]:.1f}s")
    row(
        console, "Total", f"{report.seconds:.1f}s (stages overlap: each has the time waited for it)"
    )
    cost = report.bill
    if cost is None:
        row(console, "Cost", "not measured")
    else:
        local = "" if cost.currency == "USD" else f" ({money(cost.amount, cost.currency)})"
        rate = f"{cost.seconds:.1f} s × ${cost.rate:g}/s ({cost.device})"
        row(console, "Cost", f"{money(cost.usd, 'USD')}{local}: {rate}")
    row(console, "Memory", f"{report.peak_memory_mb:.0f} MB at most")
    performance = [s for s in report.verification.scores if s.group == "performance"]
    met = all(score.verdict == "pass" for score in performance)
    row(
        console,
        "Target",
        f"< {settings.target_seconds:g} s, about ${settings.target_usd:g}: "
        + ("met" if met else "not met, or not measured"),
    )
    for warning in dict.fromkeys((*report.warnings, *report.verification.warnings)):
        console.print(Text(clean(f"  note: {warning}"), style="yellow"), soft_wrap=True)
    console.print(Text("\n  Verdict: ") + mark(result.verdict))


def log_verification(console: Console, verification: Verification) -> None:
    """All answers about a clip that was verified."""
    heading(console, "CHARACTER FIDELITY VERIFICATION")
    log_differences(console, verification)
    heading(console, f"VERIFICATION @ {verification.facts.height}p")
    log_checklist(console, verification)
    for warning in verification.warnings:
        console.print(f"  note: {warning}", style="yellow", markup=False)
    console.print("\n  Verdict:", mark(verification.verdict))


def log_differences(console: Console, verification: Verification) -> None:
    """The user's frame check: one line per checked frame, then max, average and what it means."""
    found = [score for score in verification.scores if score.name.startswith("frame_difference")]
    for score in found:
        for frame, value in score.series:
            console.print(f"  Frame {frame:>3}: diff={value:5.2f} [{_word(score, value)}]")
    for score in found:
        console.print(Text("  ") + mark(score.verdict) + Text(f"  {score.reason}"), soft_wrap=True)


def _word(score: Score, value: float) -> str:
    return "OK" if not isinstance(score.limit, float | int) or value <= score.limit else "HIGH"


def log_checklist(console: Console, verification: Verification) -> None:
    """Every question of the checklist, answered: verdict, question, and the sentences behind it.

    A question that passed shows its first sentence; any other shows every sentence.
    """
    found = answers(verification)
    for group in dict.fromkeys(answer.group for answer in found):
        console.print(Text(f"  {group_title(group)['en']}", style="bold"))
        table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(width=14, justify="right")
        table.add_column(ratio=1, overflow="fold")
        for answer in found:
            if answer.group != group or _is_frame_check(answer.scores):
                continue
            text = Text(answer.question["en"])
            for sentence in _sentences(answer):
                text.append(f"  {sentence}", style="dim")
            table.add_row(mark(answer.verdict), text)
        console.print(table)


def _is_frame_check(scores: tuple[Score, ...]) -> bool:
    """The user's frame differences have a section of their own."""
    return bool(scores) and all(score.name.startswith("frame_difference") for score in scores)


def _sentences(answer: Answer) -> Iterator[str]:
    if not answer.scores:
        yield answer.note.get("en", "")
    elif answer.verdict == "pass":
        yield answer.scores[0].reason
    else:
        # several scores may share one reason, as that no face was found
        yield from dict.fromkeys(s.reason for s in answer.scores if s.verdict != "pass")
        if answer.next:
            yield answer.next["en"]
