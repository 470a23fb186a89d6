"""An earlier frame that shines through is found; motion, repeated frames and noise are none."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from checks_clips import case, judged
from corruptions import Material
from vivant.checks.metric import CannotMeasure
from vivant.checks.metrics.trail import Trail
from vivant.types import Box, Face, Frames, Score

FPS = 24.0


@cache
def walker() -> Material:
    """A spotted disc that wanders over a wall in the left half."""
    rng = np.random.default_rng(5)
    wall = cv2.GaussianBlur(rng.uniform(60, 200, (72, 128)).astype(np.float32), (0, 0), 2)
    spots = cv2.GaussianBlur(rng.uniform(0, 255, (40, 40)).astype(np.float32), (0, 0), 1.5)
    round_ = np.zeros((40, 40), np.float32)
    cv2.circle(round_, (20, 20), 14, 1.0, -1, cv2.LINE_AA)
    steps = cv2.GaussianBlur(rng.normal(size=(80, 2)).astype(np.float32), (1, 9), 1.2)
    places = np.asarray([12, 16]) + np.clip(np.cumsum(4 * steps, axis=0), -12, 12)
    frames = []
    for x, y in places:
        matrix = np.asarray([[1, 0, x], [0, 1, y]], np.float32)
        disc, cover = (cv2.warpAffine(part, matrix, (128, 72)) for part in (spots, round_))
        frames.append(np.rint(wall * (1 - cover) + disc * cover))
    face = Face(Box(10, 10, 20, 20), 1.0, ((20.0, 20.0),) * 5)
    clip = np.repeat(np.stack(frames).astype(np.uint8)[..., None], 3, axis=-1)
    return Material("walker", "walker", clip, FPS, [face] * len(frames))


def trail(frames: Frames) -> Score:
    return judged(Trail, frames[0], frames)


@pytest.mark.parametrize("length", [80, 40])
def test_a_trail_is_found_where_something_moves(length: int) -> None:
    spoiled = case("ghost/trail@0.35").apply(walker(), walker(), np.random.default_rng(1))
    found = trail(spoiled[:length])
    assert found.verdict == "fail", found.value
    assert found.facts["lag"] == 4
    assert found.frame is not None
    assert 0 < found.frame < length
    assert found.region is not None
    assert found.region.center[0] < 64


def test_what_moves_leaves_no_trail_by_itself() -> None:
    assert trail(walker().frames).verdict == "pass"


def test_repeated_frames_are_no_trail() -> None:
    frames = walker().frames
    for rate in (1.2, 2.0, 2.5):
        shown = frames[(np.arange(80) / rate).astype(int)]
        assert trail(shown).verdict == "pass", rate


def test_noise_over_a_still_picture_leaves_nothing_to_measure() -> None:
    noise = np.random.default_rng(2).normal(0, 3, (48, 72, 128, 1))
    still = np.clip(walker().frames[:1] + noise, 0, 255).astype(np.uint8)
    with pytest.raises(CannotMeasure, match="too_little_motion"):
        trail(cv2.blur(still.reshape(-1, 128, 3), (5, 5)).reshape(still.shape).astype(np.uint8))
    with pytest.raises(CannotMeasure, match="too_short"):
        trail(walker().frames[:20])
