"""Several clips of one picture in one call: files, index, errors, and who pays for what."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PillowImage

import vivant
from vivant.checks.sentences import reason
from vivant.engines.fake import FakeEngine
from vivant.errors import Cancelled, EngineError, OptionError, OutputError, OutputExistsError
from vivant.grid import parse_seeds
from vivant.pipeline import ClipJob
from vivant.runs.index_page import ClipEntry, render
from vivant.runs.run import Runner
from vivant.runs.seeds import run_series
from vivant.settings import read_settings
from vivant.types import (
    Clip,
    EngineOfMany,
    Observer,
    Portrait,
    Progress,
    Request,
    Result,
    Series,
    Take,
)
from vivant.upscalers import load_upscaler

SMALL: dict[str, Any] = {"width": 320, "height": 180, "num_frames": 9, "engine": "fake"}
FILES = ("contact_sheet.jpg", "mp4", "report.html", "report.json", "thumbnail.jpg")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def expected(*seeds: int, stem: str = "portrait") -> list[str]:
    clips = [f"{stem}-seed-{seed}.{name}" for seed in seeds for name in FILES]
    return sorted([*clips, "contact_sheet.jpg", "index.html"])


class Counting(FakeEngine):
    """The fake, with what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, ...]] = []

    def generate_many(
        self, portrait: Portrait, request: Request, seeds: tuple[int, ...], observe: Observer
    ) -> list[Clip]:
        self.calls.append(seeds)
        return super().generate_many(portrait, request, seeds, observe)


def series(image: Path, folder: Path, seeds: tuple[int, ...], **more: Any) -> Series:
    engine = more.pop("engine", None) or FakeEngine()
    parts = {name: more.pop(name) for name in ("watch",) if name in more}
    observe = more.pop("observe", lambda _: None)
    runner = Runner(read_settings(), observe, engines={"fake": engine})
    return run_series(Request(image=image, **SMALL, **more), seeds, folder, runner, **parts)


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("1,2,3", (1, 2, 3)), ("0-3", (0, 1, 2, 3)), ("7, 0 - 1", (7, 0, 1)), ("5", (5,))],
)
def test_lists_of_seeds(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1,2,1", "seed 1 is given twice"),
        ("0-8", "at least 9, above 8"),
        ("0-3,4-9", "at least 10"),
        ("0-9223372036854775807", "at least"),
        ("3-1", "write 1-3"),
        ("", "write it like"),
        ("1,,2", "write it like"),
        ("1;2", "write it like"),
        ("-1", "write it like"),
        ("1.5", "write it like"),
        ("٣", "write it like"),
        ("9223372036854775808", "outside 0…9223372036854775807"),
    ],
)
def test_what_is_no_list_of_seeds(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words) as caught:
        parse_seeds(text)
    assert caught.value.param in ("seeds", "seed")


def content(result: Result) -> str:
    """SHA-256 of the clip but for its signature, which holds random numbers."""
    digest: str = result.report.credentials["content_sha256"]
    return digest


def test_every_seed_is_the_clip_it_is_alone(tmp_path: Path, portrait_file: Path) -> None:
    engine = Counting()
    assert isinstance(engine, EngineOfMany)
    told: list[tuple[int, int]] = []
    made = series(
        portrait_file,
        tmp_path / "a" / "b",
        (4, 0, 9),
        engine=engine,
        options={"scale": 0.5},
        watch=lambda take, done: told.append((take.seed, done)),
    )
    assert engine.calls == [(4, 0, 9)]
    assert told == [(4, 1), (0, 2), (9, 3)]
    assert names(tmp_path / "a" / "b") == expected(4, 0, 9)
    for take in made.takes:
        assert take.result is not None
        alone = ClipJob(
            Request(image=portrait_file, seed=take.seed, options={"scale": 0.5}, **SMALL),
            FakeEngine(),
            load_upscaler("auto"),
            read_settings(),
        ).run(tmp_path / f"{take.seed}.mp4")
        assert content(take.result) == content(alone)
        report = json.loads(take.result.report_file.read_text("utf-8"))
        assert report["settings"]["seed"] == take.seed
        assert report["scores"] != []


def test_an_engine_that_makes_one_at_a_time(tmp_path: Path, portrait_file: Path) -> None:
    made = vivant.animate_many(
        portrait_file, tmp_path / "clips", [1, 2], **{**SMALL, "engine": "camera"}
    )
    assert names(tmp_path / "clips") == expected(1, 2)
    files = [content(take.result) for take in made.takes if take.result]
    assert len(files) == 2
    assert files[0] != files[1]
    alone = vivant.animate(
        portrait_file, tmp_path / "2.mp4", seed=2, **{**SMALL, "engine": "camera"}
    )
    assert content(alone) == files[1]


