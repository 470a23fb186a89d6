"""A head that the border cuts, or that is turned: only what shows it is judged by its shape."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from checks_clips import by_name, case, examine, picture, portrait, reader
from corruptions import Material
from vivant.checks.face_tracker import faces_in_frame
from vivant.checks.metrics.face_shape import (
    BORDER,
    LAYOUT,
    SPECS,
    cells_beyond,
    cells_inside,
    grid,
)

SHAPES = [spec.name for spec in SPECS.values()]


@pytest.fixture(scope="module")
def cut() -> Material:
    """The border cuts the forehead of a head that sinks, tilts and grows a little."""
    image, face = picture()
    side, (x, y) = face.box.width, face.box.center
    frames = []
    for index in range(13):
        share = min(1.0, index / 6)
        moved = cv2.getRotationMatrix2D((x, y), 2.5 * share, 3.0 * (1 + 0.03 * share))
        moved[0, 2] += 2.2 * side - x
        moved[1, 2] += (0.9 + 0.2 * share) * side - y
        size = (round(4.4 * side), round(3.2 * side))
        frame = cv2.warpAffine(image, moved, size, flags=cv2.INTER_CUBIC)
        frames.append(frame.astype(np.uint8, copy=False))
    faces = faces_in_frame(reader(), frames[0])
    return Material("cut", "cut", np.stack(frames), 4.0, [faces[0]] * 13)


def test_what_lies_outside_the_picture_is_no_defect(cut: Material) -> None:
    given = portrait(cut.frames[0], cut.track[0])
    found = by_name(examine(cut.frames, given=given, only=SHAPES))
    verdicts = {name: found[name].verdict for name in SHAPES}
    unseen = dict.fromkeys(("brow_shape", "face_shift"), "not_measured")
    assert verdicts == dict.fromkeys(SHAPES, "pass") | unseen


def test_a_nose_is_judged_beside_a_cut_forehead(cut: Material) -> None:
    frames = case("face_shape/nose@0.1").apply(cut, cut, np.random.default_rng(7))
    given = portrait(cut.frames[0], cut.track[0])
    assert by_name(examine(frames, given=given, only=SHAPES))["nose_shape"].verdict == "fail"


def test_cells_outside_the_picture_are_told() -> None:
    inside, _, v = grid()
    rows = v[inside] * LAYOUT.interocular + LAYOUT.eyes[1]
    matrix = np.asarray([[1.0, 0.0, 0.0], [0.0, 1.0, 60.0]])  # the picture starts at row 60
    seen = cells_inside(matrix, (400, 400, 3))
    assert not seen[rows < 60 + BORDER].any()
    assert seen[(rows > 61 + BORDER) & (rows < 150)].mean() > 0.9


def test_behind_a_turned_head_there_is_no_face() -> None:
    inside, u, _ = grid()
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    oval = np.stack([81 + 50 * np.cos(angles), 90 + 65 * np.sin(angles)], axis=1)
    assert not cells_beyond(oval, 5.0).any()
    right, left = cells_beyond(oval, 30.0), cells_beyond(oval, -30.0)
    assert right.any() and (u[inside][right] > 0).all()
    assert left.any() and (u[inside][left] < 0).all()
