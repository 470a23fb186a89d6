"""Where the iris is in an eye, by its shape: a dark disc beside the white.

The face mesh moves the irises of both eyes together, so that a crossed eye is seen too weakly.
Here each eye is searched for itself.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import Layout, Matrix, cut_luma
from vivant.picture.face_mesh import FaceMesh

LAYOUT: Final = Layout(48.0, 80, 48, (40.0, 24.0))
"""One eye, 48 px from corner to corner, the outer one at x = 16."""

OUTER: Final = 16.0
"""Pixels; x of the outer corner."""

NOWHERE: Final = -99.0
"""Levels; less than any disc stands out."""


def iris_radius(mesh: FaceMesh, ring: tuple[int, ...], iris: slice) -> float:
    """Of the mesh's iris, pixels of :data:`LAYOUT`."""
    flat = mesh.points[:, :2]
    width = float(np.linalg.norm(flat[ring[4]] - flat[ring[0]]))
    radius = float(
        np.linalg.norm(flat[iris.start + 1 : iris.stop] - flat[iris.start], axis=1).mean()
    )
    return radius * LAYOUT.interocular / max(width, 1e-6)


def iris_place(
    pixels: npt.NDArray[np.uint8], mesh: FaceMesh, ring: tuple[int, ...], radius: float
) -> float:
    """Where the darkest disc lies from the outer corner (0) to the inner one (1).

    Args:
        pixels: ``[H, W, 3]`` uint8.
        mesh: of the face.
        ring: points of the mesh around the eye: the outer corner first, the inner one fifth.
        radius: of the iris, pixels of :data:`LAYOUT`.
    """
    flat = mesh.points[:, :2].astype(np.float64)
    outer, inner = flat[ring[0]], flat[ring[4]]
    width = max(float(np.linalg.norm(inner - outer)), 1e-6)
    x, y = (inner - outer) / width
    linear = np.asarray([[x, y], [-y, x]]) * (LAYOUT.interocular / width)
    if x < 0:
        linear[1] *= -1  # up stays up: the eye is mirrored
    matrix: Matrix = np.column_stack(
        [linear, np.asarray(LAYOUT.eyes) - linear @ ((outer + inner) / 2)]
    )
    levels = cut_luma(pixels, matrix, LAYOUT).astype(np.float32)
    stands = cv2.filter2D(levels, -1, _disc(radius)).astype(np.float32)
    inside = np.zeros(levels.shape, np.uint8)
    points = np.round(flat[list(ring)] @ linear.T + matrix[:, 2]).astype(np.int32)
    cv2.fillConvexPoly(inside, cv2.convexHull(points), (1,))
    stands[inside == 0] = NOWHERE
    row, column = (int(v) for v in np.unravel_index(int(stands.argmax()), stands.shape))
    return (column + _beyond(stands[row], column) - OUTER) / LAYOUT.interocular


def _disc(radius: float) -> npt.NDArray[np.float32]:
    """Mean of the white on both sides of a disc, less the mean of the disc; lids are left out."""
    reach = int(np.ceil(1.6 * radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    distance = np.hypot(x, y)
    dark = (distance < 0.9 * radius) & (np.abs(y) < 0.75 * radius)
    white = (distance > 1.1 * radius) & (distance < 1.6 * radius) & (np.abs(y) < 0.5 * radius)
    kernel = white / max(1, int(white.sum())) - dark / max(1, int(dark.sum()))
    return np.asarray(kernel, np.float32)


def _beyond(row: npt.NDArray[np.float32], column: int) -> float:
    """Where between its neighbours the peak lies, by a parabola."""
    if not 0 < column < len(row) - 1:
        return 0.0
    before, peak, after = (float(v) for v in row[column - 1 : column + 2])
    curve = before + after - 2 * peak
    if min(before, after) <= NOWHERE + 1 or curve > -1e-3:
        return 0.0
    return 0.5 * (before - after) / curve
