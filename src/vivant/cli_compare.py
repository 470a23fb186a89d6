"""``vivant compare`` and ``vivant batch``: read options, call what does the work, and print."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivant.errors import Cancelled, OptionError

if TYPE_CHECKING:
    from rich.console import Console

    from vivant.batch.runner import Estimate, Outcome
    from vivant.compare.runner import Step
    from vivant.compare.variants import Plan
    from vivant.types import Request

Currency = Annotated[
    str | None,
    typer.Option(help="Currency of the bill: KRW, USD, ….  [default: KRW]", metavar="CODE"),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]


def compare(
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures, or folders of them.", metavar="[IMAGE]...", show_default=False
        ),
    ] = None,
    variants: Annotated[
        Path | None,
        typer.Option(help="TOML file of what to compare; see docs/compare.md.", metavar="FILE"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="Instead of a file: lora, lora-dev, steps, nag, recipes, upscalers, fp8, anchors.",
            metavar="NAME",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Two upscalers on the portrait that comes with Vivant.")
    ] = False,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            help="Folder of page, tables and clips. The same folder again goes on from there.",
            metavar="DIR",
        ),
    ] = Path("vivant-compare"),
    seeds: Annotated[
        int | None, typer.Option(help="Seeds 0 … N−1 instead of the file's.", metavar="N", min=1)
    ] = None,
    frames: Annotated[
        int | None, typer.Option(help="Frames instead of the file's.", metavar="N")
    ] = None,
    currency: Currency = None,
    quiet: Quiet = False,
    json: Annotated[bool, typer.Option("--json", help="Print compare.json, nothing else.")] = False,
) -> None:
    """Make clips by several variants, and say which to use and why.

    The first variant is the baseline. Finished clips are never made again: stop at any time and
    run the same command once more.
    """
    from rich.console import Console

    from vivant.compare.findings import find
    from vivant.compare.page import render
    from vivant.compare.runner import compare as run
    from vivant.compare.sentences import heading, paragraph, price
    from vivant.compare.tables import (
        CSV_NAME,
        JSON_NAME,
        PAGE_NAME,
        as_csv,
        as_json,
        earlier_looks,
    )
    from vivant.compare.variants import parse_seeds
    from vivant.report import to_json
    from vivant.settings import default_settings
    from vivant.shelf import held, write_whole

    plan, pictures = _inputs(images or [], variants, preset, demo=demo)
    if seeds is not None:
        plan = replace(plan, seeds=parse_seeds(seeds))
    if frames is not None:
        plan = replace(plan, num_frames=frames)
    out = Console(quiet=quiet or json, highlight=False)
    progress = Console(stderr=True, quiet=quiet, highlight=False)
    done = 0

    def watch(step: Step) -> None:
        nonlocal done
        done = step.done
        text = f"  [{step.done}/{step.total}] {step.variant} · {step.picture} · seed {step.seed}"
        if step.reason:
            text += f": {step.reason}"
        elif step.reused:
            text += ": there already"
        progress.print(text, markup=False, soft_wrap=True)

    try:
        with held(output, clips=output / "clips"):
            comparison = run(
                plan, pictures, output, settings=default_settings(), watch=watch, currency=currency
            )
            earlier = earlier_looks(output)
            findings = find(comparison, earlier)
            looks = earlier if findings.evidence in earlier else (*earlier, findings.evidence)
            body = to_json(as_json(comparison, findings, looks))
            write_whole(output / PAGE_NAME, render(comparison, findings))
            write_whole(output / CSV_NAME, as_csv(comparison))
            write_whole(output / JSON_NAME, body)
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(
            f"cancelled after {done} clips; they are kept, and the same command goes on from there"
        ) from None
    if json:
        sys.stdout.write(body)
        return
    for found in findings.recommendations:
        out.print(f"\n{heading(found, plan.baseline.name)['en']}", style="bold", markup=False)
        text = paragraph(found, plan.baseline.name, len(comparison.pictures))["en"]
        out.print(f"  {text} {price(findings, found.variant)['en']}", markup=False)
    for failure in comparison.failures:
        out.print(f"  left out: {failure.picture}: {failure.reason}", style="yellow", markup=False)
    out.print(
        f"\n  {comparison.made} clips made, {len(comparison.cells) - comparison.made} there "
        f"already. Page: {output / PAGE_NAME}",
        markup=False,
        soft_wrap=True,
    )


def _inputs(
    images: Sequence[Path], variants: Path | None, preset: str | None, *, demo: bool
) -> tuple[Plan, list[tuple[str, Any]]]:
    """What to compare, on which pictures.

    Raises:
        OptionError: options that do not go together.
    """
    from vivant.compare import variants as known
    from vivant.compare.runner import expand, unique_names

    if variants is not None and preset is not None:
        raise OptionError("give --variants or --preset, not both", param="variants")
    if demo:
        from vivant.compose import demo_image

        if images:
            raise OptionError("--demo brings its own picture: leave IMAGE out", param="demo")
        pictures: list[tuple[str, Any]] = [("Eileen Collins (NASA, public domain)", demo_image())]
        if variants is None and preset is None:
            preset = "upscalers"
    elif not images:
        raise OptionError("no picture: give IMAGE…, or --demo", param="image")
    else:
        pictures = unique_names(expand(images))
    if variants is None and preset is None:
        raise OptionError(
            f"what to compare is missing: --variants FILE, or --preset {'|'.join(known.PRESETS)}",
            param="variants",
        )
    plan = known.preset(preset) if preset is not None else known.read_plan(variants or Path())
    return plan, pictures


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
    seed: Annotated[
        int, typer.Option(help="Of every row without its own.", metavar="N", min=0)
    ] = 0,
    prompt: Annotated[str | None, typer.Option(help="What should happen.", metavar="TEXT")] = None,
    negative: Annotated[
        str | None, typer.Option(help="What must not happen.", metavar="TEXT")
    ] = None,
    engine: Annotated[str, typer.Option(help="camera or ltx2.", metavar="NAME")] = "camera",
    upscaler: Annotated[str, typer.Option(help="As of animate.", metavar="NAME")] = "auto",
    quality: Annotated[
        str, typer.Option(help="draft, standard or high.", metavar="NAME")
    ] = "standard",
    options: Annotated[
        list[str] | None, typer.Option("--set", help="An option of the engine.", metavar="K=V")
    ] = None,
    estimate_only: Annotated[
        bool, typer.Option("--estimate", help="Only say what it would take and cost.")
    ] = False,
    currency: Currency = None,
    quiet: Quiet = False,
    json: Annotated[bool, typer.Option("--json", help="Print batch.json, nothing else.")] = False,
) -> None:
    """Animate a folder or a CSV of pictures; exit code 1 if a row could not be made.

    Columns of a CSV: image, and where a row wants its own: output, prompt, negative, frames,
    seconds, fps, aspect, size, seed, engine, upscaler, quality, options ("move=orbit; strength=1").
    """
    from rich.console import Console

    from vivant.batch.page import render
    from vivant.batch.rows import read_rows
    from vivant.batch.runner import estimate, run_batch, total
    from vivant.batch.tables import as_csv, as_json
    from vivant.cost import bill, money
    from vivant.report import to_json
    from vivant.settings import default_settings
    from vivant.shelf import held, write_whole

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
        "options": ";".join(options or ()),
    }
    rows = read_rows(source, lambda picture, own: row_request(picture, given, own))
    out = Console(quiet=quiet or json, highlight=False)
    progress = Console(stderr=True, quiet=quiet, highlight=False)
    ahead = estimate(rows, output, settings, code)
    out.print(f"\n[ESTIMATE] {_ahead(ahead)}", markup=False, soft_wrap=True)
    if estimate_only:
        return
    done = 0

    def watch(outcome: Outcome, finished: int) -> None:
        nonlocal done
        done = finished
        words = {"made": "", "there": ": there already", "failed": f": {outcome.reason}"}
        text = f"  [{finished}/{len(rows)}] {outcome.row.picture}{words[outcome.state]}"
        if outcome.state == "made" and outcome.report:
            text += f": {outcome.report['verdict']}, {outcome.report['seconds']:.1f} s"
        progress.print(text, markup=False, soft_wrap=True)
        if outcome.state == "made" and ahead.unknown:
            rest = estimate(rows, output, settings, code)
            if not rest.unknown and rest.clips:
                progress.print(f"  left: {_ahead(rest)}", markup=False, soft_wrap=True)

    try:
        with held(output):
            outcomes = run_batch(rows, output, settings=settings, watch=watch, currency=code)
            body = to_json(as_json(outcomes))
            write_whole(output / "index.html", render(outcomes, source.stem or "batch"))
            write_whole(output / "batch.csv", as_csv(outcomes))
            write_whole(output / "batch.json", body)
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(
            f"cancelled after {done} rows; finished clips are kept, and the same command goes on"
        ) from None
    failed = sum(outcome.state == "failed" for outcome in outcomes)
    if json:
        sys.stdout.write(body)
    else:
        seconds, usd = total(outcomes)
        factor = bill("cpu", 1.0, currency=code, exchange=settings.exchange)
        local = money(usd * (factor.exchange_rate if factor else 1.0), code.upper())
        made = sum(outcome.state == "made" for outcome in outcomes)
        out.print(
            f"\n[BILL] {made} clips made in {seconds:.0f} s: {money(usd, 'USD')} ({local}); "
            f"{len(outcomes) - made - failed} there already, {failed} could not be made.\n"
            f"  Page: {output / 'index.html'}",
            markup=False,
            soft_wrap=True,
        )
    if failed:
        raise typer.Exit(1)


def row_request(picture: Path, given: Mapping[str, str], own: Mapping[str, str]) -> Request:
    """A request from a row's own settings over the command's.

    Raises:
        OptionError: a value that is not possible.
    """
    from vivant.cli import parse_dimensions, parse_fps, parse_length, parse_options, parse_quality
    from vivant.pipeline import check_request
    from vivant.settings import default_settings
    from vivant.types import DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT, Request

    row = {**given, **own}
    if own.get("size") or own.get("aspect"):  # a row's shape replaces the command's as a whole
        row = {**row, "size": own.get("size", ""), "aspect": own.get("aspect", "")}
    if own.get("seconds") and not own.get("frames"):
        row["frames"] = ""
    rate = parse_fps(row["fps"])
    width, height = parse_dimensions(row["aspect"] or None, row["size"] or None)
    pairs = {
        pair.partition("=")[0].strip(): pair.strip()
        for text in (given["options"], own.get("options", ""))
        for pair in text.split(";")
        if pair.strip()
    }
    request = Request(
        image=picture,
        prompt=row["prompt"] or DEFAULT_PROMPT,
        negative_prompt=row["negative"] or DEFAULT_NEGATIVE_PROMPT,
        num_frames=parse_length(
            int(_float(row["frames"], "frames", whole=True)) if row["frames"] else None,
            _float(row["seconds"], "seconds") if row.get("seconds") else None,
            rate,
        ),
        fps=rate,
        width=width,
        height=height,
        seed=int(_float(row["seed"], "seed", whole=True)),
        engine=row["engine"],
        upscaler=row["upscaler"],
        quality=parse_quality(row["quality"]),
        options=parse_options(list(pairs.values())),
    )
    check_request(request, default_settings())
    return request


def _float(text: str, name: str, *, whole: bool = False) -> float:
    try:
        return int(text) if whole else float(text)
    except ValueError:
        kind = "whole number" if whole else "number"
        raise OptionError(f"{name} {text!r} is not a {kind}", param=name) from None


def _ahead(found: Estimate) -> str:
    """The bill beforehand in one line."""
    from vivant.cost import money

    text = f"{found.clips} clips to make"
    if found.there:
        text += f", {found.there} there already"
    if found.unusable:
        text += f", {found.unusable} rows cannot be made"
    if found.unknown:
        return (
            f"{text}; time and cost are known once the first clip by {', '.join(found.unknown)} "
            "is made on this machine"
        )
    if found.seconds is None or not found.clips:
        return text
    text += f": about {found.seconds:.0f} s"
    if found.costs is None:
        return f"{text}; cost not known"
    cost = found.costs
    return f"{text}, {money(cost.usd, 'USD')} ({money(cost.amount, cost.currency)})"


def make_until_pass(
    request: Request,
    output: Path,
    budget: str,
    out: Console,
    progress: Console,
    *,
    currency: str | None,
    json: bool,
    force: bool,
) -> None:
    """``animate --until-pass``: attempts, what each was for and what it cost, then the run log."""
    from vivant import console as show
    from vivant.cost import money
    from vivant.engine import load_engine
    from vivant.gate.animate import animate_until_pass
    from vivant.gate.budget import Budget
    from vivant.gate.story import Attempt
    from vivant.settings import default_settings
    from vivant.upscale import load_upscaler

    settings = default_settings()
    limit = Budget.parse(budget)
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

    with show.progress_bars(progress) as observe:
        gated = animate_until_pass(
            request,
            output,
            limit,
            engine=load_engine(request.engine, settings),
            upscaler=load_upscaler(request.upscaler),
            settings=settings,
            observe=observe,
            tell=tell,
            currency=currency,
            force=force,
        )
    if json:
        sys.stdout.write(gated.result.report_file.read_text("utf-8"))
        return
    show.log_result(out, gated.result, settings)
    spent = sum(attempt.usd or 0.0 for attempt in gated.attempts)
    show.heading(out, "PASSED" if gated.passed else "NOT PASSED")
    show.row(out, "Delivered", f"attempt {gated.chosen} of {len(gated.attempts)}")
    show.row(out, "Stopped", gated.stopped)
    show.row(out, "All in all", f"{gated.seconds:.1f} s, {money(spent, 'USD')} of {limit}")


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(compare)
    app.command()(batch)
