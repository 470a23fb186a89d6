"""``--help`` in Korean: the texts, and columns that fit, since Korean letters take two cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.cells import cell_len

from vivant.cli.language import help_text, language, say

MOST_CELLS = 100
MOST_NAME_CELLS = 30
"""Of the left column: longer names stand on a line of their own."""


def speak(command: Any) -> None:
    """Let a command, and all below it, give its help in the language that is spoken.

    Args:
        command: as ``typer.main.get_command`` makes it.
    """
    if language() == "en":
        return
    command.help = help_text(command.help or "")
    command.short_help = _first_sentence(command.help)
    for parameter in command.params:
        if getattr(parameter, "help", None):
            parameter.help = help_text(parameter.help)
    command.get_help = lambda context, one=command: _help(one, context)
    for inner in getattr(command, "commands", {}).values():
        speak(inner)


def _first_sentence(text: str) -> str:
    return text.partition(". ")[0].removesuffix(".")


def _help(command: Any, context: Any) -> str:
    formatter = Formatter(min(MOST_CELLS, context.terminal_width or _terminal_width()))
    command.format_help(context, formatter)
    return formatter.getvalue().rstrip("\n")


def _terminal_width() -> int:
    import shutil

    return max(50, shutil.get_terminal_size().columns - 2)


class Formatter:
    """What commands write their help into; the methods are those of Click's formatter.

    Args:
        width: of a line, in cells of the terminal.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.current_indent = 0
        self._lines: list[str] = []

    def getvalue(self) -> str:
        """All that was written."""
        return "".join(self._lines)

    def write(self, text: str) -> None:
        """Add text as it is."""
        self._lines.append(text)

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """``Usage: vivant animate [OPTIONS] IMAGE``."""
        del prefix
        self.write(f"{say('help_usage')}: {prog} {args}\n")

    def write_heading(self, heading: str) -> None:
        """A heading with a colon."""
        names = {"Options": "help_options", "Arguments": "help_arguments"}
        names["Commands"] = "help_commands"
        text = say(names[heading]) if heading in names else heading
        self.write(f"{' ' * self.current_indent}{text}:\n")

    def write_paragraph(self) -> None:
        """An empty line between paragraphs."""
        if self._lines:
            self.write("\n")

    def write_text(self, text: str) -> None:
        """A paragraph, wrapped."""
        indent = " " * self.current_indent
        for line in wrapped(" ".join(text.split()), self.width - self.current_indent):
            self.write(f"{indent}{line}\n")

    def write_dl(
        self, rows: Sequence[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        """Two columns: names and what they are."""
        del col_max
        widest = max((cell_len(name) for name, _ in rows), default=0)
        column = min(widest, MOST_NAME_CELLS) + col_spacing
        indent = " " * self.current_indent
        for name, text in rows:
            room = self.width - self.current_indent - column
            lines = list(wrapped(_with_defaults(text), room)) or [""]
            gap = column - cell_len(name)
            if gap < col_spacing:
                self.write(f"{indent}{name}\n")
            else:
                self.write(f"{indent}{name}{' ' * gap}{lines.pop(0)}".rstrip() + "\n")
            for line in lines:
                self.write(f"{indent}{' ' * column}{line}\n")

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """A heading, and what is under it, indented."""
        self.write_paragraph()
        self.write_heading(name)
        with self.indentation():
            yield

    @contextmanager
    def indentation(self) -> Iterator[None]:
        """Two cells further to the right."""
        self.current_indent += 2
        try:
            yield
        finally:
            self.current_indent -= 2


def _with_defaults(text: str) -> str:
    """A text of ``--help``, and what Typer says after it."""
    text = help_text(text).replace("[default: ", f"[{say('help_default')}: ")
    return text.replace("[required]", f"[{say('help_required')}]")


def wrapped(text: str, cells: int) -> Iterator[str]:
    """Lines of at most ``cells`` cells, broken at spaces."""
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and cell_len(longer) > cells:
            yield line
            line = word
        else:
            line = longer
    if line:
        yield line
