"""The Triton kernel of :mod:`vivant.engines.ltx2.vae_kernels`. Imported only beside CUDA."""

# mypy: ignore-errors
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def activate_kernel(
    source,
    target,
    bias,
    pixels,
    rows,
    columns,
    CHANNELS: tl.constexpr,  # noqa: N803 - Triton's compile-time constants
    EDGE: tl.constexpr,  # noqa: N803
    NORM: tl.constexpr,  # noqa: N803
    BIAS: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
    EPS: tl.constexpr,  # noqa: N803
):
    """One program writes ``BLOCK`` padded pixels of all channels; memory is ``[T, H, W, C]``."""
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = pixel < pixels
    wide = columns + 2 * EDGE
    high = rows + 2 * EDGE
    column = pixel % wide - EDGE
    row = (pixel // wide) % high - EDGE
    frame = pixel // (wide * high)
    column = tl.where(column < 0, -column, column)
    column = tl.where(column >= columns, 2 * columns - 2 - column, column)
    row = tl.where(row < 0, -row, row)
    row = tl.where(row >= rows, 2 * rows - 2 - row, row)
    start = ((frame * rows + row) * columns + column).to(tl.int64) * CHANNELS
    channel = tl.arange(0, CHANNELS)
    where = start[:, None] + channel[None, :]
    x = tl.load(source + where, mask=inside[:, None], other=0.0)
    if NORM:
        wide_x = x.to(tl.float32)
        if BIAS:
            wide_x += tl.load(bias + channel).to(tl.float32)[None, :]
        mean = tl.sum(wide_x * wide_x, axis=1) / CHANNELS
        wide_x = wide_x * tl.rsqrt(mean + EPS)[:, None]
        wide_x = wide_x * tl.sigmoid(wide_x)
        x = wide_x.to(x.dtype)
    goal = pixel.to(tl.int64)[:, None] * CHANNELS + channel[None, :]
    tl.store(target + goal, x, mask=inside[:, None])


@triton.jit
def add_kernel(
    target,
    part,
    bias,
    elements,
    CHANNELS: tl.constexpr,  # noqa: N803
    BLOCK: tl.constexpr,  # noqa: N803
):
    """``target += part + bias``; memory is ``[…, C]``."""
    where = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = where < elements
    value = tl.load(target + where, mask=inside, other=0.0).to(tl.float32)
    value += tl.load(part + where, mask=inside, other=0.0).to(tl.float32)
    value += tl.load(bias + where % CHANNELS).to(tl.float32)
    tl.store(target + where, value.to(target.dtype.element_ty), mask=inside)
