"""``vivant animate`` and ``vivant demo``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vivant.cli.made import log_made, log_start
from vivant.cli.options import (
    Aspect,
    Crop,
    Currency,
    EngineName,
    FileOrFolder,
    Focus,
    Force,
    Fps,
    Json,
    LabelSeconds,
    LabelText,
    LastPicture,
    Loop,
    Negative,
    NumFrames,
    OptionPairs,
    Output,
    Prompt,
    QualityName,
    Quiet,
    Rotate,
    RunOptions,
    Seconds,
    Seed,
    Size,
    SoundChoice,
    Strict,
    UpscalerName,
    Verbose,
)
from vivant.cli.parsing import command_request, parse_options
from vivant.cli.seeds import make_seeds
from vivant.cli.until_pass import make_until_pass
from vivant.cli.waiting import show_waiting
from vivant.errors import OptionError, printable
from vivant.grid import parse_seeds
from vivant.types import DEFAULT_ENGINE, DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT


def animate(
    image: Annotated[Path, typer.Argument(help="JPEG, PNG, WebP, AVIF, HEIC, …", metavar="IMAGE")],
    output: FileOrFolder = None,
    frames: NumFrames = None,
    seconds: Seconds = None,
    fps: Fps = "24",
    aspect: Aspect = None,
    size: Size = None,
    crop: Crop = None,
    focus: Focus = None,
    rotate: Rotate = None,
    seed: Annotated[
        int | None,
        typer.Option(help="The same seed gives the same frames.  [default: 0]", metavar="N", min=0),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(help="Up to 8 clips in one call, a seed each: 1,2,3 or 0-3.", metavar="LIST"),
    ] = None,
    prompt: Prompt = DEFAULT_PROMPT,
    negative: Negative = DEFAULT_NEGATIVE_PROMPT,
    engine: EngineName = DEFAULT_ENGINE,
    upscaler: UpscalerName = "auto",
    quality: QualityName = "standard",
    options: OptionPairs = None,
    loop: Loop = False,
    label: LabelText = "",
    label_seconds: LabelSeconds = None,
    sound: SoundChoice = "",
    last: LastPicture = None,
    currency: Currency = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
    strict: Strict = False,
    until_pass: Annotated[
        bool,
        typer.Option(
            "--until-pass", help="Try again with a change that fits, until no check fails."
        ),
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(help="For all attempts of --until-pass: 120s, ₩100, $0.10.", metavar="LIMIT"),
    ] = None,
) -> None:
    """Turn a picture into a verified clip."""
    show_waiting("starting", quiet=quiet)
    from vivant.settings import default_settings

    if until_pass != (budget is not None):
        raise OptionError("give --until-pass and --budget together", param="budget")
    if seeds is not None and seed is not None:
        raise OptionError("give --seed or --seeds, not both", param="seeds")
    if seeds is not None and until_pass:
        raise OptionError(
            "--until-pass chooses its own seeds, one after another: give it without --seeds",
            param="seeds",
        )
    many = None if seeds is None else parse_seeds(seeds)
    if image.is_dir():
        raise OptionError(
            f"{image} is a directory: give a picture, or make all in it with vivant batch {image}",
            param="image",
        )
    settings = default_settings()
    name = printable(image.stem)
    request = command_request(
        image,
        settings,
        prompt=prompt,
        negative=negative,
        frames=frames,
        seconds=seconds,
        fps=fps,
        aspect=aspect,
        size=size,
        seed=many[0] if many else seed,
        engine=engine,
        upscaler=upscaler,
        quality=quality,
        label=label,
        label_seconds=label_seconds,
        sound=sound,
        last=last,
        options=_engine_options(options, loop=loop),
        crop=crop,
        focus=focus,
        rotate=rotate,
    )
    run = RunOptions(
        request,
        output or Path(f"{name}-seeds" if many else f"{name}.mp4"),
        str(image),
        settings,
        currency=currency,
        quiet=quiet,
        json=json,
        force=force,
        strict=strict,
        verbose=verbose,
    )
    if many is not None:
        make_seeds(run, many)
    elif budget is not None:
        make_until_pass(run, budget)
    else:
        make(run)


def demo(
    output: Output = None,
    frames: NumFrames = None,
    seed: Seed = 0,
    engine: EngineName = DEFAULT_ENGINE,
    options: OptionPairs = None,
    loop: Loop = False,
    quality: QualityName = "standard",
    currency: Currency = None,
    verbose: Verbose = False,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
) -> None:
    """Animate a portrait that comes with Vivant (CC BY-SA 3.0, see NOTICE)."""
    show_waiting("starting", quiet=quiet)
    from vivant.picture.sample_picture import DEMO_CREDIT, demo_picture
    from vivant.settings import default_settings

    settings = default_settings()
    request = command_request(
        demo_picture(),
        settings,
        frames=frames,
        seed=seed,
        engine=engine,
        quality=quality,
        options=_engine_options(options, loop=loop),
    )
    make(
        RunOptions(
            request,
            output or Path("vivant-demo.mp4"),
            DEMO_CREDIT,
            settings,
            currency=currency,
            quiet=quiet,
            json=json,
            # without a name of the user's own there is nothing of theirs to lose
            force=force or output is None,
            verbose=verbose,
        )
    )


def _engine_options(pairs: list[str] | None, *, loop: bool) -> dict[str, Any]:
    """The options of ``--set``, with ``--loop`` as one of them."""
    return parse_options(pairs or ()) | ({"loop": True} if loop else {})


def make(run: RunOptions) -> None:
    """Make one clip: progress, then a summary, the run log (``-v``) or the report as JSON."""
    from vivant.cli.clip_meter import clip_meter
    from vivant.cli.progress import progress_bars

    meter = clip_meter(run.request, run.settings)

    def begin() -> None:
        log_start(run, (run.request.seed,))

    with progress_bars(run.progress, meter, begin, verbose=run.verbose) as observe:
        from vivant.python_api import animate as run_animate

        result = run_animate(
            run.request,
            run.output,
            observe=observe,
            settings=run.settings,
            currency=run.currency,
            force=run.force,
        )
    from vivant.report import report_json, to_json
    from vivant.runs.timing_history import remember

    remember(run.request, report_json(result.report), run.settings)
    if run.json:
        sys.stdout.write(to_json(report_json(result.report)))
    else:
        log_made(run, result)
    if run.strict and result.verdict == "fail":
        raise typer.Exit(1)


def mount(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(animate)
    app.command()(demo)
