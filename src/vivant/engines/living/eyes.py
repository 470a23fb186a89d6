"""One eye: the lid comes down over it, and the iris shifts.

The eye stays where it is. Above a lid's edge lies a fold; it opens as the lid falls, and what it
hid is drawn from the skin around the eye (``lid.py``). The open eye itself is never made up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.engines.living.fields import smootherstep
from vivant.engines.living.glasses import rim_of_glasses, without_rim
from vivant.engines.living.lid import EXTRA, LOWER_RISE, MAX_ERASED, Lid, Plane, Values, make_lid
from vivant.picture.face_mesh import LEFT_IRIS, RIGHT_IRIS, FaceMesh

UPPER: Final = (
    (33, 246, 161, 160, 159, 158, 157, 173, 133),
    (362, 398, 384, 385, 386, 387, 388, 466, 263),
)
"""Edge of the upper lid from the picture's left to right, left eye and right eye."""

LOWER: Final = (
    (33, 7, 163, 144, 145, 153, 154, 155, 133),
    (362, 382, 381, 380, 374, 373, 390, 249, 263),
)
"""Edge of the lower lid, as :data:`UPPER`."""

BROW: Final = ((46, 53, 52, 65, 55), (285, 295, 282, 283, 276))
"""Lower edge of the brow, as :data:`UPPER`."""

IRIS: Final = (LEFT_IRIS, RIGHT_IRIS)

RIM: Final = 0.03
"""Thickness of a lid's edge with its lashes while it moves, in widths of the eye."""

FOLLOW: Final = 2.0
"""How far the upper lid follows a look downwards: openings of the eye for one of its width."""

LINE: Final = 0.026
"""Half the thickness of a closed lid's lash line, in widths of the eye."""

LASH_REACH: Final = 0.09
"""How far from the mesh's edge the lashes are searched, in widths of the eye."""


Box = tuple[slice, slice]
"""Rows and columns of a patch."""

Depths = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Boxes:
    """The parts of a patch that each movement changes.

    Attributes:
        eye: the iris.
        below: the lower lid and what is below it.
        above: the upper lid and what is above it.
        lid: the drawn lid.
    """

    eye: Box
    below: Box
    above: Box
    lid: Box


