"""The recommendation in plain words, in English and Korean.

All words are in one table, so that none is missing in one of the languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vivant.checks.checklist import Words, title
from vivant.compare.bilingual import LANGUAGES, fill
from vivant.compare.findings import Findings
from vivant.compare.plan import ComparisonPlan
from vivant.compare.recommendation import JudgedScore, Recommendation
from vivant.compare.statistics import MOST_PAIRS
from vivant.cost import money

FEW_PICTURES = 6
"""With fewer pictures than this, the text says that other pictures may differ."""

CLOSE = 0.05
"""Share of the baseline's cost below which two variants are told to cost the same."""

HEADINGS: Mapping[str, Words] = {
    "use": {"en": "Use {b}", "ko": "{b} 사용을 권합니다"},
    "keep": {"en": "Keep {a}", "ko": "{a} 유지를 권합니다"},
    "choose": {
        "en": "{b}: a trade-off, your choice",
        "ko": "{b}: 장단점이 있어 직접 골라야 합니다",
    },
    "same": {
        "en": "{b}: no difference that matters",
        "ko": "{b}: 기준 설정과 차이가 없습니다",
    },
    "same_cheaper": {
        "en": "{b}: no difference that matters, use the cheaper {use}",
        "ko": "두 방식은 차이가 없습니다. 더 저렴한 {use} 방식을 쓰세요",
    },
    "same_faster": {
        "en": "{b}: no difference that matters, use the faster {use}",
        "ko": "두 방식은 차이가 없습니다. 더 빠른 {use} 방식을 쓰세요",
    },
    "more": {
        "en": "{b}: not enough evidence, run {more} more pairs",
        "ko": "{b}: 근거가 부족합니다. {more}쌍을 더 만들어 보세요",
    },
    "hundreds": {
        "en": "{b}: not enough evidence, and it would take hundreds of pairs",
        "ko": "{b}: 근거가 부족하고, 수백 쌍이 더 필요합니다",
    },
    "identical": {
        "en": "{b}: makes the very same clips",
        "ko": "{b}: 결과 영상이 완전히 같습니다",
    },
    "nothing": {"en": "{b}: nothing to go by", "ko": "{b}: 판단할 자료가 없습니다"},
    "wait": {"en": "{b}: still being compared", "ko": "{b}: 아직 비교하는 중입니다"},
}

