"""How long a clip will take: one formula for the command line, the service and the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from vivant.errors import OutputError
from vivant.runs.clip_cache import lock_folder
from vivant.runs.estimates import Timing, estimate
from vivant.runs.timing_history import HISTORY, expected, remember
from vivant.service.progress import ProgressMeter, timings
from vivant.settings import read_settings
from vivant.types import Progress, Request
from vivant.video.stage_times import StageTimes

CLIP = Request(image=b"", width=100, height=100, num_frames=10)


def timing(seconds: float, frames: int = 10, recipe: str = "") -> Timing:
    return Timing(seconds=seconds, pixels=frames * 100 * 100, device="cpu", recipe=recipe)


def test_seconds_grow_with_the_pixels_of_the_clip() -> None:
    found = estimate([timing(4, frames=20), timing(3), timing(9, frames=5)], CLIP)
    assert (found.low, found.seconds, found.high) == (2, 3, 18)
    assert (found.reliable_seconds, found.device) == (3, "cpu")
    assert found.basis == "measured here (3 clips)"


def test_clips_of_another_size_count_only_where_there_are_no_others() -> None:
    found = estimate([timing(1, frames=1), timing(5)], CLIP)
    assert (found.seconds, found.basis) == (5, "measured here (1 clip)")
    found = estimate([timing(1, frames=1)], CLIP)
    assert (found.seconds, found.basis) == (10, "measured here (1 clip) of another size")
    assert found.reliable_seconds is None


def test_clips_of_the_same_recipe_are_preferred() -> None:
    fast = Request(image=b"", width=100, height=100, num_frames=10, options={"recipe": "fast"})
    rows = [timing(9, recipe="slow"), timing(2, recipe="fast")]
    assert estimate(rows, fast).seconds == 2
    assert estimate(rows[:1], fast).basis == "measured here (1 clip) with another recipe"


def test_frames_that_two_passes_make_count_twice() -> None:
    long = Request(image=b"", width=100, height=100, num_frames=481, engine="ltx2")
    found = estimate([timing(10, frames=257)], long)
    assert (found.seconds, found.reliable_seconds) == (20, 20)
    row = {
        "model": "ltx2",
        "num_frames": 481,
        "pixels": 1,
        "seconds": 1.0,
        "device": "",
        "recipe": "",
    }
    (read,) = timings([row])
    assert read.pixels == 2 * 257


def test_nothing_is_said_before_the_first_clip() -> None:
    found = estimate([], CLIP)
    assert (found.seconds, found.low, found.high, found.device) == (None, None, None, "")
    assert "not measured" in found.basis


def test_a_history_that_cannot_be_read_or_written_costs_only_the_estimate(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    report = {"seconds": 3.0, "engine": {"device": "cpu"}}
    remember(CLIP, report, read_settings(cache_dir=tmp_path / "file"))
    settings = read_settings(cache_dir=tmp_path)
    for content in ("", "[]", '{"camera": [{"seconds": 1}]}', '{"camera": 3}'):
        (tmp_path / HISTORY).write_text(content)
        assert expected(CLIP, settings) is None
    remember(CLIP, report, settings)
    assert expected(CLIP, settings) == 3
    assert expected(CLIP, settings, "NVIDIA H200") is None


def test_one_command_at_a_time_works_in_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    with lock_folder(folder):
        with pytest.raises(OutputError, match="another vivant is at work"), lock_folder(folder):
            raise AssertionError
        (folder / "clip.mp4").touch()
    with lock_folder(folder):
        assert (folder / "clip.mp4").exists()
    with pytest.raises(KeyError), lock_folder(tmp_path / "empty"):
        raise KeyError
    assert not (tmp_path / "empty").exists()


def test_stages_add_up_to_the_total_however_busy_their_threads_were() -> None:
    times = StageTimes()
    for stage, seconds in (("image", 1.0), ("generate", 20.0), ("encode", 51.4), ("verify", 30.0)):
        times.add(stage, seconds)  # type: ignore[arg-type]
    shares = times.shares(45.1)
    assert sum(shares.values()) == pytest.approx(45.1)
    assert (shares["image"], shares["generate"]) == (1.0, 20.0)  # they were waited for
    assert shares["encode"] / shares["verify"] == pytest.approx(51.4 / 30)
    assert sum(times.shares(10.0).values()) == pytest.approx(10)  # a part was spent elsewhere
    assert min(times.shares(10.0).values()) >= 0
    assert StageTimes().shares(3.0) == {}


def test_no_end_is_promised_while_a_stage_has_long_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("vivant.service.progress.time.monotonic", lambda: now)
    meter = ProgressMeter({"generate": 30.0, "encode": 1.0, "verify": 1.0})
    for stage in ("generate", "encode", "verify"):
        meter.take(Progress(stage, 0, 100))
    now = 30.0
    meter.take(Progress("generate", 97, 100))
    meter.take(Progress("verify", 40, 100))
    left = meter.eta(30.0, None)
    assert left is not None
    assert left == pytest.approx(45)  # not the 3 s of the frames, nor a share by weight
    usual = meter.eta(30.0, expected=120.0)
    assert usual is not None
    assert usual >= 45
