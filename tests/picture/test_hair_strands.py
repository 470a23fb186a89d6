"""Loose strands belong to the head where the background is smooth."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vivant.picture.hair_strands import with_strands
from vivant.types import Image


def head(background: Image) -> tuple[Image, npt.NDArray[np.float32]]:
    """A dark disc with a strand that begins at it, and a line that touches nothing."""
    picture = background.copy()
    cv2.circle(picture, (200, 180), 90, (40, 30, 25), -1)
    matte = np.zeros(picture.shape[:2], np.float32)
    cv2.circle(matte, (200, 180), 90, 1.0, -1)
    cv2.line(picture, (285, 170), (306, 162), (40, 30, 25), 1, cv2.LINE_AA)
    cv2.line(picture, (300, 230), (306, 236), (40, 30, 25), 1, cv2.LINE_AA)
    return picture, matte


def test_a_strand_that_begins_at_the_head_moves_with_it() -> None:
    picture, matte = head(np.full((360, 640, 3), 150, np.uint8))
    found = with_strands(picture, matte)
    assert found[163:172, 295].max() > 0.5
    assert found[225:240, 296:310].max() == 0, "a line of its own is the background's"
    assert np.array_equal(found[matte == 1], matte[matte == 1])


def test_a_busy_background_stays_where_it_is() -> None:
    draw = np.random.default_rng(0)
    busy = draw.integers(90, 210, (360, 640, 3)).astype(np.uint8)
    picture, matte = head(busy)
    assert (with_strands(picture, matte) - matte > 0.1).mean() < 1e-3
