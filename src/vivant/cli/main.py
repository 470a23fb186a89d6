"""``vivant``: the command line. Thin: it reads options, calls ``compose`` and prints.

Exit codes: 0 done (``verify``: no check failed), 1 a check failed (``verify`` only), 2 the
caller can fix it, 3 this machine cannot do it, 4 generation failed, 130 cancelled.
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli import batch as cli_batch
from vivant.cli import compare as cli_compare
from vivant.cli import modal as cli_modal
from vivant.cli import page as cli_page
from vivant.cli import rate as cli_rate
from vivant.cli import serve as cli_serve
from vivant.cli import weights as cli_weights
from vivant.cli.parsing import (
    parse_dimensions,
    parse_fps,
    parse_length,
    parse_options,
    parse_quality,
)
from vivant.errors import Cancelled, OptionError, VivantError
from vivant.grid import parse_seeds
from vivant.types import DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT, Request
from vivant.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(
    name="vivant",
    help="One still picture of a person in, a faithful moving 1080p clip out, with proof.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

cli_serve.mount(app)
cli_page.mount(app)
cli_compare.mount(app)
cli_batch.mount(app)
cli_rate.mount(app)
app.add_typer(cli_weights.app)
app.add_typer(cli_modal.app)


Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="MP4 to write. Companions go beside it.", metavar="FILE"),
]
FileOrFolder = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="MP4 to write, companions beside it; with --seeds a folder.",
        metavar="PATH",
    ),
]
Frames = Annotated[int | None, typer.Option(help="Frames.  [default: 97]", metavar="N")]
Seconds = Annotated[
    float | None,
    typer.Option(help="Length instead of --frames: 4 s at 24 fps are 97 frames.", metavar="S"),
]
Fps = Annotated[str, typer.Option(help="Frames per second: 24, 29.97, 30000/1001.", metavar="R")]
Aspect = Annotated[
    str | None,
    typer.Option(help="16:9 (YouTube), 9:16 (Shorts) or 1:1.  [default: 16:9]", metavar="W:H"),
]
Size = Annotated[
    str | None,
    typer.Option(help="Exact size instead of --aspect, e.g. 1920x1080.", metavar="WxH"),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same frames.", metavar="N", min=0)]
Prompt = Annotated[str, typer.Option(help="What should happen.", metavar="TEXT")]
Negative = Annotated[
    str, typer.Option(help="What must not happen.", metavar="TEXT", show_default=False)
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine", help="camera: embedded, moves the camera, needs nothing.", metavar="NAME"
    ),
]
UpscalerName = Annotated[
    str,
    typer.Option("--upscaler", help="Used where the engine's frames are smaller.", metavar="NAME"),
]
QualityName = Annotated[
    str, typer.Option("--quality", help="draft, standard or high.", metavar="NAME")
]
OptionPairs = Annotated[
    list[str] | None,
    typer.Option("--set", help="An option of the engine, e.g. --set move=orbit.", metavar="K=V"),
]
Currency = Annotated[
    str | None,
    typer.Option(help="Currency of the bill: KRW, USD, ….  [default: KRW]", metavar="CODE"),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON, nothing else.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]


@app.command()
def animate(
    image: Annotated[Path, typer.Argument(help="JPEG, PNG, WebP, AVIF, HEIC, …", metavar="IMAGE")],
    output: FileOrFolder = None,
    frames: Frames = None,
    seconds: Seconds = None,
    fps: Fps = "24",
    aspect: Aspect = None,
    size: Size = None,
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
    engine: EngineName = "camera",
    upscaler: UpscalerName = "auto",
    quality: QualityName = "standard",
    options: OptionPairs = None,
    currency: Currency = None,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
    until_pass: Annotated[
        bool, typer.Option("--until-pass", help="Try again with what helps until no check fails.")
    ] = False,
    budget: Annotated[
        str | None,
        typer.Option(help="For all attempts of --until-pass: 120s, ₩100, $0.10.", metavar="LIMIT"),
    ] = None,
) -> None:
    """Turn a picture into a verified clip."""
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
    rate = parse_fps(fps)
    width, height = parse_dimensions(aspect, size)
    request = Request(
        image=image,
        prompt=prompt,
        negative_prompt=negative,
        num_frames=parse_length(frames, seconds, rate),
        fps=rate,
        width=width,
        height=height,
        seed=many[0] if many else seed or 0,
        engine=engine,
        upscaler=upscaler,
        quality=parse_quality(quality),
        options=parse_options(options),
    )
    make(
        request,
        output or Path(f"{image.stem}-seeds" if many else f"{image.stem}.mp4"),
        str(image),
        seeds=many,
        currency=currency,
        quiet=quiet,
        json=json,
        force=force,
        budget=budget,
    )


@app.command()
def demo(
    output: Output = None,
    frames: Frames = None,
    seed: Seed = 0,
    engine: EngineName = "camera",
    options: OptionPairs = None,
    quality: QualityName = "standard",
    currency: Currency = None,
    quiet: Quiet = False,
    json: Json = False,
    force: Force = False,
) -> None:
    """Animate a portrait that comes with Vivant (astronaut Eileen Collins; NASA, public domain)."""
    from vivant.picture.sample_picture import sample_picture

    request = Request(
        image=sample_picture(),
        num_frames=parse_length(frames, None, Fraction(24)),
        seed=seed,
        engine=engine,
        options=parse_options(options),
        quality=parse_quality(quality),
    )
    make(
        request,
        output or Path("vivant-demo.mp4"),
        "astronaut Eileen Collins (NASA, public domain)",
        currency=currency,
        quiet=quiet,
        json=json,
        # without a name of the user's own there is nothing of theirs to lose
        force=force or output is None,
    )


def make(
    request: Request,
    output: Path,
    picture: str,
    *,
    currency: str | None,
    quiet: bool,
    json: bool,
    force: bool,
    budget: str | None = None,
    seeds: tuple[int, ...] | None = None,
) -> None:
    """Run one request with progress and the run log; with a budget, until it passes.

    With ``seeds``, a clip of each, and ``output`` is a folder.
    """
    from rich.console import Console

    from vivant.cli import console as show
    from vivant.pipeline import check_request
    from vivant.python_api import animate as run
    from vivant.report import report_json, to_json
    from vivant.settings import default_settings

    settings = default_settings()
    check_request(request, settings)
    out = Console(quiet=quiet or json, highlight=False)
    progress = Console(stderr=True, quiet=quiet, highlight=False)

    def begin() -> None:
        show.log_settings(out, request, picture, settings, seeds or (request.seed,))

    if seeds is not None:
        from vivant.cli.seeds import make_seeds

        make_seeds(
            request,
            output,
            seeds,
            out,
            progress,
            begin,
            currency=currency,
            json=json,
            force=force,
        )
        return

    if budget is not None:
        from vivant.cli.until_pass import make_until_pass

        make_until_pass(
            request,
            output,
            budget,
            out,
            progress,
            begin,
            currency=currency,
            json=json,
            force=force,
        )
        return

    def begin_one() -> None:
        begin()
        show.heading(out, "STARTING GENERATION")

    with show.progress_bars(progress, begin_one) as observe:
        result = run(
            request,
            output,
            observe=observe,
            settings=settings,
            currency=currency,
            force=force,
        )
    if json:
        sys.stdout.write(to_json(report_json(result.report)))
        return
    show.log_result(out, result, settings)


@app.command()
def verify(
    clip: Annotated[Path, typer.Argument(help="Any video file.", metavar="CLIP")],
    image: Annotated[Path, typer.Option(help="The picture it was made from.", metavar="IMAGE")],
    html: Annotated[
        Path | None, typer.Option(help="Also write a page for people.", metavar="FILE")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Is it still the same person, and a good clip? Exit code 1 if a check fails."""
    from rich.console import Console

    from vivant.cli import console as show
    from vivant.python_api import verify as run
    from vivant.report import to_json, verification_json

    out = Console(quiet=quiet or json, highlight=False)
    with show.progress_bars(Console(stderr=True, quiet=quiet, highlight=False)) as observe:
        verification = run(clip, image, page=html, observe=observe)
    if json:
        sys.stdout.write(to_json(verification_json(verification)))
    else:
        show.heading(out, "CHARACTER FIDELITY VERIFICATION")
        show.log_differences(out, verification)
        show.heading(out, f"VERIFICATION @ {verification.facts.height}p")
        show.log_checklist(out, verification)
        for warning in verification.warnings:
            out.print(f"  note: {warning}", style="yellow")
        out.print("\n  Verdict:", show.mark(verification.verdict))
    if verification.verdict == "fail":
        raise typer.Exit(1)


