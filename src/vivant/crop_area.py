"""The part of a picture that a person chose, as people write it: pixels or percent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from vivant.errors import OptionError

Unit: TypeAlias = Literal["px", "%"]
"""Pixels of the upright picture, or percent of its width and height."""

Rotation: TypeAlias = Literal[0, 90, 180, 270]
"""Degrees clockwise."""

ROTATIONS: tuple[Rotation, ...] = get_args(Rotation)

SLACK_PERCENT = 0.1
"""Percent by which an area may reach over the border: rounding."""

_NUMBER = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)(%|px)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class CropArea:
    """What to show: left edge, top edge, width and height, all in ``unit``."""

    left: float
    top: float
    width: float
    height: float
    unit: Unit = "px"

    def __str__(self) -> str:
        return _written((self.left, self.top, self.width, self.height), self.unit)


@dataclass(frozen=True, slots=True)
class FocusPoint:
    """What should be in the middle: a point from the left and the top edge, in ``unit``."""

    x: float
    y: float
    unit: Unit = "px"

    def __str__(self) -> str:
        return _written((self.x, self.y), self.unit)


@dataclass(frozen=True, slots=True)
class Framing:
    """What a person decided about the picture; the rest is chosen by the faces.

    Attributes:
        crop: the part to show.
        focus: what should be in the middle of the largest crop.
        rotate: the picture is turned so far clockwise, after its EXIF orientation; ``crop`` and
            ``focus`` count in the turned picture.
    """

    crop: CropArea | None = None
    focus: FocusPoint | None = None
    rotate: Rotation = 0


def parse_crop(text: str) -> CropArea:
    """``"100,50,800,600"`` or ``"10%,5%,80%,60%"`` → what to show.

    Raises:
        OptionError: not of that form, empty, or outside of 0 … 100 %.
    """
    (left, top, width, height), unit = _numbers(text, "crop", "x,y,width,height", 4)
    if width <= 0 or height <= 0:
        raise OptionError(f"crop {text} is empty: width and height must be above 0", param="crop")
    if unit == "%" and max(left + width, top + height) > 100 + SLACK_PERCENT:
        raise OptionError(
            f"crop {text} reaches outside of the picture: x + width and y + height may be 100% "
            "at most",
            param="crop",
        )
    return CropArea(left, top, width, height, unit)


def parse_focus(text: str) -> FocusPoint:
    """``"640,300"`` or ``"50%,30%"`` → what should be in the middle.

    Raises:
        OptionError: not of that form, or outside of 0 … 100 %.
    """
    (x, y), unit = _numbers(text, "focus", "x,y", 2)
    if unit == "%" and max(x, y) > 100:
        raise OptionError(
            f"focus {text} is outside of the picture: x and y may be 100% at most", param="focus"
        )
    return FocusPoint(x, y, unit)


def _numbers(text: str, name: str, form: str, count: int) -> tuple[tuple[float, ...], Unit]:
    """The numbers of ``text``, and the unit of all of them."""
    parts = [_NUMBER.fullmatch(part.strip()) for part in text.split(",")]
    found = [part for part in parts if part]
    if len(parts) != count or len(found) != count:
        example = "100,50,800,600 or 10%,5%,80%,60%" if count == 4 else "640,300 or 50%,30%"
        raise OptionError(f"{name} {text[:60]!r} is not {form}: write {example}", param=name)
    units = {"%" if part[2] == "%" else "px" for part in found}
    if len(units) > 1:
        raise OptionError(
            f"{name} {text} mixes pixels and percent: write % after all numbers or after none",
            param=name,
        )
    return tuple(float(part[1]) for part in found), "%" if units == {"%"} else "px"


def _written(values: tuple[float, ...], unit: Unit) -> str:
    """The inverse of :func:`_numbers`."""
    mark = "%" if unit == "%" else ""
    return ",".join(f"{value:.6f}".rstrip("0").rstrip(".") + mark for value in values)
