"""The sentences of the checks, in English and Korean, by message key.

They stand in ``sentences.json``. A sentence is filled from a score's ``facts``, so that a
report can be shown in either language.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Final, Literal

Language = Literal["en", "ko"]

MOST_DIGITS: Final = 3
"""Digits that are added at most to tell a value from its limit."""

_DIGITS: Final = re.compile(r"(\{(?:value|limit):\.)(\d)f\}")


def reason(facts: Mapping[str, float | str], language: Language = "en") -> str:
    """The sentence of ``facts["message"]`` in ``language``.

    A value and a limit that would read the same get as many digits as tell them apart.
    """
    sentence = sentences()[str(facts["message"])][language]
    for _ in range(MOST_DIGITS):
        if not _alike(sentence, facts):
            break
        sentence = _DIGITS.sub(lambda found: f"{found[1]}{int(found[2]) + 1}f}}", sentence)
    return sentence.format(**facts)


def _alike(sentence: str, facts: Mapping[str, float | str]) -> bool:
    """Whether the sentence shows value and limit as one number though they are two."""
    shown = [found[0].format(**facts) for found in _DIGITS.finditer(sentence)]
    return len(shown) == 2 and shown[0] == shown[1] and facts["value"] != facts["limit"]


def translated(sentence: str, language: Language) -> str:
    """A sentence that :func:`reason` said in English, in ``language``; itself where it did not."""
    for key, pattern in _patterns().items():
        found = pattern.fullmatch(sentence)
        if found:
            facts = {name: _number(text) for name, text in found.groupdict().items()}
            return reason({**facts, "message": key}, language)
    return sentence


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


@cache
def _patterns() -> Mapping[str, re.Pattern[str]]:
    """Message key → its English sentence, a group for each fact."""
    out = {}
    for key, words in sentences().items():
        seen: set[str] = set()
        parts = []
        for text, name, spec, _ in Formatter().parse(words["en"]):
            parts.append(re.escape(text))
            if name:
                fact = r"-?[\d.]+(?:e[-+]?\d+)?" if spec else ".+?"
                parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>{fact})")
                seen.add(name)
        out[key] = re.compile("".join(parts))
    return out


@cache
def sentences() -> Mapping[str, Mapping[Language, str]]:
    """Message key → language → sentence with places for the facts."""
    text = files("vivant.checks").joinpath("sentences.json").read_text(encoding="utf-8")
    known: dict[str, dict[Language, str]] = json.loads(text)
    return known