def test_what_all_share_is_divided(tmp_path: Path, portrait_file: Path) -> None:
    made = series(
        portrait_file, tmp_path / "clips", (0, 1, 2), options={"steps": 3, "step_seconds": 0.4}
    )
    reports = [take.result.report for take in made.takes if take.result]
    for take, report in zip(made.takes, reports, strict=True):
        stages = {stage.stage: stage.seconds for stage in report.stages}
        assert 0.4 <= stages["generate"] < 1.2
        assert stages["image"] > 0
        assert min(stages.values()) >= 0
        assert report.bill is not None
        assert report.bill.seconds == pytest.approx(report.seconds, abs=0.05)
        assert take.seconds == report.seconds
    # nothing is paid for twice, and nothing is left out but the index
    parts = sum(take.seconds for take in made.takes)
    assert parts <= made.seconds < parts + 1.5
    assert made.bill is not None
    assert made.bill.seconds == made.seconds


def test_times_of_upscaled_clips_are_divided_too(tmp_path: Path, portrait_file: Path) -> None:
    made = series(
        portrait_file,
        tmp_path / "clips",
        (0, 1),
        options={"steps": 1, "step_seconds": 1.0, "scale": 0.5},
    )
    for take in made.takes:
        assert take.result is not None
        stages = {stage.stage: stage.seconds for stage in take.result.report.stages}
        assert 0.5 <= stages["generate"] < 1
        assert 0 <= stages["upscale"] < 0.5


def test_one_failing_clip_does_not_lose_the_others(tmp_path: Path, portrait_file: Path) -> None:
    made = series(portrait_file, tmp_path / "clips", (0, 1, 2), options={"fail_at_seed": 0})
    assert [take.result is not None for take in made.takes] == [False, True, True]
    assert "told to fail with seed 0" in made.takes[0].reason
    assert made.takes[0].seconds > 0
    assert names(tmp_path / "clips") == expected(1, 2)
    page = made.page.read_text("utf-8")
    assert "seed 0" in page
    assert "told to fail" in page
    assert "portrait-seed-1.mp4" in page


@pytest.mark.parametrize("options", [{"fail_at_step": 1}, {"nope": 1}, {"fail_at_frame": 2}])
def test_where_no_clip_can_be_made_nothing_is_left(
    tmp_path: Path, portrait_file: Path, options: dict[str, Any]
) -> None:
    engine = Counting()
    with pytest.raises(OptionError if "nope" in options else EngineError):
        series(portrait_file, tmp_path / "a" / "b", (0, 1), engine=engine, options=options)
    assert engine.calls == [(0, 1)]
    assert names(tmp_path) == ["portrait.png"]


