"""What covers a closed eye: skin that the fold hid, the line of the lashes, the lashes below it.

Nothing of it is in the picture. The skin is filled in from that around the eye, as a soap film
hangs in a frame, and gets the grain of the cheek.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.engines.living.fields import smootherstep
from vivant.engines.living.skin_film import skin_film
from vivant.engines.living.skin_grain import skin_grain

LOWER_RISE: Final = 0.16
"""How far the lower lid rises in a blink, in openings of the eye."""

EXTRA: Final = 0.12
"""How far the upper lid's edge falls over the lower one's, in openings of the eye."""

FOLD: Final = 0.3
"""How far above the lid's edge the drawn skin begins, in widths of the eye."""

BESIDE: Final = 0.14
"""How far beyond the corners it reaches."""

WINGS: Final = 0.32
"""How far above and beside the eye the open lid's lashes are removed, in widths of the eye."""

THIN: Final = 0.16
"""Thickness below which a dark line near the eye is a lash or a fold, in widths of the eye."""

STRAND: Final = 0.06
"""Widest strand of hair, in widths of the eye."""

CROSSING: Final = 0.66
"""Luma over that of the skin below which something lies before the lid."""

OUTLINE: Final = (0.03, 0.2)
"""Least and greatest distance above the lid's edge of a line that follows it, in widths."""

RIM: Final = 0.75
"""Luma of a rim of glasses over that of the skin below the eye, at most."""

RIM_STEP: Final = 0.2
"""By how much it gets brighter within 0.05 widths below a rim, over that skin's luma."""

RIM_BEYOND: Final = 0.12
"""Widths of the eye by which a rim goes on at both sides; hair and make-up do at one at most."""

RIM_ABOVE: Final = 0.35
"""Widths of the eye above its lid, up to which a rim lies there; brows lie higher."""

MAX_OUTLINED: Final = 0.5
"""Share of a lid along which something dark close above it counts as lying before the eye. What
follows more of it is make-up, a shadow or the crease, and would outline the closed eye: the lid
covers it. On 70 portraits it was at most 0.45 but for nine."""

MAX_ERASED: Final = 0.75
"""Share of the eye's width at which a closed lid may cover what looks like a rim of glasses. On
70 portraits it was at most 0.7, brows and sockets, but for two whose rims were recognised."""

UNDER: Final = (0.14, 0.2, 0.26, 0.32)
"""Where the skin below the lower lid is looked at, in widths of the eye below its edge."""

UNDER_SHARE: Final = 0.65
"""Of that skin in a closed lid at its lashes. The skin around the open eye is that of its socket,
in the shade or made up; a closed lid comes out of it. By looking at 16 portraits."""

LASHES: Final = 0.11
"""Length of the lashes below a closed lid's edge, in widths of the eye."""

Plane = npt.NDArray[np.uint8]
"""``[H, W, C]`` uint8."""

Values = npt.NDArray[np.float32]

Depths = npt.NDArray[np.float64]

AtDepth = Callable[[npt.NDArray[Any], npt.NDArray[np.float64]], Values]
"""A picture at the column of each pixel, so far below the upper lid's edge."""


@dataclass(frozen=True, slots=True, eq=False)
class Lid:
    """What covers a closed eye; all arrays are of the eye's patch's size.

    Attributes:
        skin: ``[h, w, C]`` uint8, the skin that the fold hides.
        line: ``[h, w, C]`` uint8, colour of the lash line.
        lashes: what is left of the light below the edge of a closed lid, 0 … 1.
        region: where the skin is drawn once the lid has fallen so far, 0 … 1.
        bare: ``[h, w, C]`` uint8, the picture without the open eye's lashes and its fold.
        wings: where these may be, 0 … 1.
        ends: 1 over the eye, 0 beyond its corners.
        erased: share of the eye's width at which the lid would cover a rim of glasses, 0 … 1.
    """

    skin: Plane
    line: Plane
    lashes: Values
    bare: Plane
    wings: Values
    region: Values
    ends: Values
    erased: float


