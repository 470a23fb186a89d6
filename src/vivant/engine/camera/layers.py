"""The picture as planes: what lies behind the person, and the person.

The picture I, the matte a, the person F and the background B obey I = a·F + (1−a)·B. B is
guessed by spreading sure background colours behind the person (push-pull: Gortler et al., SIGGRAPH
1996); F follows from the equation, and B gives way where F would leave 0 … 255. The equation
stays exact, so the planes at rest are the picture.

Knows nothing of faces, moves or time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from vivant.engine.camera.matte import Matte
from vivant.types import Image

Plane: TypeAlias = npt.NDArray[np.float32]
"""``[H, W]`` or ``[H, W, C]`` float32."""


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


def spread(image: Plane, weight: Plane) -> Plane:
    """Fill ``[H, W, 3]`` smoothly where ``weight`` ``[H, W]`` is 0 from where it is 1."""
    height, width = weight.shape
    scaled = image * weight[..., None]
    if min(height, width) <= 2:
        total = float(weight.sum())
        mean = scaled.sum(axis=(0, 1)) / total if total else image.mean(axis=(0, 1))
        base = np.broadcast_to(mean, image.shape).astype(np.float32)
    else:
        size = ((width + 1) // 2, (height + 1) // 2)
        small_weight = _resized(weight, size, cv2.INTER_AREA)
        small = _resized(scaled, size, cv2.INTER_AREA)
        small /= np.maximum(small_weight, 1e-6)[..., None]
        small = spread(small, np.minimum(1, small_weight * 2))
        base = _resized(small, (width, height), cv2.INTER_LINEAR)
    result = scaled + (1 - weight[..., None]) * base
    return np.asarray(result, dtype=np.float32)


def _resized(plane: Plane, size: tuple[int, int], filtering: int) -> Plane:
    return np.asarray(cv2.resize(plane, size, interpolation=filtering), dtype=np.float32)


def split(canvas: Image, preview: Image, matte: Matte) -> Subject:
    """Lift the person out of ``canvas``, which becomes the background in place.

    Args:
        canvas: ``[H, W, 3]`` uint8.
        preview: the same picture, smaller.
        matte: of ``preview``'s size.
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

    picture = preview.astype(np.float32)
    plate = spread(picture, _eroded(matte < 0.02))

    def enlarge(plane: Plane) -> npt.NDArray[np.uint8]:
        # sampled where the cut-out lies, so that no rounding of the box shifts it
        sx, sy = small_width / width, small_height / height
        matrix = np.array(
            [[sx, 0, (left + 0.5) * sx - 0.5], [0, sy, (top + 0.5) * sy - 0.5]], dtype=np.float64
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (right - left, bottom - top)
        plane = np.rint(np.clip(plane, 0, 255)).astype(np.uint8)
        return np.asarray(
            cv2.warpAffine(plane, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        )

    alpha = enlarge(matte * 255)
    back = enlarge(plate)
    region = canvas[top:bottom, left:right]
    colour = region.copy()
    soft = (alpha > 0) & (alpha < 255)
    a = alpha[soft][:, None].astype(np.float32) / np.float32(255)
    image = region[soft].astype(np.float32)
    person, behind = _explain(image, a, back[soft].astype(np.float32))
    colour[soft] = np.rint(person)
    colour[alpha == 0] = 0
    back[soft] = np.rint(behind)
    shown = alpha > 0
    region[shown] = back[shown]
    return Subject(left=left, top=top, colour=colour, clear=255 - alpha)


def _eroded(sure: npt.NDArray[np.bool_]) -> Plane:
    kernel = np.ones((3, 3), np.uint8)
    return np.asarray(cv2.erode(sure.astype(np.float32), kernel), dtype=np.float32)


def _explain(image: Plane, a: Plane, behind: Plane) -> tuple[Plane, Plane]:
    """Premultiplied person and background that add up to ``image``.

    The background stays the spread one as far as the person can make up the difference: it is the
    plane that shows bare once the two shift, the person's is always seen through its matte.
    """
    colour = np.clip(image - (1 - a) * behind, 0, 255 * a)
    return colour, np.clip((image - colour) / (1 - a), 0, 255)
