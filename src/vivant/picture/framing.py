"""The geometry of a framing: which pixels of a portrait a frame of a given size shows.

Engines draw from it and checks compare against it, so both see the very same reference picture
at any size.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from PIL import Image as PillowImage

from vivant.types import Box, Face, Image, Portrait

_LANCZOS_RADIUS = 3
"""Source pixels a Lanczos-3 kernel reaches to either side when enlarging."""


def framed(crop: Box, width: float, height: float) -> Box:
    """The smallest box of aspect ``width / height`` around ``crop``, with the same centre.

    It is ``crop`` itself where the aspects agree. A frame whose sides an engine had to round
    to its grid is a little wider or taller than the crop, and its centre, cut to the crop's
    aspect, is the crop: the promise of :class:`vivant.types.Engine`.
    """
    scale = max(crop.width / width, crop.height / height)
    inner_width, inner_height = width * scale, height * scale
    x, y = crop.center
    return Box(x - inner_width / 2, y - inner_height / 2, inner_width, inner_height)


def face_in_frame(face: Face, crop: Box, width: int, height: int) -> Face:
    """``face``, found in the portrait's pixels, in pixels of a ``width`` × ``height`` frame."""
    region = framed(crop, width, height)
    scale = width / region.width
    return face.moved(-region.left, -region.top).scaled(scale)


def mean_difference(one: Image, other: Image) -> float:
    """Mean absolute difference of two pictures of one size, in levels, over all channels."""
    return float(np.mean(cv2.mean(cv2.absdiff(one, other))[:3]))


def crop_pixels(portrait: Portrait, width: int, height: int) -> Image:
    """The portrait's crop at exactly ``width`` × ``height``, never stretched.

    The corner of the crop falls on the corner of the frame, to a fraction of a pixel. Shrinking
    averages under a Hamming window two frame pixels wide (positive weights: no halo); enlarging
    is Lanczos-3. Both work on sRGB values as they are, as every player and encoder does: gamma
    is ignored. At a scale of one and whole offsets the pixels are returned unchanged. Where the
    frame's aspect asks for more than the picture has (see :func:`framed`), the edge is repeated.

    Returns:
        ``[height, width, 3]`` uint8 sRGB; the same values on every call.
    """
    pixels = portrait.pixels
    region = framed(portrait.crop, width, height)
    scale = region.width / width
    reach = math.ceil(_LANCZOS_RADIUS * max(scale, 1.0)) + 1
    left, top = math.floor(region.left) - reach, math.floor(region.top) - reach
    right, bottom = math.ceil(region.right) + reach, math.ceil(region.bottom) + reach

    # Only the pixels the kernel can see travel through Pillow, which needs 4 bytes for each.
    rows, columns = pixels.shape[:2]
    part = pixels[max(top, 0) : min(bottom, rows), max(left, 0) : min(right, columns)]
    before = (max(-math.floor(region.top), 0), max(-math.floor(region.left), 0))
    after = (
        max(math.ceil(region.bottom) - rows, 0),
        max(math.ceil(region.right) - columns, 0),
    )
    if any((*before, *after)):
        part = np.pad(part, ((before[0], after[0]), (before[1], after[1]), (0, 0)), mode="edge")
    x = region.left - max(left, 0) + before[1]
    y = region.top - max(top, 0) + before[0]
    box = (
        max(x, 0.0),
        max(y, 0.0),
        min(x + region.width, float(part.shape[1])),
        min(y + region.height, float(part.shape[0])),
    )
    kernel = PillowImage.Resampling.HAMMING if scale > 1 else PillowImage.Resampling.LANCZOS
    small = PillowImage.fromarray(np.ascontiguousarray(part))
    return np.array(small.resize((width, height), kernel, box=box), dtype=np.uint8)
