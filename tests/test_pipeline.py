from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image as PillowImage

import vivant
from vivant import pipeline
from vivant.engines.fake import FakeEngine
from vivant.errors import Cancelled, EngineError, OptionError, OutputExistsError
from vivant.provenance.keys import self_made_file
from vivant.provenance.reading import read_credentials
from vivant.report import plain, verification_json
from vivant.settings import default_settings, read_settings
from vivant.types import Clip, Image, Observer, Portrait, Progress, Request
from vivant.upscalers import load_upscaler
from vivant.video.probe import probe
from vivant.video.reader import open_clip
from vivant.video.sheet import contact_sheet

SMALL: dict[str, Any] = {"width": 320, "height": 180, "num_frames": 25, "engine": "fake"}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_picture_becomes_a_clip_with_its_companions(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    result = vivant.animate(portrait_bytes, tmp_path / "me.mp4", seed=3, **SMALL)
    assert names(tmp_path) == [
        "me.contact_sheet.jpg",
        "me.mp4",
        "me.report.html",
        "me.report.json",
        "me.thumbnail.jpg",
    ]
    facts = probe(result.clip)
    assert (facts.width, facts.height, facts.num_frames) == (320, 180, 25)
    with PillowImage.open(result.thumbnail) as picture:
        assert picture.size == (320, 180)
    report = json.loads(result.report_file.read_text("utf-8"))
    assert report["schema_version"] == 1
    assert report["settings"]["seed"] == 3
    assert report["settings"]["fps"] == 24
    assert report["engine"]["name"] == "fake"
    assert report["seconds"] > 0
    assert report["peak_memory_mb"] > 50
    assert report["bill"]["currency"] == "KRW"
    assert report["files"]["clip"] == "me.mp4"
    assert {stage["stage"] for stage in report["stages"]} >= {"generate", "encode", "verify"}
    assert all(stage["seconds"] >= 0 for stage in report["stages"])
    assert report["credentials"]["signed"]
    assert report["facts"]["size_bytes"] == result.clip.stat().st_size
    digest = hashlib.sha256(portrait_bytes).hexdigest()
    for path in (result.clip, result.thumbnail, result.contact_sheet):
        credentials = read_credentials(path, default_settings())
        assert (credentials.state, credentials.own) == ("valid", True)
        assert credentials.picture_sha256 == digest
    spent = sum(stage["seconds"] for stage in report["stages"])
    assert spent == pytest.approx(report["seconds"], abs=0.01)


def test_verify_agrees_with_the_report_to_the_digit(tmp_path: Path, portrait_bytes: bytes) -> None:
    """The pipeline verified what the encoder wrote, not what went into it."""
    result = vivant.animate(
        portrait_bytes, tmp_path / "me.mp4", **{**SMALL, "width": 640, "height": 360}
    )
    report = json.loads(result.report_file.read_text("utf-8"))
    found = verification_json(vivant.verify(result.clip, portrait_bytes))
    reported = {score["name"]: score for score in report["scores"]}
    measured = {score["name"]: score for score in json.loads(json.dumps(found["scores"]))}
    assert measured.keys() == reported.keys()
    for name, score in measured.items():
        if score["group"] in ("delivery", "performance"):
            continue  # a foreign clip is held to other expectations, and has no time
        assert score == reported[name], name


def test_workers_do_not_start_before_the_engine_has_begun(
    tmp_path: Path, portrait_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight of them at their start would hold up its first step."""
    monkeypatch.setattr(pipeline, "usable_cores", lambda: 4)
    before = len(psutil.Process().children())
    seen: dict[str, int] = {}

    class Watched(FakeEngine):
        def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
            def first(progress: Progress) -> None:
                seen.setdefault("at the first step", len(psutil.Process().children()))
                observe(progress)

            return super().generate(portrait, request, first)

    def observe(progress: Progress) -> None:
        if progress.stage == "verify":
            seen.setdefault("verifying", len(psutil.Process().children()))

    pipeline.ClipJob(
        Request(image=portrait_bytes, num_frames=25, width=1920, height=1080),
        Watched(),
        load_upscaler("auto"),
        read_settings(),
        observe,
    ).run(tmp_path / "me.mp4")
    assert seen == {"at the first step": before, "verifying": before + 3}


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_the_same_seed_gives_the_same_file(
    tmp_path: Path, portrait_bytes: bytes, scale: float
) -> None:
    """A signature would hold random numbers."""
    unsigned = read_settings(credentials="off")
    for name, seed in (("1.mp4", 0), ("2.mp4", 0), ("3.mp4", 9)):
        vivant.animate(
            portrait_bytes,
            tmp_path / name,
            seed=seed,
            options={"scale": scale},
            settings=unsigned,
            **SMALL,
        )
    assert read_credentials(tmp_path / "1.mp4", unsigned).state == "missing"
    assert b"DigitalSourceType" in (tmp_path / "1.mp4").read_bytes()
    assert not self_made_file(unsigned).exists()
    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()
    assert (tmp_path / "1.mp4").read_bytes() != (tmp_path / "3.mp4").read_bytes()


def test_small_frames_are_upscaled_and_the_report_says_how(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    result = vivant.animate(portrait_bytes, tmp_path / "me.mp4", options={"scale": 0.5}, **SMALL)
    assert probe(result.clip).width == 320
    assert result.report.upscaler == "lanczos"
    assert {stage.stage for stage in result.report.stages} >= {"upscale"}


def test_progress_is_told_per_step_and_frame(tmp_path: Path, portrait_bytes: bytes) -> None:
    seen: list[Progress] = []
    lock = threading.Lock()

    def observe(progress: Progress) -> None:
        with lock:
            seen.append(progress)

    vivant.animate(
        portrait_bytes, tmp_path / "me.mp4", observe=observe, options={"steps": 5}, **SMALL
    )
    generate = [p.done for p in seen if p.stage == "generate"]
    assert generate == [1, 2, 3, 4, 5]
    assert [p.done for p in seen if p.stage == "verify"] == list(range(1, 26))
    assert max(p.done for p in seen if p.stage == "encode") == 25
    assert Counter(p.stage for p in seen)["store"] == 1


@pytest.mark.parametrize(
    ("stage", "done"), [("image", 1), ("generate", 2), ("encode", 8), ("verify", 5)]
)
def test_cancelling_anywhere_leaves_nothing(
    tmp_path: Path, portrait_bytes: bytes, stage: str, done: int
) -> None:
    after: list[Progress] = []
    cancelled = threading.Event()

    def observe(progress: Progress) -> None:
        if cancelled.is_set():
            after.append(progress)
        if progress.stage == stage and progress.done >= done:
            cancelled.set()
            raise Cancelled

    threads = threading.active_count()
    with pytest.raises(Cancelled):
        vivant.animate(portrait_bytes, tmp_path / "me.mp4", observe=observe, **SMALL)
    assert names(tmp_path) == []
    assert threading.active_count() == threads
    assert len(after) <= 12  # what was in hand and in the short queues, not the rest of the clip


@pytest.mark.parametrize("options", [{"fail_at_step": 1}, {"fail_at_frame": 20}])
def test_a_failing_engine_leaves_nothing(
    tmp_path: Path, portrait_bytes: bytes, options: dict[str, int]
) -> None:
    with pytest.raises(EngineError, match="told to fail"):
        vivant.animate(portrait_bytes, tmp_path / "me.mp4", options=options, **SMALL)
    assert names(tmp_path) == []


def test_an_old_clip_survives_a_failed_replacement(tmp_path: Path, portrait_bytes: bytes) -> None:
    vivant.animate(portrait_bytes, tmp_path / "me.mp4", **SMALL)
    before = (tmp_path / "me.mp4").read_bytes()
    with pytest.raises(OutputExistsError):
        vivant.animate(portrait_bytes, tmp_path / "me.mp4", **SMALL)
    with pytest.raises(EngineError):
        vivant.animate(
            portrait_bytes, tmp_path / "me.mp4", force=True, options={"fail_at_frame": 3}, **SMALL
        )
    assert (tmp_path / "me.mp4").read_bytes() == before
    assert len(names(tmp_path)) == 5


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"width": 321}, "size"),
        ({"height": 20}, "size"),
        ({"num_frames": 0}, "num_frames"),
        ({"num_frames": 10**6}, "num_frames"),
        ({"fps": Fraction(1000)}, "fps"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"engine": "nope"}, "engine"),
        ({"upscaler": "nope"}, "upscaler"),
        ({"options": {"nope": 1}}, "nope"),
    ],
)
def test_impossible_requests_are_refused_before_any_work(
    tmp_path: Path, portrait_bytes: bytes, change: dict[str, object], param: str
) -> None:
    with pytest.raises(OptionError) as caught:
        vivant.animate(portrait_bytes, tmp_path / "me.mp4", **{**SMALL, **change})
    assert caught.value.param == param
    assert names(tmp_path) == []


@pytest.mark.parametrize("fps", [30, 29.97])
def test_a_frame_rate_may_be_a_plain_number(
    tmp_path: Path, portrait_bytes: bytes, fps: float
) -> None:
    vivant.animate(portrait_bytes, tmp_path / "me.mp4", **{**SMALL, "num_frames": 5, "fps": fps})
    assert float(probe(tmp_path / "me.mp4").fps) == pytest.approx(fps, abs=0.001)


def test_an_unknown_currency_is_refused_before_any_work(
    tmp_path: Path, portrait_bytes: bytes
) -> None:
    seen: list[Progress] = []
    with pytest.raises(OptionError, match="exchange"):
        vivant.animate(
            portrait_bytes, tmp_path / "me.mp4", currency="XXX", observe=seen.append, **SMALL
        )
    assert seen == []


def test_a_picture_without_a_face_works_and_claims_nothing(
    tmp_path: Path, faceless_bytes: bytes
) -> None:
    result = vivant.animate(faceless_bytes, tmp_path / "me.mp4", **SMALL)
    identity = [s for s in result.report.verification.scores if s.name.startswith("identity")]
    assert identity
    assert {score.verdict for score in identity} == {"not_measured"}
    assert result.verdict in ("warn", "fail")
    assert "It is the same person" not in result.page.read_text("utf-8")


def test_time_and_cost_are_told_once(tmp_path: Path, portrait_bytes: bytes) -> None:
    report = vivant.animate(portrait_bytes, tmp_path / "me.mp4", **SMALL).report
    scores = {score.name: score for score in report.verification.scores}
    assert scores["seconds"].value == report.seconds
    assert report.bill is not None
    assert (scores["cost"].value, report.bill.seconds) == (report.bill.amount, report.seconds)


def test_the_contact_sheet_tells_the_differences_that_the_checks_tell(
    tmp_path: Path, portrait_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def sheet(reference: Image, frames: Any, differences: Any, *rest: Any, **more: Any) -> Image:
        told.append(differences)
        return contact_sheet(reference, frames, differences, *rest, **more)

    monkeypatch.setattr("vivant.video.sheet.contact_sheet", sheet)
    report = vivant.animate(portrait_bytes, tmp_path / "me.mp4", **SMALL).report
    scores = {score.name: score for score in report.verification.scores}
    assert told == [dict(scores["frame_difference_max"].series)]


def test_a_request_is_the_same_as_its_fields(tmp_path: Path, portrait_bytes: bytes) -> None:
    request = Request(
        image=portrait_bytes, width=320, height=180, num_frames=9, engine="fake", seed=1
    )
    one = vivant.animate(request, tmp_path / "1.mp4")
    two = vivant.animate(replace(request, seed=5), tmp_path / "2.mp4", seed=1)
    digests = [result.report.credentials["content_sha256"] for result in (one, two)]
    assert digests[0] == digests[1]


def test_the_users_prices_are_used(tmp_path: Path, portrait_bytes: bytes) -> None:
    settings = read_settings(rates={"cpu": 2.0}, exchange={"EUR": 0.5})
    result = vivant.animate(
        portrait_bytes, tmp_path / "me.mp4", settings=settings, currency="EUR", **SMALL
    )
    bill = result.report.bill
    assert bill is not None
    assert bill.amount == pytest.approx(bill.seconds)


def test_a_device_without_a_rate_is_not_billed(tmp_path: Path, portrait_bytes: bytes) -> None:
    settings = read_settings(device="abacus")
    result = vivant.animate(portrait_bytes, tmp_path / "me.mp4", settings=settings, **SMALL)
    assert result.report.bill is None
    assert any(
        "abacus" in warning and "VIVANT_RATES" in warning for warning in result.report.warnings
    )
    scores = {score.name: score for score in result.report.verification.scores}
    assert scores["seconds"].verdict == "pass"
    assert scores["cost"].verdict == "not_measured"


def test_the_camera_makes_the_users_clip(tmp_path: Path, portrait_bytes: bytes) -> None:
    """The main job at its real size."""
    result = vivant.animate(portrait_bytes, tmp_path / "me.mp4", engine="camera")
    facts = probe(result.clip)
    assert (facts.width, facts.height, facts.num_frames) == (1920, 1080, 97)
    assert facts.fps == 24
    assert result.verdict in ("pass", "warn")
    assert any("camera moves" in note for note in result.report.engine.notes)
    failed = [s.name for s in result.report.verification.scores if s.verdict == "fail"]
    assert failed == []
    first = next(iter(open_clip(result.clip).chunks))[0]
    assert first.shape == (1080, 1920, 3)
    assert np.ptp(first) > 200


def test_plain_knows_every_kind_of_value() -> None:
    value = {
        "a": Fraction(24),
        "b": Fraction(30000, 1001),
        "c": Path("x"),
        "d": np.float32(0.5),
        "e": float("nan"),
        "f": (1, None, True),
    }
    assert plain(value) == {
        "a": 24,
        "b": "30000/1001",
        "c": "x",
        "d": 0.5,
        "e": None,
        "f": [1, None, True],
    }
