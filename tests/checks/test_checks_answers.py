"""What comes after measuring: delivery, the bill, the checklist, sentences, the HTML page."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks_clips import FACTS, SHORT, examine, material, portrait, reader, with_facts
from clip_files import write_clip
from vivant.checks import ExpectedFile, Performance
from vivant.checks.checklist import answers, title
from vivant.checks.limits import Limit, limits
from vivant.checks.metric import MAX_SERIES, against_picture, thinned
from vivant.checks.metrics.delivery import delivery
from vivant.checks.metrics.performance import performance_scores
from vivant.checks.oscillation import Oscillation
from vivant.checks.report import page, write_html
from vivant.checks.report.plot import HEIGHT, WIDTH, plot
from vivant.checks.report.summary import summary
from vivant.checks.sentences import reason, sentences, translated
from vivant.checks.verify import verify_file
from vivant.errors import Cancelled, ClipError, OutputError
from vivant.types import ClipFacts, Progress, Verdict, Verification
from vivant.video.prefetch import prefetch

MISSES: list[dict[str, object]] = [
    {"width": 1280, "height": 720},
    {"fps": Fraction(25)},
    {"constant_rate": False},
    {"num_frames": 96},
    {"codec": "hevc"},
    {"profile": "Main"},
    {"pixel_format": "yuv444p"},
    {"color_space": "smpte170m"},
    {"color_range": "unknown"},
    {"moov_first": False},
    {"edit_list": True},
    {"closed_gop": False},
    {"interlaced": True},
]


def verdicts(facts: ClipFacts, expected: ExpectedFile | None) -> set[str]:
    return {score.verdict for score in delivery(facts, expected)}


def test_a_perfect_file_passes() -> None:
    assert verdicts(FACTS, ExpectedFile()) == {"pass"}
    assert verdicts(FACTS, None) == {"pass"}


@pytest.mark.parametrize("miss", MISSES, ids=lambda miss: next(iter(miss)))
def test_a_miss_fails_our_own_file_and_is_advice_for_somebody_elses(
    miss: dict[str, object],
) -> None:
    facts = with_facts(**miss)
    assert "fail" in verdicts(facts, ExpectedFile())
    assert verdicts(facts, None) == {"pass", "warn"}


def test_other_requests_are_held_against_themselves() -> None:
    facts = with_facts(width=1080, height=1920, fps=Fraction(30), num_frames=121)
    wanted = ExpectedFile(width=1080, height=1920, fps=Fraction(30), num_frames=121)
    assert verdicts(facts, wanted) == {"pass"}
    size = delivery(facts, wanted)[0]
    assert size.reason == "The size is 1080×1920, as asked for."


def test_the_size_is_asked_about_as_it_was_wanted() -> None:
    def question(facts: ClipFacts, expected: ExpectedFile | None) -> tuple[str, str]:
        found = answers(Verification(scores=delivery(facts, expected), facts=facts))
        answer = next(a for a in found if a.scores and a.scores[0].name == "size")
        return answer.question["en"], answer.verdict

    small = with_facts(width=1280, height=720)
    assert question(FACTS, ExpectedFile()) == ("1920×1080?", "pass")
    assert question(small, ExpectedFile(width=1280, height=720)) == ("1280×720?", "pass")
    assert question(small, ExpectedFile()) == ("1920×1080?", "fail")
    assert question(small, None) == ("1920×1080?", "warn")
    assert question(with_facts(width=1080, height=1920), None) == ("1080×1920?", "pass")


def test_stretched_pixels_and_unknown_profiles_are_told() -> None:
    stretched = delivery(with_facts(pixel_aspect=Fraction(4, 3)), None)[0]
    assert (stretched.verdict, "(4:3)" in stretched.reason) == ("warn", True)
    found = {s.name: s for s in delivery(with_facts(codec="ffv1", profile="unknown"), None)}
    assert found["codec"].reason == "The codec is ffv1; YouTube recommends h264 High."


def test_a_long_gop_and_few_bits_are_only_said() -> None:
    assert verdicts(with_facts(max_gop=250), ExpectedFile()) == {"pass", "warn"}
    assert verdicts(with_facts(bit_rate=300_000), ExpectedFile()) == {"pass", "warn"}


def test_performance() -> None:
    fast, cheap = performance_scores(Performance(seconds=50, cost=24, target_cost=25))
    assert (fast.verdict, cheap.verdict) == ("pass", "pass")
    slow, dear = performance_scores(Performance(seconds=70, cost=30, target_cost=25))
    assert (slow.verdict, dear.verdict) == ("warn", "warn")
    assert {s.verdict for s in performance_scores(None)} == {"not_measured"}
    assert performance_scores(Performance(seconds=1))[1].verdict == "not_measured"
    free = performance_scores(Performance(seconds=1, cost=0.55))[1]
    assert (free.verdict, free.reason) == ("pass", "It cost ₩0.55.")
    assert cheap.reason == "It cost ₩24 (target ₩25)."


@given(st.floats(-10, 10), st.floats(-5, 5), st.floats(0, 5))
@settings(deadline=None)
def test_limits_judge_monotonically(value: float, warn: float, apart: float) -> None:
    order = {"pass": 0, "warn": 1, "fail": 2}
    above = Limit("above", warn + apart, warn, "")
    below = Limit("below", warn - apart, warn, "")
    assert order[above.judge(value)] <= order[above.judge(value + 1)]
    assert order[below.judge(value)] <= order[below.judge(value - 1)]
    assert above.judge(warn) == "pass"


@given(st.lists(st.floats(0.1, 10), min_size=1, max_size=9))
@settings(deadline=None)
def test_values_against_the_picture_are_bounded_by_first_frame_and_median(
    values: list[float],
) -> None:
    series = list(enumerate(values))
    first, middle = values[0], float(np.median(values))

    def value(*, above: bool, exact: bool) -> float:
        allowance = 0.8 if above else 1.25
        return against_picture(series, above=above, allowance=allowance, exact=exact)

    assert value(above=True, exact=False) <= max(first, middle)
    assert value(above=False, exact=False) >= min(first, middle)
    for exact in (True, False):
        # A median far off counts whatever the first frame says.
        assert value(above=True, exact=exact) >= 0.8 * middle
        assert value(above=False, exact=exact) <= 1.25 * middle
    assert value(above=True, exact=True) >= first
    assert value(above=False, exact=True) <= first


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=3000))
@settings(max_examples=30, deadline=None)
def test_thinning_keeps_the_extremes(values: list[float]) -> None:
    series = list(enumerate(values))
    kept = thinned(series)
    assert len(kept) <= MAX_SERIES + 2
    assert {min(values), max(values)} <= {v for _, v in kept}
    assert [i for i, _ in kept] == sorted(i for i, _ in kept)


@pytest.mark.parametrize("hertz", [3.0, 5.0])
def test_a_steady_swing_is_measured_and_a_bout_is_not(hertz: float) -> None:
    fps, cells = 24.0, 30
    pattern = np.random.default_rng(0).normal(size=(cells, 2))
    size = float(np.sqrt((pattern**2).sum(axis=1).mean()))
    time = np.arange(97) / fps
    swing = 0.5 * np.sin(2 * np.pi * hertz * time)
    for name, path in (("steady", swing), ("bout", swing * (time < 1.0))):
        meter = Oscillation(fps, low=2.4, high=10, weights=np.ones(cells))
        for step in np.diff(path):
            meter.add((step * pattern).astype(np.float32))
        found = meter.finish()
        assert found is not None
        if name == "steady":
            assert found.amplitude == pytest.approx(0.5 * size * hertz / 3, rel=0.15)
            assert found.hertz == pytest.approx(hertz, abs=0.2)
        else:
            assert found.amplitude < 0.1 * size


def test_every_score_has_a_limit_words_and_a_place_in_the_checklist() -> None:
    found = examine(material(SHORT).frames)
    listed = [score.name for answer in answers(found) for score in answer.scores]
    assert sorted(listed) == sorted(score.name for score in found.scores)
    for score in found.scores:
        assert title(score.name)["ko"] != score.name
        if score.group not in ("delivery", "performance"):
            informs = score.name.startswith("frame_difference")
            assert informs != (score.name in limits())


def test_every_sentence_can_be_said_in_both_languages() -> None:
    names = ("value", "limit", "frame", "first", "last", "found", "searched", "hertz", "others")
    facts = dict.fromkeys((*names, "announced", "seen", "advised", "speed"), 1.5)
    facts |= dict.fromkeys(("seconds", "longest", "rate", "lag", "steady"), 2.5)
    facts |= dict.fromkeys(("peak", "lasts", "picture", "start"), 3.5)
    facts |= {"start_seconds": 4.0, "waiting_seconds": 5.0}
    words = {
        "amount": "₩1",
        "target": "₩2",
        "rare_amount": "₩3",
        "shown": "1×2",
        "wanted": "3×4",
        "aspect": "4:3",
    }
    for key in sentences():
        for language in ("en", "ko"):
            text = reason({**facts, **words, "message": key}, language)
            assert text
            assert "{" not in text
        english = reason({**facts, **words, "message": key})
        assert translated(english, "en") == english
        assert re.search("[가-힣]", translated(english, "ko")), key
    assert translated("Somebody else said this.", "ko") == "Somebody else said this."
    for name, limit in limits().items():
        assert limit.how
        for verdict, known in (("fail", limit.fail), ("warn", limit.warn), ("pass", 1)):
            assert known is None or f"{name}.{verdict}" in sentences(), (name, verdict)


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        (0.5986, 0.6, "0.599 of its sharpness (limit 0.600)"),
        (0.59999, 0.6, "0.59999 of its sharpness (limit 0.60000)"),
        (0.6, 0.6, "0.60 of its sharpness (limit 0.60)"),
        (0.61, 0.6, "0.61 of its sharpness (limit 0.60)"),
    ],
)
def test_a_value_never_reads_like_the_limit_it_misses(
    value: float, limit: float, shown: str
) -> None:
    assert shown in reason({"message": "sharpness.fail", "value": value, "limit": limit})


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verification, Path]:
    clip = write_clip(tmp_path_factory.mktemp("clip") / "a & <b>.mp4", material(SHORT).frames)
    return verify_file(clip, portrait(), reader=reader()), clip


def test_verifying_a_file_observes_and_can_be_stopped(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", material(SHORT).frames)
    seen: list[Progress] = []
    verify_file(clip, portrait(), observe=seen.append, reader=reader())
    assert [p.done for p in seen][-1] == SHORT
    assert {p.stage for p in seen} == {"verify"}

    def stop(progress: Progress) -> None:
        if progress.done:
            raise Cancelled

    with pytest.raises(Cancelled):
        verify_file(clip, portrait(), observe=stop, reader=reader())


def test_working_ahead_keeps_order_errors_and_manners() -> None:
    closed: list[bool] = []

    def produce(count: int, *, fail: bool = False) -> Iterator[int]:
        try:
            yield from range(count)
            if fail:
                raise ClipError("broken")
        finally:
            closed.append(True)

    assert list(prefetch(produce(50))) == list(range(50))
    with pytest.raises(ClipError, match="broken"):
        list(prefetch(produce(3, fail=True)))
    early = prefetch(produce(10_000))
    assert next(early) == 0
    early.close()
    assert closed == [True, True, True]
    assert not [t for t in threading.enumerate() if t.name == "vivant-decode"]


def test_verifying_what_is_not_a_clip(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("no")
    with pytest.raises(ClipError):
        verify_file(tmp_path / "a.mp4", portrait(), reader=reader())


def test_the_page_stands_by_itself(verified: tuple[Verification, Path], tmp_path: Path) -> None:
    verification, clip = verified
    target = tmp_path / "page.html"
    write_html(verification, portrait(), clip, target)
    text = target.read_text("utf-8")
    assert "a &amp; &lt;b&gt;.mp4" in text
    assert "<b>.mp4" not in text
    assert not re.search(r"(src|href)=\"https?:", text)
    assert text.count("data:video/mp4;base64,") == 1
    inside = text.partition("data:video/mp4;base64,")[2].partition('"')[0]
    assert base64.b64decode(inside, validate=True) == clip.read_bytes()
    assert "\0" not in text
    assert text.count('lang="ko"') == text.count('lang="en"') - 2  # <html lang data-lang>
    for answer in answers(verification):
        assert answer.question["ko"] in text
        assert answer.question["en"] in text
    assert "측정 안 함" in text
    assert list(tmp_path.glob(".vivant-*")) == []


def test_a_large_clip_is_linked(
    verified: tuple[Verification, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    verification, clip = verified
    monkeypatch.setattr(page, "EMBED_LIMIT", 10)
    target = clip.parent / "page.html"
    write_html(verification, portrait(), clip, target)
    text = target.read_text("utf-8")
    assert 'src="a%20%26%20%3Cb%3E.mp4"' in text
    assert "data:video" not in text


def test_the_page_where_nothing_can_be_written(
    verified: tuple[Verification, Path], tmp_path: Path
) -> None:
    verification, clip = verified
    with pytest.raises(OutputError, match="cannot be written"):
        write_html(verification, portrait(), clip, tmp_path / "none" / "page.html")


def test_a_page_of_a_failed_clip_marks_the_frame(
    verified: tuple[Verification, Path], tmp_path: Path
) -> None:
    verification, clip = verified
    bad = tuple(
        replace(s, verdict="fail") if s.name == "identity_min" else s for s in verification.scores
    )
    target = tmp_path / "page.html"
    write_html(replace(verification, scores=bad), portrait(), clip, target)
    text = target.read_text("utf-8")
    assert "Do not publish yet" in text
    assert 'class="box"' in text


def test_the_first_screen_answers_five_questions(verified: tuple[Verification, Path]) -> None:
    verification = verified[0]

    def with_verdict(verdict: Verdict, prefix: str = "") -> Verification:
        scores = tuple(
            replace(s, verdict=verdict if s.name.startswith(prefix) else "pass")
            for s in verification.scores
        )
        return replace(verification, scores=scores)

    good = summary(answers(with_verdict("pass")))
    assert [line.verdict for line in good] == ["pass"] * 5
    assert [line.frame for line in good] == [None] * 5
    assert all("{" not in line.answer[language] for line in good for language in ("en", "ko"))
    person, *others = summary(answers(with_verdict("fail", "identity_min")))
    assert person.verdict == "fail"
    assert person.frame is not None
    assert "최저 프레임" in person.answer["ko"]
    assert {line.verdict for line in others} == {"pass"}
    # a face in every frame is not yet the person of the picture
    person, *_ = summary(answers(with_verdict("not_measured", "identity")))
    assert person.verdict == "not_measured"
    assert "by eye" in person.answer["en"]


def test_a_page_marks_no_place_where_nothing_is_wrong(
    verified: tuple[Verification, Path], tmp_path: Path
) -> None:
    verification, clip = verified
    seams = tuple(s for s in verification.scores if s.name == "seams" and s.region)
    assert [s.verdict for s in seams] == ["pass"]
    target = tmp_path / "page.html"
    write_html(replace(verification, scores=seams), portrait(), clip, target)
    assert 'class="box' not in target.read_text("utf-8")
    bad = (replace(seams[0], verdict="fail"),)
    write_html(replace(verification, scores=bad), portrait(), clip, target)
    assert 'class="box' in target.read_text("utf-8")


def test_a_page_without_curves_has_no_place_for_them(
    verified: tuple[Verification, Path], tmp_path: Path
) -> None:
    verification, clip = verified
    target = tmp_path / "page.html"
    write_html(verification, portrait(), clip, target)
    assert "Over time" in target.read_text("utf-8")
    bare = tuple(replace(s, series=()) for s in verification.scores)
    write_html(replace(verification, scores=bare), portrait(), clip, target)
    assert "Over time" not in target.read_text("utf-8")


def test_a_clip_of_an_unknown_person_is_not_called_good(
    verified: tuple[Verification, Path], tmp_path: Path
) -> None:
    _, clip = verified
    good = tuple(
        replace(s, verdict="not_measured" if s.name.startswith("identity") else "pass")
        for s in verified[0].scores
    )
    verification = replace(verified[0], scores=good)
    assert verification.verdict == "warn"
    target = tmp_path / "page.html"
    write_html(verification, portrait(), clip, target)
    text = target.read_text("utf-8")
    assert "It is the same person" not in text
    assert "is not known" in text


def test_a_curve_far_from_its_limit_looks_flat() -> None:
    drawn = plot([(0, 0.01), (48, 0.03), (96, 0.02)], 2.6, None, 97)
    heights = [float(pair.split(",")[1]) for pair in drawn.line.split()]
    assert max(heights) - min(heights) < 2
    assert drawn.limit_y is not None
    assert (drawn.low, drawn.high) == (0.01, 0.03)


@given(
    st.lists(st.tuples(st.integers(0, 96), st.floats(-100, 100)), min_size=1, max_size=40),
    st.floats(-100, 100) | st.none(),
)
@settings(max_examples=50, deadline=None)
def test_plots_stay_in_their_box(points: list[tuple[int, float]], limit: float | None) -> None:
    drawn = plot(sorted(points), limit, points[0][0], 97)
    for pair in drawn.line.split():
        x, y = (float(v) for v in pair.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT
    assert drawn.limit_y is None or 0 <= drawn.limit_y <= HEIGHT
