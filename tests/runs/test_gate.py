"""The gate: the remedy fits what failed, the budget holds, the best clip is delivered."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vivant.cli.main import main
from vivant.engines.camera.options import CameraOptions
from vivant.engines.fake import FakeEngine
from vivant.engines.living.options import LivingOptions
from vivant.engines.ltx2.options import LTX2Options
from vivant.errors import Cancelled, OptionError
from vivant.runs.budget import Budget, BudgetMeter
from vivant.runs.remedies import remedies
from vivant.runs.run import Runner
from vivant.runs.until_pass import UntilPassResult, animate_until_pass
from vivant.settings import read_settings
from vivant.types import Clip, Observer, Portrait, Progress, Request, ignore_progress
from vivant.video.probe import probe

SMALL = {"num_frames": 5, "width": 128, "height": 72}
"""Enough for flicker, and quick."""

FACE = {"num_frames": 7, "width": 480, "height": 270}
"""Enough to know the person."""


class Clock:
    """Time that passes only when somebody works."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class TimedEngine(FakeEngine):
    """The fake, each of whose clips takes as many seconds of the clock as told."""

    def __init__(self, clock: Clock, seconds: list[float]) -> None:
        self._clock, self._seconds = clock, list(seconds)
        self.requests: list[Request] = []

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        self.requests.append(request)
        self._clock.now += self._seconds.pop(0) if len(self._seconds) > 1 else self._seconds[0]
        return super().generate(portrait, request, observe)


def gate(
    folder: Path,
    image: bytes,
    budget: str,
    *,
    seconds: list[float] | None = None,
    seed: int = 0,
    size: dict[str, int] = SMALL,
    observe: Observer = ignore_progress,
    **options: Any,
) -> tuple[UntilPassResult, TimedEngine]:
    clock = Clock()
    engine = TimedEngine(clock, seconds or [10.0])
    request = Request(
        image=image,
        engine="fake",
        seed=seed,
        options={"chunk": 9, **options},
        num_frames=size["num_frames"],
        width=size["width"],
        height=size["height"],
    )
    gated = animate_until_pass(
        request,
        folder / "clip.mp4",
        Budget.parse(budget),
        Runner(read_settings(), observe, engines={"fake": engine}),
        clock=clock,
    )
    return gated, engine


@pytest.mark.parametrize(
    ("flaw", "check", "option"),
    [
        ("drift", "face_presence", {"end_anchor": 0.5}),
        ("frozen", "motion", {"motion_speed": 1.5}),
        ("plastic", "cartoon", {"nag": True}),
        ("soft", "sharpness", {"image_crf": 18}),
    ],
)
def test_each_failure_gets_the_remedy_that_fits(
    tmp_path: Path, portrait_bytes: bytes, flaw: str, check: str, option: dict[str, Any]
) -> None:
    gated, engine = gate(tmp_path, portrait_bytes, "100s", flaw=flaw, size=FACE)
    first, *_, last = gated.attempts
    assert check in first.failed
    assert option.items() <= dict(last.options).items()
    assert not set(last.failed) & set(first.failed)
    assert gated.chosen == last.number
    assert engine.requests[1].options != engine.requests[0].options
    assert last.why


def test_bad_luck_gets_another_seed_and_the_story_is_told(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    gated, engine = gate(tmp_path, portrait_bytes, "100s", flaw="unlucky", seed=2, size=FACE)
    assert [request.seed for request in engine.requests] == [2, 3]
    assert gated.passed
    assert gated.stopped == "it passed"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "clip.contact_sheet.jpg",
        "clip.mp4",
        "clip.report.html",
        "clip.report.json",
        "clip.thumbnail.jpg",
    ]
    story = json.loads((tmp_path / "clip.report.json").read_text("utf-8"))["gate"]
    assert story["chosen"] == 2
    assert [a["remedy"] for a in story["attempts"]] == ["", "another seed"]
    assert all(a["seconds"] == 10 and a["usd"] > 0 for a in story["attempts"])