def make_lid(
    original: Plane,
    a: npt.NDArray[np.float64],
    below: npt.NDArray[np.float64],
    opening: npt.NDArray[np.float64],
    roof: npt.NDArray[np.float64],
    down: npt.NDArray[np.float64],
    width: float,
) -> Lid:
    """What covers the eye of a patch.

    Args:
        original: ``[h, w, C]`` uint8.
        a: distance of each pixel from the left corner along the eye.
        below: as in :class:`vivant.engines.living.eyes.Eye`, like what follows.
    """
    ys, xs = np.indices(below.shape).astype(np.float64)

    def at_depth(picture: npt.NDArray[Any], depth: npt.NDArray[np.float64]) -> Values:
        """``picture`` at the column of each pixel, ``depth`` below the upper lid's edge."""
        way = depth - below
        found = cv2.remap(
            picture,
            (xs + way * down[0]).astype(np.float32),
            (ys + way * down[1]).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(found, dtype=np.float32)

    eye = (np.abs(a / width - 0.5) < 0.4) & (below > 0) & (below < opening)
    fold = np.minimum(FOLD * width, 0.7 * roof)
    higher = np.minimum(WINGS * width, 0.8 * roof)
    region, wings = _region(a, below, fold, width), _wings(a, below, higher, width)
    hidden = ((region > 0) | (wings > 0)) & (below < opening + 0.06 * width)
    shut = opening * (1 - LOWER_RISE + EXTRA)
    relief = _relief(a / width, below + fold, shut + fold)[..., None]
    film = skin_film(original, hidden)
    near_lashes = UNDER_SHARE * smootherstep((below + fold) / np.maximum(shut + fold, 1))[..., None]
    under = _skin_under(original, at_depth, opening, film, width)
    film = ((film + near_lashes * (under - film)) * relief).astype(np.float32)
    # a light strand of hair that hangs beside the eye stays; lashes are darker than the skin
    even = _luma(film)
    beside = smootherstep(np.abs(a / width - 0.5) / 0.1 - 4.5)
    region = region * (1 - beside * _strands(original, even, hidden, width))
    thick = _luma_without_lashes(original, width)
    for least in (0.05, 0.22, np.inf):
        before = _before_the_eye(thick, even, below < -least * width, hidden, width)
        if _outlined(before * hidden, a, below, width) < MAX_OUTLINED:
            break
    region, wings = region * (1 - before), wings * (1 - before)
    skin: Values = film + skin_grain(original, a, below - opening, width)
    darkest = _darkest_at_edge(original, at_depth, below, width)
    line = np.minimum(_steady(darkest, eye, 0.06 * width), 0.72 * skin)
    ends = smootherstep((a / width + 0.06) / 0.16) * smootherstep((1.06 - a / width) / 0.16)
    return Lid(
        skin=_levels(skin),
        line=_levels(line),
        lashes=_lashes(original, at_depth, below - shut, even, width).astype(np.float32),
        region=region.astype(np.float32),
        bare=_levels(_without_lashes(original, skin, width)),
        wings=wings.astype(np.float32),
        ends=ends.astype(np.float32),
        erased=_erased(thick, (region > 0.5) & (before < 0.5), a, below, opening, width),
    )


def _skin_under(
    original: Plane, at_depth: AtDepth, opening: Depths, film: Values, width: float
) -> Values:
    """Colour of the skin below the lower lid, by column; lashes and wrinkles do not count.

    Where it is far from that of ``film``, something else lies there, such as a rim of glasses.
    """
    soft = cv2.GaussianBlur(original, (0, 0), max(0.8, 0.03 * width))
    found = [at_depth(soft, opening + place * width) for place in UNDER]
    middle = np.asarray(np.median(found, axis=0), np.float32)
    even = cv2.blur(middle, [2 * round(0.15 * width) + 1] * 2)
    return np.asarray(np.clip(even, 0.75 * film, 1.4 * film + 1), np.float32)


def _region(a: Depths, below: Depths, fold: Depths, width: float) -> Depths:
    beside = smootherstep((a / width + BESIDE) / 0.14) * smootherstep(
        (1 + BESIDE - a / width) / 0.14
    )
    return smootherstep((below + fold) / (0.18 * width)) * beside


def _wings(a: Depths, below: Depths, higher: Depths, width: float) -> Depths:
    outside = np.maximum(-a, a - width) / (1.1 * WINGS * width)
    return smootherstep((below + higher) / (0.06 * width)) * smootherstep((1 - outside) / 0.5)


def _strands(original: Plane, even: Depths, hidden: npt.NDArray[np.bool_], width: float) -> Depths:
    """Where a light strand of hair lies, 0 … 1: a bright line that goes on outside ``hidden``."""
    luma = np.asarray(_luma(original), np.uint8)
    lines = cv2.morphologyEx(luma, cv2.MORPH_TOPHAT, _brush(STRAND / 2 * width)) / even
    short = (lines > 0.06) & ~_going_on(lines > 0.06, hidden)
    return smootherstep((lines - 0.04) / 0.1) * ~short


def _going_on(where: npt.NDArray[np.bool_], hidden: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The parts of ``where`` that lie outside of ``hidden`` to more than 0.3."""
    _, parts = cv2.connectedComponents(where.astype(np.uint8))
    size = np.bincount(parts.ravel())
    outside = np.bincount(parts[~hidden], minlength=size.size)
    return np.asarray((outside > 0.3 * size)[parts] & where)


def _outlined(before: Depths, a: Depths, below: Depths, width: float) -> float:
    near = (below < -OUTLINE[0] * width) & (below > -OUTLINE[1] * width)
    return _share_of_columns(near & (before > 0.5), a / width)


def _erased(
    thick: Depths,
    covered: npt.NDArray[np.bool_],
    a: Depths,
    below: Depths,
    opening: Depths,
    width: float,
) -> float:
    """How much of a rim of glasses lies where the lid is drawn.

    Args:
        covered: where the lid is drawn.
    """
    cheek = (below > opening + 0.1 * width) & (a > 0) & (a < width)
    if not cheek.any():
        return 0.0
    skin = float(np.median(thick[cheek]))
    dark = (thick < RIM * skin) & (below < -0.05 * width)
    level = np.abs(below) < RIM_ABOVE * width
    count, parts, stats, _ = cv2.connectedComponentsWithStats((dark & level).astype(np.uint8))
    # the lower edge of a rim is sharp: bright skin or lens follows at once
    bright = np.roll(thick, -round(0.05 * width), axis=0) - thick > RIM_STEP * skin
    shares = [0.0]
    for part in range(1, count):
        if stats[part, cv2.CC_STAT_WIDTH] < 0.9 * width:
            continue
        one = parts == part
        if a[one].min() < -RIM_BEYOND * width and a[one].max() > (1 + RIM_BEYOND) * width:
            edge = one & bright & covered
            shares.append(_share_of_columns(edge, a / width))
    return max(shares)


def _share_of_columns(where: npt.NDArray[np.bool_], across: Depths) -> float:
    """Share of the eye's width, corners left out, at which ``where`` is true anywhere."""
    column = np.floor((across[where] - 0.1) / 0.8 * 20)
    return np.unique(column[(column >= 0) & (column < 20)]).size / 20


def _without_lashes(original: Plane, skin: Values, width: float) -> Values:
    """The picture without thin dark lines; thick ones (a rim of glasses, a strand) stay."""
    factor = min(1.0, 90 / width)  # what is left is smooth
    small = cv2.resize(original, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    without = cv2.morphologyEx(small, cv2.MORPH_CLOSE, _brush(THIN / 2 * factor * width))
    soft = cv2.GaussianBlur(without, (0, 0), max(0.5, 0.02 * factor * width))
    size = (original.shape[1], original.shape[0])
    return np.asarray(np.minimum(cv2.resize(soft, size), 0.98 * skin))


def _darkest_at_edge(original: Plane, at_depth: AtDepth, below: Depths, width: float) -> Values:
    """The darkest of what lies at the lid's edge, by column."""
    sharp = cv2.GaussianBlur(original, (0, 0), max(0.5, 0.012 * width))
    places = (-0.035, -0.02, -0.005, 0.01)
    found = [at_depth(sharp, np.full_like(below, place * width)) for place in places]
    return np.asarray(np.min(found, axis=0))


def _lashes(
    original: Plane, at_depth: AtDepth, beyond: Depths, even: Depths, width: float
) -> Depths:
    """What is left of the light below the edge of the closed lid, 0 … 1.

    Args:
        beyond: distance below that edge, pixels.
    """
    left = np.clip(_luma(at_depth(original, -beyond)) / even, 0.35, 1)
    inside = (beyond > 0) & (beyond < LASHES * width)
    fade = np.where(inside, 1 - beyond / (LASHES * width), 0)
    return np.asarray(1 - 0.8 * fade * (1 - left))


def _relief(across: Depths, from_fold: Depths, height: Depths) -> Depths:
    """Light on a closed lid, which lies on a ball: 0.9 … 1.06.

    Args:
        across: 0 … 1 from corner to corner.
        from_fold: distance from the upper end of the drawn skin, pixels.
        height: from there to the lashes of the closed lid, pixels.
    """
    u = np.clip(from_fold / np.maximum(height, 1), 0, 1)
    sides = 1 - np.clip(np.abs(2 * across - 1), 0, 1) ** 2
    ball = 0.06 * np.sin(np.pi * u**0.8) * sides
    return np.asarray(1 + ball - 0.08 * u**3)


def _luma_without_lashes(original: Plane, width: float) -> Depths:
    """Luma of the picture without dark lines as thin as lashes."""
    sharp = np.asarray(_luma(original), np.uint8)
    return np.asarray(cv2.morphologyEx(sharp, cv2.MORPH_CLOSE, _brush(0.035 * width)), np.float64)


def _before_the_eye(
    thick: Depths,
    even: Depths,
    above: npt.NDArray[np.bool_],
    hidden: npt.NDArray[np.bool_],
    width: float,
) -> Depths:
    """Where something dark crosses the lid, such as a rim of glasses: 0 … 1; it stays.

    It is thicker than lashes, above the eye, and goes on outside of what the lid hides.
    """
    found = _going_on((thick < CROSSING * even) & (above | ~hidden), hidden)
    wider = cv2.dilate(
        found.astype(np.float32), np.ones([2 * round(0.02 * width) + 1] * 2, np.uint8)
    )
    return np.asarray(cv2.GaussianBlur(wider, (0, 0), max(0.6, 0.01 * width)), np.float64)


def _luma(picture: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Luma of ``[h, w, C]``, at least 1."""
    colour = np.ascontiguousarray(picture[..., :3], np.float32)
    return np.maximum(1.0, cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY).astype(np.float64))


def _steady(colours: Values, where: npt.NDArray[np.bool_], reach: float) -> Values:
    """``colours`` smoothed, and kept within a quarter of their median over the eye."""
    small = cv2.resize(colours, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small, (0, 0), max(0.8, reach / 4))
    soft = cv2.resize(soft, (colours.shape[1], colours.shape[0]))
    if not where.any():
        return np.asarray(soft, dtype=np.float32)
    middle = np.median(soft[where], axis=0)
    return np.asarray(np.clip(soft, 0.75 * middle, 1.25 * middle + 1), dtype=np.float32)


def _levels(values: npt.NDArray[Any]) -> Plane:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)


def _brush(radius: float) -> npt.NDArray[np.uint8]:
    side = 2 * round(radius) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
