"""How a PNG without an ICC profile says its colours (PNG, third edition, 11.3.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from vivant.picture.code_points import SRGB, SourceColor

PLAIN_GAMMA: Final = 0.45455
"""``gAMA`` that means sRGB's curve where no ``cHRM`` is given: many programs write it beside sRGB
pixels, and Chromium reads it so."""

MAX_CHUNKS: Final = 1000
"""Chunks that are looked through; bounds time on hostile files."""


def png_color(data: bytes, info: Mapping[Any, Any]) -> SourceColor | None:
    """By ``cICP``, else by ``gAMA`` and ``cHRM``; None where it is sRGB or has an ICC profile.

    Args:
        data: the file.
        info: as Pillow read it.
    """
    if (points := _cicp(data)) is not None:
        return SourceColor.from_code_points(*points)
    if "icc_profile" in info or "srgb" in info:
        return None
    gamma = info.get("gamma")
    if not isinstance(gamma, float) or not 0.1 <= gamma <= 2:
        return None
    given = info.get("chromaticity")
    if isinstance(given, tuple) and len(given) == 8 and all(0 < value < 1 for value in given):
        return SourceColor(given, gamma=1 / gamma)
    return None if abs(gamma - PLAIN_GAMMA) < 0.001 else SourceColor(SRGB, gamma=1 / gamma)


def _cicp(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer of a ``cICP`` chunk, which stands before the pixels."""
    at = 8
    for _ in range(MAX_CHUNKS):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"cICP" and size == 4:
            return data[at + 8], data[at + 9]
        if kind in (b"IDAT", b""):
            return None
        at += 12 + size
    return None
