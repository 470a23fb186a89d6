"""The inspector: metamorphic, deterministic, flat in memory, honest about what it cannot see."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from fractions import Fraction

import cv2
import numpy as np
import pytest

from checks_clips import (
    FACTS,
    FPS,
    SHORT,
    by_name,
    examine,
    failing,
    material,
    picture,
    portrait,
    reader,
    spoiled,
)
from corruptions import LADDERS, Material
from vivant.checks import Inspector
from vivant.errors import ClipError
from vivant.types import Frames, Image


@pytest.mark.parametrize(
    "label", ["reencode/libx264@23", "resize/area@0.5", "resize/linear@1.5", "resize/cubic@0.75"]
)
def test_a_reencode_or_a_resize_fails_nothing(label: str) -> None:
    assert failing(examine(spoiled(label, 41))) == []


def test_a_frozen_clip_is_the_same_person_but_frozen() -> None:
    found = by_name(examine(spoiled("frozen/still@1", 49), only=["identity_mean", "motion"]))
    assert found["motion"].verdict == "fail"
    assert found["identity_mean"].verdict == "pass"


def stranger() -> Frames:
    """The same picture with a face that is nobody's: rebuilt beyond recognition, still a face."""
    clean = material(SHORT)
    still = Material("x", "x", np.repeat(clean.frames[:1], 2, axis=0), 24.0, clean.track[:2])
    other: Image = LADDERS["melt"][0]("random", 0.6)(still, still, np.random.default_rng(1))[1]
    return np.repeat(other[None], SHORT, axis=0)


def test_another_face_fails_identity_and_nothing_of_quality() -> None:
    frames = stranger()
    found = examine(frames, only=["identity_mean", "sharpness", "saturation"])
    assert {"identity_mean", "identity_first_frame"} <= set(failing(found))
    quality = [s.name for s in found.scores if s.group == "quality" and s.verdict == "fail"]
    assert quality == []


def test_a_picture_of_somebody_else() -> None:
    _, face = picture()
    given = portrait(stranger()[0], face)
    found = by_name(examine(material(SHORT).frames, given=given, only=["identity_mean"]))
    for name in ("identity_mean", "identity_first_frame"):
        assert found[name].verdict == "fail"
        assert "not the person in the picture" in found[name].reason


def test_a_head_that_turns_to_profile() -> None:
    """Squeezed to a third of its width, a face is no more frontal than a profile is."""
    frames = material(SHORT).frames.copy()
    for index in range(15, SHORT):
        narrow = cv2.resize(frames[index], (170, 320), interpolation=cv2.INTER_AREA)
        frames[index] = np.pad(narrow, ((0, 0), (171, 171), (0, 0)), mode="edge")
    found = by_name(examine(frames, only=["identity_mean", "face_presence"]))
    assert found["face_presence"].verdict == "warn"
    assert "turned away" in found["face_presence"].reason
    assert found["face_presence"].frame == 16
    assert found["identity_mean"].verdict == "pass"


def test_another_face_from_the_middle_on() -> None:
    frames = material(SHORT).frames.copy()
    frames[12:] = stranger()[12:]
    found = by_name(examine(frames, only=["identity_first_last"]))
    assert found["identity_first_last"].verdict == "fail"
    assert found["identity_min"].verdict == "fail"
    assert found["identity_first_frame"].verdict == "pass"


@pytest.mark.parametrize("chunk", [1, 7])
def test_the_answer_does_not_depend_on_the_chunks_and_is_repeatable(chunk: int) -> None:
    frames = spoiled("wobble/sine@0.015", 41)
    assert examine(frames, chunk=chunk).scores == examine(frames, chunk=16).scores


def test_memory_does_not_grow_with_the_clip() -> None:
    one = material(SHORT).frames
    counts = []
    for rounds in (2, 8):
        inspector = Inspector(
            portrait(),
            num_frames=SHORT * rounds,
            fps=FPS,
            width=one.shape[2],
            height=one.shape[1],
            reader=reader(),
        )
        inspector.inspect(one)
        tracemalloc.start()
        for _ in range(rounds - 1):
            inspector.inspect(one)
        counts.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
    # A few kilobytes a frame, one and a half for the flow of its cells; not its half megabyte.
    assert counts[1] - counts[0] < 6 * SHORT * 7_000


def test_frame_differences_are_the_users_own() -> None:
    found = examine(material(97).frames, only=["frame_difference_max"])
    frames = material(97).frames[[0, 24, 48, 72, 96]].astype(float)
    wanted = np.abs(frames - picture()[0]).mean(axis=(1, 2, 3))
    score = by_name(found)["frame_difference_max"]
    assert [i for i, _ in score.series] == [0, 24, 48, 72, 96]
    assert [v for _, v in score.series] == pytest.approx(list(wanted), abs=1e-6)
    assert score.value == pytest.approx(wanted.max())


def test_the_frame_difference_informs_and_decides_nothing() -> None:
    shifted = np.roll(material(SHORT).frames, 90, axis=2)
    found = examine(shifted, only=["frame_difference_max"])
    for name in ("frame_difference_max", "frame_difference_mean"):
        score = by_name(found)[name]
        assert isinstance(score.value, float)
        assert score.value > 16.8
        assert score.verdict == "pass"
        assert "much motion" in score.reason


