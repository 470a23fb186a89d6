"""What the command line says, in English or Korean.

Three tables lie beside this module. ``messages.json`` has the command line's own sentences by
key. ``known_sentences.json`` has errors and notes of other rooms, which are written in English;
they are recognised by their English text. ``help.json`` has the texts of ``--help``, by their
English text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, Literal, TypeAlias

Language: TypeAlias = Literal["en", "ko"]

LANGUAGES: Final[tuple[Language, ...]] = ("en", "ko")

_PLAIN_PLACE: Final = re.compile(r"\{\w+\}")
_PLACE: Final = re.compile(r"\\\{(\w+)\\\}")

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
    if language() == "en":
        return sentence
    for pattern, korean in _known_sentences():
        found = pattern.fullmatch(sentence)
        if found:
            return korean.format(
                **{name: _value(name, text) for name, text in found.groupdict().items()}
            )
    return sentence


def _value(name: str, text: str) -> str:
    """What a place of a sentence is filled with; also a sentence itself, and "a, b or c"."""
    if name == "what":
        return localized(text)
    return text.replace(" or ", " 또는 ") if name in ("choices", "example", "nearest") else text


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
def _known_sentences() -> tuple[tuple[re.Pattern[str], str], ...]:
    """English sentence with a group for each place → Korean sentence.

    Those with most words of their own come first: "engine {name}" would fit every sentence that
    begins so.
    """
    found = []
    known = _table("known_sentences.json").values()
    for words in sorted(known, key=lambda words: -len(_PLAIN_PLACE.sub("", words["en"]))):
        seen: set[str] = set()

        def group(place: re.Match[str], seen: set[str] = seen) -> str:
            if place[1] in seen:
                return f"(?P={place[1]})"
            seen.add(place[1])
            return f"(?P<{place[1]}>.+?)"

        pattern = _PLACE.sub(group, re.escape(words["en"]))
        found.append((re.compile(pattern, re.DOTALL), words["ko"]))
    return tuple(found)


@cache
def _help() -> Mapping[str, str]:
    text = files("vivant.cli").joinpath("help.json").read_text(encoding="utf-8")
    known: dict[str, str] = json.loads(text)
    return known
