"""Do both eyes look the same way: how far each iris has moved in its eye since the picture.

Each eye is laid level, with its outer corner on the left, by the corners of the face mesh. The
picture's iris with its surroundings, as far as the lids leave it free, is searched there near the
mesh's iris (normalised cross-correlation). Where both eyes seem to have turned against each other,
``iris_landmark`` is asked as well, for each eye alone, and the mean counts: the mesh itself moves
both irises together, so that it sees a crossed eye too weakly.
"""

from __future__ import annotations

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

FEWEST: Final = 80
"""Pixels of an iris and its surroundings that can be searched for."""

SUSPECT: Final = 2.0
"""Percent of an eye's width from which ``iris_landmark`` is asked as well."""

Floats = npt.NDArray[np.float32]
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
        mesh: of its face.
        eyes: points of the mesh around each eye (outer corner first, inner one fifth), and of its
            iris.
    """

    def __init__(self, pixels: Image, mesh: FaceMesh, eyes: tuple[tuple[Ring, slice], ...]) -> None:
        self._eyes = eyes
        self._irises = [_iris(pixels, mesh, ring, points) for ring, points in eyes]
        self._pixels, self._mesh = pixels, mesh
        self._told: npt.NDArray[np.float64] | None = None

    def towards(self, pixels: Image, mesh: FaceMesh, reader: IrisReader) -> float:
        """Percent of an eye's width that the irises have moved towards each other, each of them.

        NaN where an iris cannot be searched. Below :data:`SUSPECT` by the first way to look, that
        one counts alone.
        """
        moved = [
            _moved(pixels, mesh, ring, points, iris)
            for (ring, points), iris in zip(self._eyes, self._irises, strict=True)
        ]
        found = 50 * sum(moved)
        if not abs(found) > SUSPECT:
            return found
        if self._told is None:
            self._told = self._tell(self._pixels, self._mesh, reader)
        told = 50 * (self._tell(pixels, mesh, reader) - self._told)
        return float((found + told.sum()) / (1 + len(told)))

    def _tell(self, pixels: Image, mesh: FaceMesh, reader: IrisReader) -> npt.NDArray[np.float64]:
        """Of both eyes together, in the two ways of ``iris_landmark``."""
        eyes = [cut(pixels, _level(mesh, ring, ALONE), ALONE) for ring, _ in self._eyes]
        return np.asarray(np.sum([reader.read(eye) for eye in eyes], axis=0), np.float64)


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
    if len(rows) < FEWEST:
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
