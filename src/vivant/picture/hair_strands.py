"""Loose strands of hair beside a person, which a matte of 256 pixels does not hold.

Without them a strand would stay on the background while the head it belongs to moves.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vivant.picture.matte import Matte
from vivant.types import Image

REACH: Final = 0.05
"""How far from the matte strands are searched, in shares of the picture's longer side."""

THIN: Final = 0.012
"""Thickness below which a line is a strand, in shares of the picture's longer side."""

FAINT, CLEAR = 3.0, 9.0
"""Difference from the surroundings, over that of the background farther out, from which a line
belongs to the person in part and wholly."""

LEAST_NOISE: Final = 1.5
"""Luma; differences in a smooth background are no smaller than this."""


def with_strands(image: Image, matte: Matte) -> Matte:
    """``matte`` with the strands that begin at it, before a background that is smooth.

    Args:
        image: ``[H, W, 3]`` uint8.
        matte: of the same size, 0 … 1.
    """
    side = max(matte.shape)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    brush = _disc(THIN * side)
    dark = cv2.morphologyEx(luma, cv2.MORPH_BLACKHAT, brush)
    light = cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, brush)
    lines = np.maximum(dark, light).astype(np.float32)
    person = (matte > 0.1).astype(np.uint8)
    away = cv2.distanceTransform(1 - person, cv2.DIST_L2, cv2.DIST_MASK_3) / (REACH * side)
    band, ring = (away > 0) & (away <= 1), (away > 1) & (away <= 2)
    if not band.any() or not ring.any():
        return matte
    noise = max(LEAST_NOISE, float(np.percentile(lines[ring], 90)))
    part = np.clip((lines / noise - FAINT) / (CLEAR - FAINT), 0, 1) * band
    _, pieces = cv2.connectedComponents(((part > 0) | (person > 0)).astype(np.uint8))
    joined = np.isin(pieces, np.unique(pieces[away * (REACH * side) < 5]))
    soft = cv2.GaussianBlur((part * joined).astype(np.float32), (0, 0), 0.8)
    opened: Matte = np.maximum(matte, np.minimum(1, 1.5 * soft)).astype(np.float32)
    return opened


def _disc(across: float) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    size = 2 * max(1, round(across / 2)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), dtype=np.uint8)
