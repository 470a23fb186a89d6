"""The camera's arithmetic: easing, bounds, seeds."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.engines.camera.options import CameraOptions, Move
from vivant.engines.camera.path import CameraPath, ease, plan_path, uniform, zoom_amount
from vivant.errors import OptionError
from vivant.grid import cover_crop
from vivant.types import Box

shares = st.floats(0, 1)
ramps = st.floats(0.02, 0.5)


@given(shares, shares, ramps)
def test_ease_rises_strictly_within_0_and_1(one: float, other: float, ramp: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= ease(low, ramp) <= ease(high, ramp) <= 1
    if high - low > 1e-3:
        assert ease(low, ramp) < ease(high, ramp)


@given(ramps)
def test_ease_starts_and_ends_at_rest(ramp: float) -> None:
    step = 1e-5
    assert ease(0, ramp) == 0
    assert ease(1, ramp) == 1
    assert ease(step, ramp) / step < 0.01
    assert (1 - ease(1 - step, ramp)) / step < 0.01


@given(st.floats(0.001, 0.999), ramps)
def test_the_velocity_of_ease_has_no_jump(u: float, ramp: float) -> None:
    step = min(u, 1 - u, 1e-4)
    before = (ease(u, ramp) - ease(u - step, ramp)) / step
    after = (ease(u + step, ramp) - ease(u, ramp)) / step
    # the steepest acceleration of a raised-cosine ramp is π·v / (2·ramp)
    assert abs(after - before) <= step * math.pi / (1 - ramp) / (2 * ramp) + 1e-6


@given(st.floats(0.01, 3600), st.floats(0.01, 3600))
def test_longer_clips_go_further_but_not_without_end(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 < zoom_amount(low, 1.0) <= zoom_amount(high, 1.0) < 0.12


def test_four_seconds_zoom_by_six_percent() -> None:
    assert zoom_amount(4.0, 1.0) == pytest.approx(0.06)


@st.composite
def paths(draw: st.DrawFn) -> tuple[CameraPath, Box, Box]:
    width, height = draw(st.integers(64, 5000)), draw(st.integers(64, 5000))
    aspect = draw(st.sampled_from([16 / 9, 9 / 16, 1.0]))
    crop = cover_crop(width, height, aspect)
    area = Box(crop.left * draw(shares), crop.top * draw(shares), crop.width, crop.height)
    area = Box(area.left, area.top, crop.right - area.left, crop.bottom - area.top)
    x, y = draw(shares) * width, draw(shares) * height
    side = draw(shares) * min(width, height)
    path = plan_path(
        crop=crop,
        area=area,
        num_frames=draw(st.integers(1, 1000)),
        fps=draw(st.floats(1, 120)),
        focus=(x, y),
        keep=draw(st.sampled_from([None, Box(x - side / 2, y - side / 2, side, side)])),
        options=CameraOptions(
            move=draw(st.sampled_from(get_args(Move))),
            strength=draw(st.floats(0.25, 2)),
            parallax=draw(st.floats(0, 0.03)),
        ),
        seed=draw(st.integers(0, 2**63 - 1)),
    )
    return path, crop, area


def _contains(outer: Box, inner: Box) -> bool:
    slack = 1e-6 * (outer.width + outer.height)
    return (
        inner.left >= outer.left - slack
        and inner.top >= outer.top - slack
        and inner.right <= outer.right + slack
        and inner.bottom <= outer.bottom + slack
    )


@given(paths(), shares)
def test_no_window_ever_leaves_the_picture(made: tuple[CameraPath, Box, Box], u: float) -> None:
    path, crop, area = made
    for window in path.at(round(u * (path.num_frames - 1))):
        assert _contains(area, window)
        assert window.width / window.height == pytest.approx(crop.width / crop.height)
        assert crop.width / 1.3 < window.width <= crop.width * (1 + 1e-9)


@given(paths())
def test_the_first_window_is_the_crop(made: tuple[CameraPath, Box, Box]) -> None:
    path, crop, _ = made
    assert path.at(0) == (crop, crop)


@given(paths())
def test_the_camera_never_backs_off(made: tuple[CameraPath, Box, Box]) -> None:
    path, _, _ = made
    widths = [path.at(i)[0].width for i in range(min(path.num_frames, 60))]
    assert all(b <= a for a, b in pairwise(widths))


@given(st.integers(0, 2**63 - 2), st.integers(0, 3))
def test_neighbouring_seeds_are_far_apart(seed: int, stream: int) -> None:
    one, other = uniform(seed, 0), uniform(seed + 1, 0)
    apart = abs(one - other)
    assert min(apart, 1 - apart) > 0.3
    assert 0 <= uniform(seed, stream) < 1


def test_the_head_stays_in_view_at_full_strength() -> None:
    crop = Box(0, 0, 1600, 900)
    head = Box(1350, 20, 220, 320)
    for seed in range(24):
        path = plan_path(
            crop=crop, area=crop, num_frames=97, fps=24, focus=(1460, 180), keep=head,
            options=CameraOptions(strength=2.0), seed=seed,
        )  # fmt: skip
        assert _contains(path.at(96)[0], head)


def test_the_background_shifts_by_what_parallax_allows() -> None:
    crop = Box(0, 0, 1600, 900)
    for move in ("push_in", "drift", "orbit"):
        for seed in range(12):
            path = plan_path(
                crop=crop, area=crop, num_frames=97, fps=24, focus=(800, 300), keep=None,
                options=CameraOptions(move=move, parallax=0.012), seed=seed,
            )  # fmt: skip
            near, far = path.at(96)
            # where the picture's centre lands through each window, as a share of the width
            one = (800 - near.left) / near.width
            other = (800 - far.left) / far.width
            # (the option counts pixels of the picture, which the zoom enlarges)
            assert 0 < abs(one - other) <= 0.012 * 1.08


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"speed": 1}, "move, strength, parallax"),
        ({"move": "spin"}, "push_in, drift, orbit"),
        ({"move": 3}, "push_in, drift, orbit"),
        ({"strength": 9}, "0.25 to 2"),
        ({"strength": "much"}, "0.25 to 2"),
        ({"strength": True}, "0.25 to 2"),
        ({"strength": float("nan")}, "0.25 to 2"),
        ({"parallax": -0.1}, "0 to 0.03"),
    ],
)
def test_impossible_options_name_the_possible_ones(options: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=named) as caught:
        CameraOptions.parse(options)
    assert caught.value.param in options


def test_options_may_come_as_text() -> None:
    parsed = CameraOptions.parse({"move": "orbit", "strength": "0.5"})
    assert parsed == CameraOptions(move="orbit", strength=0.5)
