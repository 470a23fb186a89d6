"""Draw one frame: the background, and the people over it, moved by a field of displacement.

A frame is drawn in tiles. Where the people cover everything, nothing is drawn behind them; where
nobody is, only the background is drawn; the two are blended along the outline alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.engines.camera.canvas import plane_matrix
from vivant.engines.camera.layers import Subject
from vivant.engines.living.fields import CELL, Grid
from vivant.types import Box, Image

TILE: Final = 64
"""Pixels of the clip; what a row of tiles needs, 1 MB at 1080p, stays near the processor."""

NODE: Final = 4
"""Pixels of the clip between the places that are computed; those between are interpolated."""

BLOCK: Final = 8
"""Pixels of the people's plane of which it is known whether all, some or none is covered."""

NOBODY, COVERED, OUTLINE = 0, 1, 2

Kinds = npt.NDArray[np.uint8]
"""``[rows, columns]`` of :data:`NOBODY`, :data:`COVERED` or :data:`OUTLINE`."""

Places = npt.NDArray[np.float32]
"""``[h, w, 2]``: x and y on a plane, pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class LivingScene:
    """Planes ready to be drawn.

    Attributes:
        area: what the background shows, in pixels of the picture.
        background: ``[H, W, 3]`` uint8, the canvas.
        left: of the people's plane on the canvas, pixels.
        top: of the people's plane on the canvas, pixels.
        people: ``[h, w, 4]`` uint8: colour premultiplied by the matte, and 255 − 255·matte; None
            where the picture moves as one plane.
        cover: of each block of ``people`` with those around it: who is there.
    """

    area: Box
    background: Image
    left: int = 0
    top: int = 0
    people: npt.NDArray[np.uint8] | None = None
    cover: Kinds | None = None

    @property
    def plane(self) -> Image:
        """What faces are drawn from: the people's plane, or the whole picture."""
        return self.background if self.people is None else self.people

    @property
    def layers(self) -> int:
        """How many planes move on their own."""
        return 1 if self.people is None else 2

    @classmethod
    def of(cls, area: Box, background: Image, subject: Subject | None) -> LivingScene:
        """From the planes of :func:`vivant.engines.camera.layers.split`."""
        if subject is None:
            return cls(area, background)
        people = cv2.merge([*cv2.split(subject.colour), subject.clear])
        return cls(
            area,
            background,
            subject.left,
            subject.top,
            np.asarray(people, dtype=np.uint8),
            _cover(subject.clear),
        )

    def draw(self, target: Image, window: Box, behind: Box, field: Grid) -> None:
        """Fill ``target`` ``[h, w, 3]`` uint8.

        Args:
            window: what the people's plane shows, in pixels of the picture.
            behind: what the background shows.
            field: ``[h, w, 2]`` float32, displacement on the grid of the canvas, its pixels.
        """
        height, width = target.shape[:2]
        matrix = plane_matrix(self.area, self.background, window, width, height)
        nodes = _nodes(matrix, field, width, height)
        nodes -= np.array([self.left, self.top], dtype=np.float32)
        flat = plane_matrix(self.area, self.background, behind, width, height)
        for row, kinds in enumerate(self._kinds(nodes, width, height).tolist()):
            top, bottom = row * TILE, min(height, (row + 1) * TILE)
            strip = target[top:bottom]
            for start, stop in _runs(kinds, (NOBODY, OUTLINE)):
                _draw_flat(self.background, flat, strip, top, start * TILE, stop * TILE)
            for kind in (OUTLINE, COVERED):
                for start, stop in _runs(kinds, (kind,)):
                    left, right = start * TILE, min(width, stop * TILE)
                    places = _places(nodes, top, bottom, left, right)
                    self._draw_people(strip[:, left:right], places, blend=kind == OUTLINE)

    def _kinds(self, nodes: Places, width: int, height: int) -> Kinds:
        """What each tile of the clip shows."""
        rows, columns = -(-height // TILE), -(-width // TILE)
        if self.cover is None:
            return np.full((rows, columns), COVERED, np.uint8)
        blocks = cv2.remap(
            self.cover,
            (nodes[1:-1, 1:-1] - np.float32(BLOCK / 2 - 0.5)) / np.float32(BLOCK),
            np.empty(0, np.float32),
            cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=NOBODY,
        )
        side = TILE // NODE
        blocks = np.pad(
            blocks,
            ((0, rows * side - blocks.shape[0]), (0, columns * side - blocks.shape[1])),
            mode="edge",
        ).reshape(rows, side, columns, side)
        least, most = blocks.min(axis=(1, 3)), blocks.max(axis=(1, 3))
        return np.where(least == most, most, OUTLINE).astype(np.uint8)

    def _draw_people(self, target: Image, places: Places, *, blend: bool) -> None:
        none = np.empty(0, np.float32)  # ``places`` holds both coordinates
        if self.people is None:
            cv2.remap(
                self.background,
                places,
                none,
                cv2.INTER_LINEAR,
                dst=target,
                borderMode=cv2.BORDER_REPLICATE,
            )
            return
        drawn = cv2.remap(
            self.people,
            places,
            none,
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(0, 0, 0, 255),
        )
        if not blend:
            cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR, dst=target)
            return
        colour = cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR)
        clear = cv2.cvtColor(cv2.extractChannel(drawn, 3), cv2.COLOR_GRAY2RGB)
        cv2.add(cv2.multiply(target, clear, scale=1 / 255), colour, dst=target)


