"""``vivant verify``."""

from __future__ import annotations

import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli.options import Crop, Focus, Json, Quiet, Rotate, Verbose
from vivant.cli.waiting import show_waiting

if TYPE_CHECKING:
    from vivant.provenance.reading import Credentials
    from vivant.types import Progress


def verify(
    clip: Annotated[Path, typer.Argument(help="Any video file.", metavar="CLIP")],
    image: Annotated[Path, typer.Option(help="The picture it was made from.", metavar="IMAGE")],
    html: Annotated[
        Path | None, typer.Option(help="Also write a page for people.", metavar="FILE")
    ] = None,
    crop: Crop = None,
    focus: Focus = None,
    rotate: Rotate = None,
    verbose: Verbose = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Check whether a clip shows the same person and is good. Exit code 1 if a check fails."""
    show_waiting("starting_verify", quiet=quiet)
    from vivant.cli.clip_meter import ClipMeter
    from vivant.cli.credentials import log_facts, log_state
    from vivant.cli.progress import progress_bars
    from vivant.cli.terminal import CleanConsole
    from vivant.settings import default_settings

    def credentials_of_clip() -> Credentials:
        from vivant.provenance.reading import read_credentials  # 0.1 s

        return read_credentials(clip, default_settings())

    reading: list[Future[Credentials]] = []
    out = CleanConsole(quiet=quiet or json, highlight=False)
    console = CleanConsole(stderr=True, quiet=quiet, highlight=False)
    with (
        ThreadPoolExecutor(1, "vivant-credentials") as other_thread,
        progress_bars(
            console,
            ClipMeter({"verify": 1.0}),
            starting="starting_verify",
            label="checking",
            verbose=verbose,
        ) as observe,
    ):
        from vivant.python_api import verify as run

        def observe_and_read(progress: Progress) -> None:
            observe(progress)
            if progress.done and not reading:  # once two threads or more are at work
                reading.append(other_thread.submit(credentials_of_clip))

        verification = run(
            clip,
            image,
            page=html,
            observe=observe_and_read,
            crop=crop,
            focus=focus,
            rotate=rotate or 0,
        )
    credentials = reading[0].result() if reading else credentials_of_clip()
    if json:
        from vivant.provenance.reading import read_back_json
        from vivant.report import to_json, verification_json

        body = verification_json(verification) | {"credentials": read_back_json(credentials)}
        sys.stdout.write(to_json(body))
    elif verbose:
        from vivant.cli.run_log import log_verification

        log_verification(out, verification)
        log_facts(out, credentials, image)
    else:
        from vivant.cli.summary import log_summary

        log_summary(out, verification, html)
        log_state(out, credentials, image)
    if verification.verdict == "fail":
        raise typer.Exit(1)


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(verify)
