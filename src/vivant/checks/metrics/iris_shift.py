"""Do both eyes look the same way: how far each iris has moved in its eye since the picture.

Each eye is laid level, with its outer corner on the left, by the corners of the face mesh. The
picture's iris with its surroundings, as far as the lids leave it free, is searched there near the
mesh's iris (normalised cross-correlation). The mesh itself moves both irises together, and both
lids, so that it sees a crossed eye and a drooping lid too weakly: ``iris_landmark`` sees each eye
alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import Layout, Matrix, cut, cut_luma
from vivant.picture.face_mesh import FaceMesh
from vivant.picture.iris import EYE, SIDE, IrisReader
from vivant.types import Image

LAYOUT: Final = Layout(48.0, 84, 48, (42.0, 24.0))
"""One eye, 48 px from corner to corner."""

ALONE: Final = Layout(EYE, SIDE, SIDE, (SIDE / 2, SIDE / 2))
"""One eye as ``iris_landmark`` wants it."""

AROUND: Final = 1.4
"""Radii of the iris that are compared: a part of the white with it."""

NEAR: Final = (9, 4)
"""Pixels to each side, and up and down, of the mesh's iris: where the iris is searched."""

SEARCHABLE: Final = 80
"""Pixels that an iris and its surroundings need to be searched for; a whole one has about 450. By
hand: with fewer, lids and lashes are found instead."""

Floats = npt.NDArray[np.float32]
Pair = npt.NDArray[np.float64]
Ring = tuple[int, ...]


class _Iris(NamedTuple):
    """The picture's iris: offsets of its pixels, their levels (mean 0, length 1), its place."""

    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    levels: Floats
    place: float


class IrisShift:
    """The picture's eyes, for comparison.

    Args:
        pixels: ``[H, W, 3]`` uint8, the picture.
        meshes: of its face, as they are found from several places. The first one says where the
            iris is; the corners, beside which every frame is held against the picture, are those
            of all (median): one mesh's are off by 1 % of an eye's width.
        eyes: points of the mesh around each eye (outer corner first, inner one fifth), and of its
            iris.
    """

    def __init__(
        self, pixels: Image, meshes: Sequence[FaceMesh], eyes: tuple[tuple[Ring, slice], ...]
    ) -> None:
        self._eyes = eyes
        self._irises = [_iris(pixels, meshes[0], ring, points) for ring, points in eyes]
        center = [meshes[0].points[points.start, :2] for _, points in eyes]
        places = [
            [
                _along(_level(mesh, ring, LAYOUT), at)
                for (ring, _), at in zip(eyes, center, strict=True)
            ]
            for mesh in meshes
        ]
        moved = np.sum(np.subtract(places, places[0]), axis=1)
        self._beside = float(np.median(moved)) / LAYOUT.interocular
        self._pixels, self._meshes = pixels, meshes
        self._told: Pair | None = None

    def towards(self, pixels: Image, mesh: FaceMesh) -> float:
        """Percent of an eye's width that the irises have moved towards each other, each of them.

        NaN where an iris cannot be searched.
        """
        moved = [
            _moved(pixels, mesh, ring, points, iris)
            for (ring, points), iris in zip(self._eyes, self._irises, strict=True)
        ]
        return 50 * (sum(moved) - self._beside)

    def told(self, pixels: Image, mesh: FaceMesh, reader: IrisReader) -> Pair:
        """As :meth:`towards` by ``iris_landmark``; how much higher the left lid is than the right.

        Both since the picture, in percent of an eye's width.
        """
        if self._told is None:
            seen = [self._tell(self._pixels, mesh, reader) for mesh in self._meshes]
            self._told = np.median(seen, axis=0)
        return self._tell(pixels, mesh, reader) - self._told

    def _tell(self, pixels: Image, mesh: FaceMesh, reader: IrisReader) -> Pair:
        eyes = [cut(pixels, _level(mesh, ring, ALONE), ALONE) for ring, _ in self._eyes]
        (left, left_lid), (right, right_lid) = (reader.read(eye) for eye in eyes)
        return 100 * np.asarray([(left + right) / 2, left_lid - right_lid], np.float64)


