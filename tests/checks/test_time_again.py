"""Defects of time in other forms: a still that is zoomed, mixed frames, short holds, odd frames."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from checks_clips import by_name, case, examine, material, portrait
from corruptions import recode
from vivant.types import Frames, Image, Score


def score_of(name: str, frames: Frames) -> Score:
    coded = recode(frames, 24.0, crf=18)
    return by_name(examine(coded, given=portrait(frames[0]), only=[name]))[name]


def zoomed(picture: Image, factor: float) -> Image:
    height, width = picture.shape[:2]
    there = cv2.getRotationMatrix2D((width / 2, height / 2), 0, factor)
    return cv2.warpAffine(
        picture, there, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    ).astype(np.uint8, copy=False)


@pytest.mark.parametrize("zoom", [0.01, 0.05])
def test_a_still_that_is_zoomed_gets_a_look(zoom: float) -> None:
    picture = material().frames[0]
    found = score_of("motion", np.stack([zoomed(picture, 1 + zoom * i / 96) for i in range(97)]))
    assert (found.verdict, found.facts["message"]) == ("warn", "motion.camera_warn")


def test_a_person_before_a_camera_that_zooms_moves() -> None:
    frames = material().frames
    found = score_of("motion", np.stack([zoomed(f, 1 + i / 2000) for i, f in enumerate(frames)]))
    assert found.verdict == "pass"


def test_a_few_frames_do_not_flicker() -> None:
    """A picture that moves on quickly comes back to no place of its own."""
    picture = material().frames[0]
    frames = np.stack([np.roll(picture, 40 * i, axis=1) for i in range(5)])
    assert score_of("local_flicker", frames).verdict == "not_measured"


def nodding() -> Frames:
    """Large movements: mixtures of small ones are lost in what an encoder leaves."""
    picture = material().frames[0]
    size = (picture.shape[1], picture.shape[0])
    moved = [
        cv2.warpAffine(
            picture, np.asarray([[1, 0, 5 * np.sin(i / 3.7)], [0, 1, 9 * np.sin(i / 6)]]), size,
            borderMode=cv2.BORDER_REFLECT,
        )
        for i in range(97)
    ]  # fmt: skip
    return np.stack(moved).astype(np.uint8)


def test_frames_mixed_of_fewer_are_repeats() -> None:
    frames = nodding()
    assert score_of("repeated_frames", frames).verdict == "pass"
    moving = replace(material(), frames=frames)
    mixed = case("low_rate/mixed@4").apply(moving, moving, np.random.default_rng(7))
    assert score_of("repeated_frames", mixed).verdict == "fail"


def test_three_equal_frames_in_twelve_stutter() -> None:
    at = np.arange(97)
    held = np.where(at % 12 < 3, at // 12 * 12, at)
    assert score_of("stutter", nodding()[held]).verdict == "fail"


def test_two_equal_frames_stutter_where_the_motion_catches_up() -> None:
    picture = material().frames[0]
    even = np.stack([np.roll(picture, 2 * i, axis=1) for i in range(97)])
    at = np.arange(97)
    held = np.where(at % 6 < 2, at // 6 * 6, at)
    assert score_of("stutter", even[held]).verdict == "fail"
    assert score_of("stutter", even[(at / 1.2).astype(int)]).verdict == "pass"


def test_more_frames_a_second_do_not_stutter() -> None:
    assert score_of("stutter", nodding()[(np.arange(97) / 1.2).astype(int)]).verdict == "pass"


@pytest.mark.parametrize("name", ["stutter", "repeated_frames"])
def test_words_that_change_do_not_make_the_rest_repeat(name: str) -> None:
    frames = nodding().copy()
    height, width = frames.shape[1:3]
    words = np.random.default_rng(7).integers(0, 2, (25, 6, 30)).astype(np.uint8) * 255
    for i, frame in enumerate(frames):
        shown = cv2.resize(
            words[i // 4], (width // 2, height // 8), interpolation=cv2.INTER_NEAREST
        )
        frame[-height // 6 : -height // 6 + height // 8, width // 4 : width // 4 + width // 2] = (
            shown[..., None]
        )
    assert score_of(name, frames).verdict == "pass"


@pytest.mark.parametrize("count", [1, 3])
def test_a_block_of_garbage_in_a_few_frames_is_found(count: int) -> None:
    frames = material().frames.copy()
    height = frames.shape[1]
    side = height // 3
    garbage = np.random.default_rng(7).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    frames[60 : 60 + count, side : 2 * side, side : 2 * side] = cv2.resize(
        garbage, (side, side), interpolation=cv2.INTER_NEAREST
    )
    found = score_of("odd_frame", frames)
    assert found.verdict == "fail"
    assert found.frame in range(60, 60 + count)


def test_a_face_that_flickers_is_found_where_it_is() -> None:
    frames, face = material().frames, material().track[0].box
    left, top = int(face.left), int(face.top)
    part = (slice(top, int(face.bottom)), slice(left, int(face.right)))
    gains = np.random.default_rng(7).uniform(0.92, 1.08, len(frames))
    flickering = frames.copy()
    for frame, gain in zip(flickering, gains, strict=True):
        frame[part] = np.clip(frame[part] * gain, 0, 255)
    found = score_of("local_flicker", flickering)
    assert found.verdict == "fail"
    region = found.region
    assert region is not None
    assert region.left < face.center[0] < region.right
    assert region.top < face.center[1] < region.bottom
    assert region.width < frames.shape[2] / 2


def test_one_frame_with_a_tint_of_five_percent_is_found() -> None:
    frames = material().frames.copy()
    tint = np.asarray([1.05, 1, 0.95])
    frames[50] = np.clip(np.rint(frames[50] * tint), 0, 255)
    found = score_of("color_glitch", frames)
    assert (found.verdict, found.frame) == ("fail", 50)


TALKING = ("motion", "repeated_frames", "stutter", "odd_frame", "local_flicker")


@pytest.mark.parametrize("name", TALKING)
def test_a_person_who_talks_passes(name: str) -> None:
    assert score_of(name, material().frames).verdict == "pass"
