"""``vivant``: the command line. Assembles the commands, and turns errors into exit codes.

Exit codes: 0 done, 1 a check failed (of ``verify``, and of ``animate`` and ``batch`` with
``--strict``) or a row of ``batch`` could not be made, 2 the caller can fix it, 3 this machine
cannot do it, 4 generation failed, 130 cancelled.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vivant.cli import (
    animate,
    batch,
    compare,
    credentials,
    doctor,
    jobs,
    modal,
    page,
    rate,
    serve,
    verify,
    weights,
)
from vivant.cli.terminal import encode_everything
from vivant.errors import Cancelled, VivantError, printable
from vivant.version import __version__

app = typer.Typer(
    name="vivant",
    help="One still picture of a person in, a faithful moving 1080p clip out, with proof.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

for command in (
    animate, batch, verify, compare, rate, credentials, doctor, page, serve, jobs, weights, modal,
):  # fmt: skip
    command.mount(app)


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
    encode_everything()
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
    line = printable(" ".join(message.split()))
    sys.stderr.write(f"vivant: {line}\n")
    sys.exit(status)