def test_no_face_in_the_picture() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (320, 512, 3), np.uint8)
    answer = examine(material(SHORT).frames, given=portrait(noise))
    assert any("no face" in warning for warning in answer.warnings)
    found = by_name(answer)
    for name in ("identity_mean", "identity_min", "face_presence", "plastic_skin"):
        assert found[name].verdict == "not_measured"
        assert "No face" in found[name].reason
    assert found["flicker"].verdict == "pass"


def test_no_face_in_the_clip() -> None:
    y, x = np.mgrid[0:320, 0:512]
    plain = np.stack([x // 2, y // 2, (x + y) // 4], axis=-1).astype(np.uint8)
    found = by_name(examine(np.stack([plain] * SHORT)))
    assert found["face_presence"].verdict == "fail"
    for name in ("identity_mean", "face_deformation", "face_wobble"):
        assert found[name].verdict == "not_measured"


def test_the_face_is_lost_midway() -> None:
    frames = material(SHORT).frames.copy()
    frames[8:, 40:260] = 128
    found = by_name(examine(frames))
    assert found["face_presence"].verdict == "fail"
    assert found["face_presence"].frame is not None


def test_several_people_are_said_and_the_largest_is_followed() -> None:
    image, face = picture()
    half = cv2.resize(image, (256, 160), interpolation=cv2.INTER_AREA)
    both = np.concatenate([image, np.pad(half, ((0, 160), (0, 0), (0, 0)))], axis=1)
    clip = np.stack([both.astype(np.uint8)] * SHORT)
    given = portrait(clip[0], face, face.scaled(0.5).moved(512, 0))
    found = examine(clip, given=given, only=["identity_mean", "face_presence"])
    assert by_name(found)["identity_mean"].verdict == "pass"
    assert any("1 more" in warning for warning in found.warnings)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_very_short_clips_are_measured_as_far_as_they_go(count: int) -> None:
    found = examine(material(SHORT).frames[:count])
    assert by_name(found)["identity_mean"].verdict == "pass"
    assert by_name(found)["face_wobble"].verdict == "not_measured"
    assert failing(found) == [] or failing(found) == ["motion"]


def test_fewer_frames_than_announced() -> None:
    found = examine(material(SHORT).frames, announced=97)
    assert any("97" in warning and "25" in warning for warning in found.warnings)
    assert by_name(found)["identity_mean"].verdict == "pass"


def test_no_frames_at_all() -> None:
    with pytest.raises(ClipError, match="no frames"):
        examine(material(SHORT).frames[:0])


def test_frames_of_another_size_are_refused() -> None:
    inspector = Inspector(portrait(), num_frames=3, fps=FPS, width=512, height=320, reader=reader())
    with pytest.raises(ClipError, match="512x320"):
        inspector.inspect(np.zeros((1, 100, 100, 3), np.uint8))


def test_a_portrait_clip_with_a_small_frame_rate() -> None:
    image, face = picture()
    narrow = np.ascontiguousarray(material(SHORT).frames[:, :, 120:330])
    given = portrait(np.ascontiguousarray(image[:, 120:330]), face.moved(-120, 0))
    inspector = Inspector(
        given, num_frames=SHORT, fps=Fraction(8), width=210, height=320, reader=reader()
    )
    inspector.inspect(narrow)
    assert failing(inspector.finish(FACTS)) == []


def test_grey_pictures_have_no_saturation_to_compare() -> None:
    grey: Sequence[Frames] = [material(SHORT).frames.mean(axis=-1, keepdims=True)]
    frames = np.repeat(grey[0], 3, axis=-1).astype(np.uint8)
    _, face = picture()
    found = by_name(examine(frames, given=portrait(frames[0], face), only=["saturation"]))
    assert found["saturation"].verdict == "not_measured"


def test_one_face_is_not_compared_with_itself() -> None:
    frames = np.concatenate([material(SHORT).frames[:1], np.full((6, 320, 512, 3), 90, np.uint8)])
    found = by_name(examine(frames, only=["identity_first_last"]))
    assert found["identity_first_last"].verdict == "not_measured"
    assert "Only one frame" in found["identity_first_last"].reason
    assert found["identity_first_frame"].verdict == "pass"


@pytest.mark.parametrize(
    ("gone", "wanted"), [(18, "the last with a face is 16"), (24, "between frames 0")]
)
def test_a_face_that_is_gone_at_the_end_is_not_compared_there(gone: int, wanted: str) -> None:
    frames = material(SHORT).frames.copy()
    frames[gone:] = 90
    score = by_name(examine(frames, only=["identity_first_last"]))["identity_first_last"]
    assert wanted in score.reason
    assert score.verdict == ("pass" if gone == 24 else "not_measured")


def test_a_face_that_comes_later_says_nothing_of_the_start() -> None:
    frames = material(SHORT).frames.copy()
    frames[:3] = 90
    found = by_name(examine(frames, only=["identity_first_frame"]))
    assert found["identity_mean"].verdict == "pass"
    assert found["identity_first_frame"].verdict == "not_measured"
    assert "first frame" in found["identity_first_frame"].reason
    assert found["identity_first_last"].verdict == "pass"
    frames[:8] = 90
    found = by_name(examine(frames, only=["identity_first_frame"]))
    assert "the first with a face is 8" in found["identity_first_last"].reason


def test_straight_lines_of_another_scene_are_no_seams() -> None:
    """A door frame in a clip that starts elsewhere than the picture."""
    frames = np.roll(material(SHORT).frames, 150, axis=2)  # its edge is where the frame begins
    found = by_name(examine(frames, only=["seams"]))
    assert found["seams"].verdict == "not_measured"
    assert "does not start with the picture" in found["seams"].reason