@dataclass(slots=True, eq=False)
class Eye:
    """What is needed to draw one eye at any moment; all arrays are of its patch's size.

    Attributes:
        rows: of the patch on the plane.
        columns: of the patch on the plane.
        original: ``[h, w, C]`` uint8, the patch as the picture has it.
        behind: the same without a rim of glasses, with skin in its place.
        rim: where the rim is, 0 … 1; it stays before the lid.
        across: unit vector from the left to the right corner.
        down: unit vector across it, downwards.
        below: distance of each pixel below the upper lid's edge.
        opening: distance from the upper to the lower lid's edge at each pixel's column.
        roof: distance from the brow to the upper lid's edge there.
        iris: how far each pixel moves with the iris, 0 … 1.
        lid: what covers it.
        boxes: which part of the patch each movement changes.
        width: corner to corner, pixels.
        soft: width of a drawn edge, pixels: no sharper than the picture.
        shown: what the plane shows: how far it is closed, and the gaze.
    """

    rows: slice
    columns: slice
    original: Plane
    behind: Plane
    rim: Values
    across: npt.NDArray[np.float64]
    down: npt.NDArray[np.float64]
    below: Values
    opening: Values
    roof: Values
    iris: Values
    lid: Lid
    boxes: Boxes
    width: float
    soft: float
    shown: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def can_close(self) -> bool:
        """Whether a closed eye leaves glasses whole."""
        return bool(self.rim.any()) or self.lid.erased < MAX_ERASED

    def draw(self, plane: Plane, closed: float, gaze: tuple[float, float]) -> None:
        """Write the eye into ``plane``, if it changes.

        Args:
            closed: 0 … 1.
            gaze: shift of the iris across and down, in widths of the eye.
        """
        state = (closed, *gaze)
        if state == self.shown:
            return
        if state == (0.0, 0.0, 0.0):
            plane[self.rows, self.columns] = self.original
            self.shown = state
            return
        drawn = self.behind.copy()
        if gaze != (0.0, 0.0) and closed < 1:
            self._look(drawn, gaze)
        if closed:
            self._lift_lower_lid(drawn, closed)
        much = _share_of_fold(closed)
        # the lid follows a look downwards
        fall = closed + (1 - closed) * min(0.2, FOLLOW * max(0.0, gaze[1]))
        if fall and much < 1:
            # from half closed on, the fold gives the skin: what is above it does not move
            self._lower_upper_lid(drawn, fall * (1 - LOWER_RISE + EXTRA) * (1 - much))
        if much:
            self._cover(drawn, closed, much)
        plane[self.rows, self.columns] = _over(self.original, self.rim, drawn)
        self.shown = state

    def _look(self, drawn: Plane, gaze: tuple[float, float]) -> None:
        """Shift the iris of ``drawn``."""
        box = self.boxes.eye
        shift = self.width * (gaze[0] * self.across + gaze[1] * self.down)
        iris = self.iris[box]
        drawn[box] = self._behind_at(box, -shift[0] * iris, -shift[1] * iris)

    def _lift_lower_lid(self, drawn: Plane, closed: float) -> None:
        box = self.boxes.below
        below, opening = self.below[box], self.opening[box]
        rise = closed * LOWER_RISE * opening
        under = below - (opening - rise)  # below the lower lid's edge
        part = rise * (1 - smootherstep(under / (0.55 * self.width)))
        lid = self._behind_at(box, part * self.down[0], part * self.down[1])
        cover = np.clip(under / self.soft + 0.5, 0, 1) * np.clip(rise / self.soft, 0, 1)
        drawn[box] = _over(lid, cover, drawn[box])

    def _lower_upper_lid(self, drawn: Plane, share: float) -> None:
        """Move the upper lid's edge down by a share of the opening; the skin above stretches."""
        box = self.boxes.above
        below, fall = self.below[box], share * self.opening[box]
        reach = np.maximum(self.roof[box] + fall, 1.8 * fall + 1)
        above = fall - below  # above the upper lid's edge, where it is now
        part = fall * (1 - smootherstep(above / reach))
        lid = self._behind_at(box, -part * self.down[0], -part * self.down[1])
        cover = np.clip((above + RIM * self.width) / self.soft, 0, 1)
        drawn[box] = _over(lid, cover * np.clip(fall / self.soft, 0, 1), drawn[box])

    def _behind_at(self, box: Box, dx: npt.NDArray[Any], dy: npt.NDArray[Any]) -> Plane:
        """``behind`` in ``box``, of so far beside each pixel."""
        rows, columns = box
        xs = dx + np.arange(columns.start, columns.stop, dtype=np.float32)
        ys = dy + np.arange(rows.start, rows.stop, dtype=np.float32)[:, None]
        return _remap(self.behind, xs, ys)

    def _cover(self, drawn: Plane, closed: float, much: float) -> None:
        """Draw the skin that the fold has let go, and the lashes."""
        box, lid = self.boxes.lid, self.lid
        below, ends = self.below[box], lid.ends[box]
        fall = closed * self.opening[box] * (1 - LOWER_RISE + EXTRA)
        edge = much * np.clip((fall - below) / self.soft + 0.5, 0, 1)
        found = drawn[box]
        found = _over(cv2.max(lid.bare[box], found), lid.wings[box] * edge, found)
        found = _over(lid.skin[box], lid.region[box] * edge, found)
        distance = (below - fall) / max(0.5 * self.soft, LINE * self.width)
        line = (0.75 * much) * ends * cv2.exp(-0.5 * distance**2)
        found = _over(lid.line[box], line, found)
        pointing_down = float(smootherstep(np.array((closed - 0.6) / 0.4)))
        if pointing_down:
            shade = pointing_down * ends * (1 - lid.lashes[box])
            found = _over(np.zeros_like(found), shade, found)
        drawn[box] = found


