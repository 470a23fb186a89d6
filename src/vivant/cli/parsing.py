"""What people write on the command line → numbers and names, or a clear error."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from vivant.errors import OptionError
from vivant.grid import ASPECTS, frames_for, parse_size

FRACTIONAL_RATES = {
    "23.976": Fraction(24000, 1001),
    "23.98": Fraction(24000, 1001),
    "29.97": Fraction(30000, 1001),
    "59.94": Fraction(60000, 1001),
}
"""NTSC rates as people write them."""


def parse_fps(text: str) -> Fraction:
    """``24``, ``23.976``, ``30000/1001`` → frames per second.

    Raises:
        OptionError: not a number.
    """
    if text in FRACTIONAL_RATES:
        return FRACTIONAL_RATES[text]
    try:
        return Fraction(text).limit_denominator(1001)
    except (ValueError, ZeroDivisionError, OverflowError):
        raise OptionError(
            f"fps {text!r} is not a number: write 24, 29.97 or 30000/1001", param="fps"
        ) from None


def parse_options(pairs: list[str] | None) -> dict[str, Any]:
    """``["move=orbit", "strength=0.5"]`` → ``{"move": "orbit", "strength": 0.5}``.

    Values are numbers and booleans where they look like it.

    Raises:
        OptionError: no ``=``, or a key twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs or []:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise OptionError(f"--set {pair!r} is not KEY=VALUE", param="set")
        if key in found:
            raise OptionError(f"--set {key} is given twice", param=key)
        found[key] = _value(text)
    return found


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def parse_dimensions(aspect: str | None, size: str | None) -> tuple[int, int]:
    """Width and height from ``--aspect`` and ``--size``.

    Raises:
        OptionError: unknown aspect, or a size that contradicts it.
    """
    if aspect is not None and aspect not in ASPECTS:
        raise OptionError(
            f"aspect {aspect!r} is unknown: choose {', '.join(ASPECTS)}, or give --size",
            param="aspect",
        )
    if size is None:
        return ASPECTS[aspect or "16:9"]
    width, height = parse_size(size)
    if aspect is not None:
        across, down = (int(part) for part in aspect.split(":"))
        if width * down != height * across:
            raise OptionError(
                f"size {size} is not {aspect}: give only one of --size and --aspect", param="size"
            )
    return width, height


def parse_length(frames: int | None, seconds: float | None, fps: Fraction) -> int:
    """Number of frames from ``--frames`` or ``--seconds``.

    Raises:
        OptionError: both are given, or seconds that are no length.
    """
    if frames is not None and seconds is not None:
        raise OptionError("give --frames or --seconds, not both", param="frames")
    if seconds is None:
        return 97 if frames is None else frames
    if not 0 < seconds < 86_400:
        raise OptionError(f"{seconds:g} seconds is not a length: 4 is usual", param="seconds")
    return frames_for(seconds, fps)


def parse_quality(text: str) -> Any:
    """One of :data:`vivant.types.Quality`.

    Raises:
        OptionError: anything else.
    """
    if text not in ("draft", "standard", "high"):
        raise OptionError(
            f"quality {text!r} is unknown: choose draft, standard or high", param="quality"
        )
    return text
