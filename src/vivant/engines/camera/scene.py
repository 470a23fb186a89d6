"""Draw one frame: the background's plane, and the person's over it, each through its window.

Planes are kept at up to twice the clip's size. Sampled bilinearly that is near the ideal
low-pass at the clip's size, and OpenCV's 1/32-pixel position grid becomes 1/64 pixel of the clip
(0.005 px RMS).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vivant.engines.camera.canvas import plane_matrix
from vivant.engines.camera.layers import Subject
from vivant.types import Box, Image


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Planes ready to be drawn.

    Attributes:
        area: what the background shows, in pixels of the picture.
        background: ``[H, W, 3]`` uint8.
        subject: None where the picture moves as one.
    """

    area: Box
    background: Image
    subject: Subject | None

    def draw(self, target: Image, subject: Box, background: Box) -> None:
        """Fill ``target`` ``[h, w, 3]`` uint8 with what the two windows show."""
        height, width = target.shape[:2]
        matrix = plane_matrix(self.area, self.background, background, width, height)
        _sample(self.background, matrix, target)
        if self.subject is None:
            return
        matrix = plane_matrix(self.area, self.background, subject, width, height)
        matrix[:, 2] -= (self.subject.left, self.subject.top)
        rows, columns = _covered(matrix, self.subject.clear.shape, width, height)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        matrix[:, 2] += (matrix[0, 0] * columns.start, matrix[1, 1] * rows.start)
        region = target[rows, columns]
        size = region.shape[:2]
        colour = np.empty((*size, 3), dtype=np.uint8)
        clear = np.empty(size, dtype=np.uint8)
        _sample(self.subject.colour, matrix, colour)
        _sample(self.subject.clear, matrix, clear)
        region[:] = cv2.add(
            cv2.multiply(region, cv2.cvtColor(clear, cv2.COLOR_GRAY2RGB), scale=1 / 255), colour
        )


def _covered(
    matrix: np.ndarray, shape: tuple[int, ...], width: int, height: int
) -> tuple[slice, slice]:
    """Rows and columns of the clip that a plane of ``shape`` reaches."""
    low = np.floor((-1 - matrix[:, 2]) / matrix.diagonal()).astype(int)
    high = np.ceil((np.array([shape[1], shape[0]]) - matrix[:, 2]) / matrix.diagonal()).astype(int)
    columns = slice(max(0, int(low[0])), min(width, int(high[0]) + 1))
    rows = slice(max(0, int(low[1])), min(height, int(high[1]) + 1))
    return rows, columns


def _sample(plane: Image, matrix: np.ndarray, target: Image) -> None:
    size = (target.shape[1], target.shape[0])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cv2.warpAffine(plane, matrix, size, dst=target, flags=flags, borderMode=cv2.BORDER_REPLICATE)