SENTENCES: Mapping[str, Words] = {
    "wait": {
        "en": "{pairs} of {planned} pairs are made. The decision is made once, when all are: "
        "deciding at every look would find differences where there are none.",
        "ko": "{planned}쌍 중 {pairs}쌍이 준비되었습니다. 판단은 모두 끝난 뒤 한 번만 합니다. "
        "볼 때마다 판단하면 없는 차이도 있는 것처럼 보이기 때문입니다.",
    },
    "nothing": {
        "en": "No pair of clips has a deciding score that could be measured.",
        "ko": "판단 기준이 되는 점수를 잴 수 있는 영상 쌍이 없습니다.",
    },
    "identical": {
        "en": "In all {pairs} pairs the two files are identical: the setting that differs has no "
        "effect here, so there is nothing to decide.",
        "ko": "{pairs}쌍 모두 파일이 완전히 같습니다. 바꾼 설정이 여기서는 효과가 없으므로 "
        "결정할 것이 없습니다.",
    },
    "better": {"en": "Better than {a}: {list}.", "ko": "{a}보다 좋은 점: {list}."},
    "worse": {"en": "Worse: {list}.", "ko": "나쁜 점: {list}."},
    "same": {"en": "The same: {list}.", "ko": "차이 없음: {list}."},
    "unclear": {"en": "Unclear: {list}.", "ko": "불확실: {list}."},
    "use": {
        "en": "No deciding score is worse: use it if its time and cost suit you.",
        "ko": "판단 기준 중 나빠진 것은 없습니다. 시간과 비용이 괜찮다면 사용하세요.",
    },
    "keep_fidelity": {
        "en": "Character fidelity comes first, so the baseline stays.",
        "ko": "인물 일치도가 우선이므로 기준 설정을 유지합니다.",
    },
    "keep": {
        "en": "There is no reason to change, so the baseline stays.",
        "ko": "바꿀 이유가 없으므로 기준 설정을 유지합니다.",
    },
    "choose_fails": {
        "en": "But {after} of its clips fail a fidelity check, against {before} of the "
        "baseline's: look at those first.",
        "ko": "다만 인물 일치도 검사를 통과하지 못한 영상이 {after}개로, 기준 설정의 "
        "{before}개보다 많습니다. 먼저 그 영상을 확인하세요.",
    },
    "choose": {
        "en": "Look at the clips side by side and decide what matters more to you.",
        "ko": "영상을 나란히 보고 무엇이 더 중요한지 정하세요.",
    },
    "take_either": {
        "en": "The cheaper one is as good.",
        "ko": "더 저렴한 쪽을 써도 품질은 같습니다.",
    },
    "blocked": {
        "en": "It is not yet shown to be as faithful to the person.",
        "ko": "인물 일치도가 그대로인지는 아직 확인되지 않았습니다.",
    },
    "hundreds": {
        "en": "It would take hundreds of pairs to tell: if there is a difference, it is small.",
        "ko": "구분하려면 수백 쌍이 필요합니다. 차이가 있더라도 작습니다.",
    },
    "run_more": {
        "en": "About {more} more pairs would decide the nearest of them: add pictures, or seeds.",
        "ko": "약 {more}쌍을 더 만들면 가장 가까운 항목을 판단할 수 있습니다. "
        "사진이나 시드를 늘리세요.",
    },
    "early": {
        "en": "So few pairs prove nothing, whatever they show: run at least {more} more, with "
        "other pictures or seeds.",
        "ko": "쌍이 너무 적어 어떤 결과도 근거가 되지 않습니다. 다른 사진이나 시드로 적어도 "
        "{more}쌍을 더 만드세요.",
    },
    "scope_pair": {
        "en": "This rests on a single pair and says little about others.",
        "ko": "한 쌍으로 얻은 결과입니다. 다른 사진에 대해서는 알 수 없습니다.",
    },
    "scope_one": {
        "en": "This rests on {pairs} pairs of one picture and says little about others.",
        "ko": "사진 1장, {pairs}쌍으로 얻은 결과입니다. 다른 사진에 대해서는 알 수 없습니다.",
    },
    "scope_few": {
        "en": "This rests on {pairs} pairs of {pictures} pictures and says little about others.",
        "ko": "사진 {pictures}장, {pairs}쌍으로 얻은 결과입니다. "
        "다른 사진에 대해서는 알 수 없습니다.",
    },
    "scope": {
        "en": "This rests on {pairs} pairs of {pictures} pictures.",
        "ko": "사진 {pictures}장, {pairs}쌍으로 얻은 결과입니다.",
    },
    "score": {
        "en": "{name} in {most} of {of} pairs",
        "ko": "{name} {of}쌍 중 {most}쌍",
    },
    "per_clip": {"en": "Per clip {seconds} s", "ko": "영상 하나당 {seconds}초"},
    "medians": {"en": "{text} (medians).", "ko": "{text} (중앙값)."},
    "take": {
        "en": "{text} (medians): take {name}.",
        "ko": "{text} (중앙값). {name} 쪽이 더 저렴합니다.",
    },
}


def heading(found: Recommendation, plan: ComparisonPlan, findings: Findings) -> Words:
    """The advice in a few words."""
    key: str = found.advice
    use = ""
    if key == "more" and not found.early and found.more >= MOST_PAIRS // 2:
        key = "hundreds"
    # "two ways" would be unclear between three
    if key == "same" and len(plan.variants) == 2 and found.variant in findings.seconds:
        use = _cheaper(findings, found.variant, plan.baseline.name)
        if use:
            priced = _priced(findings, found.variant, plan.baseline.name)
            key = "same_cheaper" if priced else "same_faster"
    return fill(
        HEADINGS[key],
        a=plan.called(plan.baseline.name),
        b=plan.called(found.variant),
        use=plan.called(use) if use else "",
        more=found.more,
    )


def paragraph(found: Recommendation, plan: ComparisonPlan, findings: Findings) -> Words:
    """Why, in one paragraph. Times and prices are said elsewhere: see :func:`price`."""
    said = _sentences(found, plan, findings)
    return {language: " ".join(words[language] for words in said) for language in LANGUAGES}


