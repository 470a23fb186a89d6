"""A background that sways or a sign that melts is found; camera, caption and person are not."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest

from checks_clips import case, reader
from corruptions import Material
from corruptions_edits import overlay
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.metric import CannotMeasure
from vivant.checks.metrics.background import Background
from vivant.types import Box, Face, Frames, Score

FPS = 12.0


@cache
def room() -> Material:
    """A wall full of letters; a plain person before it moves the head."""
    rng = np.random.default_rng(3)
    wall = np.full((216, 384, 3), 150, np.uint8)
    for _ in range(160):
        at = (int(rng.integers(-10, 380)), int(rng.integers(8, 216)))
        shade = tuple(int(v) for v in rng.integers(40, 230, 3))
        cv2.putText(wall, str(rng.integers(10, 99)), at, 0, 0.5, shade, 1, cv2.LINE_AA)
    frames = []
    for index in range(25):
        frame = wall.copy()
        middle = (192 + round(4 * np.sin(index / 4)), 110)
        cv2.ellipse(frame, (192, 216), (62, 70), 0, 0, 360, (60, 60, 90), -1, cv2.LINE_AA)
        cv2.ellipse(frame, middle, (26, 36), 0, 0, 360, (200, 160, 140), -1, cv2.LINE_AA)
        frames.append(frame)
    eyes = ((180.0, 100.0), (184.0, 100.0), (202.0, 100.0), (206.0, 100.0), (192.0, 112.0))
    face = Face(Box(166, 74, 52, 72), 1.0, eyes)
    return Material("room", "room", np.stack(frames), FPS, [face] * len(frames))


def scores(frames: Frames, material: Material) -> dict[str, Score]:
    picture = Reference(frames[0], material.track[0], 1.0, len(frames), FPS, reader())
    metric = Background(picture)
    first = None
    for index in range(0, len(frames), 2):
        frame = AnalyzedFrame(
            index, frames[index], searched=True, sparse=True, rare=not index % 8, checked=False,
            reader=reader(), face=material.track[index],
        )  # fmt: skip
        first = metric.anchor(frame) if first is None else first
        metric.add(index, None, metric.measure_frame(frame, first))
    return {score.name: score for score in metric.finish(picture)}


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("swim/water@0.01", "background_swim"),
        ("swim/breathing@0.012", "background_swim"),
        ("gibberish/melting@0.02", "background_change"),
    ],
)
def test_a_background_that_sways_or_melts_is_found(label: str, name: str) -> None:
    frames = case(label).apply(room(), room(), np.random.default_rng(7))
    found = scores(frames, room())[name]
    assert found.verdict == "fail", found.value
    assert found.frame
    assert found.region is not None
    height, width = frames.shape[1:3]
    assert 0 <= found.region.left < found.region.right <= width
    assert 0 <= found.region.top < found.region.bottom <= height
    apart = np.abs(frames[-1].astype(int) - room().frames[-1]).max(axis=-1)
    left, top = int(found.region.left), int(found.region.top)
    inside = apart[top : int(found.region.bottom), left : int(found.region.right)]
    assert inside.mean() > 2 * apart.mean() or name == "background_swim"


def test_a_person_who_moves_changes_no_background() -> None:
    found = scores(room().frames, room())
    assert {score.verdict for score in found.values()} == {"pass"}


def test_a_camera_that_moves_and_turns_a_little_changes_no_background() -> None:
    height, width = room().frames.shape[1:3]
    frames = []
    for index, frame in enumerate(room().frames):
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), 0.02 * index, 1 + 0.0006 * index)
        matrix[0, 2] += 0.04 * index
        frames.append(cv2.warpAffine(frame, matrix, (width, height), borderMode=1))
    found = scores(np.stack(frames).astype(np.uint8), room())
    assert {score.verdict for score in found.values()} == {"pass"}


@pytest.mark.parametrize(("sways", "depth", "verdict"), [(False, 1.5, "pass"), (True, 0.0, "fail")])
def test_swaying_is_told_from_the_depth_that_a_travelling_camera_shows(
    sways: bool, depth: float, verdict: str
) -> None:
    frames = room().frames
    if sways:
        frames = case("swim/water@0.01").apply(room(), room(), np.random.default_rng(7))
    height, width = frames.shape[1:3]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    seen = []
    for index, frame in enumerate(frames):
        travelled = (6 + depth * np.sin(columns / 30)) * index / len(frames)
        seen.append(cv2.remap(frame, columns + travelled, rows, cv2.INTER_CUBIC, borderMode=1))
    found = scores(np.stack(seen).astype(np.uint8), room())
    assert found["background_swim"].verdict == verdict, found["background_swim"].value


def test_a_sign_of_high_contrast_that_becomes_gibberish_is_found() -> None:
    frames = np.full_like(room().frames, 150)
    frames[:, :, 150:240] = room().frames[:, :, 150:240]  # the person
    frames[:, 20:60, 20:120] = (30, 50, 130)
    for index, frame in enumerate(frames):
        word = "MILLI" if index < 4 else "LLIWM"
        cv2.putText(frame, word, (24, 54), 0, 1.1, (250, 250, 250), 6, cv2.LINE_AA)
    found = scores(frames, room())["background_change"]
    assert found.verdict == "fail", found.value


def test_a_wall_of_stripes_that_bends_is_measured_across_them() -> None:
    rows, columns = np.mgrid[0:216, 0:384].astype(np.float32)
    frames = []
    for index, shown in enumerate(room().frames):
        bent = 3 * np.sin(index * 0.9 + columns / 40) * min(1, index / 4)
        stripes = 150 + 60 * np.sin((rows + bent) / 3)
        frame = np.repeat(stripes[..., None], 3, axis=-1).astype(np.uint8)
        frame[:, 150:240] = shown[:, 150:240]
        frames.append(frame)
    found = scores(np.stack(frames), room())["background_swim"]
    assert found.verdict == "fail", found.value


@pytest.mark.parametrize("kind", ["subtitle", "strip"])
def test_a_caption_that_comes_is_no_change_of_the_background(kind: str) -> None:
    frames = overlay(kind, 0.3)(room(), room(), np.random.default_rng(1))
    found = scores(frames, room())
    assert {score.verdict for score in found.values()} == {"pass"}


def test_a_plain_wall_says_nothing() -> None:
    plain = np.full_like(room().frames, 150)
    found = scores(plain, room())
    assert {score.verdict for score in found.values()} == {"not_measured"}


def test_light_on_the_plain_part_of_a_wall_is_no_pattern() -> None:
    frames = room().frames.astype(np.float32)
    rng = np.random.default_rng(5)
    shadows = [cv2.GaussianBlur(rng.normal(size=(216, 144)), (0, 0), 8) for _ in range(2)]
    for index, frame in enumerate(frames):
        shadow = shadows[index > 2]
        frame[:, 240:] = 150 + (shadow * (3 / shadow.std()))[..., None]
    found = scores(np.clip(frames, 0, 255).astype(np.uint8), room())["background_change"]
    assert found.verdict == "pass", found.value


def test_a_background_with_other_people_is_not_judged() -> None:
    metric = Background(Reference(room().frames[0], None, 1.0, 9, 24.0, reader(), others=1))
    with pytest.raises(CannotMeasure, match="no_face"):
        metric.finish(metric._reference)
    with pytest.raises(CannotMeasure, match="other_people"):
        metric.finish(replace(metric._reference, face=room().track[0]))
