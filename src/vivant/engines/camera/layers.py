"""The picture as planes: what lies behind the person, and the person.

The picture I, the matte a, the person F and the background B obey I = a·F + (1−a)·B. B is
inpainted behind the person; F follows from the equation, and B gives way where F would leave
0 … 255. The equation stays exact, so the planes at rest are the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from vivant.picture.matte import Matte
from vivant.types import Image

Plane: TypeAlias = npt.NDArray[np.float32]
"""``[H, W]`` or ``[H, W, C]`` float32."""


PLATE_SIDE = 480
"""Pixels of the longer side while inpainting: 0.1 s; only a narrow band of it is ever uncovered."""

PLATE_RADIUS = 5
"""Pixels around each hidden one that decide its colour."""

TRUSTED = np.float32(0.25)
"""Matte from which an odd colour is the person's; below, it is the background's texture."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """The person's plane, cut to where the person is.

    Attributes:
        left: of the plane inside the background, pixels.
        top: of the plane inside the background, pixels.
        colour: ``[h, w, 3]`` uint8, premultiplied by the matte.
        clear: ``[h, w]`` uint8, 255 − 255·matte.
    """

    left: int
    top: int
    colour: Image
    clear: npt.NDArray[np.uint8]


def plate(picture: Image, matte: Matte, side: int = PLATE_SIDE) -> Image:
    """``picture`` ``[H, W, 3]`` with the person painted over from around (no detail: it is small).

    Fast marching (Telea, 2004) carries the lines that end at the person on behind them.

    Args:
        side: pixels of the longer side while it is painted.
    """
    height, width = matte.shape
    factor = min(1.0, side / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    hidden = (cv2.resize(matte, size, interpolation=cv2.INTER_AREA) > 0.02).astype(np.uint8)
    hidden = cv2.dilate(hidden, np.ones((3, 3), np.uint8)).astype(np.uint8)
    filled = cv2.inpaint(small, hidden, PLATE_RADIUS, cv2.INPAINT_TELEA)
    return np.asarray(
        cv2.resize(filled, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8
    )


def split(canvas: Image, preview: Image, matte: Matte, plate_side: int = PLATE_SIDE) -> Subject:
    """Lift the person out of ``canvas``, which becomes the background in place.

    Args:
        canvas: ``[H, W, 3]`` uint8.
        preview: the same picture, smaller.
        matte: of ``preview``'s size.
        plate_side: see :func:`plate`.
    """
    height, width = canvas.shape[:2]
    small_height, small_width = matte.shape
    rows, columns = np.flatnonzero(matte.max(axis=1) > 0), np.flatnonzero(matte.max(axis=0) > 0)
    # two pixels of margin, so that the plane ends clear on every side it can
    box = (
        max(0, int(columns[0]) - 2), max(0, int(rows[0]) - 2),
        min(small_width, int(columns[-1]) + 3), min(small_height, int(rows[-1]) + 3),
    )  # fmt: skip
    left, right = round(box[0] * width / small_width), round(box[2] * width / small_width)
    top, bottom = round(box[1] * height / small_height), round(box[3] * height / small_height)

    def enlarge(plane: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        # sampled where the cut-out lies, so that no rounding of the box shifts it
        sx, sy = small_width / width, small_height / height
        matrix = np.array(
            [[sx, 0, (left + 0.5) * sx - 0.5], [0, sy, (top + 0.5) * sy - 0.5]], dtype=np.float64
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (right - left, bottom - top)
        return np.asarray(
            cv2.warpAffine(plane, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        )

    alpha = enlarge(np.rint(matte * 255).astype(np.uint8))
    back = enlarge(plate(preview, matte, plate_side))
    region = canvas[top:bottom, left:right]
    shown = np.asarray(cv2.threshold(alpha, 0, 255, cv2.THRESH_BINARY)[1], dtype=np.uint8)
    colour = np.asarray(cv2.bitwise_and(region, region, mask=shown), dtype=np.uint8)
    soft = np.flatnonzero((alpha > 0) & (alpha < 255))
    a = alpha.reshape(-1)[soft, None].astype(np.float32) / np.float32(255)
    image = colour.reshape(-1, 3)[soft].astype(np.float32)
    a, person, behind = _solve_compositing(image, a, back.reshape(-1, 3)[soft].astype(np.float32))
    alpha.reshape(-1)[soft] = np.rint(a[:, 0] * 255)
    colour.reshape(-1, 3)[soft] = np.rint(person)
    back.reshape(-1, 3)[soft] = np.rint(behind)
    cv2.copyTo(back, shown, region)
    return Subject(left=left, top=top, colour=colour, clear=255 - alpha)


def _solve_compositing(image: Plane, a: Plane, behind: Plane) -> tuple[Plane, Plane, Plane]:
    """Matte, premultiplied person and background that add up to ``image``, pixels by rows.

    The background stays the spread one as far as the person can make up the difference: it is the
    plane that shows bare once the two shift, the person's is always seen through its matte. Where a
    colour of 0 … 255 at matte ``a`` is not enough for that, the pixel holds more of the person
    than ``a`` says (hair before a bright wall), and the matte is raised to the least that is.
    """
    darker = 1 - image / np.maximum(behind, 1)
    brighter = 1 - (255 - image) / np.maximum(255 - behind, 1)
    least = np.maximum(darker, brighter).max(axis=1, keepdims=True)
    trust = np.clip(a / TRUSTED, 0, 1)
    a = np.clip(a + trust * np.maximum(0, least - a), 0, 1)
    person = np.clip(image - (1 - a) * behind, 0, 255 * a)
    behind = np.where(a < 1, (image - person) / np.maximum(1 - a, 1 / 255), behind)
    return a, person, np.clip(behind, 0, 255)