def _share_of_fold(closed: float) -> float:
    """How much of the lid is drawn from what the fold hid, 0 … 1; the rest is moved skin."""
    return float(smootherstep(np.array((closed - 0.1) / 0.4)))


def _over(front: npt.NDArray[Any], cover: npt.NDArray[Any], back: Plane) -> Plane:
    """``front`` over ``back`` where it covers."""
    a = np.asarray(cover, np.float32)
    return np.asarray(cv2.blendLinear(front, back, a, 1 - a), np.uint8)


def make_eye(plane: Plane, mesh: FaceMesh, side: int, blur: float = 0.0) -> Eye | None:
    """The eye of ``mesh`` (in pixels of ``plane``); None where a lid is outside the plane.

    Args:
        side: 0 the eye on the picture's left, 1 the one on its right.
        blur: pixels of ``plane`` for one of the picture; edges are drawn no sharper.
    """
    flat = mesh.points[:, :2]
    upper, lower, brow = flat[list(UPPER[side])], flat[list(LOWER[side])], flat[list(BROW[side])]
    left, right = upper[0], upper[-1]
    width = float(np.linalg.norm(right - left))
    across = (right - left) / max(width, 1e-6)
    down = np.array([-across[1], across[0]])
    lift = float(((upper - brow.mean(axis=0)) @ down).mean())
    reach = max(lift, 0.3 * width) + 0.45 * width
    corners = np.array(
        [
            left - 0.4 * width * across - reach * down,
            right + 0.4 * width * across - reach * down,
            left - 0.4 * width * across + 0.6 * width * down,
            right + 0.4 * width * across + 0.6 * width * down,
        ]
    )
    low, high = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    low, high = np.maximum(low, 0), np.minimum(high, plane.shape[1::-1])
    edges = np.concatenate([upper, lower])
    if (edges < low).any() or (edges >= high).any():
        return None
    rows, columns = slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))
    ys, xs = np.mgrid[rows, columns].astype(np.float64)
    a = (xs - left[0]) * across[0] + (ys - left[1]) * across[1]
    b = (xs - left[0]) * down[0] + (ys - left[1]) * down[1]
    at = np.linspace(-0.6 * width, 1.6 * width, 256)
    edge, floor = _curve(upper, left, across, down, at), _curve(lower, left, across, down, at)
    roof = _curve(brow, left, across, down, at)
    edge = edge + _lash_line(plane, left, across, down, at, edge, width)
    gap = np.maximum(0, floor - edge) * ((at >= 0) & (at <= width))
    gap = np.asarray(cv2.GaussianBlur(gap.reshape(1, -1), (0, 0), 3), np.float64).ravel()

    def along(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(np.interp(a, at, values), dtype=np.float64)

    below = b - along(edge)
    opening = along(gap)
    iris = flat[IRIS[side]]
    radius = float(np.linalg.norm(iris[1:] - iris[0], axis=1).mean())
    distance = np.hypot(xs - iris[0, 0], ys - iris[0, 1])
    inside = smootherstep(below / max(1.0, 0.05 * width)) * smootherstep(
        (opening - below) / max(1.0, 0.05 * width)
    )
    moved = (1 - smootherstep((distance - radius) / (0.9 * radius))) * inside
    corners_off = smootherstep(a / (0.12 * width)) * smootherstep((width - a) / (0.12 * width))
    original = plane[rows, columns].copy()
    roof_gap = np.maximum(0.12 * width, along(edge - roof))
    rim = rim_of_glasses(original, a, below, opening, width)
    behind = without_rim(original, rim, _near(a, below, opening, roof_gap, width))
    moved = moved * corners_off
    lid = make_lid(behind, a, below, opening, roof_gap, down, width)
    soft = max(1.0, 0.02 * width, 0.6 * blur)
    return Eye(
        rows=rows,
        columns=columns,
        original=original,
        behind=behind,
        rim=rim,
        across=across,
        down=down,
        below=below.astype(np.float32),
        opening=opening.astype(np.float32),
        roof=roof_gap.astype(np.float32),
        iris=moved.astype(np.float32),
        lid=lid,
        boxes=_boxes(moved, below, opening, roof_gap, lid, width, soft),
        width=width,
        soft=soft,
    )


def _near(a: Depths, below: Depths, opening: Depths, roof: Depths, width: float) -> Depths:
    """1 at the eye and its lids, 0 where a blink moves nothing."""
    beside = smootherstep(4.5 - 5 * np.abs(a / width - 0.5))
    above = smootherstep((below + roof) / (0.15 * width))
    return beside * above * smootherstep((opening + 0.3 * width - below) / (0.2 * width))


def _boxes(
    moved: Depths,
    below: Depths,
    opening: Depths,
    roof: Depths,
    lid: Lid,
    width: float,
    soft: float,
) -> Boxes:
    there = opening > 0
    reach = np.maximum(roof, 0.8 * opening + 1)
    return Boxes(
        eye=_box(moved > 0),
        below=_box(there & (below > 0.8 * opening - soft) & (below < opening + 0.56 * width)),
        above=_box(there & (below > -reach) & (below < opening + RIM * width + soft)),
        lid=_box((lid.region > 0) | (lid.wings > 0) | (lid.ends > 0)),
    )


def _box(where: npt.NDArray[np.bool_]) -> Box:
    """The smallest box around what is true; the first pixel where nothing is."""
    rows, columns = (np.flatnonzero(where.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return slice(0, 1), slice(0, 1)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _curve(
    points: npt.NDArray[np.float64],
    origin: npt.NDArray[np.float64],
    across: npt.NDArray[np.float64],
    down: npt.NDArray[np.float64],
    at: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Distance below the line of the corners, for places along it; smoothed."""
    x, y = (points - origin) @ across, (points - origin) @ down
    order = np.argsort(x)
    line = np.interp(at, x[order], y[order])
    return np.asarray(cv2.GaussianBlur(line.reshape(1, -1), (0, 0), 5).ravel())


def _lash_line(
    plane: Plane,
    left: npt.NDArray[np.float64],
    across: npt.NDArray[np.float64],
    down: npt.NDArray[np.float64],
    at: npt.NDArray[np.float64],
    edge: npt.NDArray[np.float64],
    width: float,
) -> float:
    """How far the lid's edge has to be moved down to lie on the darkest line near it, pixels.

    The mesh places it to about 4 % of the eye's width; lashes and their shadow are darker than
    skin and white.
    """
    inner = (at > 0.15 * width) & (at < 0.85 * width)
    offsets = np.linspace(-LASH_REACH, LASH_REACH, 33) * width
    b = edge[inner][None, :] + offsets[:, None]
    xs = left[0] + at[inner][None, :] * across[0] + b * down[0]
    ys = left[1] + at[inner][None, :] * across[1] + b * down[1]
    x0, y0 = max(0, int(xs.min()) - 3), max(0, int(ys.min()) - 3)
    part = plane[y0 : int(ys.max()) + 4, x0 : int(xs.max()) + 4, :3]
    luma = cv2.cvtColor(_remap(part, xs - x0, ys - y0), cv2.COLOR_RGB2GRAY).mean(axis=1)
    luma = cv2.GaussianBlur(luma.reshape(-1, 1), (0, 0), 1.0).ravel()
    cost = luma + 40.0 * (offsets / (LASH_REACH * width)) ** 2
    return float(offsets[int(np.argmin(cost))])


def _remap(picture: Plane, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> Plane:
    found = cv2.remap(
        picture,
        x.astype(np.float32),
        y.astype(np.float32),
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(found, dtype=np.uint8)
