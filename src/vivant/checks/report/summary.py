"""The first screen of a report: five questions of a client, answered in plain words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from vivant.checks.checklist import Answer, Words, title
from vivant.checks.sentences import Language
from vivant.types import Score, Verdict, overall

NAMED: Final = 2
"""Troubles that are named in one answer."""


@dataclass(frozen=True, slots=True)
class SummaryLine:
    """One question of the first screen.

    Attributes:
        frame: where the worst trouble is; None where there is none, or it has no frame.
    """

    question: Words
    answer: Words
    verdict: Verdict
    frame: int | None


def summary(found: Iterable[Answer]) -> list[SummaryLine]:
    """The five questions with their answers; none for a question without any check."""
    by_topic: dict[str, list[Score]] = {}
    for answer in found:
        by_topic.setdefault(_topic(answer), []).extend(answer.scores)
    asked = _book()["questions"]
    return [_line(one, by_topic[one["topic"]]) for one in asked if one["topic"] in by_topic]


def _topic(answer: Answer) -> str:
    if answer.group != "fidelity":
        return answer.group
    identity = any(score.name.startswith("identity") for score in answer.scores)
    return "person" if identity else "face"


def _line(asked: Mapping[str, Any], scores: Sequence[Score]) -> SummaryLine:
    verdict = overall(tuple(scores))
    identity = tuple(score for score in scores if score.name.startswith("identity"))
    if asked["topic"] == "person" and verdict != "fail" and overall(identity) == "not_measured":
        verdict = "not_measured"  # a face was found, but nobody knows whose
    worst = [score for score in scores if score.verdict == verdict]
    troubled = verdict in ("fail", "warn")
    sentence = asked["answers"].get(verdict, _book()["unknown"])

    def answer(language: Language) -> str:
        names = ", ".join(title(score.name)[language] for score in worst[:NAMED])
        return str(sentence[language]).format(what=names)

    return SummaryLine(
        question={"en": asked["en"], "ko": asked["ko"]},
        answer={"en": answer("en"), "ko": answer("ko")},
        verdict=verdict,
        frame=next((s.frame for s in worst if s.frame is not None), None) if troubled else None,
    )


@cache
def _book() -> dict[str, Any]:
    text = files("vivant.checks.report").joinpath("summary.json").read_text(encoding="utf-8")
    book: dict[str, Any] = json.loads(text)
    return book
