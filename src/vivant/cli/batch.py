"""``vivant batch``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivant.cli.language import localized, say
from vivant.cli.options import (
    Crop,
    Currency,
    Focus,
    LabelSeconds,
    LabelText,
    Quiet,
    Rotate,
    SoundChoice,
    Strict,
)
from vivant.cli.parsing import row_request
from vivant.errors import Cancelled
from vivant.types import DEFAULT_ENGINE

if TYPE_CHECKING:
    from vivant.runs.batch import BatchEstimate, RowOutcome
    from vivant.runs.batch_rows import Row
    from vivant.runs.run import Outcome
    from vivant.settings import Settings

ROW_FIELDS = (
    "frames", "fps", "aspect", "size", "seed", "prompt", "negative", "engine", "upscaler",
    "quality", "label", "label_seconds", "sound", "crop", "focus", "rotate",
)  # fmt: skip
"""Options that a row of the CSV may have, too."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What ``vivant batch`` is given; each field is an option of the command line.

    The values for the clips are checked by ``CommandFields``, row by row.
    """

    source: Annotated[
        Path,
        typer.Argument(help="Folder of pictures, or a CSV; see docs/batch.md.", metavar="SOURCE"),
    ]
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder of clips and index page. The same folder again goes on from there.",
            metavar="DIR",
        ),
    ] = Path("vivant-batch")
    frames: Annotated[int | None, typer.Option(help="Frames.  [default: 97]", metavar="N")] = None
    fps: Annotated[str, typer.Option(help="Frames per second.", metavar="R")] = "24"
    aspect: Annotated[
        str | None, typer.Option(help="16:9, 9:16 or 1:1.  [default: 16:9]", metavar="W:H")
    ] = None
    size: Annotated[
        str | None, typer.Option(help="Exact size instead, e.g. 1920x1080.", metavar="WxH")
    ] = None
    crop: Crop = None
    focus: Focus = None
    rotate: Rotate = None
    seed: Annotated[int, typer.Option(help="Seed of rows that have none.", metavar="N", min=0)] = 0
    prompt: Annotated[str | None, typer.Option(help="What should happen.", metavar="TEXT")] = None
    negative: Annotated[str | None, typer.Option(help="What must not happen.", metavar="TEXT")] = (
        None
    )
    engine: Annotated[str, typer.Option(help="living, camera or ltx2.", metavar="NAME")] = (
        DEFAULT_ENGINE
    )
    upscaler: Annotated[str, typer.Option(help="See animate.", metavar="NAME")] = "auto"
    quality: Annotated[str, typer.Option(help="draft, standard or high.", metavar="NAME")] = (
        "standard"
    )
    label: LabelText = ""
    label_seconds: LabelSeconds = None
    sound: SoundChoice = ""
    options: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the engine.", metavar="K=V")
    ] = None
    estimate_only: Annotated[
        bool, typer.Option("--estimate", help="Only say what it would take and cost.")
    ] = False
    currency: Currency = None
    strict: Strict = False
    quiet: Quiet = False
    json: Annotated[bool, typer.Option("--json", help="Print batch.json, nothing else.")] = False

    @property
    def row_values(self) -> dict[str, str]:
        """The values of rows that have none of their own, as a CSV has them; "" for none."""
        values = {name: getattr(self, name) for name in ROW_FIELDS}
        texts = {name: "" if value is None else str(value) for name, value in values.items()}
        return {**texts, "options": ";".join(self.options or ())}


def batch(given: BatchOptions) -> None:
    """Animate a folder or a CSV of pictures; exit code 1 if a row could not be made.

    Columns of a CSV: image, and where a row wants its own: output, prompt, negative, frames,
    seconds, fps, aspect, size, seed, engine, upscaler, quality, label, label_seconds, sound,
    last, crop, focus, rotate, options ("move=orbit; strength=1").
    """
    from vivant.cli.terminal import CleanConsole
    from vivant.cost import bill
    from vivant.engines import ENGINES, load_engine
    from vivant.runs.batch import estimate_batch
    from vivant.runs.batch_rows import read_rows
    from vivant.settings import default_settings
    from vivant.upscalers import load_upscaler

    settings = default_settings()
    currency = given.currency or settings.currency
    bill("cpu", 0.0, currency=currency, exchange=settings.exchange)  # unknown currencies end here
    if given.engine not in ENGINES:
        load_engine(given.engine, settings)  # says which there are, once and not for every row
    if given.upscaler != "auto":
        load_upscaler(given.upscaler)
    rows = read_rows(
        given.source, lambda picture, own: row_request(picture, given.row_values, own, settings)
    )
    out = CleanConsole(quiet=given.quiet or given.json, highlight=False)
    estimated = estimate_batch(rows, given.output, settings, currency)
    heading = say("estimate_heading")
    out.print(f"\n{heading} {estimate_line(estimated)}", markup=False, soft_wrap=True)
    if given.estimate_only:
        return
    outcomes, body = _make(rows, given, settings, currency, unknown=bool(estimated.unknown))
    if given.json:
        sys.stdout.write(body)
    else:
        page = f"  {say('label_page')}: {given.output / 'index.html'}"
        line = _bill_line(outcomes, settings, currency)
        out.print(f"\n{line}\n{page}", markup=False, soft_wrap=True)
    failed = any(outcome.state == "failed" for _, outcome in outcomes)
    bad = any(one.report and one.report["verdict"] == "fail" for _, one in outcomes)
    if failed or (given.strict and bad):
        raise typer.Exit(1)


def _make(
    rows: Sequence[Row], given: BatchOptions, settings: Settings, currency: str, *, unknown: bool
) -> tuple[list[RowOutcome], str]:
    """Make the clips, page and tables; returns the outcomes and the text of ``batch.json``.

    Args:
        unknown: no time could be told yet: say what is left once one clip is made.
    """
    from vivant.cli.terminal import CleanConsole
    from vivant.report import to_json
    from vivant.runs.batch import estimate_batch, run_batch
    from vivant.runs.batch_tables import as_csv, as_json
    from vivant.runs.clip_cache import lock_folder, write_whole
    from vivant.runs.index_page import ClipEntry, render
    from vivant.runs.run import Runner

    output = given.output
    progress = CleanConsole(stderr=True, quiet=given.quiet, highlight=False)
    done = 0

    def watch(row: Row, outcome: Outcome, finished: int) -> None:
        nonlocal done
        done = finished
        words = {"cached": say("there_already"), "failed": localized(outcome.reason)}
        words["made"] = _made_words(outcome)
        text = f"  [{finished}/{len(rows)}] {row.picture}: {words[outcome.state]}"
        progress.print(text, markup=False, soft_wrap=True)
        if outcome.state == "made" and unknown:
            rest = estimate_batch(rows[finished:], output, settings, currency)
            if not rest.unknown and rest.clips:
                line = say("batch_left", text=estimate_line(rest))
                progress.print(f"  {line}", markup=False, soft_wrap=True)

    try:
        with lock_folder(output):
            runner = Runner(settings, currency=currency)
            outcomes = run_batch(rows, output, runner, watch=watch)
            body = to_json(as_json(outcomes))
            entries = [
                ClipEntry(name=r.name, picture=r.picture, report=o.report, reason=o.reason)
                for r, o in outcomes
            ]
            title = given.source.stem or "batch"
            write_whole(output / "index.html", render(entries, title))
            write_whole(output / "batch.csv", as_csv(outcomes))
            write_whole(output / "batch.json", body)
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(say("batch_cancelled", count=done)) from None
    return outcomes, body


def _bill_line(outcomes: Sequence[RowOutcome], settings: Settings, currency: str) -> str:
    """How many clips were made, in which time and for what price."""
    from vivant.cost import bill, money
    from vivant.runs.batch import spent

    seconds, usd = spent(outcomes)
    factor = bill("cpu", 1.0, currency=currency, exchange=settings.exchange)
    states = [outcome.state for _, outcome in outcomes]
    return say(
        "bill",
        count=states.count("made"),
        seconds=f"{seconds:.0f}",
        usd=money(usd, "USD"),
        local=money(usd * (factor.exchange_rate if factor else 1.0), currency.upper()),
        cached=states.count("cached"),
        failed=states.count("failed"),
    )


def _made_words(outcome: Outcome) -> str:
    """Verdict and seconds of a clip that was made now."""
    if outcome.report is None:
        return ""
    verdict = say(f"verdict_{outcome.report['verdict']}")
    return f"{verdict}, {say('took', seconds=format(outcome.report['seconds'], '.1f'))}"


def estimate_line(found: BatchEstimate) -> str:
    """What is to be made, its time and its cost, in one line."""
    from vivant.cost import money

    text = say("estimate_make", count=found.clips)
    if found.cached:
        text += say("estimate_cached", count=found.cached)
    if found.unusable:
        text += say("estimate_bad", count=found.unusable)
    if found.unknown:
        return text + say("estimate_unknown", engines=", ".join(found.unknown))
    if found.seconds is None or not found.clips:
        return text
    seconds = found.seconds
    if seconds < 100:
        text += say("estimate_seconds", count=round(seconds))
    else:
        text += say("estimate_minutes", count=round(seconds / 60))
    if found.costs is None:
        return text + say("estimate_no_cost")
    cost = found.costs
    return f"{text}, {money(cost.usd, 'USD')} ({money(cost.amount, cost.currency)})"


def mount(app: typer.Typer) -> None:
    """Add the command to the command line: the fields of :class:`BatchOptions` are its options."""

    def command(**given: Any) -> None:
        batch(BatchOptions(**given))

    command.__signature__ = inspect.signature(BatchOptions, eval_str=True)  # type: ignore[attr-defined]
    app.command("batch", help=inspect.getdoc(batch))(command)
