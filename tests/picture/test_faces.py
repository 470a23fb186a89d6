from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from image_files import astronaut, face_reader, on_canvas
from vivant.picture.face_mesh import model_file
from vivant.picture.faces import FaceReader, distance
from vivant.types import Image

SAME_PERSON_DISTANCE = 0.6
"""Euclidean; dlib's published operating point (99.38 % on LFW). Checks have their own limits."""

CLIPS = Path(__file__).parents[3] / "shared" / "clips"


def test_astronaut_is_found_where_she_is() -> None:
    (face,) = face_reader().detect(astronaut())
    assert face.box.center == pytest.approx((223, 127), abs=8)
    assert 80 <= face.box.width <= 110
    assert face.score > 1


def test_the_detector_is_the_one_in_dlib() -> None:
    ours = dlib.fhog_object_detector(model_file("frontal_face_detector.svm"))
    assert pickle.dumps(ours) == pickle.dumps(dlib.get_frontal_face_detector())


def test_landmarks_are_in_the_documented_order() -> None:
    """Looked up in the picture; the picture's right side is the person's left."""
    (face,) = face_reader().detect(astronaut())
    right_outer, right_inner, left_outer, left_inner, nose = face.landmarks
    assert left_outer[0] < left_inner[0] < nose[0] < right_inner[0] < right_outer[0]
    assert nose[1] > max(right_outer[1], right_inner[1], left_outer[1], left_inner[1]) + 20
    eyes = np.asarray(face.landmarks[:4]).reshape(2, 2, 2).mean(axis=1)
    assert eyes[0] == pytest.approx((247, 104), abs=4)
    assert eyes[1] == pytest.approx((203, 102), abs=4)
    assert face.interocular == pytest.approx(44, abs=4)


def test_mirrored_picture_mirrors_the_landmarks() -> None:
    mirrored = np.ascontiguousarray(astronaut()[:, ::-1])
    (face,), (other,) = face_reader().detect(astronaut()), face_reader().detect(mirrored)
    for place, twin in ((0, 2), (1, 3), (2, 0), (3, 1), (4, 4)):
        x, y = other.landmarks[twin]
        assert (511 - x, y) == pytest.approx(face.landmarks[place], abs=5)


@pytest.mark.parametrize("factor", [2, 4])
def test_boxes_and_landmarks_are_in_pixels_of_the_given_picture(factor: int) -> None:
    """It is searched smaller and reported at its own size."""
    side = 512 * factor
    large = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    (small,) = face_reader().detect(astronaut())
    (face,) = face_reader().detect(large, max_side=512)
    assert face.box.scaled(1 / factor).center == pytest.approx(small.box.center, abs=6)
    nose = np.asarray(face.landmarks[4]) / factor
    assert nose == pytest.approx(np.asarray(small.landmarks[4]), abs=3)


def test_enlargement_finds_smaller_faces_in_the_same_pixels() -> None:
    canvas = on_canvas(300, 200, (90, 30, 0.6))
    assert face_reader().detect(canvas) == ()
    (face,) = face_reader().detect(canvas, max_enlargement=2.0)
    assert face.box.center == pytest.approx((90 + 0.6 * 123, 30 + 0.6 * 127), abs=6)


def test_no_face_where_there_is_none() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    assert face_reader().detect(noise) == ()
    assert face_reader().detect(np.zeros((1, 1, 3), dtype=np.uint8)) == ()


def test_largest_first_and_by_score() -> None:
    canvas = on_canvas(1200, 650, (0, 100, 2.0), (550, 0, 2.6))
    faces = face_reader().detect(canvas)
    assert [face.box.left > 550 for face in faces] == [True, False]
    assert face_reader().detect(canvas, min_score=5.0) == ()


def test_results_are_the_same_again_and_from_views() -> None:
    picture = astronaut()
    framed = np.zeros((600, 700, 3), dtype=np.uint8)
    framed[:512, :512] = picture
    view: Image = framed[:512, :512]
    assert not view.flags.c_contiguous
    assert face_reader().detect(view) == FaceReader().detect(picture)


def test_identity_survives_size_and_light_but_not_disfigurement() -> None:
    reader = face_reader()
    picture = astronaut()
    (face,) = reader.detect(picture)
    own = reader.embed(picture, face)
    assert own.shape == (128,)
    assert own.dtype == np.float64
    assert distance(own, own) == 0

    brighter = (picture * 0.8 + 40).astype(np.uint8)
    assert distance(own, reader.embed(brighter, face)) < 0.3
    half = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA).astype(np.uint8)
    small = reader.landmarks(half, face.box.scaled(0.5))
    assert distance(own, reader.embed(half, small)) < SAME_PERSON_DISTANCE / 2

    turned = reader.landmarks(picture, face.box.moved(200, 250))  # no face there
    assert distance(own, reader.embed(picture, turned)) > SAME_PERSON_DISTANCE


@pytest.mark.skipif(not CLIPS.is_dir(), reason="no real clips beside this checkout")
def test_real_people() -> None:
    """Their faces are told apart, frame to frame kept, and every landmark is in order."""
    import av

    reader = face_reader()
    people = []
    for path in sorted(CLIPS.glob("*.mp4")):
        with av.open(path) as container:
            frame = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(np.uint8)
        for face in reader.detect(frame)[:1]:
            xs = [x for x, _ in face.landmarks]
            assert xs[2] < xs[3] < xs[1] < xs[0]
            people.append(reader.embed(frame, face))
    assert len(people) >= 2
    nearest = min(distance(a, b) for i, a in enumerate(people) for b in people[:i])
    assert nearest > SAME_PERSON_DISTANCE * 0.9
