"""Upscalers by name: pixels to more pixels, after decoding. Listing them loads none."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vivant.errors import OptionError
from vivant.types import Upscaler


def _lanczos() -> Upscaler:
    from vivant.upscale.lanczos import LanczosUpscaler

    return LanczosUpscaler()


UPSCALERS: Mapping[str, Callable[[], Upscaler]] = {"lanczos": _lanczos}
"""Name → factory."""


def load_upscaler(name: str) -> Upscaler:
    """The upscaler called ``name``; ``auto`` is the best one that needs no weights.

    Raises:
        OptionError: no upscaler of that name.
        MissingPartError: its packages or weights are not installed.
    """
    if name == "auto":
        name = "lanczos"
    if name not in UPSCALERS:
        raise OptionError(
            f"upscaler {name!r} is unknown: choose auto or one of {', '.join(UPSCALERS)}",
            param="upscaler",
        )
    return UPSCALERS[name]()
