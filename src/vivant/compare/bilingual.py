"""Texts in English and Korean, filled in together."""

from __future__ import annotations

from collections.abc import Mapping

from vivant.checks.checklist import Words
from vivant.checks.sentences import Language

LANGUAGES: tuple[Language, ...] = ("en", "ko")


def fill(words: Words, **values: object) -> Words:
    """Both texts with ``values`` filled in; a value may itself be a text in both languages."""
    return {
        language: words[language].format(
            **{k: v[language] if isinstance(v, Mapping) else v for k, v in values.items()}
        )
        for language in LANGUAGES
    }
