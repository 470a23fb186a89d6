"""The recommendation in plain words, in English and Korean. Knows nothing of how it was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from vivant.checks.checklist import title
from vivant.compare.findings import Findings
from vivant.compare.judge import Judged, Recommendation
from vivant.compare.statistics import MOST_PAIRS
from vivant.cost import money

Language = Literal["en", "ko"]
Words = Mapping[Language, str]

HEADINGS: Mapping[str, Words] = {
    "use": {"en": "Use {b}", "ko": "{b} 사용을 권합니다"},
    "keep": {"en": "Keep {a}", "ko": "{a} 유지를 권합니다"},
    "choose": {"en": "{b}: a trade-off, your choice", "ko": "{b}: 장단점이 있어 선택이 필요합니다"},
    "same": {"en": "{b}: no difference that matters", "ko": "{b}: 의미 있는 차이가 없습니다"},
    "more": {
        "en": "{b}: not enough evidence, run {more} more pairs",
        "ko": "{b}: 근거가 부족합니다. {more}쌍을 더 만들어 보세요",
    },
    "identical": {
        "en": "{b}: makes the very same clips",
        "ko": "{b}: 결과 영상이 완전히 같습니다",
    },
    "nothing": {"en": "{b}: nothing to go by", "ko": "{b}: 판단할 자료가 없습니다"},
}


def heading(found: Recommendation, baseline: str) -> Words:
    """The advice in a few words."""
    template = HEADINGS[found.advice]
    return {
        "en": template["en"].format(a=baseline, b=found.variant, more=found.more),
        "ko": template["ko"].format(a=baseline, b=found.variant, more=found.more),
    }


def paragraph(found: Recommendation, baseline: str, pictures: int) -> Words:
    """Why, in one paragraph. Times and prices are said elsewhere: see :func:`price`."""
    return {
        "en": " ".join(_english(found, baseline, pictures)),
        "ko": " ".join(_korean(found, baseline, pictures)),
    }


def price(findings: Findings, variant: str) -> Words:
    """What the variant takes more or less per clip than the baseline."""
    if variant not in findings.seconds:
        return {"en": "", "ko": ""}
    seconds = findings.seconds[variant]
    en = f"Per clip {seconds:+.1f} s"
    ko = f"영상 하나당 {seconds:+.1f}초"
    if variant in findings.amounts:
        amount = findings.amounts[variant]
        sign = "−" if amount < 0 else "+"
        text = sign + money(abs(amount), findings.spending[variant].currency)
        en, ko = f"{en}, {text}", f"{ko}, {text}"
    return {"en": f"{en} (medians).", "ko": f"{ko} (중앙값)."}


def _english(found: Recommendation, baseline: str, pictures: int) -> list[str]:
    out: list[str] = []
    better, worse, same = (found.found(kind) for kind in ("better", "worse", "same"))
    unclear = found.found("unclear")
    if found.advice == "nothing":
        return ["No pair of clips has a deciding score that could be measured."]
    if found.advice == "identical":
        return [
            f"All {found.pairs} pairs are the same file byte for byte: the option that "
            f"differs has no effect here, so there is nothing to decide."
        ]
    if better:
        out.append(f"Better than {baseline}: {_list(better, 'en')}.")
    if worse:
        out.append(f"Worse: {_list(worse, 'en')}.")
    if same:
        out.append(f"The same: {_names(same, 'en')}.")
    if unclear:
        out.append(f"Unclear: {_names(unclear, 'en')}.")
    if found.advice == "use":
        out.append("Nothing that decides is worse: use it if its time and cost suit you.")
    elif found.advice == "keep":
        fidelity = any(score.group == "fidelity" for score in worse)
        out.append(
            "Character fidelity comes first, so the baseline stays."
            if fidelity
            else "Nothing speaks for it, so the baseline stays."
        )
    elif found.advice == "choose":
        if found.fails[1] > found.fails[0]:
            out.append(
                f"But {found.fails[1]} of its clips fail a fidelity check, against "
                f"{found.fails[0]} of the baseline's: look at those first."
            )
        else:
            out.append("Look at the clips side by side and decide what matters more to you.")
    elif found.advice == "same":
        out.append("Take whichever is quicker or cheaper.")
    else:
        if found.blocked:
            out.append("It is not yet shown to be as faithful to the person.")
        out.append(_run_more(found.more, "en"))
    out.append(_scope(found.pairs, pictures, "en"))
    return out


def _korean(found: Recommendation, baseline: str, pictures: int) -> list[str]:
    out: list[str] = []
    better, worse, same = (found.found(kind) for kind in ("better", "worse", "same"))
    unclear = found.found("unclear")
    if found.advice == "nothing":
        return ["판단 기준이 되는 점수를 잴 수 있는 영상 쌍이 없습니다."]
    if found.advice == "identical":
        return [
            f"{found.pairs}쌍 모두 파일이 완전히 같습니다. "
            "바꾼 설정이 여기서는 효과가 없으므로 결정할 것이 없습니다."
        ]
    if better:
        out.append(f"{baseline}보다 좋은 점: {_list(better, 'ko')}.")
    if worse:
        out.append(f"나쁜 점: {_list(worse, 'ko')}.")
    if same:
        out.append(f"차이 없음: {_names(same, 'ko')}.")
    if unclear:
        out.append(f"불확실: {_names(unclear, 'ko')}.")
    if found.advice == "use":
        out.append("판단 기준 중 나빠진 것은 없습니다. 시간과 비용이 괜찮다면 사용하세요.")
    elif found.advice == "keep":
        fidelity = any(score.group == "fidelity" for score in worse)
        out.append(
            "인물 일치도가 우선이므로 기준 설정을 유지합니다."
            if fidelity
            else "바꿀 이유가 없으므로 기준 설정을 유지합니다."
        )
    elif found.advice == "choose":
        if found.fails[1] > found.fails[0]:
            out.append(
                f"다만 인물 일치도 검사에 실패한 영상이 {found.fails[1]}개로, "
                f"기준 설정의 {found.fails[0]}개보다 많습니다. 먼저 그 영상을 확인하세요."
            )
        else:
            out.append("영상을 나란히 보고 무엇이 더 중요한지 정하세요.")
    elif found.advice == "same":
        out.append("더 빠르거나 싼 쪽을 쓰면 됩니다.")
    else:
        if found.blocked:
            out.append("인물 일치도가 떨어지지 않는다는 점은 아직 확인되지 않았습니다.")
        out.append(_run_more(found.more, "ko"))
    out.append(_scope(found.pairs, pictures, "ko"))
    return out


def _list(scores: Sequence[Judged], language: Language) -> str:
    return "; ".join(_one(score, language) for score in scores)


def _one(score: Judged, language: Language) -> str:
    pair = score.paired
    name = title(score.name)[language]
    most = max(pair.wins, pair.losses)
    if language == "en":
        return f"{name} in {most} of {pair.pairs} pairs (p = {_p(score.p)})"
    return f"{name} {pair.pairs}쌍 중 {most}쌍 (p = {_p(score.p)})"


def _p(value: float) -> str:
    return f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _names(scores: Sequence[Judged], language: Language) -> str:
    return "; ".join(title(score.name)[language] for score in scores)


def _run_more(more: int, language: Language) -> str:
    if more >= MOST_PAIRS // 2:
        return {
            "en": "It would take hundreds of pairs to tell: if there is a difference, it is small.",
            "ko": "구분하려면 수백 쌍이 필요합니다. 차이가 있더라도 작습니다.",
        }[language]
    return {
        "en": f"About {more} more pairs would settle the nearest of them: add pictures, or seeds.",
        "ko": f"약 {more}쌍을 더하면 가장 가까운 항목이 판가름 납니다. 사진이나 시드를 늘리세요.",
    }[language]


def _scope(pairs: int, pictures: int, language: Language) -> str:
    if language == "en":
        few = " and says little about others" if pictures < 6 else ""
        which = "one picture" if pictures == 1 else f"{pictures} pictures"
        return f"This rests on {pairs} pairs of {which}{few}."
    few = " 다른 사진에 대해서는 알 수 없습니다." if pictures < 6 else ""
    return f"사진 {pictures}장, {pairs}쌍으로 얻은 결과입니다.{few}"
