"""The sentences of the checks, in English and Korean, by message key.

They stand in ``sentences.json``. A sentence is filled from a score's ``facts``, so that a
report can be shown in either language. Knows nothing of how a number is measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Formatter
from typing import Literal

Language = Literal["en", "ko"]


def reason(facts: Mapping[str, float | str], language: Language = "en") -> str:
    """The sentence of ``facts["message"]`` in ``language``."""
    return sentences()[str(facts["message"])][language].format(**facts)


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
        for text, name, *_ in Formatter().parse(words["en"]):
            parts.append(re.escape(text))
            if name:
                parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+?)")
                seen.add(name)
        out[key] = re.compile("".join(parts))
    return out


@cache
def sentences() -> Mapping[str, Mapping[Language, str]]:
    """Message key → language → sentence with places for the facts."""
    text = files("vivant.checks").joinpath("sentences.json").read_text(encoding="utf-8")
    known: dict[str, dict[Language, str]] = json.loads(text)
    return known
