"""The first line on a terminal: shown at once, until there is something else to show.

What a command needs is imported after it, because that takes up to a second.
"""

from __future__ import annotations

from rich.status import Status

from vivant.cli.language import say
from vivant.cli.terminal import CleanConsole

_shown: list[Status] = []


def show_waiting(key: str, *, quiet: bool = False) -> None:
    """Show a sentence on standard error if it is a terminal; nothing if one is shown already.

    Args:
        key: of the sentence in ``messages.json``.
    """
    console = CleanConsole(stderr=True, highlight=False)
    if quiet or _shown or not console.is_terminal:
        return
    status = console.status(f"  {say(key)}", spinner="line")
    status.start()
    _shown.append(status)


def end_waiting() -> None:
    """Take the sentence away; nothing if there is none."""
    while _shown:
        _shown.pop().stop()
