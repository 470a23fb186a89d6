"""The sentences of the checks, in English and Korean, by message key.

They stand in ``sentences.json``. A sentence is filled from a score's ``facts``, so that a
report can be shown in either language. Knows nothing of how a number is measured.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal

Language = Literal["en", "ko"]


def reason(facts: Mapping[str, float | str], language: Language = "en") -> str:
    """The sentence of ``facts["message"]`` in ``language``."""
    return sentences()[str(facts["message"])][language].format(**facts)


@cache
def sentences() -> Mapping[str, Mapping[Language, str]]:
    """Message key → language → sentence with places for the facts."""
    text = files("vivant.checks").joinpath("sentences.json").read_text(encoding="utf-8")
    known: dict[str, dict[Language, str]] = json.loads(text)
    return known