def test_it_stops_before_the_budget_is_exceeded(tmp_path: Path, portrait_bytes: bytes) -> None:
    gated, engine = gate(tmp_path, portrait_bytes, "35s", flaw="hopeless")
    assert len(engine.requests) == 3  # a fourth would end at 40 s
    assert gated.seconds == 30
    assert not gated.passed
    assert "another attempt takes about 11 s" in gated.stopped
    assert (tmp_path / "clip.mp4").is_file()


def test_an_attempt_longer_than_predicted_is_ended_with_the_budget(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    gated, engine = gate(
        tmp_path, portrait_bytes, "35s", seconds=[10, 500], flaw="hopeless", seed=5
    )
    assert len(engine.requests) == 2
    assert gated.chosen == 1
    assert gated.attempts[1].verdict is None
    assert "ended during attempt 2" in gated.stopped


def test_an_attempt_that_fails_does_not_lose_the_best_clip(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    class Breaking(TimedEngine):
        def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
            if self.requests:
                request = replace(request, options={**request.options, "fail_at_step": 0})
            return super().generate(portrait, request, observe)

    clock = Clock()
    gated = animate_until_pass(
        Request(
            image=portrait_bytes, engine="fake", options={"flaw": "hopeless"},
            num_frames=5, width=128, height=72,
        ),
        tmp_path / "clip.mp4",
        Budget.parse("100s"),
        Runner(read_settings(), engines={"fake": Breaking(clock, [10])}),
        clock=clock,
    )  # fmt: skip
    assert gated.chosen == 1
    assert "attempt 2 could not be made" in gated.stopped
    assert (tmp_path / "clip.mp4").is_file()


def test_money_is_counted_at_the_rate_of_the_device(tmp_path: Path, portrait_bytes: bytes) -> None:
    # cpu: 0.0000262 $/s × 1450 ₩/$ = ₩0.38 for ten seconds
    gated, engine = gate(tmp_path, portrait_bytes, "₩0.8", flaw="hopeless")
    assert len(engine.requests) == 2
    assert sum(a.usd or 0 for a in gated.attempts) * 1450 <= 0.8


def test_a_budget_smaller_than_one_clip(tmp_path: Path, portrait_bytes: bytes) -> None:
    with pytest.raises(OptionError, match="ended before the first clip"):
        gate(tmp_path, portrait_bytes, "5s")
    assert list(tmp_path.iterdir()) == []
    gate(tmp_path, portrait_bytes, "1000s", size=FACE)  # measured now: refused before any work
    for path in tmp_path.iterdir():
        path.unlink()
    clock = Clock()
    engine = TimedEngine(clock, [10])
    with pytest.raises(OptionError, match="smaller than one clip"):
        animate_until_pass(
            Request(image=portrait_bytes, engine="fake", num_frames=7, width=480, height=270),
            tmp_path / "other.mp4",
            Budget.parse("0.001s"),
            Runner(read_settings(), engines={"fake": engine}),
            clock=clock,
        )
    assert not engine.requests


def test_a_budget_that_is_partly_used_is_told_so() -> None:
    meter = BudgetMeter(
        Budget.parse("5s"), lambda: "cpu", read_settings(), clock=lambda: 0.0, spent=4.6
    )
    meter.check_first(0.3)
    with pytest.raises(OptionError, match=r"about 0\.6 s on .*, and 4\.6 s of it are used already"):
        meter.check_first(0.6)


def test_cancelling_leaves_nothing(tmp_path: Path, portrait_bytes: bytes) -> None:
    def stop(progress: Progress) -> None:
        if progress.stage == "encode":
            raise Cancelled

    with pytest.raises(Cancelled):
        gate(tmp_path, portrait_bytes, "100s", observe=stop)
    assert list(tmp_path.iterdir()) == []


def test_cancelling_later_keeps_the_best_clip_so_far(tmp_path: Path, portrait_bytes: bytes) -> None:
    begun = 0

    def stop(progress: Progress) -> None:
        nonlocal begun
        begun += progress.stage == "image"
        if begun == 3 and progress.stage == "encode":
            raise Cancelled

    with pytest.raises(Cancelled, match=r"during attempt 3; the best .* attempt 1, which fails"):
        gate(tmp_path, portrait_bytes, "1000s", observe=stop, flaw="hopeless", seed=5)
    story = json.loads((tmp_path / "clip.report.json").read_text("utf-8"))["gate"]
    assert (story["stop"], story["chosen"], len(story["attempts"])) == ("cancelled", 1, 2)
    assert probe(tmp_path / "clip.mp4").num_frames
    assert not list(tmp_path.glob(".vivant-*"))


@pytest.mark.parametrize(
    ("budget", "usd", "told"),
    [
        ("40s", 0.0005, "19.6 s of 40 s, $0.00050"),
        ("40s", None, "19.6 s of 40 s"),
        ("₩100", 0.0005, "19.6 s, ₩0.72 of ₩100"),
        ("$0.10", 0.02, "19.6 s, $0.0200 of $0.1000"),
    ],
)
def test_what_was_spent_is_told_in_the_budgets_own_unit(
    budget: str, usd: float | None, told: str
) -> None:
    assert Budget.parse(budget).spent_words(19.6, usd, read_settings()) == told


def test_every_remedy_is_one_its_engine_understands() -> None:
    checks = (
        "identity_min", "motion", "plastic_skin", "sharpness", "face_wobble", "seams", "flicker",
        "motion_speed",
    )  # fmt: skip
    for check in checks:
        for remedy in remedies(Request(image=b"", engine="ltx2"), (check,)):
            LTX2Options.from_request(remedy.request)
        for remedy in remedies(
            Request(image=b"", engine="camera", options={"scale": 0.5}), (check,)
        ):
            CameraOptions.parse(remedy.request.options)
        for remedy in remedies(Request(image=b"", options={"scale": 0.5}), (check,)):
            LivingOptions.parse(remedy.request.options)
    nothing = remedies(Request(image=b"", engine="ltx2"), ("codec", "seconds"))
    assert nothing == []


def test_remedies_grow_stronger_and_end_with_another_seed() -> None:
    request = Request(image=b"", engine="ltx2", options={"image_strength": 0.8})
    offers = remedies(request, ("identity_mean",))
    assert [dict(o.request.options) for o in offers[:3]] == [
        {"image_strength": 1.0},
        {"image_strength": 0.8, "end_anchor": 0.5},
        {"image_strength": 0.8, "end_anchor": 0.8},
    ]
    assert offers[-1].request == replace(request, seed=1)


@pytest.mark.parametrize(
    ("text", "seconds", "amount", "currency"),
    [
        ("120s", 120.0, None, "KRW"),
        ("₩100", None, 100.0, "KRW"),
        ("100원", None, 100.0, "KRW"),
        ("1,000 krw", None, 1000.0, "KRW"),
        ("$0.10", None, 0.1, "USD"),
    ],
)
def test_budgets(text: str, seconds: float | None, amount: float | None, currency: str) -> None:
    assert Budget.parse(text) == Budget(seconds=seconds, amount=amount, currency=currency)


@pytest.mark.parametrize(
    "text", ["", "100", "0s", "-5s", "ten", "₩", "5 minutes", "nan s", "$1 KRW"]
)
def test_bad_budgets(text: str) -> None:
    with pytest.raises(OptionError, match="write 120s"):
        Budget.parse(text)


def test_the_command_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    portrait_file: Path,
) -> None:
    monkeypatch.chdir(tmp_path)

    def vivant(*arguments: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["vivant", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        return stopped.value.code, *capsys.readouterr()

    base = ("animate", portrait_file, "--engine", "fake", "--size", "480x270", "--frames", "7")
    code, out, _ = vivant(*base, "--set", "flaw=frozen", "--until-pass", "--budget", "600s")
    assert code == 0
    assert "[UNTIL IT PASSES] Budget: 600 s" in out
    assert "more motion (against motion" in out
    assert "attempt 2 of 2" in out
    for arguments, word in (
        (("--until-pass",), "together"),
        (("--budget", "5s"), "together"),
        (("--until-pass", "--budget", "5"), "120s"),
        (("--until-pass", "--budget", "5 XAU"), "XAU"),
    ):
        code, _, err = vivant(*base, *arguments, "-o", "other.mp4")
        assert code == 2
        assert word in err
