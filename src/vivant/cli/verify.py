"""``vivant verify``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vivant.cli.options import Crop, Focus, Json, Quiet, Rotate


def verify(
    clip: Annotated[Path, typer.Argument(help="Any video file.", metavar="CLIP")],
    image: Annotated[Path, typer.Option(help="The picture it was made from.", metavar="IMAGE")],
    html: Annotated[
        Path | None, typer.Option(help="Also write a page for people.", metavar="FILE")
    ] = None,
    crop: Crop = None,
    focus: Focus = None,
    rotate: Rotate = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check whether a clip shows the same person and is good. Exit code 1 if a check fails."""
    from vivant.cli import run_log
    from vivant.cli.credentials import lines, made_from
    from vivant.cli.progress import progress_bars
    from vivant.cli.terminal import CleanConsole
    from vivant.cli.time_left import time_left
    from vivant.provenance.reading import credentials_json, read_credentials
    from vivant.python_api import verify as run
    from vivant.report import to_json, verification_json
    from vivant.settings import default_settings

    out = CleanConsole(quiet=quiet or json, highlight=False)
    console = CleanConsole(stderr=True, quiet=quiet, highlight=False)
    with progress_bars(console, left=time_left({"verify": 1.0})) as observe:
        verification = run(
            clip, image, page=html, observe=observe, crop=crop, focus=focus, rotate=rotate or 0
        )
    credentials = read_credentials(clip, default_settings())
    if json:
        body = verification_json(verification) | {"credentials": credentials_json(credentials)}
        sys.stdout.write(to_json(body))
    else:
        run_log.heading(out, "CHARACTER FIDELITY VERIFICATION")
        run_log.log_differences(out, verification)
        run_log.heading(out, f"VERIFICATION @ {verification.facts.height}p")
        run_log.log_checklist(out, verification)
        for warning in verification.warnings:
            out.print(f"  note: {warning}", style="yellow")
        run_log.heading(out, "CONTENT CREDENTIALS")
        for line in (*lines(credentials), made_from(credentials, image)):
            if line:
                out.print(f"  {line}")
        out.print("\n  Verdict:", run_log.mark(verification.verdict))
    if verification.verdict == "fail":
        raise typer.Exit(1)


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(verify)
