"""Options that several commands share, and what ``animate`` does with those of one run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from vivant.settings import Settings
    from vivant.types import Request

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
NumFrames = Annotated[int | None, typer.Option(help="Frames.  [default: 97]", metavar="N")]
Seconds = Annotated[
    float | None,
    typer.Option(
        help="Length instead of --frames: 4 s at 24 fps are 97 frames; ltx2 makes up to 20 s.",
        metavar="S",
    ),
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
Crop = Annotated[
    str | None,
    typer.Option(
        help="Part of the picture to show, in pixels or percent: 100,50,800,600 or "
        "10%,5%,80%,60%.  [default: around the faces]",
        metavar="X,Y,W,H",
    ),
]
Focus = Annotated[
    str | None,
    typer.Option(
        help="Instead of --crop: what the largest crop has in its middle, e.g. 50%,30%.",
        metavar="X,Y",
    ),
]
Rotate = Annotated[
    int | None,
    typer.Option(help="Turn the picture first: 90, 180, 270 degrees clockwise.", metavar="DEGREES"),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same frames.", metavar="N", min=0)]
Prompt = Annotated[str, typer.Option(help="What should happen.", metavar="TEXT")]
Negative = Annotated[
    str, typer.Option(help="What must not happen.", metavar="TEXT", show_default=False)
]
EngineName = Annotated[
    str,
    typer.Option(
        "--engine",
        help="living: the person breathes, blinks, turns; a 2.5-D puppet, no generative model. "
        "camera: only the camera moves. Both need nothing. ltx2: a generative model, on a GPU.",
        metavar="NAME",
    ),
]
UpscalerName = Annotated[
    str,
    typer.Option("--upscaler", help="Used if the engine's frames are smaller.", metavar="NAME"),
]
QualityName = Annotated[
    str, typer.Option("--quality", help="draft, standard or high.", metavar="NAME")
]
LabelText = Annotated[
    str,
    typer.Option("--label", help="A small text in the clip: ko, en, your own.", metavar="TEXT"),
]
LabelSeconds = Annotated[
    float | None, typer.Option(help="Show the label for the first seconds only.", metavar="S")
]
SoundChoice = Annotated[
    str,
    typer.Option(
        "--sound",
        help="A music or voice file under the clip; on: the engine's own (ltx2).  [default: none]",
        metavar="FILE",
        show_default=False,
    ),
]
LastPicture = Annotated[
    Path | None,
    typer.Option("--last", help="Another picture, for the last frame (ltx2).", metavar="IMAGE"),
]
OptionPairs = Annotated[
    list[str] | None,
    typer.Option("--set", help="An option of the engine, e.g. --set move=orbit.", metavar="K=V"),
]
Loop = Annotated[
    bool, typer.Option("--loop", help="The end leads into the beginning (engine living).")
]
Currency = Annotated[
    str | None,
    typer.Option(help="Currency of the bill: KRW, USD, ….  [default: KRW]", metavar="CODE"),
]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", help="Print the whole run log: settings, every check, every stage."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, nothing else.")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Replace existing files.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit code 1 if a check of a clip failed.")]
DataFolder = Annotated[
    Path | None,
    typer.Option("--data", help="Where jobs and clips are kept.", metavar="DIR"),
]


@dataclass(frozen=True)
class RunOptions:
    """One run of ``vivant animate``.

    Attributes:
        request: what to make.
        output: the clip's file; a folder with several seeds.
        picture: what the picture is called in the run log.
        json: print the report as JSON, nothing else.
        quiet: print nothing but errors.
        force: replace existing files.
        strict: a failed check is an error: exit code 1.
        verbose: print the whole run log.
    """

    request: Request
    output: Path
    picture: str
    settings: Settings
    currency: str | None = None
    json: bool = False
    quiet: bool = False
    force: bool = False
    strict: bool = False
    verbose: bool = False

    @cached_property
    def out(self) -> Console:
        """Where the run log goes: standard output."""
        from vivant.cli.terminal import CleanConsole

        return CleanConsole(quiet=self.quiet or self.json, highlight=False)

    @cached_property
    def progress(self) -> Console:
        """Where progress is shown: standard error."""
        from vivant.cli.terminal import CleanConsole

        return CleanConsole(stderr=True, quiet=self.quiet, highlight=False)
