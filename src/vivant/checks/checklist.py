"""The creator's checklist: which scores answer which question, in English and Korean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from vivant.checks.sentences import Language
from vivant.types import Group, Score, Verdict, Verification, overall

Words = Mapping[Language, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of the checklist, answered.

    Attributes:
        question: in both languages.
        verdict: the worst of the scores; ``not_measured`` without any.
        scores: what it rests on, in the order they should be read.
        note: why nothing was measured, in both languages; empty otherwise.
        next: what to do where it failed or is worth a look, in both languages; empty where it
            passed or nothing is known.
    """

    group: Group
    question: Words
    verdict: Verdict
    scores: tuple[Score, ...]
    note: Words
    next: Words = field(default_factory=dict)


def answers(verification: Verification) -> tuple[Answer, ...]:
    """Every question of the checklist in order; no score is left out."""
    book = _book()
    known = {score.name: score for score in verification.scores}
    out = []
    for entry in book["questions"]:
        found = tuple(known.pop(name) for name in entry["scores"] if name in known)
        note = book["notes"].get(entry.get("note", ""), {})
        if found or note:
            verdict = overall(found)
            step = entry.get("next", {}) if verdict in ("fail", "warn") else {}
            question = _question(entry, verification)
            out.append(Answer(entry["group"], question, verdict, found, note, step))
    out.extend(
        Answer(score.group, title(score.name), score.verdict, (score,), {})
        for score in known.values()
    )
    return tuple(out)


def _question(entry: Mapping[str, Any], verification: Verification) -> Words:
    """The question, about the size that was wanted of this clip."""
    wanted = next((s.limit for s in verification.scores if s.name == "size"), None)
    size = str(wanted or "1920x1080").replace("x", "×")
    return {language: entry[language].replace("{size}", size) for language in ("en", "ko")}


def group_title(group: Group) -> Words:
    """Heading of a group."""
    words: Words = _book()["groups"][group]
    return words


def title(name: str) -> Words:
    """Short name of a score; its identifier where it has none."""
    words: Words = _book()["titles"].get(name, {"en": name, "ko": name})
    return words


def unit_word(unit: str) -> Words:
    """A unit in words."""
    words: Words = _book()["units"].get(unit, {"en": unit, "ko": unit})
    return words


def verdict_word(verdict: Verdict) -> Words:
    """The verdict in words."""
    words: Words = _book()["verdicts"][verdict]
    return words


@cache
def _book() -> dict[str, Any]:
    text = files("vivant.checks").joinpath("checklist.json").read_text(encoding="utf-8")
    book: dict[str, Any] = json.loads(text)
    return book
