"""Where the picture moves to: fields of displacement on a coarse grid, one for each movement.

All fields are smooth, so nothing tears. The head's turn comes from the depth of the mesh, carried
on to hair and ears, whose depth falls to that of the head's axis; breath and sway fall off with
the distance from the face, in units of its size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from vivant.engines.living.motion import Pose
from vivant.picture.face_mesh import FaceMesh
from vivant.picture.matte import Matte

CELL: Final = 8
"""Pixels of the canvas per cell of the grid: four of the clip."""

OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
"""Points around the face: ``FACEMESH_FACE_OVAL`` of MediaPipe."""

BROWS: Final = (
    70,
    63,
    105,
    66,
    107,
    46,
    53,
    52,
    65,
    55,
    300,
    293,
    334,
    296,
    336,
    276,
    283,
    282,
    295,
    285,
)
"""``FACEMESH_LEFT_EYEBROW`` and ``FACEMESH_RIGHT_EYEBROW``."""

MOUTH: Final = (61, 291)
"""Corners of the mouth, left and right in the picture."""

EARS: Final = (127, 234, 356, 454)
"""Points before the ears; a head turns about the axis at their depth."""

RINGS: Final = ((1.22, 0.6), (1.45, 0.25), (1.7, 0.05), (2.0, 0.0))
"""Depth beyond the face: how far out, in sizes of the oval, and what is left of the oval's."""

Depths = npt.NDArray[np.float64]

_Real = TypeVar("_Real", bound=np.floating[Any])

Grid = npt.NDArray[np.float32]
"""``[h, w]`` or ``[h, w, 2]`` float32; displacement in pixels of the canvas."""


@dataclass(frozen=True, slots=True, eq=False)
class Fields:
    """One person's fields, ``[K, h, w, 2]``: each is the displacement for one unit of movement."""

    bases: npt.NDArray[np.float32]
    height: float

    def no_displacement(self) -> Grid:
        """No displacement anywhere."""
        return np.zeros(self.bases.shape[1:], np.float32)

    def with_turn_gain(self, gain: float) -> Fields:
        """The same with ``gain`` times the turn."""
        bases = self.bases.copy()
        bases[0] *= gain
        return Fields(bases, self.height)

    def strain(self, pose: Pose, mesh: FaceMesh) -> float:
        """How much a pose bends a face: displacement from pixel to pixel, 95th percentile of it.

        A rigid turn has 0.05 … 0.2, from the slopes of the nose and the cheeks.

        Args:
            mesh: of the face, in pixels of the canvas.
        """
        field = self.at(pose)
        x, y = _cells_of(mesh, field.shape[:2])
        right, left = np.minimum(x + 1, field.shape[1] - 1), np.maximum(x - 1, 0)
        lower, upper = np.minimum(y + 1, field.shape[0] - 1), np.maximum(y - 1, 0)
        across = (field[y, right] - field[y, left]) / (2 * CELL)
        down = (field[lower, x] - field[upper, x]) / (2 * CELL)
        bends = np.sqrt(np.square(across).sum(axis=1) + np.square(down).sum(axis=1))
        return float(np.percentile(bends, 95))

    def at(self, pose: Pose) -> Grid:
        """The displacement in a pose."""
        h = self.height
        amounts = (
            math.sin(math.radians(pose.yaw)),
            math.sin(math.radians(pose.pitch)),
            math.radians(pose.roll),
            pose.sway * h,
            pose.breath * h,
            pose.brow * h,
            pose.smile * h,
        )
        found = self.no_displacement()
        for amount, base in zip(amounts, self.bases, strict=True):
            if amount:
                cv2.scaleAdd(base, amount, found, dst=found)
        return found


@dataclass(frozen=True, slots=True)
class Head:
    """Size and place of a head on the canvas.

    Attributes:
        centre: between the ears.
        chin: lowest point of the face.
        right: unit vector across the face.
        up: unit vector from chin to forehead.
        width: ear to ear, pixels.
        height: chin to hairline, pixels.
    """

    centre: npt.NDArray[np.float64]
    chin: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]
    up: npt.NDArray[np.float64]
    width: float
    height: float

    @classmethod
    def of(cls, mesh: FaceMesh) -> Head:
        """The head of a mesh in pixels of the canvas."""
        flat = mesh.points[:, :2]
        roll = math.radians(mesh.pose.roll)
        right = np.array([math.cos(roll), math.sin(roll)])
        up = np.array([right[1], -right[0]])
        height = float(np.ptp(flat[list(OVAL)] @ up))
        width = max(float(np.ptp(flat[list(OVAL)] @ right)), 0.72 * height)
        return cls(flat[list(EARS)].mean(axis=0), flat[152], right, up, width, height)


