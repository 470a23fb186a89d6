"""``rate.json`` and the page of the results, in Korean and English."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from vivant.checks.checklist import Words, title
from vivant.compare.bilingual import fill
from vivant.compare.rating.agreement import FEWEST, Agreement, RatingResults, verdicts
from vivant.compare.rating.journal import JOURNAL, Journal
from vivant.compare.rating.pairs import ClipPairs
from vivant.compare.statistics import sign_test
from vivant.page_template import page_template
from vivant.report import plain, to_json
from vivant.runs.clip_cache import write_whole
from vivant.web import asset

SCHEMA_VERSION = 1

JSON_NAME, PAGE_NAME = "rate.json", "rate.html"

FEW_PICTURES = 6
"""With fewer pictures than this, the summary says so."""

SUMMARY: Mapping[str, Words] = {
    "none": {"en": "Nothing is judged yet.", "ko": "아직 고른 쌍이 없습니다."},
    "few": {
        "en": "No check has been held against {fewest} of your decisions yet: judge more pairs.",
        "ko": "아직 {fewest}쌍 이상과 비교된 검사가 없습니다. 조금 더 골라 주세요.",
    },
    "blind": {
        "en": "The checks see no difference that matters between these clips, so that nothing "
        "can be held against your {decided} decisions.",
        "ko": "이 영상들 사이에서 검사가 본 뚜렷한 차이가 없어, 내리신 판단 {decided}개와 "
        "비교할 것이 없습니다.",
    },
    "disagrees": {
        "en": "{name} disagrees with you most: it took your side in {agreed} of {decided} pairs "
        "(p = {p} after correction). Do not rely on it for clips like these.",
        "ko": "{name} 검사가 판단과 가장 어긋납니다. {decided}쌍 중 {agreed}쌍만 같은 쪽이었습니다"
        "(보정 후 p = {p}). 이런 영상에서는 이 검사를 믿지 마세요.",
    },
    "least": {
        "en": "{name} disagrees with you most: it took your side in {agreed} of {decided} pairs. "
        "So few may be chance.",
        "ko": "{name} 검사가 판단과 가장 자주 어긋났습니다. {decided}쌍 중 {agreed}쌍이 같은 "
        "쪽이었습니다. 이 정도는 우연일 수 있습니다.",
    },
    "all": {
        "en": "No check that rests on {fewest} decisions or more disagrees with you even once.",
        "ko": "판단 {fewest}번 이상과 비교된 검사 가운데 어긋난 것은 하나도 없습니다.",
    },
    "habit": {
        "en": "You chose the clip at A in {share} of your decisions: chance is 50 %. Look at both "
        "sides again before you rely on this.",
        "ko": "판단의 {share}에서 A 쪽을 골랐습니다(우연이라면 50%). 결과를 쓰기 전에 양쪽을 다시 "
        "확인해 보세요.",
    },
    "looked": {
        "en": "{looked} judgements were given after the results had been looked at; they count.",
        "ko": "결과를 본 뒤에 내린 판단이 {looked}개 있습니다. 함께 계산했습니다.",
    },
    "pictures": {
        "en": "All of this comes from few pictures ({pictures}) and one person's eyes.",
        "ko": "사진 {pictures}장, 한 사람의 눈으로 본 결과입니다.",
    },
}

HABIT = 0.01
"""The summary mentions that one place was chosen more often if the sign test's p is below."""


def write_results(folder: Path, pairs: ClipPairs, journal: Journal) -> RatingResults:
    """Write both files, each whole or not at all.

    Raises:
        OutputError: the folder cannot be written.
    """
    found = verdicts(pairs.all, journal.judgements)
    write_whole(folder / PAGE_NAME, page(pairs, found)[0])
    write_whole(folder / JSON_NAME, to_json(as_json(pairs, journal, found)))
    return found


def as_json(pairs: ClipPairs, journal: Journal, found: RatingResults) -> dict[str, Any]:
    """Everything, as plain values."""
    judgements = journal.judgements
    return {
        "schema_version": SCHEMA_VERSION,
        "title": pairs.title,
        "journal": JOURNAL,
        "summary": [dict(words) for words in summary(found)],
        **plain(found),
        "judgements": [
            {
                **plain(judgements[pair.id]),
                "picture": pair.picture,
                "first": pair.sides[0].name,
                "second": pair.sides[1].name,
            }
            for pair in pairs.all
            if pair.id in judgements
        ],
    }


def summary(found: RatingResults) -> list[Words]:
    """The results in sentences, the most important first."""
    if not found.judged:
        return [SUMMARY["none"]]
    said = [_worst(found)]
    decided = sum(p.wins + p.losses for p in found.preferences)
    if found.at_a is not None and _habit(found.at_a, decided) < HABIT:
        said.append(fill(SUMMARY["habit"], share=f"{100 * found.at_a:.0f} %"))
    if found.looked:
        said.append(fill(SUMMARY["looked"], looked=found.looked))
    if found.pictures < FEW_PICTURES:
        said.append(fill(SUMMARY["pictures"], pictures=found.pictures))
    return said


def _worst(found: RatingResults) -> Words:
    solid = [a for a in found.agreements if a.finding != "few"]
    if not solid:
        decided = sum(p.wins + p.losses for p in found.preferences)
        if decided >= FEWEST and max((a.decided for a in found.agreements), default=0) < 2:
            return fill(SUMMARY["blind"], decided=decided)
        return fill(SUMMARY["few"], fewest=FEWEST)
    if found.worst is None:
        return fill(SUMMARY["all"], fewest=FEWEST)
    check = next(a for a in solid if a.name == found.worst)
    kind = "disagrees" if check.finding == "disagrees" else "least"
    return fill(
        SUMMARY[kind],
        name=title(check.name),
        agreed=check.agreed,
        decided=check.decided,
        p=f"{check.p:.2g}",
    )


def _habit(at_a: float, decided: int) -> float:
    chosen = round(at_a * decided)
    return sign_test(chosen, decided - chosen)


def page(pairs: ClipPairs, found: RatingResults) -> tuple[str, str]:
    """The page, and the ``Content-Security-Policy`` that lets only its own style and script run."""
    style = "".join(_asset(f"assets/css/{name}.css") for name in ("theme", "page"))
    style += _own("result.css")
    script = _asset("assets/js/shared/before_paint.js") + _own("result.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    text = _template().render(
        pairs=pairs,
        found=found,
        summary=summary(found),
        style=style,
        script=script,
        policy=policy,
        journal=JOURNAL,
    )
    return text, f"{policy}; frame-ancestors 'none'"


def _percent(agreement: Agreement) -> str:
    if agreement.share is None or agreement.low is None or agreement.high is None:
        return "–"
    share, low, high = (round(100 * x) for x in (agreement.share, agreement.low, agreement.high))
    return f"{share} % ({low}–{high})"


def _asset(path: str) -> str:
    found = asset(path)
    if found is None:
        raise ValueError(f"the page has no {path}")
    return found.body.decode()


def _own(name: str) -> str:
    return Path(__file__).with_name("page").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _template() -> jinja2.Template:
    return page_template(
        "vivant.compare.rating",
        "result.html.j2",
        folder="page",
        filters={"percent": _percent},
        title=title,
        fewest=FEWEST,
    )
