"""RGB → YUV 4:2:0 with torch, bit for bit as the encoder's own conversion.

:func:`vivant.video.encoder.to_yuv` converts with FFmpeg's libswscale (limited-range BT.709, bicubic
chroma). The formulas and constants here are libswscale's: ``rgb24ToY_c`` and ``rgb24ToUV_c`` of
``input.c``, ``initFilter`` of ``utils.c``, ``hScale16To15_c`` of ``swscale.c``, ``yuv2planeX_8_c``
of ``output.c``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import torch
from torch import Tensor

SHIFT: Final = 15
"""Fraction bits of the colour matrix (``RGB2YUV_SHIFT``)."""

MATRIX: Final = ((5983, 20127, 2032), (-3298, -11094, 14392), (14392, -13073, -1320))
"""BT.709 to limited range, for Y, U and V: ``ROUNDED`` of ``fill_rgb2yuv_table``."""

LUMA_OFFSET: Final = (32 << (SHIFT - 1)) + (1 << (SHIFT - 7))
CHROMA_OFFSET: Final = (256 << (SHIFT - 1)) + (1 << (SHIFT - 7))

TAPS: Final = 9
"""Of a bicubic filter that halves: ``1 + sizeFactor·2``."""


def to_yuv(frames: Tensor) -> Tensor:
    """``[T, H, W, 3]`` uint8 sRGB, even sides → the planes of :class:`vivant.types.YuvFrames`.

    Returns:
        ``[T, 3/2·H, W]`` uint8: of each frame Y ``[H, W]``, then U and V ``[H/2, W/2]``.
    """
    red, green, blue = frames.to(torch.int32).unbind(-1)

    def mixed(row: tuple[int, int, int], offset: int) -> Tensor:
        r, g, b = row
        return (red * r + green * g + blue * b + offset) >> (SHIFT - 6)

    luma = (mixed(MATRIX[0], LUMA_OFFSET) * 2 + 64) >> 7
    planes = [luma.flatten(1).to(torch.uint8)]
    for row in MATRIX[1:]:
        chroma = _halved(mixed(row, CHROMA_OFFSET), -1, 14) >> 13
        chroma = _halved(chroma.clamp(max=(1 << 15) - 1), -2, 12)
        chroma = (chroma + (64 << 12)) >> 19
        planes.append(chroma.clamp(0, 255).flatten(1).to(torch.uint8))
    return torch.cat(planes, dim=1).view(len(frames), -1, frames.shape[2])


def _halved(x: Tensor, axis: int, bits: int) -> Tensor:
    """Weighted sums along ``axis``, half as many; weights of ``bits`` bits, not divided."""
    count = x.shape[axis]
    places, weights = (part.to(x.device) for part in _filter(count, bits))
    shape = [1] * x.ndim
    shape[axis] = -1
    total: Tensor | int = 0
    for tap in range(places.shape[1]):
        total = x.index_select(axis % x.ndim, places[:, tap]) * weights[:, tap].view(shape) + total
    assert isinstance(total, Tensor)  # noqa: S101 - there are taps
    return total


@lru_cache(maxsize=16)
def _filter(count: int, bits: int) -> tuple[Tensor, Tensor]:
    """Libswscale's bicubic filter from ``count`` samples to half as many.

    Returns:
        Source indices ``[count / 2, taps]`` int64, and integer weights of the same shape, which
        sum to ``2**bits``.
    """
    half, one = count // 2, 1 << bits
    step, fone = 2 << 16, 1 << 53
    at = step - (1 << 16)  # twice the distance of the first centre, 16 fraction bits
    indices, weights = [], []
    taps = min(TAPS, count - 2)
    for _ in range(half):
        first = _quotient(at - (taps - 2) * (1 << 16), 1 << 17)
        values = [_cubic((abs((first + j) * (1 << 17) - at) << 13) // 2, fone) for j in range(taps)]
        # what lies outside belongs to the sample at the edge
        inside = [min(max(first + j, 0), count - 1) for j in range(taps)]
        folded: dict[int, int] = {}
        for place, value in zip(inside, values, strict=True):
            folded[place] = folded.get(place, 0) + value
        total = (sum(values) + one // 2) // one or 1
        error, row = 0, []
        for value in folded.values():
            value += error
            whole = _rounded(value, total)
            error = value - whole * total
            row.append(whole)
        places = list(folded)
        missing = taps - len(places)
        indices.append(places + [places[-1]] * missing)
        weights.append(row + [0] * missing)
        at += 2 * step
    return torch.tensor(indices), torch.tensor(weights, dtype=torch.int32)


def _cubic(distance: int, fone: int) -> int:
    """Keys' kernel with B = 0, C = 0.6 at ``distance`` (30 fraction bits); integers as in C."""
    b, c = 0, int(0.6 * (1 << 24))
    d = distance
    if d >= 1 << 31:
        return 0
    dd = (d * d) >> 30
    ddd = (dd * d) >> 30
    if d < 1 << 30:
        value = (
            (12 * (1 << 24) - 9 * b - 6 * c) * ddd
            + (-18 * (1 << 24) + 12 * b + 6 * c) * dd
            + (6 * (1 << 24) - 2 * b) * (1 << 30)
        )
    else:
        value = (
            (-b - 6 * c) * ddd
            + (6 * b + 30 * c) * dd
            + (-12 * b - 48 * c) * d
            + (8 * b + 24 * c) * (1 << 30)
        )
    return _quotient(value, (1 << 54) // fone)


def _quotient(value: int, by: int) -> int:
    """Division of C: towards zero."""
    return abs(value) // by * (1 if value >= 0 else -1)


def _rounded(value: int, by: int) -> int:
    """``ROUNDED_DIV``."""
    return _quotient(value + (by >> 1), by) if value >= 0 else -_quotient(-value + (by >> 1), by)
