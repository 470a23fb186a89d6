"""``vivant doctor``."""

from __future__ import annotations

import sys

import typer

from vivant.cli.options import Json


def doctor(json: Json = False) -> None:
    """What this machine can run, what is missing, and how to get it."""
    from rich.console import Console

    from vivant.cli.inspection import examine, print_table
    from vivant.report import plain, to_json

    findings = examine()
    if json:
        sys.stdout.write(to_json([plain(finding) for finding in findings]))
    else:
        print_table(Console(highlight=False), findings)
    if any(finding.status == "missing" and finding.required for finding in findings):
        raise typer.Exit(3)


def mount(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(doctor)