def _along(matrix: Matrix, at: npt.NDArray[np.float64]) -> float:
    """Column of the layout where a place of the picture lies."""
    return float(matrix[0, :2] @ at + matrix[0, 2])


def _level(mesh: FaceMesh, ring: Ring, layout: Layout) -> Matrix:
    """The map that lays an eye level, its outer corner on the left."""
    flat = mesh.points[:, :2].astype(np.float64)
    outer, inner = flat[ring[0]], flat[ring[4]]
    width = max(float(np.hypot(*(inner - outer))), 1e-6)
    x, y = (inner - outer) / width
    linear = np.asarray([[x, y], [-y, x]]) * (layout.interocular / width)
    if x < 0:
        linear[1] *= -1  # up stays up: the eye is mirrored
    return np.column_stack([linear, np.asarray(layout.eyes) - linear @ ((outer + inner) / 2)])


def _eye(pixels: Image, mesh: FaceMesh, ring: Ring) -> tuple[Floats, npt.NDArray[np.float64]]:
    """Levels of an eye on :data:`LAYOUT`, a little smoothed, and the mesh's points there."""
    matrix = _level(mesh, ring, LAYOUT)
    levels = cut_luma(pixels, matrix, LAYOUT).astype(np.float32)
    points = mesh.points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return cv2.GaussianBlur(levels, (0, 0), 0.75).astype(np.float32, copy=False), points


def _iris(pixels: Image, mesh: FaceMesh, ring: Ring, points: slice) -> _Iris | None:
    levels, places = _eye(pixels, mesh, ring)
    center, rim = places[points.start], places[points.start + 1 : points.stop]
    radius = AROUND * float(np.hypot(*(rim - center).T).mean())
    free = np.zeros(levels.shape, np.uint8)
    lids = cv2.convexHull(np.round(places[list(ring)]).astype(np.int32))
    cv2.fillConvexPoly(free, lids, (1,))
    column, row = np.round(center).astype(int)
    y, x = np.mgrid[0 : levels.shape[0], 0 : levels.shape[1]]
    rows, columns = np.nonzero((np.hypot(x - column, y - row) < radius) & (free > 0))
    if len(rows) < SEARCHABLE:
        return None
    wanted = levels[rows, columns] - levels[rows, columns].mean()
    length = max(float(np.sqrt(np.square(wanted).sum())), 1e-6)
    return _Iris(rows - row, columns - column, wanted / np.float32(length), float(column))


def _moved(pixels: Image, mesh: FaceMesh, ring: Ring, points: slice, iris: _Iris | None) -> float:
    """Eye widths towards the inner corner by which the iris is elsewhere than in the picture."""
    if iris is None:
        return float("nan")
    levels, places = _eye(pixels, mesh, ring)
    height, width = levels.shape
    column, row = np.round(places[points.start]).astype(int)
    across = np.arange(column - NEAR[0], column + NEAR[0] + 1)
    down = np.arange(row - NEAR[1], row + NEAR[1] + 1)
    rows = np.clip(down[:, None] + iris.rows, 0, height - 1)
    columns = np.clip(across[:, None] + iris.columns, 0, width - 1)
    there = levels[rows[:, None], columns[None]]
    there -= there.mean(axis=2, keepdims=True)
    power = np.sqrt(np.einsum("ijk,ijk->ij", there, there))
    alike = np.einsum("ijk,k->ij", there, iris.levels) / np.maximum(power, 1e-3)
    best, at = (int(v) for v in np.unravel_index(int(alike.argmax()), alike.shape))
    return (float(across[at]) + _beyond(alike[best], at) - iris.place) / LAYOUT.interocular


def _beyond(row: Floats, at: int) -> float:
    """Where between its neighbours the peak lies, by a parabola."""
    if not 0 < at < len(row) - 1:
        return 0.0
    before, peak, after = (float(v) for v in row[at - 1 : at + 2])
    curve = before + after - 2 * peak
    return 0.5 * (before - after) / curve if curve < -1e-6 else 0.0