def grid_shape(canvas: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the grid for a canvas of ``(height, width)``."""
    return canvas[0] // CELL + 2, canvas[1] // CELL + 2


def person_fields(mesh: FaceMesh, canvas: tuple[int, int], share: Grid, *, layered: bool) -> Fields:
    """The fields of one person.

    Args:
        mesh: in pixels of the canvas.
        canvas: height and width, pixels.
        share: how far each cell is this person's to move.
        layered: the background stays behind; otherwise it follows near the person, so less moves.
    """
    rows, columns = grid_shape(canvas)
    ys, xs = np.mgrid[0:rows, 0:columns].astype(np.float64) * CELL + (CELL - 1) / 2
    head = Head.of(mesh)
    x = ((xs - head.centre[0]) * head.right[0] + (ys - head.centre[1]) * head.right[1]) / head.width
    down = ((head.chin[0] - xs) * head.up[0] + (head.chin[1] - ys) * head.up[1]) / head.height
    near, far = (1.3, 2.3) if layered else (0.9, 1.6)
    beside = 1 - smootherstep((np.abs(x) - near) / (far - near))
    above = 1 - smootherstep((-down - 2.0) / 1.0)
    carried: Depths = (1 - smootherstep((down + 0.05) / 1.0)) * beside * above
    torso = 1 - smootherstep((np.abs(x) - 2.2) / 1.6)
    depth = _depth(mesh, head, xs, ys)
    pivot = head.chin - 0.3 * head.height * head.up
    held, place, level = _held(mesh, depth, share)
    # a face that is cut by the border turns about what is held there, so that it does not bend
    depth = depth - held * level * carried
    rise = _breath_profile(down, ride=0.5 * (1 - held))
    breathing = torso * above * rise * (1.0 if layered else 0.6)
    pivot = pivot + held * (place - pivot)

    def along(weight: npt.NDArray[np.float64], way: npt.NDArray[np.float64]) -> Grid:
        return np.asarray(np.stack([weight * way[0], weight * way[1]], axis=-1), np.float32)

    roll = np.stack([-(ys - pivot[1]) * carried, (xs - pivot[0]) * carried], axis=-1)
    sky = np.array([0.0, -1.0])
    flat = mesh.points[:, :2]
    brow = _bumps(xs, ys, flat[list(BROWS)], 0.055 * head.width)
    smile = np.zeros((rows, columns, 2))
    for corner, side in zip(MOUTH, (-1.0, 1.0), strict=True):
        way = head.up + 0.45 * side * head.right
        bump = _bumps(xs, ys, flat[[corner]], 0.1 * head.width)
        smile += np.stack([bump * way[0], bump * way[1]], axis=-1)
    bases = np.stack(
        [
            along(depth, head.right),
            along(depth, head.up),
            roll.astype(np.float32),
            along((1 - held) * carried, head.right),
            along(breathing, sky),
            along(brow, head.up),
            smile.astype(np.float32),
        ]
    )
    return Fields(bases=bases * share[None, :, :, None], height=head.height)


def _held(mesh: FaceMesh, depth: Depths, share: Grid) -> tuple[float, Depths, float]:
    """How far a part of a face cannot move with it, 0 … 1, where that is, and its depth.

    Args:
        mesh: in pixels of the canvas.
        depth: of each cell, pixels.
        share: how far each cell may move.
    """
    points = mesh.points[:468, :2]
    x, y = _cells_of(mesh, share.shape)
    still = np.clip(1 - share[y, x], 0, 1).astype(np.float64) + 1e-6
    weights = still / still.sum()
    return (
        float(min(1.0, 2 * still.max())),
        np.asarray(weights @ points),
        float(weights @ depth[y, x]),
    )


def _cells_of(mesh: FaceMesh, grid: tuple[int, ...]) -> npt.NDArray[np.intp]:
    """Column and row of the cell of each point of a face, ``[2, 468]``."""
    cells = np.rint((mesh.points[:468, :2] - (CELL - 1) / 2) / CELL)
    return np.asarray(np.clip(cells, 0, (grid[1] - 1, grid[0] - 1)).T, np.intp)


def person_shares(meshes: list[FaceMesh], canvas: tuple[int, int]) -> list[Grid]:
    """How far each cell of the grid belongs to each person; the nearest head has the most."""
    rows, columns = grid_shape(canvas)
    if len(meshes) == 1:
        return [np.ones((rows, columns), np.float32)]
    ys, xs = np.mgrid[0:rows, 0:columns].astype(np.float64) * CELL + (CELL - 1) / 2
    closeness = []
    for mesh in meshes:
        head = Head.of(mesh)
        middle = head.chin
        # what is below a head is more likely its own than what is beside it
        distance = np.hypot((xs - middle[0]) / head.width, 0.4 * (ys - middle[1]) / head.height)
        closeness.append(np.exp(-1.5 * distance**2) + 1e-9)
    total = np.sum(closeness, axis=0)
    return [(one / total).astype(np.float32) for one in closeness]


def mobility(canvas: tuple[int, int], trust: Matte | None) -> Grid:
    """0 where nothing may move, 1 elsewhere: the borders, and where the matte cannot be trusted."""
    rows, columns = grid_shape(canvas)
    ys, xs = np.mgrid[0:rows, 0:columns].astype(np.float64) * CELL
    height, width = canvas
    side = np.minimum(xs, width - 1 - xs) / (0.05 * width)
    upper, lower = ys / (0.06 * height), (height - 1 - ys) / (0.12 * height)
    free = smootherstep(side) * smootherstep(upper) * smootherstep(lower)
    if trust is not None:
        small = cv2.resize(trust, (columns, rows), interpolation=cv2.INTER_AREA)
        small = cv2.erode(small, np.ones((5, 5), np.uint8))
        free = free * cv2.GaussianBlur(small, (0, 0), 0.012 * columns)
    return np.asarray(free, np.float32)


def smootherstep(u: npt.NDArray[_Real]) -> npt.NDArray[_Real]:
    """0 below 0, 1 above 1, with slope 0 at both; of the type of ``u``."""
    u = np.clip(u, 0.0, 1.0)
    return np.asarray(u * u * u * (10.0 - 15.0 * u + 6.0 * u * u), u.dtype)


def _breath_profile(down: Depths, ride: float) -> Depths:
    """Rise of a breath by the distance below the chin in face heights.

    Args:
        ride: of the head, which rides along.
    """
    chest = ride + (1 - ride) * smootherstep((down - 0.05) / 0.6)
    return np.asarray(chest * (1 - 0.8 * smootherstep((down - 0.9) / 2.2)))


def _depth(
    mesh: FaceMesh, head: Head, xs: npt.NDArray[np.float64], ys: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """How far the surface is before the head's axis, pixels; 0 away from the head."""
    depth = mesh.points[list(EARS), 2].mean() - mesh.points[:468, 2]
    places, depths = [mesh.points[:468, :2]], [depth]
    oval = mesh.points[list(OVAL), :2]
    middle = oval.mean(axis=0)
    for out, left in RINGS:
        places.append(middle + out * (oval - middle))
        depths.append(left * np.maximum(depth[list(OVAL)], 0.0))
    points, values = np.concatenate(places), np.concatenate(depths)
    found = np.zeros(xs.shape)
    reach = 1.35 * max(head.width, head.height)
    low = np.floor((middle - reach) / CELL).astype(int)
    high = np.ceil((middle + reach) / CELL).astype(int)
    rows = slice(max(0, low[1]), min(xs.shape[0], high[1]))
    columns = slice(max(0, low[0]), min(xs.shape[1], high[0]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return found
    step = max(1, round(head.width / CELL / 36))  # the kernel is wider than this
    px, py = xs[rows.start, columns][::step], ys[rows, columns.start][::step]
    wide = 2 * (0.05 * head.width) ** 2
    across = np.exp(-((px[None, :] - points[:, :1]) ** 2) / wide)
    down = np.exp(-((py[None, :] - points[:, 1:]) ** 2) / wide)
    weights = down.T @ across
    total = (down * values[:, None]).T @ across
    coarse = total / (weights + 0.02)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    fine = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    if step > 1:
        fine = cv2.GaussianBlur(fine, (0, 0), step)
    found[rows, columns] = fine
    return found


def _bumps(
    xs: npt.NDArray[np.float64],
    ys: npt.NDArray[np.float64],
    points: npt.NDArray[np.float64],
    radius: float,
) -> npt.NDArray[np.float64]:
    """1 at the points, falling off smoothly within about two radii."""
    found = np.zeros(xs.shape)
    for x, y in points:
        across = np.exp(-((xs[0] - x) ** 2) / (2 * radius**2))
        down = np.exp(-((ys[:, 0] - y) ** 2) / (2 * radius**2))
        np.maximum(found, down[:, None] * across[None, :], out=found)
    return np.asarray(cv2.GaussianBlur(found, (0, 0), max(0.5, 0.3 * radius / CELL)))
