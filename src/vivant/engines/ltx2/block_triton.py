"""Triton kernels between the matrix products of a transformer block. Imported only beside CUDA.

Each reads its row once and writes it once: what ``torch.compile`` makes of the same formulas
reads a row up to three times, for its norm, for its largest value, and to round it. Rows are
tokens. Channel counts are powers of two.
"""

# mypy: ignore-errors
from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def _round_row(value, out, scale_out, row, columns, WIDTH: tl.constexpr):  # noqa: N803
    """e4m3 values and their scale: the largest magnitude becomes 448."""
    largest = tl.max(tl.abs(value), axis=0)
    scale = tl.maximum(largest, 1e-12) * (1.0 / 448.0)
    rounded = tl.minimum(tl.maximum(value / scale, -448.0), 448.0)
    tl.store(out + row * WIDTH + columns, rounded.to(out.dtype.element_ty))
    tl.store(scale_out + row, scale)


@triton.jit
def _gated(value, gate, row, columns, kept, WIDTH: tl.constexpr, HEADS: tl.constexpr):  # noqa: N803
    """Each head of a row times 2·σ(logit)."""
    logit = tl.load(gate + row * HEADS + columns // (WIDTH // HEADS)).to(tl.float32)
    return (value * (2.0 * tl.sigmoid(logit))).to(kept).to(tl.float32)


@triton.jit
def quantize_kernel(
    x,
    gate,
    out,
    scale_out,
    WIDTH: tl.constexpr,  # noqa: N803
    GELU: tl.constexpr,  # noqa: N803
    HEADS: tl.constexpr,  # noqa: N803
):
    """Rows to e4m3; with ``GELU``, through GELU (tanh form) first; with ``HEADS``, gated."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, WIDTH)
    value = tl.load(x + row * WIDTH + columns).to(tl.float32)
    if GELU:
        # ½·(1 + tanh u) = σ(2u), u = √(2/π)·(v + 0.044715·v³)
        value = value * tl.sigmoid(1.5957691216057308 * (value + 0.044715 * value * value * value))
        value = value.to(x.dtype.element_ty).to(tl.float32)
    if HEADS > 0:
        value = _gated(value, gate, row, columns, x.dtype.element_ty, WIDTH, HEADS)
    _round_row(value, out, scale_out, row, columns, WIDTH)


@triton.jit
def nag_kernel(
    positive,
    negative,
    settings,
    gate,
    out,
    scale_out,
    WIDTH: tl.constexpr,  # noqa: N803
    HEADS: tl.constexpr,  # noqa: N803
):
    """``attention.nag_mix`` of two rows, gated where there are ``HEADS``, to e4m3."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, WIDTH)
    z = tl.load(positive + row * WIDTH + columns).to(tl.float32)
    other = tl.load(negative + row * WIDTH + columns).to(tl.float32)
    scale = tl.load(settings)
    tau = tl.load(settings + 1)
    alpha = tl.load(settings + 2)
    guided = scale * z - (scale - 1) * other
    tiny = 1.1754943508222875e-38
    ratio = tl.sum(tl.abs(guided), axis=0) / tl.maximum(tl.sum(tl.abs(z), axis=0), tiny)
    guided = guided * (tl.minimum(ratio, tau) / tl.maximum(ratio, tiny))
    value = (alpha * guided + (1 - alpha) * z).to(positive.dtype.element_ty).to(tl.float32)
    if HEADS > 0:
        value = _gated(value, gate, row, columns, positive.dtype.element_ty, WIDTH, HEADS)
    _round_row(value, out, scale_out, row, columns, WIDTH)


@triton.jit
def modulate_kernel(x, table, embedded, out, scale_out, WIDTH: tl.constexpr):  # noqa: N803
    """Rows times ``1 + scale`` plus ``shift``, the two rows of ``table + embedded``; to e4m3."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, WIDTH)
    kept = x.dtype.element_ty
    value = tl.load(x + row * WIDTH + columns).to(tl.float32)
    shift = tl.load(table + columns).to(tl.float32)
    shift += tl.load(embedded + columns).to(tl.float32)
    scale = tl.load(table + WIDTH + columns).to(tl.float32)
    scale += tl.load(embedded + WIDTH + columns).to(tl.float32)
    value = value * (1 + scale.to(kept).to(tl.float32)) + shift.to(kept).to(tl.float32)
    _round_row(value.to(kept).to(tl.float32), out, scale_out, row, columns, WIDTH)


@triton.jit
def norm_kernel(
    x,
    added,
    gate,
    shift,
    scale,
    shift2,
    scale2,
    kind,
    x_out,
    out,
    scale_out,
    out2,
    scale_out2,
    plain,
    tokens,
    stride,
    stride2,
    gate_stride,
    EPS: tl.constexpr,  # noqa: N803
    WIDTH: tl.constexpr,  # noqa: N803
    ADD: tl.constexpr,  # noqa: N803
    GATE: tl.constexpr,  # noqa: N803
    MODULATE: tl.constexpr,  # noqa: N803
    TWICE: tl.constexpr,  # noqa: N803
    KEEP: tl.constexpr,  # noqa: N803
    KINDS: tl.constexpr,  # noqa: N803
    KINDS2: tl.constexpr,  # noqa: N803
    GATE_KINDS: tl.constexpr,  # noqa: N803
):
    """``x += added·gate``; RMS norm; modulate; to e4m3, once or with two modulations.

    With ``KEEP`` the first result is also written as it was before rounding.

    Modulation rows are ``base + (batch·kinds + kind[token])·stride``.
    """
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, WIDTH)
    batch = row // tokens
    if KINDS * KINDS2 * GATE_KINDS > 1:
        which = tl.load(kind + row % tokens)
    value = tl.load(x + row * WIDTH + columns).to(tl.float32)
    if ADD:
        extra = tl.load(added + row * WIDTH + columns).to(tl.float32)
        if GATE:
            place = batch
            if GATE_KINDS > 1:
                place = batch * GATE_KINDS + which
            extra = extra * tl.load(gate + place * gate_stride + columns).to(tl.float32)
        value = (value + extra).to(x.dtype.element_ty)
        tl.store(x_out + row * WIDTH + columns, value)
        value = value.to(tl.float32)
    mean = tl.sum(value * value, axis=0) / WIDTH
    normed = value * tl.rsqrt(mean + EPS)
    result = normed
    if MODULATE:
        place = batch
        if KINDS > 1:
            place = batch * KINDS + which
        result = normed * (1 + tl.load(scale + place * stride + columns).to(tl.float32))
        result += tl.load(shift + place * stride + columns).to(tl.float32)
    result = result.to(x.dtype.element_ty).to(tl.float32)
    if KEEP:
        tl.store(plain + row * WIDTH + columns, result.to(plain.dtype.element_ty))
    _round_row(result, out, scale_out, row, columns, WIDTH)
    if TWICE:
        place = batch
        if KINDS2 > 1:
            place = batch * KINDS2 + which
        result = normed * (1 + tl.load(scale2 + place * stride2 + columns).to(tl.float32))
        result += tl.load(shift2 + place * stride2 + columns).to(tl.float32)
        result = result.to(x.dtype.element_ty).to(tl.float32)
        _round_row(result, out2, scale_out2, row, columns, WIDTH)


@triton.jit
def add_gated_kernel(
    x,
    added,
    gate,
    kind,
    out,
    tokens,
    gate_stride,
    WIDTH: tl.constexpr,  # noqa: N803
    GATE_KINDS: tl.constexpr,  # noqa: N803
):
    """``x + added·gate``; a token's gate is at ``base + (batch·kinds + kind[token])·stride``."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, WIDTH)
    place = row // tokens
    if GATE_KINDS > 1:
        place = place * GATE_KINDS + tl.load(kind + row % tokens)
    value = tl.load(x + row * WIDTH + columns).to(tl.float32)
    extra = tl.load(added + row * WIDTH + columns).to(tl.float32)
    value += extra * tl.load(gate + place * gate_stride + columns).to(tl.float32)
    tl.store(out + row * WIDTH + columns, value.to(out.dtype.element_ty))


@triton.jit
def head_norm_kernel(
    x,
    weight,
    cos,
    sin,
    center,
    scale,
    out,
    tokens,
    EPS: tl.constexpr,  # noqa: N803
    HEADS: tl.constexpr,  # noqa: N803
    HALF: tl.constexpr,  # noqa: N803
    ROTATE: tl.constexpr,  # noqa: N803
    CENTER: tl.constexpr,  # noqa: N803
    ROUND: tl.constexpr,  # noqa: N803
):
    """RMS norm across all heads, then the split rotary embedding within each.

    With ``ROUND``, less ``center`` (with ``CENTER``) and to e4m3 by a scale of each head.
    """
    row = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, HEADS)[:, None]
    channel = tl.arange(0, HALF)[None, :]
    first_at = head * (2 * HALF) + channel
    second_at = first_at + HALF
    start = row * (2 * HEADS * HALF)
    first = tl.load(x + start + first_at).to(tl.float32)
    second = tl.load(x + start + second_at).to(tl.float32)
    mean = tl.sum(first * first + second * second) / (2 * HEADS * HALF)
    inverse = tl.rsqrt(mean + EPS)
    kept = x.dtype.element_ty
    first = (first * inverse * tl.load(weight + first_at).to(tl.float32)).to(kept).to(tl.float32)
    second = (second * inverse * tl.load(weight + second_at).to(tl.float32)).to(kept).to(tl.float32)
    if ROTATE:
        place = (row % tokens) * (HEADS * HALF) + head * HALF + channel
        c = tl.load(cos + place).to(tl.float32)
        s = tl.load(sin + place).to(tl.float32)
        rotated = first * c - second * s
        second = second * c + first * s
        first = rotated
    if CENTER:
        place = (row // tokens) * (2 * HEADS * HALF)
        first -= tl.load(center + place + first_at)
        second -= tl.load(center + place + second_at)
    if ROUND:
        by = tl.load(scale + head)
        first = tl.minimum(tl.maximum(first / by, -448.0), 448.0)
        second = tl.minimum(tl.maximum(second / by, -448.0), 448.0)
    tl.store(out + start + first_at, first.to(out.dtype.element_ty))
    tl.store(out + start + second_at, second.to(out.dtype.element_ty))


@triton.jit
def head_peaks_kernel(x, out, HEADS: tl.constexpr, CHANNELS: tl.constexpr):  # noqa: N803
    """The largest magnitude in each head of a row."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, HEADS)
    at = head[:, None] * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    value = tl.load(x + row * (HEADS * CHANNELS) + at).to(tl.float32)
    tl.store(out + row * HEADS + head, tl.max(tl.abs(value), axis=1))


@triton.jit
def round_heads_kernel(
    x,
    scale,
    out,
    tokens,
    HEADS: tl.constexpr,  # noqa: N803
    CHANNELS: tl.constexpr,  # noqa: N803
):
    """Rows to e4m3 by a scale of each clip's heads."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.arange(0, HEADS)[:, None]
    at = row * (HEADS * CHANNELS) + head * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    by = tl.load(scale + (row // tokens) * HEADS + head)
    value = tl.load(x + at).to(tl.float32) / by
    value = tl.minimum(tl.maximum(value, -448.0), 448.0)
    tl.store(out + at, value.to(out.dtype.element_ty))