def _cover(clear: npt.NDArray[np.uint8]) -> Kinds:
    """Who is in each block of a plane and in those around it.

    Args:
        clear: ``[h, w]`` uint8, 255 where nobody is and 0 where a person covers.
    """
    rows, columns = -(-clear.shape[0] // BLOCK), -(-clear.shape[1] // BLOCK)
    full = np.full((rows * BLOCK, columns * BLOCK), 255, np.uint8)
    full[: clear.shape[0], : clear.shape[1]] = clear
    blocks = full.reshape(rows, BLOCK, columns, BLOCK)
    around = np.ones((3, 3), np.uint8)
    some = cv2.dilate((blocks.min(axis=(1, 3)) < 255).astype(np.uint8), around) > 0
    gaps = (blocks.max(axis=(1, 3)) > 0).astype(np.uint8)
    gaps = cv2.dilate(gaps, around, borderValue=1) > 0
    return np.where(some, np.where(gaps, OUTLINE, COVERED), NOBODY).astype(np.uint8)


def _runs(kinds: list[int], wanted: tuple[int, ...]) -> list[tuple[int, int]]:
    """Start and end of each stretch of ``wanted`` kinds."""
    found, start = [], -1
    for column, kind in enumerate(kinds):
        if kind in wanted:
            start = column if start < 0 else start
        elif start >= 0:
            found.append((start, column))
            start = -1
    if start >= 0:
        found.append((start, len(kinds)))
    return found


def _nodes(matrix: npt.NDArray[np.float64], field: Grid, width: int, height: int) -> Places:
    """Where every :data:`NODE`-th pixel of the clip is on the canvas, one node more on each side.

    Node ``i`` is the middle of pixels ``NODE·(i − 1)`` to ``NODE·i − 1``.
    """
    columns, rows = -(-width // NODE) + 2, -(-height // NODE) + 2
    first = (NODE - 1) / 2 - NODE
    sx, sy = matrix[0, 0], matrix[1, 1]
    x0, y0 = matrix[0, 2] + sx * first, matrix[1, 2] + sy * first
    middle = (CELL - 1) / 2
    grid = np.array(
        [
            [sx * NODE / CELL, 0, (x0 - middle) / CELL],
            [0, sy * NODE / CELL, (y0 - middle) / CELL],
        ]
    )
    moved = cv2.warpAffine(
        field,
        grid,
        (columns, rows),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    places = np.empty((rows, columns, 2), np.float32)
    places[..., 0] = (x0 + sx * NODE * np.arange(columns))[None, :] - moved[..., 0]
    places[..., 1] = (y0 + sy * NODE * np.arange(rows))[:, None] - moved[..., 1]
    return places


def _places(nodes: Places, top: int, bottom: int, left: int, right: int) -> Places:
    """Where the pixels of a part of the clip are on the plane; ``top`` and ``left`` are nodes'."""
    rows = slice(top // NODE, -(-bottom // NODE) + 2)
    columns = slice(left // NODE, -(-right // NODE) + 2)
    part = nodes[rows, columns]
    size = (part.shape[1] * NODE, part.shape[0] * NODE)
    found = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(found, np.float32)[NODE : NODE + bottom - top, NODE : NODE + right - left]


def _draw_flat(
    plane: Image, matrix: npt.NDArray[np.float64], strip: Image, top: int, left: int, right: int
) -> None:
    """Draw columns ``left`` to ``right`` of a strip of the clip that begins at row ``top``."""
    part = strip[:, left:right]
    moved = matrix.copy()
    moved[:, 2] += (matrix[0, 0] * left, matrix[1, 1] * top)
    cv2.warpAffine(
        plane,
        moved,
        (part.shape[1], part.shape[0]),
        dst=part,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
