"""Draw one frame: the background, and the people over it, moved by a field of displacement."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vivant.engines.camera.canvas import plane_matrix
from vivant.engines.camera.layers import Subject
from vivant.engines.living.fields import CELL, Grid
from vivant.types import Box, Image

STRIP = 180
"""Rows drawn at once: what they need, 14 MB at 1080p, stays near the processor."""


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
    """

    area: Box
    background: Image
    left: int = 0
    top: int = 0
    people: npt.NDArray[np.uint8] | None = None

    @classmethod
    def of(cls, area: Box, background: Image, subject: Subject | None) -> LivingScene:
        """From the planes of :func:`vivant.engines.camera.layers.split`."""
        if subject is None:
            return cls(area, background)
        return cls(
            area, background, subject.left, subject.top, np.dstack([subject.colour, subject.clear])
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
        if self.people is None:
            for start in range(0, height, STRIP):
                strip = slice(start, min(height, start + STRIP))
                target[strip] = _sampled(self.background, matrix, field, strip, slice(0, width))
            return
        cv2.warpAffine(
            self.background,
            plane_matrix(self.area, self.background, behind, width, height),
            (width, height),
            dst=target,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )
        offset = np.array([self.left, self.top], dtype=np.float64)
        margin = float(np.abs(field).max()) + 2
        size = np.array(self.people.shape[1::-1])
        scale = matrix.diagonal()
        low = np.floor((offset - margin - matrix[:, 2]) / scale).astype(int)
        high = np.ceil((offset + size + margin - matrix[:, 2]) / scale).astype(int)
        columns = slice(max(0, int(low[0])), min(width, int(high[0]) + 1))
        rows = slice(max(0, int(low[1])), min(height, int(high[1]) + 1))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        for start in range(rows.start, rows.stop, STRIP):
            strip = slice(start, min(rows.stop, start + STRIP))
            drawn = _sampled(self.people, matrix, field, strip, columns, offset)
            region = target[strip, columns]
            clear = cv2.cvtColor(cv2.extractChannel(drawn, 3), cv2.COLOR_GRAY2RGB)
            colour = cv2.cvtColor(drawn, cv2.COLOR_BGRA2BGR)
            region[:] = cv2.add(cv2.multiply(region, clear, scale=1 / 255), colour)


def _sampled(
    plane: npt.NDArray[np.uint8],
    matrix: npt.NDArray[np.float64],
    field: Grid,
    rows: slice,
    columns: slice,
    offset: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.uint8]:
    """``plane`` moved by ``field``, at the clip's pixels in ``rows`` and ``columns``."""
    sx, sy = matrix[0, 0], matrix[1, 1]
    x0, y0 = matrix[:, 2] + (sx * columns.start, sy * rows.start)
    size = (columns.stop - columns.start, rows.stop - rows.start)
    middle = (CELL - 1) / 2
    grid = np.array([[sx / CELL, 0, (x0 - middle) / CELL], [0, sy / CELL, (y0 - middle) / CELL]])
    moved = cv2.warpAffine(
        field,
        grid,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    x0, y0 = (x0, y0) if offset is None else (x0 - offset[0], y0 - offset[1])
    xs = (x0 + sx * np.arange(size[0])).astype(np.float32)
    ys = (y0 + sy * np.arange(size[1])).astype(np.float32)
    places = np.empty((size[1], size[0], 2), np.float32)
    np.subtract(xs[None, :], moved[..., 0], out=places[..., 0])
    np.subtract(ys[:, None], moved[..., 1], out=places[..., 1])
    outside = (0, 0, 0, 255) if plane.shape[2] == 4 else (0, 0, 0)
    border = cv2.BORDER_CONSTANT if plane.shape[2] == 4 else cv2.BORDER_REPLICATE
    none = np.empty(0, np.float32)  # ``places`` holds both coordinates
    found = cv2.remap(plane, places, none, cv2.INTER_LINEAR, borderMode=border, borderValue=outside)
    return np.asarray(found, dtype=np.uint8)
