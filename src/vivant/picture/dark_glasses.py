"""Whether a face wears dark glasses, so that its eyes cannot be seen."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from vivant.picture.face_mesh import FaceMesh
from vivant.types import Image

DARK: Final = 0.42
"""Luma of the eyes' surroundings over that of the cheeks below which there are dark glasses."""

AROUND_EYES: Final = (27, 28, 29, 257, 258, 259, 22, 23, 24, 252, 253, 254)
"""Points of the mesh on the skin above and below both eyes."""

CHEEKS: Final = (50, 205, 280, 425, 101, 330, 6, 9)
"""Points of the mesh on the cheeks and between the eyes."""

REACH: Final = 0.02
"""Half side of the square of which a point's luma is taken, in widths of the face."""


def wears_dark_glasses(mesh: FaceMesh, pixels: Image) -> bool:
    """Whether what surrounds the eyes is far darker than the cheeks.

    Eyes in deep shadow count as well: they cannot be seen either.

    Args:
        mesh: in pixels of ``pixels``.
        pixels: ``[H, W, 3]`` uint8 sRGB.
    """
    return _luma(mesh, pixels, AROUND_EYES) < DARK * _luma(mesh, pixels, CHEEKS)


def _luma(mesh: FaceMesh, pixels: Image, points: tuple[int, ...]) -> float:
    """Median over the points inside the picture, 0 … 255; 0 where none is inside."""
    reach = max(1, round(REACH * mesh.box.width))
    found = []
    for x, y in mesh.points[list(points), :2]:
        top, left = max(0, round(y) - reach), max(0, round(x) - reach)
        part = pixels[top : max(0, round(y) + reach + 1), left : max(0, round(x) + reach + 1)]
        if part.size:
            found.append(float(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).mean()))
    return float(np.median(found)) if found else 0.0