def test_a_full_disk_ends_it_and_keeps_what_is_finished(
    tmp_path: Path, portrait_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vivant.video.files import publish

    def full(folder: Path, target: Any) -> None:
        if "seed-1" in target.clip.name:
            raise OutputError("the disk is full")
        publish(folder, target)

    monkeypatch.setattr("vivant.pipeline.publish", full)
    made = series(portrait_file, tmp_path / "clips", (0, 1, 2))
    assert [take.reason for take in made.takes] == ["", "the disk is full", "not begun"]
    assert names(tmp_path / "clips") == expected(0)


def test_cancelling_keeps_what_is_finished(tmp_path: Path, portrait_file: Path) -> None:
    takes: list[Take] = []
    threads = threading.active_count()

    def observe(progress: Progress) -> None:
        if takes and progress.stage == "encode":
            raise Cancelled

    with pytest.raises(Cancelled, match=r"1 of 3 clips.*--seeds 1,2 ") as caught:
        series(
            portrait_file,
            tmp_path / "clips",
            (0, 1, 2),
            observe=observe,
            watch=lambda take, _: takes.append(take),
        )
    assert caught.value.exit_code == 130
    assert names(tmp_path / "clips") == expected(0)
    assert threading.active_count() == threads
    # and the same folder takes the others
    series(portrait_file, tmp_path / "clips", (1, 2))
    assert names(tmp_path / "clips") == expected(0, 1, 2)
    page = (tmp_path / "clips" / "index.html").read_text("utf-8")
    assert all(f"portrait-seed-{seed}.mp4" in page for seed in (0, 1, 2))
    with PillowImage.open(tmp_path / "clips" / "contact_sheet.jpg") as sheet:
        assert sheet.height > 3 * 270


def test_the_index_tells_why_in_both_languages() -> None:
    score = {"verdict": "fail", "reason": reason({"message": "no_face_in_picture"})}
    report = {"verdict": "fail", "seconds": 1.0, "bill": None, "scores": [score]}
    entries = [
        ClipEntry(name="made", picture="made.mp4", report=report),
        ClipEntry(name="", picture="seed 1", report=None, reason="not begun"),
        ClipEntry(name="", picture="seed 2", report=None, reason="in no table"),
    ]
    page = render(entries, "clips", of_seeds=True)
    for english, korean in (
        (score["reason"], reason({"message": "no_face_in_picture"}, "ko")),
        ("not begun", "시작하지 않았습니다"),
        ("in no table", "in no table"),
    ):
        assert f'<span lang="en">{english}</span><span lang="ko">{korean}</span>' in page


@pytest.mark.parametrize("stage", ["image", "generate"])
def test_cancelling_the_first_leaves_nothing(
    tmp_path: Path, portrait_file: Path, stage: str
) -> None:
    def observe(progress: Progress) -> None:
        if progress.stage == stage:
            raise Cancelled

    with pytest.raises(Cancelled, match="nothing was written"):
        series(portrait_file, tmp_path / "clips", (0, 1), observe=observe)
    assert names(tmp_path) == ["portrait.png"]


def test_nothing_is_replaced_by_mistake(tmp_path: Path, portrait_file: Path) -> None:
    folder = tmp_path / "clips"
    series(portrait_file, folder, (0,))
    before = (folder / "portrait-seed-0.mp4").read_bytes()
    engine = Counting()
    with pytest.raises(OutputExistsError, match="--force"):
        series(portrait_file, folder, (1, 0), engine=engine)
    assert engine.calls == []
    assert names(folder) == expected(0)
    assert (folder / "portrait-seed-0.mp4").read_bytes() == before

    theirs = tmp_path / "site"
    theirs.mkdir()
    (theirs / "index.html").write_text("<h1>mine</h1>")
    with pytest.raises(OutputExistsError, match="not an index of clips"):
        series(portrait_file, theirs, (0,))
    assert names(theirs) == ["index.html"]
    for place in (tmp_path / "clip.mp4", portrait_file):
        with pytest.raises(OptionError, match="go into a folder"):
            series(portrait_file, place, (0, 1))


def test_the_command(
    vivant: Callable[..., tuple[int, str, str]], tmp_path: Path, portrait_file: Path
) -> None:
    small = ("--engine", "fake", "--size", "320x180", "--frames", "9")
    code, out, err = vivant("animate", portrait_file.name, "--seeds", "3,0-1", *small, "-v")
    assert code == 0, err
    assert names(tmp_path / "portrait-seeds") == expected(3, 0, 1)
    table = out[out.index("[SEEDS]") :].splitlines()
    lines = [line.split() for line in table[1:]]
    assert lines[0] == ["seed", "verdict", "identity", "seconds", "cost"]
    assert [line[0] for line in lines[1:5]] == ["3", "0", "1", "all"]
    assert all("₩" in line for line in table[2:6])
    assert "[2/3] seed 0:" in err
    assert "Seeds:" in out

    code, out, _ = vivant(
        "animate", portrait_file.name, "--seeds", "1,2", *small, "-o", "x", "--json",
        "--set", "fail_at_seed=2",
    )  # fmt: skip
    assert code == 4
    found = json.loads(out)
    assert [clip["seed"] for clip in found["clips"]] == [1, 2]
    assert found["clips"][0]["report"]["settings"]["seed"] == 1
    assert found["clips"][1]["report"] is None
    assert "told to fail" in found["clips"][1]["reason"]
    assert found["bill"]["currency"] == "KRW"

    code, out, _ = vivant(
        "animate", portrait_file.name, "--seeds", "1,2", *small, "-o", "y",
        "--set", "fail_at_seed=2",
    )  # fmt: skip
    assert code == 4
    assert "seed 2 was not made: the fake engine was told" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--seeds", "0,0"), "given twice"),
        (("--seeds", "0-8"), "above 8 in one call"),
        (("--seeds", "one"), "write it like"),
        (("--seeds", "0,1", "--seed", "0"), "--seed or --seeds, not both"),
        (("--seeds", "0,1", "--until-pass", "--budget", "9s"), "without --seeds"),
        (("--seeds", "0,1", "-o", "clip.mp4"), "go into a folder"),
        (("--seeds", "0,1", "--engine", "nope"), "unknown"),
        (("--seeds", "0,1", "--currency", "XXX"), "exchange"),
    ],
)
def test_mistakes_of_the_command_are_one_line(
    vivant: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    portrait_file: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    code, out, err = vivant("animate", portrait_file.name, *arguments)
    assert code == 2
    assert out == ""
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert names(tmp_path) == ["portrait.png"]


def test_auto_is_the_upscaler_of_the_clip_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Runner(read_settings(), engines={"fake": FakeEngine()})
    request = Request(image=b"", **SMALL)
    assert runner.job(request).upscaler.name == "lanczos"
    monkeypatch.setattr("vivant.upscalers._on_gpu", lambda: True)  # as after an engine's load
    assert runner.job(request).upscaler.name == "lanczos-gpu"
