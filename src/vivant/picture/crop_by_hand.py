"""The crop where a person chose it: their area in the clip's shape, or around their point."""

from __future__ import annotations

from vivant.crop_area import SLACK_PERCENT, CropArea, FocusPoint, Unit
from vivant.errors import OptionError
from vivant.grid import cover_crop
from vivant.picture.framing import framed
from vivant.types import Box, Face

MIN_CROP = 64
"""Pixels of the picture along each side; 64 is also the smallest clip."""

SAME_SHAPE = 0.01
"""Part of the area's own size by which it may be changed without a word: rounding."""


def chosen_crop(area: CropArea, width: int, height: int, aspect: float) -> tuple[Box, str | None]:
    """``area`` in the clip's shape: with more of the picture around it, or trimmed.

    More is shown where the picture has it: the smallest box of ``aspect`` around the area, moved
    into the picture. Where that box is larger than the picture, the largest one that fits is
    placed around the area's centre.

    Args:
        area: what to show.
        width: of the upright picture, pixels.
        height: of the upright picture, pixels.
        aspect: width of the crop over its height.

    Returns:
        The crop in pixels, and a sentence where it is not the area itself.

    Raises:
        OptionError: outside of the picture, or too small.
    """
    box = _area_box(area, width, height)
    grown = framed(box, aspect, 1.0)
    largest = cover_crop(width, height, aspect)
    fits = grown.width <= largest.width
    size = grown if fits else largest
    x, y = box.center
    crop = Box(
        _into(x - size.width / 2, width - size.width),
        _into(y - size.height / 2, height - size.height),
        size.width,
        size.height,
    )
    if max(grown.width - box.width, grown.height - box.height) <= SAME_SHAPE * grown.width:
        return crop, None
    if fits:
        return crop, (
            f"the part chosen has another shape than the clip, so more of the picture is shown: "
            f"crop {_pixels(crop)}"
        )
    return crop, (
        f"the part chosen has another shape than the clip, and the picture has no more beside it, "
        f"so it is trimmed: crop {_pixels(crop)}"
    )


def crop_around(point: FocusPoint, width: int, height: int, aspect: float) -> Box:
    """The largest crop of ``aspect``, its centre as near to ``point`` as the picture allows.

    Raises:
        OptionError: the point is outside of the picture.
    """
    x, y = _pixel(point.x, width, point.unit), _pixel(point.y, height, point.unit)
    if x > width or y > height:
        raise OptionError(
            f"focus {point} is outside of the picture, which has {width}×{height} pixels",
            param="focus",
        )
    largest = cover_crop(width, height, aspect)
    return Box(
        _into(round(x - largest.width / 2), int(width - largest.width)),
        _into(round(y - largest.height / 2), int(height - largest.height)),
        largest.width,
        largest.height,
    )


def shown_faces(faces: tuple[Face, ...], crop: Box) -> tuple[Face, ...]:
    """The faces whose centre is in the crop, in the same order."""
    found = []
    for face in faces:
        x, y = face.box.center
        if crop.left <= x <= crop.right and crop.top <= y <= crop.bottom:
            found.append(face)
    return tuple(found)


def _area_box(area: CropArea, width: int, height: int) -> Box:
    left, right = (_pixel(v, width, area.unit) for v in (area.left, area.left + area.width))
    top, bottom = (_pixel(v, height, area.unit) for v in (area.top, area.top + area.height))
    slack = max(1.0, SLACK_PERCENT / 100 * max(width, height))
    if right > width + slack or bottom > height + slack:
        raise OptionError(
            f"crop {area} reaches outside of the picture, which has {width}×{height} pixels: "
            f"x + width may be {width} and y + height {height} at most",
            param="crop",
        )
    right, bottom = min(right, width), min(bottom, height)
    if min(right - left, bottom - top) < MIN_CROP - 0.5:
        raise OptionError(
            f"crop {area} has {max(0, round(right - left))}×{max(0, round(bottom - top))} pixels "
            f"of the picture, fewer than {MIN_CROP}×{MIN_CROP}: choose a larger part",
            param="crop",
        )
    return Box(left, top, right - left, bottom - top)


def _pixel(value: float, side: int, unit: Unit) -> float:
    return value / 100 * side if unit == "%" else value


def _into(start: float, room: float) -> float:
    """``start`` within ``0 … room``."""
    return float(min(max(start, 0.0), max(room, 0.0)))


def _pixels(crop: Box) -> str:
    """As ``--crop`` takes it."""
    values = (crop.left, crop.top, crop.width, crop.height)
    return ",".join(str(round(value)) for value in values)
