from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from image_files import astronaut, face_reader
from vivant.errors import MissingPartError
from vivant.picture import face_mesh
from vivant.picture.face_mesh import (
    LEFT_EYE,
    LEFT_IRIS,
    LEFT_LIDS,
    PRESENT,
    RIGHT_EYE,
    RIGHT_IRIS,
    RIGHT_LIDS,
    FaceMesh,
    MeshReader,
)
from vivant.picture.faces import FaceReader
from vivant.picture.intake import find_faces
from vivant.types import Box, Face, Image


@cache
def reader() -> MeshReader:
    return MeshReader()


def mesh_of(image: Image) -> FaceMesh:
    return reader().read(image, face_reader().detect(image)[0])


@cache
def astronaut_mesh() -> FaceMesh:
    return mesh_of(astronaut())


def test_network_is_the_one_that_is_described() -> None:
    data = Path(face_mesh.model_file("face_landmarks_detector.tflite")).read_bytes()
    assert hashlib.sha256(data).hexdigest() == (
        "c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5"
    )


def test_points_lie_where_the_picture_shows_them() -> None:
    """Looked up in the picture."""
    mesh = astronaut_mesh()
    assert mesh.points.shape == (478, 3)
    assert mesh.presence > 0.99
    nose, chin, brow = mesh.points[1], mesh.points[152], mesh.points[10]
    assert nose[:2] == pytest.approx((226, 127), abs=6)
    assert brow[1] < nose[1] < chin[1]
    assert nose[2] < mesh.points[LEFT_EYE[0]][2], "the nose is nearer to the camera"
    assert mesh.points[LEFT_IRIS].mean(axis=0)[:2] == pytest.approx((203, 102), abs=4)
    assert mesh.points[RIGHT_IRIS].mean(axis=0)[:2] == pytest.approx((247, 104), abs=4)


def test_mirrored_picture_mirrors_the_mesh() -> None:
    mesh, other = astronaut_mesh(), mesh_of(np.ascontiguousarray(astronaut()[:, ::-1]))
    for place, twin in ((LEFT_EYE[0], RIGHT_EYE[0]), (LEFT_EYE[1], RIGHT_EYE[1]), (1, 1)):
        x, y, _ = other.points[twin]
        assert (511 - x, y) == pytest.approx(mesh.points[place][:2], abs=3)
    assert mesh.pose.roll == pytest.approx(-other.pose.roll, abs=1.5)
    assert mesh.pose.yaw == pytest.approx(-other.pose.yaw, abs=3)


@pytest.mark.parametrize("factor", [3, 7])
def test_large_pictures_give_the_same_points_in_their_own_pixels(factor: int) -> None:
    side = 512 * factor
    large = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    mesh = mesh_of(large)
    pixels = (mesh.points[:, :2] + 0.5) / factor - 0.5
    assert np.abs(pixels - astronaut_mesh().points[:, :2]).max() < 3
    assert np.ptp(mesh.points[:, 2]) / factor == pytest.approx(
        np.ptp(astronaut_mesh().points[:, 2]), rel=0.05
    )


@pytest.mark.parametrize("angle", [-25, 25])
def test_roll_follows_a_turned_picture(angle: int) -> None:
    matrix = cv2.getRotationMatrix2D((223, 127), -angle, 1.0)
    turned = cv2.warpAffine(astronaut(), matrix, (512, 512)).astype(np.uint8)
    mesh = reader().follow(turned, reader().follow(turned, astronaut_mesh()))
    assert mesh.pose.roll - astronaut_mesh().pose.roll == pytest.approx(angle, abs=3)
    assert mesh.pose.yaw == pytest.approx(astronaut_mesh().pose.yaw, abs=6)


@pytest.mark.parametrize(("axis", "sign"), [("yaw", 1.0), ("pitch", -1.0), ("roll", 1.0)])
def test_pose_measures_the_turn_of_the_points(axis: str, sign: float) -> None:
    """The points turned by 20° around each axis; picture coordinates: y down, z away."""
    turn = np.deg2rad(20.0)
    c, s = np.cos(turn), np.sin(turn)
    matrices = {
        "yaw": [[c, 0, -s], [0, 1, 0], [s, 0, c]],
        "pitch": [[1, 0, 0], [0, c, -s], [0, s, c]],
        "roll": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
    }
    mesh = astronaut_mesh()
    front = mesh.pose
    turned = FaceMesh(mesh.points @ np.array(matrices[axis]).T, 1.0).pose
    assert getattr(turned, axis) - getattr(front, axis) == pytest.approx(sign * 20, abs=1.5)


def test_aperture_falls_as_the_lids_close() -> None:
    points = astronaut_mesh().points.copy()
    left, right = astronaut_mesh().apertures
    assert 0.25 < left < 0.45
    assert 0.25 < right < 0.45
    for upper, lower in LEFT_LIDS:
        points[upper] = 0.9 * points[lower] + 0.1 * points[upper]
    closed, open_still = FaceMesh(points, 1.0).apertures
    assert closed == pytest.approx(0.1 * left)
    assert open_still == right


def test_following_holds_still_on_a_still_picture() -> None:
    mesh = reader().follow(astronaut(), astronaut_mesh())
    assert np.abs(mesh.points - astronaut_mesh().points)[:, :2].max() < 1
    again = reader().follow(astronaut(), astronaut_mesh())
    assert np.array_equal(mesh.points, again.points)


def test_what_is_no_face_has_no_presence() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 3)).astype(np.uint8)
    for picture in (noise, np.roll(astronaut(), 250, axis=1), np.zeros_like(noise)):
        assert reader().follow(picture, astronaut_mesh()).presence < PRESENT


def test_faces_at_the_border_are_read() -> None:
    cut = np.ascontiguousarray(astronaut()[90:, 200:])
    moved = FaceMesh(astronaut_mesh().points - (200, 90, 0), 1.0)
    assert np.isfinite(reader().follow(cut, moved).points).all()


def test_missing_network_is_told() -> None:
    with pytest.raises(MissingPartError, match="reinstall Vivant"):
        face_mesh.model_file("other.tflite")


def test_an_unsure_detection_without_points_is_no_face() -> None:
    """As an embroidered badge: the detector's margin is 0.09, and no mesh fits on it."""

    class Mistaken(FaceReader):
        def detect(self, image: Image, **_: object) -> tuple[Face, ...]:
            return (replace(self.landmarks(image, self.box), score=0.09),)

        box = Box(179, 83, 88, 88)

    mistaken = Mistaken()
    (face,) = find_faces(mistaken, astronaut())
    assert face.score == 0.09, "her face is one, however unsure the detector is"
    mistaken.box = Box(350, 300, 88, 88)
    assert find_faces(mistaken, astronaut()) == ()


def test_the_gap_between_the_lids_does_not_count_depth() -> None:
    """Shut eyes of people have apertures of 0.1, since the upper lid is nearer than the lower."""
    mesh = astronaut_mesh()
    assert mesh.lid_gaps == pytest.approx(mesh.apertures, abs=0.08)
    points = mesh.points.copy()
    for upper, lower in (*LEFT_LIDS, *RIGHT_LIDS):
        points[lower, :2] = points[upper, :2]
    shut = FaceMesh(points, 1.0)
    assert max(np.abs(shut.lid_gaps)) < 1e-9
    assert min(shut.apertures) > 0.01
