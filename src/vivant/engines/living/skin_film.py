"""Skin where something else is now, from the skin around it."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

FILM: Final = 250
"""Steps of averaging that fill an eye 72 pixels wide."""

DARKEST: Final = 0.72
"""Share of the skin's light below which something is not skin."""

Plane = npt.NDArray[np.uint8]
"""``[h, w, C]`` uint8."""

Values = npt.NDArray[np.float32]


def skin_film(original: Plane, hidden: npt.NDArray[np.bool_]) -> Values:
    """``original`` with its ``hidden`` part filled as a soap film hangs in a frame.

    What is far darker than the skin around it (a brow, a lash, a rim of glasses) is filled as
    well, so that it does not darken the film; what is brighter counts as near.

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
    dark = small[..., :3].mean(axis=2) < DARKEST * middle[:3].mean()
    part |= dark & (cv2.blur(dark.astype(np.float32), (3, 3)) > 0.3)
    inside = part[..., None]
    small = np.where(inside, middle, np.clip(small, DARKEST * middle, 1.25 * middle + 1))
    small = small.astype(np.float32)
    for _ in range(FILM):
        small = np.where(inside, cv2.blur(small, (3, 3)), small)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)
