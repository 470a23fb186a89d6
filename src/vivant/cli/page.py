"""``vivant page``: the page as one file, for those who open it from a disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from vivant.cli.language import say
from vivant.errors import OutputError, OutputExistsError


def page(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where to write it.", metavar="FILE")
    ] = Path("vivant.html"),
    endpoint: Annotated[
        str | None,
        typer.Option(help="Address of the server, written into the page.", metavar="URL"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Replace an existing file.")] = False,
) -> None:
    """Write the page as one file, to open from a disk and use with any server."""
    from vivant.web import single_file

    if output.exists() and not force:
        raise OutputExistsError(f"{output} exists: --force replaces it", param="output")
    try:
        output.write_text(single_file(endpoint), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{output} cannot be written: {error.strerror}", param="output") from None
    sys.stdout.write(say("page_saved", path=output) + "\n")


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(page)
