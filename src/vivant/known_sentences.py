"""Errors and notes in Korean.

They are written in English where they arise. ``known_sentences.json`` has their Korean; they are
recognised by their English text.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Final

_PLAIN_PLACE: Final = re.compile(r"\{\w+\}")
_PLACE: Final = re.compile(r"\\\{(\w+)\\\}")


def in_korean(sentence: str) -> str:
    """The Korean of an English sentence; itself where the table does not know it."""
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
        return in_korean(text)
    return text.replace(" or ", " 또는 ") if name in ("choices", "example", "nearest") else text


@cache
def _known_sentences() -> tuple[tuple[re.Pattern[str], str], ...]:
    """English sentence with a group for each place → Korean sentence.

    Those with most words of their own come first. The place ``{word}`` is one word: else "engine
    {word}", a title, would fit every sentence that begins so.
    """
    found = []
    text = files("vivant").joinpath("known_sentences.json").read_text(encoding="utf-8")
    known: dict[str, dict[str, str]] = json.loads(text)
    for words in sorted(known.values(), key=lambda words: -len(_PLAIN_PLACE.sub("", words["en"]))):
        seen: set[str] = set()

        def group(place: re.Match[str], seen: set[str] = seen) -> str:
            if place[1] in seen:
                return f"(?P={place[1]})"
            seen.add(place[1])
            return r"(?P<word>\S+)" if place[1] == "word" else f"(?P<{place[1]}>.+?)"

        pattern = _PLACE.sub(group, re.escape(words["en"]))
        found.append((re.compile(pattern, re.DOTALL), words["ko"]))
    return tuple(found)
