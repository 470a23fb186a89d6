"""Skin where something else is now, from the skin around it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

FILM: Final = 250
"""Steps of averaging that fill an eye 72 pixels wide."""

Plane = npt.NDArray[np.uint8]
"""``[h, w, C]`` uint8."""

Values = npt.NDArray[np.float32]


def skin_film(original: Plane, hidden: npt.NDArray[np.bool_]) -> Values:
    """``original`` with its ``hidden`` part filled as a soap film hangs in a frame.

    Colours around it that are far from those of the skin (a brow, a lash, a rim of glasses) count
    as near.

    Returns:
        ``[h, w, C]`` float32; low-pass everywhere, so only the hidden part is of use.
    """
    height, width = hidden.shape
    factor = min(1.0, 72 / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))
    small = cv2.resize(original, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    part = cv2.resize(hidden.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.01
    rim = cv2.dilate(part.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~part
    if not rim.any():
        return np.asarray(original, dtype=np.float32)
    middle = np.percentile(small[rim], 60, axis=0)  # what is not skin is mostly darker
    small = np.where(part[..., None], middle, np.clip(small, 0.72 * middle, 1.25 * middle + 1))
    small = small.astype(np.float32)
    inside = part[..., None]
    for _ in range(FILM):
        small = np.where(inside, cv2.blur(small, (3, 3)), small)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
