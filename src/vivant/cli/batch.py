"""``vivant batch``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    Strict,
)
from vivant.cli.parsing import row_request
from vivant.errors import Cancelled

if TYPE_CHECKING:
    from vivant.runs.batch import BatchEstimate
    from vivant.runs.batch_rows import Row
    from vivant.runs.run import Outcome


def batch(
    source: Annotated[
        Path,
        typer.Argument(help="Folder of pictures, or a CSV; see docs/batch.md.", metavar="SOURCE"),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder of clips and index page. The same folder again goes on from there.",
            metavar="DIR",
        ),
    ] = Path("vivant-batch"),
    frames: Annotated[int | None, typer.Option(help="Frames.  [default: 97]", metavar="N")] = None,
    fps: Annotated[str, typer.Option(help="Frames per second.", metavar="R")] = "24",
    aspect: Annotated[
        str | None, typer.Option(help="16:9, 9:16 or 1:1.  [default: 16:9]", metavar="W:H")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Exact size instead, e.g. 1920x1080.", metavar="WxH")
    ] = None,
    crop: Crop = None,
    focus: Focus = None,
    rotate: Rotate = None,
    seed: Annotated[int, typer.Option(help="Seed of rows that have none.", metavar="N", min=0)] = 0,
    prompt: Annotated[str | None, typer.Option(help="What should happen.", metavar="TEXT")] = None,
    negative: Annotated[
        str | None, typer.Option(help="What must not happen.", metavar="TEXT")
    ] = None,
    engine: Annotated[str, typer.Option(help="living, camera or ltx2.", metavar="NAME")] = "living",
    upscaler: Annotated[str, typer.Option(help="See animate.", metavar="NAME")] = "auto",
    quality: Annotated[
        str, typer.Option(help="draft, standard or high.", metavar="NAME")
    ] = "standard",
    label: LabelText = "",
    label_seconds: LabelSeconds = None,
    options: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the engine.", metavar="K=V")
    ] = None,
    estimate_only: Annotated[
        bool, typer.Option("--estimate", help="Only say what it would take and cost.")
    ] = False,
    currency: Currency = None,
    strict: Strict = False,
    quiet: Quiet = False,
    json: Annotated[bool, typer.Option("--json", help="Print batch.json, nothing else.")] = False,
) -> None:
    """Animate a folder or a CSV of pictures; exit code 1 if a row could not be made.

    Columns of a CSV: image, and where a row wants its own: output, prompt, negative, frames,
    seconds, fps, aspect, size, seed, engine, upscaler, quality, label, label_seconds, crop,
    focus, rotate, options ("move=orbit; strength=1").
    """
    from vivant.cli.terminal import CleanConsole
    from vivant.cost import bill, money
    from vivant.engines import ENGINES, load_engine
    from vivant.report import to_json
    from vivant.runs.batch import estimate_batch, run_batch, spent
    from vivant.runs.batch_rows import read_rows
    from vivant.runs.batch_tables import as_csv, as_json
    from vivant.runs.clip_cache import lock_folder, write_whole
    from vivant.runs.index_page import ClipEntry, render
    from vivant.runs.run import Runner
    from vivant.settings import default_settings
    from vivant.upscalers import load_upscaler

    settings = default_settings()
    code = currency or settings.currency
    bill("cpu", 0.0, currency=code, exchange=settings.exchange)  # unknown currencies end here
    given = {
        "frames": str(frames) if frames is not None else "",
        "fps": fps,
        "aspect": aspect or "",
        "size": size or "",
        "seed": str(seed),
        "prompt": prompt or "",
        "negative": negative or "",
        "engine": engine,
        "upscaler": upscaler,
        "quality": quality,
        "label": label,
        "label_seconds": "" if label_seconds is None else str(label_seconds),
        "options": ";".join(options or ()),
        "crop": crop or "",
        "focus": focus or "",
        "rotate": "" if rotate is None else str(rotate),
    }
    if engine not in ENGINES:
        load_engine(engine, settings)  # says which there are, once and not for every row
    if upscaler != "auto":
        load_upscaler(upscaler)
    rows = read_rows(source, lambda picture, own: row_request(picture, given, own, settings))
    out = CleanConsole(quiet=quiet or json, highlight=False)
    progress = CleanConsole(stderr=True, quiet=quiet, highlight=False)
    estimated = estimate_batch(rows, output, settings, code)
    heading = say("estimate_heading")
    out.print(f"\n{heading} {estimate_line(estimated)}", markup=False, soft_wrap=True)
    if estimate_only:
        return
    done = 0

    def watch(row: Row, outcome: Outcome, finished: int) -> None:
        nonlocal done
        done = finished
        words = {"cached": say("there_already"), "failed": localized(outcome.reason)}
        words["made"] = _made_words(outcome)
        text = f"  [{finished}/{len(rows)}] {row.picture}: {words[outcome.state]}"
        progress.print(text, markup=False, soft_wrap=True)
        if outcome.state == "made" and estimated.unknown:
            rest = estimate_batch(rows[finished:], output, settings, code)
            if not rest.unknown and rest.clips:
                line = say("batch_left", text=estimate_line(rest))
                progress.print(f"  {line}", markup=False, soft_wrap=True)

    try:
        with lock_folder(output):
            runner = Runner(settings, currency=code)
            outcomes = run_batch(rows, output, runner, watch=watch)
            body = to_json(as_json(outcomes))
            entries = [
                ClipEntry(name=r.name, picture=r.picture, report=o.report, reason=o.reason)
                for r, o in outcomes
            ]
            write_whole(output / "index.html", render(entries, source.stem or "batch"))
            write_whole(output / "batch.csv", as_csv(outcomes))
            write_whole(output / "batch.json", body)
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(say("batch_cancelled", count=done)) from None
    failed = sum(outcome.state == "failed" for _, outcome in outcomes)
    if json:
        sys.stdout.write(body)
    else:
        seconds, usd = spent(outcomes)
        factor = bill("cpu", 1.0, currency=code, exchange=settings.exchange)
        local = money(usd * (factor.exchange_rate if factor else 1.0), code.upper())
        made = sum(outcome.state == "made" for _, outcome in outcomes)
        line = say(
            "bill",
            count=made,
            seconds=f"{seconds:.0f}",
            usd=money(usd, "USD"),
            local=local,
            cached=len(outcomes) - made - failed,
            failed=failed,
        )
        page = f"  {say('label_page')}: {output / 'index.html'}"
        out.print(f"\n{line}\n{page}", markup=False, soft_wrap=True)
    bad = [one for _, one in outcomes if one.report and one.report["verdict"] == "fail"]
    if failed or (strict and bad):
        raise typer.Exit(1)


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
    """Add the command to the command line."""
    app.command()(batch)
