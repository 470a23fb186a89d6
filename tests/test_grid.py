from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.errors import OptionError
from vivant.grid import (
    check_fps,
    check_frames,
    check_size,
    checked_frames,
    cover_crop,
    frames_for,
    parse_size,
)


def test_the_users_frames_are_checked() -> None:
    assert checked_frames(97) == (0, 24, 48, 72, 96)


@given(st.integers(1, 2000))
def test_checked_frames_exist_and_span_the_clip(count: int) -> None:
    frames = checked_frames(count)
    assert frames[0] == 0
    assert frames[-1] == count - 1
    assert len(set(frames)) == len(frames) <= 5


def test_four_seconds_are_97_frames() -> None:
    assert frames_for(4, Fraction(24)) == 97


@given(st.floats(0.05, 60), st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(60)]))
def test_seconds_are_met_within_half_a_frame(seconds: float, fps: Fraction) -> None:
    assert abs((frames_for(seconds, fps) - 1) / float(fps) - seconds) <= 0.5 / float(fps) + 1e-9


@pytest.mark.parametrize(("text", "size"), [("1920x1080", (1920, 1080)), ("64X64", (64, 64))])
def test_sizes_are_read(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "1920", "1920x", "ax b", "-2x4", "1920x1080x3", "１９x9"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="WIDTHxHEIGHT"):
        parse_size(text)


@pytest.mark.parametrize(
    ("width", "height", "word"),
    [(1921, 1080, "odd"), (1920, 1081, "odd"), (0, 1080, "outside"), (1920, 9000, "outside")],
)
def test_impossible_sizes_name_side_and_remedy(width: int, height: int, word: str) -> None:
    with pytest.raises(OptionError, match=word) as caught:
        check_size(width, height)
    assert caught.value.param == "size"


@pytest.mark.parametrize("count", [0, -1, 1_000_000])
def test_impossible_frame_counts(count: int) -> None:
    with pytest.raises(OptionError, match=str(count)):
        check_frames(count, 1441)


@pytest.mark.parametrize("fps", [Fraction(0), Fraction(1, 2), Fraction(121)])
def test_impossible_rates(fps: Fraction) -> None:
    with pytest.raises(OptionError, match="fps"):
        check_fps(fps)


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(0.2, 5))
def test_cover_crop_is_the_largest_centred_box(width: int, height: int, aspect: float) -> None:
    box = cover_crop(width, height, aspect)
    assert box.width / box.height == pytest.approx(aspect)
    assert box.width == pytest.approx(width) or box.height == pytest.approx(height)
    assert box.center == pytest.approx((width / 2, height / 2))
    assert box.left >= -1e-9
    assert box.top >= -1e-9
