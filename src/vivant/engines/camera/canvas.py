"""The picture as the camera's windows sample it: twice the clip's size, with the clip's detail."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from vivant.picture.framing import crop_pixels
from vivant.picture.matte import SOFT_SIDE
from vivant.types import Box, Face, Image, Portrait

MARGIN = 0.06
"""Share of the crop's sides the camera may look beyond it, where the picture goes on."""

FACTOR = 2.0
"""Pixels of the canvas per pixel of the clip, along one side."""

MAX_PIXELS = 24_000_000
"""Bounds memory where clips are larger than full HD: 72 MB a plane."""

SHARPENINGS = 2
"""Corrections; the second brings Laplacian variance within 1-10 %, a third adds 2 %."""


def draw_canvas(portrait: Portrait, width: int, height: int) -> tuple[Box, Image]:
    """What the camera may see of ``portrait`` in a clip of ``width`` × ``height``.

    It is drawn at the clip's own size by the filter that draws the first frame, so it holds no
    detail finer than the clip can show, which would shimmer as the camera moves. Then it is
    enlarged, so that bilinear sampling loses little, and sharpened by what sampling it still
    loses (Van Cittert's iteration, 1931): the second frame is as sharp as the first.

    Returns:
        The part of the picture, in its pixels, and ``[H, W, 3]`` uint8 of it.
    """
    area, columns, rows = canvas_area(portrait, width, height)
    drawn = crop_pixels(replace(portrait, crop=area), columns, rows)
    factor = plane_factor(columns, rows)
    size = (round(columns * factor), round(rows * factor))
    sharp = drawn
    canvas = cv2.resize(sharp, size, interpolation=cv2.INTER_CUBIC)
    for _ in range(SHARPENINGS):
        sampled = cv2.resize(canvas, (columns, rows), interpolation=cv2.INTER_LINEAR)
        lost = cv2.subtract(drawn, sampled, dtype=cv2.CV_16S)
        sharp = np.asarray(cv2.add(sharp, lost, dtype=cv2.CV_8U), dtype=np.uint8)
        canvas = cv2.resize(sharp, size, interpolation=cv2.INTER_CUBIC)
    return area, np.asarray(canvas, dtype=np.uint8)


def preview_of(canvas: Image, portrait: Portrait, area: Box) -> tuple[Image, tuple[Face, ...]]:
    """The canvas at the size of mattes, and the faces of ``portrait`` in its pixels.

    Args:
        canvas: ``[H, W, 3]`` uint8.
        portrait: what the canvas was drawn from.
        area: the part of the picture that the canvas shows, in the picture's pixels.
    """
    height, width = canvas.shape[:2]
    shrink = min(1.0, SOFT_SIDE / max(width, height))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    preview = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    factor = size[0] / area.width
    return preview, tuple(
        face.moved(-area.left, -area.top).scaled(factor) for face in portrait.faces
    )


def plane_factor(width: int, height: int) -> float:
    """Pixels of the canvas per pixel drawn, along one side: 2 unless that is too many."""
    return float(min(FACTOR, max(1.0, (MAX_PIXELS / (width * height)) ** 0.5)))


def canvas_area(portrait: Portrait, width: int, height: int) -> tuple[Box, int, int]:
    """The crop and a little of what lies around it, with its size in pixels of the clip.

    The margins are whole pixels of the clip, so that both are drawn on the same grid.
    """
    rows, columns = portrait.pixels.shape[:2]
    crop = portrait.crop
    sx, sy = crop.width / width, crop.height / height

    def whole(margin: float, side: int, scale: float) -> int:
        return max(0, min(int(margin / scale + 1e-6), round(MARGIN * side)))

    left, right = whole(crop.left, width, sx), whole(columns - crop.right, width, sx)
    top, bottom = whole(crop.top, height, sy), whole(rows - crop.bottom, height, sy)
    box = Box(
        crop.left - left * sx,
        crop.top - top * sy,
        crop.width + (left + right) * sx,
        crop.height + (top + bottom) * sy,
    )
    return box, width + left + right, height + top + bottom


def plane_matrix(
    area: Box, plane: Image, window: Box, width: int, height: int
) -> npt.NDArray[np.float64]:
    """Pixel of the clip → pixel of ``plane``, ``[2, 3]``; pixel centres are at .5.

    Args:
        area: part of the picture that the plane shows, in the picture's pixels.
        plane: ``[H, W, 3]`` uint8.
        window: part of the picture that the clip shows, in the picture's pixels.
        width: of the clip, pixels.
        height: of the clip, pixels.
    """
    rows, columns = plane.shape[:2]
    kx, ky = columns / area.width, rows / area.height
    sx, sy = window.width / width, window.height / height
    return np.array(
        [
            [sx * kx, 0, (window.left + sx / 2 - area.left) * kx - 0.5],
            [0, sy * ky, (window.top + sy / 2 - area.top) * ky - 0.5],
        ],
        dtype=np.float64,
    )