@app.command()
def doctor(json: Json = False) -> None:
    """What this machine can run, what is missing, and how to get it."""
    from vivant.cli.doctor import examine, print_table
    from vivant.report import plain, to_json

    findings = examine()
    if json:
        sys.stdout.write(to_json([plain(finding) for finding in findings]))
    else:
        print_table(_console(), findings)
    if any(finding.status == "missing" and finding.required for finding in findings):
        raise typer.Exit(3)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """One still picture of a person in, a faithful moving 1080p clip out, with proof."""
    if version:
        sys.stdout.write(f"vivant {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
        raise typer.Exit(2)


def main() -> None:
    """Run the command line; a user's mistake is one line and an exit code, never a traceback."""
    try:
        status = app(prog_name="vivant", standalone_mode=False)
    except VivantError as error:
        _fail(error.message, error.exit_code)
    except typer.TyperException as error:
        text = getattr(error, "format_message", error.__str__)()
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command: its help
            sys.stderr.write(f"{text}\n")
            sys.exit(2)
        _fail(f"{text} (vivant --help lists what there is)", 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away; Python would complain once more
        sys.exit(0)
    if status == Cancelled.exit_code:  # Ctrl-C, by way of typer
        _fail(Cancelled().message, Cancelled.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> None:
    line = " ".join(message.split())
    sys.stderr.write(f"vivant: {line}\n")
    sys.exit(status)
