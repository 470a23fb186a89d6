"""What consoles are given: no character they cannot encode, no control character of others."""

from __future__ import annotations

import codecs
import io
import sys
from typing import Any

from rich.console import Console

SUBSTITUTES = {"₩": "KRW ", "€": "EUR ", "£": "GBP ", "¥": "JPY ", "…": "...", "→": "->", "–": "-",
               "—": "-", "×": "x", "·": "-", "•": "-", "≥": ">=", "≤": "<=", "−": "-"}  # fmt: skip
"""What is written where a console's encoding lacks the character; "?" for all others."""

ERRORS = "vivant.console"


def encode_everything() -> None:
    """Let standard output and error write any text in whatever encoding they have.

    Consoles of Windows have encodings such as cp949 and cp1252, which lack ₩ or –.
    """
    codecs.register_error(ERRORS, _substitute)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def knows(text: str) -> bool:
    """Whether standard output and error can show ``text``."""
    for stream in (sys.stdout, sys.stderr):
        try:
            text.encode(getattr(stream, "encoding", None) or "utf-8")
        except (UnicodeEncodeError, LookupError):
            return False
    return True


def _substitute(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(SUBSTITUTES.get(character, "?") for character in missing), error.end


def clean(text: str) -> str:
    """Names of files may hold control characters, which would steer the terminal: replaced."""
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


class CleanConsole(Console):
    """A console that prints strings through :func:`clean`."""

    def print(self, *objects: Any, **options: Any) -> None:
        """See rich."""
        super().print(*(clean(one) if isinstance(one, str) else one for one in objects), **options)
