"""Faces that dlib's detector misses: under a drawn mask, in pictures of any shape."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data

from checks_clips import by_name, examine, portrait
from image_files import astronaut, face_reader, saved
from vivant.picture.face_mesh import model_file
from vivant.picture.framing import face_in_frame
from vivant.picture.intake import find_faces, load_portrait
from vivant.service.preparation import read_portrait, write_portrait
from vivant.types import Image

JAW = (
    93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323,
    347, 349, 197, 120, 118,
)  # fmt: skip
"""Points of the mesh around a surgical mask: along the jaw, and back over the nose."""


@cache
def masked() -> Image:
    """The sample person with a mask of one colour and three folds."""
    picture = astronaut().copy()
    (face,) = face_reader().detect(picture)
    outline = face_reader().mesh.read(picture, face).points[JAW, :2]
    cover = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(cover, [outline.astype(np.int32)], 1)
    cloth = np.full_like(picture, (120, 170, 200))
    top, bottom = outline[:, 1].min(), outline[:, 1].max()
    for share in (0.3, 0.5, 0.7):
        cloth[round(top + share * (bottom - top))] = (96, 136, 160)
    picture[cover > 0] = cloth[cover > 0]
    return picture


def test_the_network_is_the_one_that_is_described() -> None:
    data = Path(model_file("face_detection_short_range.tflite")).read_bytes()
    assert hashlib.sha256(data).hexdigest() == (
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633"
    )


def test_a_masked_face_is_found_where_it_is() -> None:
    (known,) = face_reader().detect(astronaut())
    assert find_faces(face_reader(), masked()) == ()
    (face,) = face_reader().detect_covered(masked())
    assert face.covered
    assert not known.covered
    assert face.box.center == pytest.approx(known.box.center, abs=15)
    assert face.interocular == pytest.approx(known.interocular, rel=0.15)
    assert np.array(face.landmarks) == pytest.approx(np.array(known.landmarks), abs=10)


@pytest.mark.parametrize(("width", "height", "left", "top"), [
    (512, 1800, 0, 60), (512, 1800, 0, 1200), (1900, 512, 700, 0), (512, 640, 0, 100),
])  # fmt: skip
def test_long_pictures_are_searched_in_squares(
    width: int, height: int, left: int, top: int
) -> None:
    canvas = np.full((height, width, 3), 128, np.uint8)
    canvas[top : top + 512, left : left + 512] = masked()
    (face,) = face_reader().detect_covered(canvas)
    assert face.box.center == pytest.approx((left + 223, top + 127), abs=25)


def test_what_is_no_face_stays_none() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (40, 40, 3), np.uint8)
    sideways = np.ascontiguousarray(np.rot90(masked()))
    for picture in (
        *(getattr(skimage.data, name)() for name in ("chelsea", "coffee")),
        cv2.resize(noise, (400, 400)), sideways,
        np.zeros((1, 1, 3), np.uint8), np.zeros((2000, 3, 3), np.uint8),
    ):  # fmt: skip
        assert face_reader().detect_covered(np.asarray(picture, np.uint8)) == ()


def test_the_crop_holds_it_and_identity_is_told_to_be_unmeasured(tmp_path: Path) -> None:
    canvas = np.full((1400, 512, 3), 128, np.uint8)
    canvas[700:1212] = masked()  # not where a crop without a face would be
    loaded = load_portrait(saved(canvas, "PNG"), width=1920, height=1080, reader=face_reader())
    (face,) = loaded.faces
    assert loaded.crop.top < face.box.top
    assert face.box.bottom < loaded.crop.bottom
    assert any("partly covered or turned away" in warning for warning in loaded.warnings)
    assert face_in_frame(face, loaded.crop, 192, 108).covered

    write_portrait(tmp_path / "portrait.npz", loaded)
    assert read_portrait(tmp_path / "portrait.npz").faces == loaded.faces
    assert replace(face, covered=False) != face


def test_a_face_of_the_clip_that_only_the_second_detector_finds_is_not_lost() -> None:
    given = portrait(astronaut(), *face_reader().detect(astronaut()))
    verdicts = [
        by_name(examine(np.stack([frame] * 3), given=given, only=["face_presence"]))
        for frame in (masked(), np.full_like(masked(), 128))
    ]
    assert [found["face_presence"].verdict for found in verdicts] == ["pass", "fail"]


def test_eyes_behind_dark_glasses_are_not_compared() -> None:
    picture = cv2.resize(astronaut()[:320], None, fx=1.6, fy=1.6).astype(np.uint8)
    dark = picture.copy()
    for x, y in ((323, 165), (395, 167)):
        cv2.ellipse(dark, (x, y), (34, 26), 0, 0, 360, (15, 15, 15), -1)
    eyes = ["eye_gaze", "eyelids", "iris_color"]
    faces = face_reader().detect(picture)
    for image, verdict in ((picture, "pass"), (dark, "not_measured")):
        found = by_name(examine(np.stack([image] * 3), given=portrait(image, *faces), only=eyes))
        assert [found[name].verdict for name in eyes] == [verdict] * 3
