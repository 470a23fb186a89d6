"""Rims of glasses that cross an eye: they lie before the lid and stay where they are.

Plastic and metal are greyer than skin, in the light and in the shade. So the share of red in the
light tells a rim from skin, lashes, folds and brows; brightness does not. A rim of wire is a line
that goes on beyond both corners of the eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.engines.living.skin_film import skin_film

GREYER: Final = 0.09
"""By how much log(red / blue) of a rim is below that of the skin under the eye, at least."""

THINNEST: Final = 0.03
"""Of a rim, in widths of the eye; lashes are thinner."""

BEYOND: Final = 0.12
"""Widths of the eye by which a rim goes on at both sides; hair and make-up do at one at most."""

SOFT: Final = 0.025
"""Widths of the eye by which the colour of a rim may run over its outline."""

BRIGHT_EDGE: Final = 0.05
"""Widest bright line along a rim, in widths of the eye."""

BRIGHTER: Final = 0.03
"""Of such a line, over the luma of the skin."""

THICKEST: Final = 0.25
"""Of a rim, in widths of the eye; tinted glass and shadows are larger."""

WIRE: Final = 0.04
"""Greatest thickness of a rim of wire, in widths of the eye."""

WIRE_CONTRAST: Final = 0.12
"""Of such a rim, over the luma of the skin below the eye."""

Mask = npt.NDArray[np.uint8]
"""``[h, w]`` uint8, 0 or 1."""

Plane = npt.NDArray[np.uint8]
"""``[h, w, C]`` uint8."""

Depths = npt.NDArray[np.float64]

Values = npt.NDArray[np.float32]


def rim_of_glasses(
    original: Plane, a: Depths, below: Depths, opening: Depths, width: float
) -> Values:
    """How far each pixel of an eye's patch shows a rim of glasses, ``[h, w]`` 0 … 1.

    Args:
        original: the patch, RGB first.
        a: distance from the left corner along the eye, pixels.
        below: distance below the upper lid's edge, pixels.
        opening: from the upper to the lower lid's edge, pixels.
        width: of the eye, pixels.
    """
    nothing = np.zeros(below.shape, np.float32)
    skin = (below > opening + 0.1 * width) & (a > 0) & (a < width)
    if not skin.any():
        return nothing
    colour = np.ascontiguousarray(original[..., :3])
    luma = np.asarray(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), np.uint8)
    level = float(np.median(luma[skin]))
    eye = (below > -0.02 * width) & (below < opening + 0.05 * width) & (a > 0) & (a < width)
    place = _Place(a / width, below / width, eye, width)
    redness = _redness(colour, width)
    redness -= np.median(redness[skin])
    found = _grey_rim(redness, luma, level, place) | _thin_rim(luma, level, place)
    if not found.any():
        return nothing
    closed = cv2.morphologyEx(found, cv2.MORPH_CLOSE, _disc(0.02 * width))
    soft = cv2.GaussianBlur(closed.astype(np.float32), (0, 0), max(0.6, 0.008 * width))
    return np.asarray(np.clip(soft, 0, 1), np.float32)


def without_rim(original: Plane, rim: Values, near: Depths) -> Plane:
    """``original`` with skin where a rim of glasses is before an eye, filled in from around it.

    Args:
        rim: as :func:`rim_of_glasses` tells.
        near: 1 at the eye, 0 where nothing moves, such as the nose and the temple.
    """
    if not rim.any():
        return original
    skin = skin_film(original, rim > 0.02)
    cover = (np.minimum(1, 4 * rim) * near)[..., None]
    return np.asarray(np.rint(skin * cover + original * (1 - cover)), np.uint8)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where each pixel of a patch is.

    Attributes:
        across: 0 … 1 from corner to corner of the eye.
        below: distance below the upper lid's edge, widths of the eye.
        eye: whether it shows the open eye.
        width: of the eye, pixels.
    """

    across: Depths
    below: Depths
    eye: npt.NDArray[np.bool_]
    width: float


def _grey_rim(redness: Values, luma: Mask, level: float, place: _Place) -> Mask:
    """A rim that is greyer than skin.

    Args:
        redness: over that of the skin below the eye.
        level: luma of that skin.
    """
    width = place.width
    least = -GREYER
    for _ in range(2):  # the second time, half as grey as the rim itself
        grey = ((redness < least) & ~place.eye).astype(np.uint8)
        opened = cv2.morphologyEx(grey, cv2.MORPH_OPEN, _disc(THINNEST / 2 * width))
        core = _bands(np.asarray(opened, np.uint8), place, THICKEST)
        if not core.any():
            return core
        least = min(least, 0.5 * float(np.median(redness[core > 0])))
    lines = cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, _disc(BRIGHT_EDGE * width))
    bright = lines > BRIGHTER * level
    # the line of the lashes is grey as well: close to the eye, edges of a rim are bright
    lashes = (place.below > -0.1) & (place.across > 0) & (place.across < 1)
    near = cv2.dilate(core, _disc(SOFT * width)) > 0
    edge = near & (redness < -0.4 * GREYER) & (bright | ~lashes) & ~place.eye
    return np.asarray((core > 0) | edge, np.uint8)


def _thin_rim(luma: Mask, level: float, place: _Place) -> Mask:
    """A rim of wire: a line, darker or brighter than what is beside it."""
    brush = _disc(WIRE * place.width)
    lashes = (place.below > -0.06) & (place.across > 0) & (place.across < 1)
    found = np.zeros(luma.shape, np.uint8)
    for kind in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        contrast = cv2.morphologyEx(luma, kind, brush)
        lines = (contrast > WIRE_CONTRAST * level) & ~place.eye & ~lashes
        found |= _bands(np.asarray(lines, np.uint8), place, 3 * WIRE)
    return found


def _redness(colour: Plane, width: float) -> Values:
    """Logarithm of red over blue."""
    sharp = colour[..., ::2].astype(np.float32)
    soft = cv2.GaussianBlur(sharp, (0, 0), max(0.6, 0.012 * width)) + np.float32(4)
    return np.asarray(cv2.log(soft[..., 0] / soft[..., 1]), np.float32)


def _bands(where: Mask, place: _Place, thickest: float) -> Mask:
    """The parts of ``where`` that cross the eye as a band and go on beyond both of its corners.

    Args:
        thickest: widths of the eye.
    """
    count, parts, stats, _ = cv2.connectedComponentsWithStats(where)
    found = np.zeros(where.shape, np.uint8)
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_WIDTH] < 0.9 * place.width:
            continue
        one = parts == part
        across = place.across[one]
        if across.min() > -BEYOND or across.max() < 1 + BEYOND:
            continue
        if _is_band(across, place.below[one], thickest):
            found[one] = 1
    return found


def _is_band(across: Depths, below: Depths, thickest: float) -> bool:
    """Whether these pixels are above the eye from corner to corner, and nowhere thicker."""
    for place in np.linspace(0.1, 0.9, 17):
        column = below[(np.abs(across - place) < 0.01) & (np.abs(below) < 0.5)]
        if not column.size or np.ptp(column) > thickest:
            return False
    return True


def _disc(radius: float) -> npt.NDArray[np.uint8]:
    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
