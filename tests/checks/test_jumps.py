"""A second that is missing is found by its motion; a quick nod and a blink are no jump."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from checks_clips import FPS, by_name, case, examine, material, portrait
from corruptions import Material
from vivant.types import Frames, Score


@cache
def close_up() -> Material:
    """The face and little else: what moves by a pixel in the whole picture is seen here."""
    whole = material()
    box = whole.track[0].box
    left, top = int(box.left - 0.5 * box.width), int(box.top - 0.4 * box.height)
    part = whole.frames[:, top : top + int(1.8 * box.height), left : left + int(2 * box.width)]
    frames = [cv2.resize(frame, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC) for frame in part]
    return Material("close_up", "close_up", np.stack(frames).astype(np.uint8), 24.0, whole.track)


def jump_of(frames: Frames) -> Score:
    return by_name(examine(frames, given=portrait(frames[0]), only=["jump"]))["jump"]


@pytest.mark.parametrize(("label", "frame"), [("jump/skip@1", 36), ("jump/snap_back@0.6", 58)])
def test_a_moment_that_is_missing_is_found(label: str, frame: int) -> None:
    clean = close_up()
    found = jump_of(case(label).apply(clean, clean, np.random.default_rng(7)))
    assert (found.verdict, found.frame) == ("fail", frame)


def test_a_person_who_talks_and_blinks_does_not_jump() -> None:
    assert jump_of(close_up().frames).verdict == "pass"


def test_a_quick_nod_is_no_jump() -> None:
    picture = close_up().frames[0]
    times = (np.arange(49) - 24) / float(FPS)
    path = 0.06 * picture.shape[0] / (1 + np.exp(-30 * times))  # half of it within two frames
    nod = [
        cv2.warpAffine(
            picture, np.asarray([[1, 0, 0], [0, 1, down]]), picture.shape[1::-1],
            borderMode=cv2.BORDER_REPLICATE,
        )
        for down in path
    ]  # fmt: skip
    assert jump_of(np.stack(nod).astype(np.uint8)).verdict == "pass"


def test_a_jump_of_a_person_who_sways_is_found() -> None:
    """Between thumbnails it is less than twice a step of the swaying: levels saturate."""
    picture = close_up().frames[0]
    across = 0.3 * picture.shape[1] * np.sin(np.arange(49) / 12)
    down = np.where(np.arange(49) < 26, 0, 0.03 * picture.shape[0])
    moved = [
        cv2.warpAffine(
            picture, np.asarray([[1, 0, x], [0, 1, y]]), picture.shape[1::-1],
            borderMode=cv2.BORDER_REPLICATE,
        )
        for x, y in zip(across, down, strict=True)
    ]  # fmt: skip
    found = jump_of(np.stack(moved).astype(np.uint8))
    assert (found.verdict, found.frame) == ("fail", 26), found.value
