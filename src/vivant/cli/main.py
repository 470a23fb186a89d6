"""``vivant``: the command line. Assembles the commands, and turns errors into exit codes.

Exit codes: 0 done, 1 a check failed (of ``verify``, and of ``animate`` and ``batch`` with
``--strict``) or a row of ``batch`` could not be made, 2 the caller can fix it, 3 this machine
cannot do it, 4 generation failed, 130 cancelled.
"""

from __future__ import annotations

import gc
import sys
from typing import Annotated

import typer
from typer.main import get_command

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
from vivant.cli.allocator import share_freed_memory
from vivant.cli.help import speak
from vivant.cli.language import LANGUAGES, Language, localized, say, use
from vivant.cli.refusals import refused_value
from vivant.cli.terminal import encode_everything, knows
from vivant.cli.waiting import end_waiting
from vivant.environment import user_language
from vivant.errors import Cancelled, OptionError, VivantError, printable
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
    lang: Annotated[
        str | None,
        typer.Option(
            help="ko or en; may stand anywhere on the line.  "
            "[default: the system's language, or VIVANT_LANG]",
            metavar="LANG",
        ),
    ] = None,
) -> None:
    """One still picture of a person in, a faithful moving 1080p clip out, with proof."""
    del lang  # main() takes it from the line
    if version:
        sys.stdout.write(f"vivant {__version__}\n")
        raise typer.Exit
    if context.invoked_subcommand is None:
        sys.stdout.write(context.get_help() + "\n")
        raise typer.Exit(2)


def main() -> None:
    """Run the command line; a user's mistake is one line and an exit code, never a traceback."""
    encode_everything()
    share_freed_memory()
    try:
        arguments, chosen = split_language(sys.argv[1:])
        use(can_show(chosen or user_language()))
        command = get_command(app)
        speak(command)
        status = command.main(arguments, prog_name="vivant", standalone_mode=False)
    except VivantError as error:
        _fail(localized(error.message), error.exit_code)
    except typer.TyperException as error:
        text = getattr(error, "format_message", error.__str__)()
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command: its help
            sys.stderr.write(f"{text}\n")
            sys.exit(2)
        text = refused_value(error) or localized(" ".join(text.split()))
        _fail(say("help_hint", text=text), 2)
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away; Python would complain once more
        sys.exit(0)
    finally:
        end_waiting()
        gc.freeze()  # at its end Python would look for cycles among all objects
    if status == Cancelled.exit_code:  # Ctrl-C, by way of typer
        _fail(localized(Cancelled().message), Cancelled.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def can_show(language: Language) -> Language:
    """The language; English where standard output or error has no Korean letters."""
    return language if language == "en" or knows("한글") else "en"


def split_language(arguments: list[str]) -> tuple[list[str], Language | None]:
    """The arguments without ``--lang``, and its value; None where it is not there.

    Raises:
        OptionError: a language that is not spoken.
    """
    rest: list[str] = []
    chosen: Language | None = None
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if name != "--lang":
            rest.append(argument)
            continue
        given = value if equals else next(waiting, "")
        found = [language for language in LANGUAGES if language == given.lower()]
        if not found:
            raise OptionError(f"--lang {given!r} is unknown: choose ko or en", param="lang")
        chosen = found[0]
    return rest, chosen


def _fail(message: str, status: int) -> None:
    end_waiting()
    line = printable(" ".join(message.split()))
    sys.stderr.write(f"vivant: {line}\n")
    sys.exit(status)