def price(findings: Findings, found: Recommendation, plan: ComparisonPlan) -> Words:
    """What the variant takes more or less per clip than the baseline.

    Where nothing else tells them apart, it names the cheaper one.
    """
    variant = found.variant
    if variant not in findings.seconds:
        return {"en": "", "ko": ""}
    rounded = round(findings.seconds[variant], 1)
    seconds = f"{'−' if rounded < 0 else '+'}{abs(rounded):.1f}"
    cost = ""
    if variant in findings.amounts:
        amount = findings.amounts[variant]
        sign = "−" if amount < 0 else "+"
        cost = f", {sign}{money(abs(amount), findings.spending[variant].currency)}"
    text = fill(SENTENCES["per_clip"], seconds=seconds)
    told = {language: text[language] + cost for language in LANGUAGES}
    cheaper = _cheaper(findings, variant, plan.baseline.name) if found.advice == "same" else ""
    if not cheaper:
        return fill(SENTENCES["medians"], text=told)
    return fill(SENTENCES["take"], text=told, name=plan.called(cheaper))


def _priced(findings: Findings, variant: str, baseline: str) -> bool:
    """Whether both have a price; otherwise only their times can be compared."""
    return variant in findings.amounts and bool(findings.spending[baseline].amount)


def _cheaper(findings: Findings, variant: str, baseline: str) -> str:
    """By money, else by time; empty where they are within :data:`CLOSE` of each other."""
    spent = findings.spending[baseline]
    difference, whole = findings.seconds[variant], spent.seconds
    if _priced(findings, variant, baseline) and spent.amount:
        difference, whole = findings.amounts[variant], spent.amount
    if abs(difference) <= CLOSE * whole:
        return ""
    return variant if difference < 0 else baseline


def _sentences(found: Recommendation, plan: ComparisonPlan, findings: Findings) -> list[Words]:
    if found.advice in ("nothing", "identical", "wait"):
        return [fill(SENTENCES[found.advice], pairs=found.pairs, planned=findings.planned)]
    facts: list[Words] = []
    baseline = plan.called(plan.baseline.name)
    # so few pairs leave every score unclear: the list would say nothing
    for finding in () if found.early else ("better", "worse", "same", "unclear"):
        scores = found.found(finding)
        if scores:
            listed = _counted(scores) if finding in ("better", "worse") else _named(scores)
            names = {lang: "; ".join(one[lang] for one in listed) for lang in LANGUAGES}
            facts.append(fill(SENTENCES[finding], a=baseline, list=names))
    conclusion = [
        fill(SENTENCES[name], before=found.fails[0], after=found.fails[1], more=found.more)
        for name in _conclusion(found)
    ]
    said = [*conclusion, *facts] if found.advice == "more" else [*facts, *conclusion]
    if found.pairs == 1:
        return [*said, fill(SENTENCES["scope_pair"])]
    pictures = findings.pictures
    scope = "scope_one" if pictures == 1 else "scope_few" if pictures < FEW_PICTURES else "scope"
    return [*said, fill(SENTENCES[scope], pairs=found.pairs, pictures=pictures)]


def _conclusion(found: Recommendation) -> list[str]:
    """Which sentences follow from the advice."""
    if found.advice == "keep":
        fidelity = any(score.group == "fidelity" for score in found.found("worse"))
        return ["keep_fidelity" if fidelity else "keep"]
    if found.advice == "choose":
        return ["choose_fails" if found.fails[1] > found.fails[0] else "choose"]
    if found.advice == "same":
        return ["take_either"]
    if found.advice == "more":
        if found.early:
            return ["early"]
        length = "hundreds" if found.more >= MOST_PAIRS // 2 else "run_more"
        return ["blocked", length] if found.blocked else [length]
    return ["use"]


def _counted(scores: Sequence[JudgedScore]) -> list[Words]:
    """Each score with in how many pairs it is so."""
    return [
        {
            language: SENTENCES["score"][language].format(
                name=title(score.name)[language],
                most=max(score.paired.wins, score.paired.losses),
                of=score.paired.pairs,
            )
            for language in LANGUAGES
        }
        for score in scores
    ]


def _named(scores: Sequence[JudgedScore]) -> list[Words]:
    return [{language: title(score.name)[language] for language in LANGUAGES} for score in scores]
