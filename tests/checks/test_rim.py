"""A light rim around the person is found; talking, light and a camera that moves are none."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from checks_clips import by_name, examine, material
from corruptions import recode
from corruptions_layers import torn
from vivant.types import Frames, Score


@cache
def clean() -> Frames:
    return material(49).frames


def rim(frames: Frames) -> Score:
    return by_name(examine(recode(frames, 24.0, crf=18), only=["edge_rim"]))["edge_rim"]


def test_a_rim_is_found_around_the_person() -> None:
    clip = material(49)
    found = rim(torn("rim", 1.0)(clip, clip, np.random.default_rng(7)))
    assert found.verdict == "fail", found.value
    assert found.frame
    assert found.region is not None
    assert found.region.left < 200 < found.region.left + found.region.width


def test_who_talks_has_no_rim() -> None:
    found = rim(clean())
    assert found.verdict == "pass", found.value


def test_light_that_changes_everywhere_is_no_rim() -> None:
    ramp = np.linspace(1, 1.05, len(clean()))[:, None, None, None]
    found = rim(np.clip(clean() * ramp, 0, 255).astype(np.uint8))
    assert found.verdict == "pass", found.value


def test_nothing_is_said_where_the_camera_moves() -> None:
    height, width = clean().shape[1:3]
    frames = []
    for index, frame in enumerate(clean()):
        shift = np.asarray([[1, 0, index], [0, 1, 0]], np.float32)
        frames.append(cv2.warpAffine(frame, shift, (width, height), borderMode=1))
    found = rim(np.stack(frames).astype(np.uint8))
    assert found.verdict == "not_measured"


def test_nothing_is_said_where_the_clip_starts_elsewhere() -> None:
    found = rim(np.ascontiguousarray(clean()[:, :, ::-1]))
    assert found.verdict == "not_measured"
