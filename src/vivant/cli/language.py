"""What the command line says, in English or Korean.

Two tables lie beside this module. ``messages.json`` has the command line's own sentences by key,
``help.json`` the texts of ``--help`` by their English text. Errors and notes of other rooms are in
:mod:`vivant.known_sentences`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias

from vivant.known_sentences import in_korean

Language: TypeAlias = Literal["en", "ko"]

LANGUAGES: Final[tuple[Language, ...]] = ("en", "ko")

_spoken: list[Language] = ["en"]


def use(language: Language) -> None:
    """From now on the command line speaks ``language``."""
    _spoken[0] = language


def language() -> Language:
    """The language that is spoken."""
    return _spoken[0]


def say(key: str, *, count: int | None = None, **values: object) -> str:
    """A sentence of the command line, filled in.

    Args:
        key: of ``messages.json``.
        count: number that decides between ``key`` and ``key_one``; also filled in.
        **values: what is filled in.
    """
    known = _table("messages.json")
    if count == 1 and f"{key}_one" in known:
        key = f"{key}_one"
    return known[key][language()].format(count=count, **values)


def localized(sentence: str) -> str:
    """An English sentence of another room in the language that is spoken.

    The sentence itself where the table does not know it.
    """
    return sentence if language() == "en" else in_korean(sentence)


def help_text(english: str) -> str:
    """A text of ``--help`` in the language that is spoken; itself where it is not known."""
    if language() == "en":
        return english
    return _help().get(" ".join(english.split()), english)


@cache
def _table(name: str) -> Mapping[str, Mapping[Language, str]]:
    text = files("vivant.cli").joinpath(name).read_text(encoding="utf-8")
    known: dict[str, dict[Language, str]] = json.loads(text)
    return known


@cache
def _help() -> Mapping[str, str]:
    text = files("vivant.cli").joinpath("help.json").read_text(encoding="utf-8")
    known: dict[str, str] = json.loads(text)
    return known
