"""Dense optical flow (DIS: Kroeger et al., 2016) with OpenCV."""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.frame import Luma
from vivant.types import Box

Field = npt.NDArray[np.float32]
"""``[H, W, 2]`` float32: where each pixel of the first picture goes, x then y, in pixels."""

CELL: Final = 8
"""Pixels; side of a cell, over which a flow is averaged."""

_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


class Flow:
    """A flow computer; not thread-safe, keeps no state between pairs."""

    def __init__(self, preset: Literal["ultrafast", "fast", "medium"] = "ultrafast") -> None:
        self._dis = cv2.DISOpticalFlow.create(_PRESETS[preset])

    def between(self, one: Luma, other: Luma) -> Field:
        """Flow from ``one`` to ``other``, both ``[H, W]`` uint8."""
        field = np.zeros((*one.shape, 2), np.float32)
        return self._dis.calc(one, other, field).astype(np.float32, copy=False)


@cache
def places(height: int, width: int) -> Field:
    """``[height, width, 2]``: x and y of every pixel."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([x, y], axis=-1)


def cell_means(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """Means of ``[H, W, …]`` over cells of :data:`CELL` pixels; at least two each way."""
    size = (max(2, values.shape[1] // CELL), max(2, values.shape[0] // CELL))
    return cv2.resize(values.astype(np.float32), size, interpolation=cv2.INTER_AREA).astype(
        np.float32, copy=False
    )


def patch_of_most(values: npt.NDArray[np.generic], side: int, size: tuple[int, ...]) -> Box:
    """The patch of ``side`` cells each way around the largest of ``[h, w]`` values.

    In pixels of a picture of ``size``, height and width first; cut at its border.
    """
    row, column = (int(i) for i in np.unravel_index(int(values.argmax()), values.shape))
    (rows, columns), (height, width) = values.shape, size
    high, wide, reach = height / rows, width / columns, side // 2
    left, top = max(0, column - reach) * wide, max(0, row - reach) * high
    right, bottom = min(columns, column + reach + 1) * wide, min(rows, row + reach + 1) * high
    return Box(left, top, right - left, bottom - top)
