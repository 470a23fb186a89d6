"""Which pictures are accepted, by the settings."""

from __future__ import annotations

from typing import Final

from vivant.picture.source import ImageLimits
from vivant.settings import Settings

MAX_SCAN_PIXELS: Final = 5_000_000_000
"""Of a JPEG, about 5 s; one of 100 million pixels and the usual ten scans has a fifth of it."""


def image_limits(settings: Settings, *, timed: bool = False) -> ImageLimits:
    """The settings that guard image decoding.

    Args:
        settings: of the user.
        timed: a decoder that is too slow is ended by the clock.
    """
    return ImageLimits(
        max_scan_pixels=None if timed else MAX_SCAN_PIXELS,
        max_bytes=settings.max_image_bytes,
        max_pixels=settings.max_image_pixels,
        max_side=settings.max_image_side,
        max_decoded_bytes=settings.max_image_decoded_bytes,
    )
