"""``vivant compare``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivant.cli.language import language, localized, say
from vivant.cli.options import Currency, Quiet
from vivant.errors import Cancelled, OptionError

if TYPE_CHECKING:
    from vivant.cli.terminal import CleanConsole
    from vivant.compare.clips import Comparison
    from vivant.compare.findings import Findings
    from vivant.compare.plan import ComparisonPlan
    from vivant.compare.runner import ClipDone
    from vivant.runs.run import Runner


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
    """Make clips in several variants, and recommend one.

    The first variant is the baseline. Finished clips are never made again: stop at any time and
    run the same command once more.
    """
    from vivant.cli.terminal import CleanConsole
    from vivant.compare.plan_file import read_seeds
    from vivant.runs.run import Runner
    from vivant.settings import default_settings

    plan, pictures = _inputs(images or [], variants, preset, demo=demo)
    if seeds is not None:
        plan = replace(plan, seeds=read_seeds(seeds))
    if frames is not None:
        plan = replace(plan, num_frames=frames)
    progress = CleanConsole(stderr=True, quiet=quiet, highlight=False)
    runner = Runner(default_settings(), currency=currency)
    comparison, findings, body = _make(plan, pictures, output, runner, progress)
    if json:
        sys.stdout.write(body)
    else:
        out = CleanConsole(quiet=quiet, highlight=False)
        _print(out, comparison, findings, output)


def _make(
    plan: ComparisonPlan,
    pictures: list[tuple[str, Any]],
    output: Path,
    runner: Runner,
    progress: CleanConsole,
) -> tuple[Comparison, Findings, str]:
    """Make the clips, and write page and tables; returns also the text of ``compare.json``.

    Raises:
        Cancelled: Ctrl-C; finished clips stay.
    """
    from vivant.compare.exports import (
        CSV_NAME,
        JSON_NAME,
        PAGE_NAME,
        as_csv,
        as_json,
        earlier_looks,
    )
    from vivant.compare.findings import evaluate
    from vivant.compare.page import render
    from vivant.compare.runner import compare as run
    from vivant.report import to_json
    from vivant.runs.clip_cache import lock_folder, write_whole

    done = 0

    def watch(clip: ClipDone) -> None:
        nonlocal done
        done = clip.done
        seed = f"{say('seed')} {clip.seed}"
        text = f"  [{clip.done}/{clip.total}] {clip.variant} · {clip.picture} · {seed}"
        if clip.outcome.reason:
            text += f": {localized(clip.outcome.reason)}"
        elif clip.outcome.state == "cached":
            text += f": {say('there_already')}"
        progress.print(text, markup=False, soft_wrap=True)

    try:
        with lock_folder(output, clips=output / "clips"):
            comparison = run(plan, pictures, output, runner, watch=watch)
            earlier = earlier_looks(output)
            findings = evaluate(comparison, earlier)
            looks = earlier if findings.evidence in earlier else (*earlier, findings.evidence)
            body = to_json(as_json(comparison, findings, looks))
            write_whole(output / PAGE_NAME, render(comparison, findings))
            write_whole(output / CSV_NAME, as_csv(comparison))
            write_whole(output / JSON_NAME, body)
    except (KeyboardInterrupt, Cancelled):
        raise Cancelled(say("compare_cancelled", count=done)) from None
    return comparison, findings, body


def _print(out: CleanConsole, comparison: Comparison, findings: Findings, output: Path) -> None:
    from vivant.compare.exports import PAGE_NAME
    from vivant.compare.sentences import heading, paragraph, price

    plan = comparison.plan
    for found in findings.recommendations:
        title = heading(found, plan, findings)[language()]
        out.print(f"\n{title}", style="bold", markup=False)
        text = paragraph(found, plan, findings)[language()]
        cost = price(findings, found, plan)[language()]
        out.print(f"  {text} {cost}", markup=False)
    for failure in comparison.failures:
        reason = localized(failure.reason)
        line = say("left_out", picture=failure.picture, reason=reason)
        out.print(f"  {line}", style="yellow", markup=False)
    line = say(
        "compared",
        count=comparison.made,
        cached=len(comparison.cells) - comparison.made,
        page=output / PAGE_NAME,
    )
    out.print(f"\n  {line}", markup=False, soft_wrap=True)


def _inputs(
    images: Sequence[Path], variants: Path | None, preset: str | None, *, demo: bool
) -> tuple[ComparisonPlan, list[tuple[str, Any]]]:
    """What to compare, on which pictures.

    Raises:
        OptionError: options that do not go together.
    """
    from vivant.compare import plan_file
    from vivant.compare.runner import expand, unique_names

    if variants is not None and preset is not None:
        raise OptionError("give --variants or --preset, not both", param="variants")
    if demo:
        from vivant.picture.sample_picture import sample_picture

        if images:
            raise OptionError("--demo brings its own picture: leave IMAGE out", param="demo")
        pictures: list[tuple[str, Any]] = [
            ("Eileen Collins (NASA, public domain)", sample_picture())
        ]
        if variants is None and preset is None:
            preset = "upscalers"
    elif not images:
        raise OptionError("no picture: give IMAGE…, or --demo", param="image")
    else:
        pictures = unique_names(expand(images))
    if variants is None and preset is None:
        raise OptionError(
            "what to compare is missing: --variants FILE, or --preset "
            + "|".join(plan_file.PRESETS),
            param="variants",
        )
    plan = (
        plan_file.preset(preset) if preset is not None else plan_file.read_plan(variants or Path())
    )
    return plan, pictures


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(compare)
