"""What happens between the matrix products of a block, fused: norms, modulation, rounding to fp8.

Custom operators around the kernels of ``block_triton``, so that ``torch.compile`` takes them as
they are. ``block.py`` holds the same formulas in plain torch, and the two are tested against each
other.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor

from vivant.engines.ltx2.fp8 import FLOAT8, FLOAT8_MAX, has_fp8_matmul
from vivant.engines.ltx2.operators import operator

Rounded = tuple[Tensor, Tensor]
"""e4m3 rows ``[rows, channels]`` and their float32 scales ``[rows, 1]``."""

WARPS = 8


def available(device: torch.device) -> bool:
    """Whether the kernels run on ``device``."""
    return has_fp8_matmul(device) and importlib.util.find_spec("triton") is not None


def _rows(x: Tensor) -> tuple[int, int]:
    return x.numel() // x.shape[-1], x.shape[-1]


def _rounded_like(x: Tensor) -> Rounded:
    rows, width = _rows(x)
    return (
        torch.empty((rows, width), dtype=FLOAT8, device=x.device),
        torch.empty((rows, 1), dtype=torch.float32, device=x.device),
    )


def _kernels() -> Any:
    from vivant.engines.ltx2 import block_triton

    return block_triton


def _fake_quantize(x: Tensor, gelu: bool, gate: Tensor | None) -> Rounded:  # noqa: ARG001
    return _rounded_like(x)


@operator("quantize(Tensor x, bool gelu, Tensor? gate) -> (Tensor, Tensor)", _fake_quantize)
def _quantize(x: Tensor, gelu: bool, gate: Tensor | None) -> Rounded:
    rows, width = _rows(x)
    out, scale = _rounded_like(x)
    _kernels().quantize_kernel[(rows,)](
        x,
        x if gate is None else gate,
        out,
        scale,
        WIDTH=width,
        GELU=gelu,
        HEADS=0 if gate is None else gate.shape[-1],
        num_warps=16 if width > 8192 else WARPS,
    )
    return out, scale


def quantize(x: Tensor, *, gelu: bool = False, gate: Tensor | None = None) -> Rounded:
    """Rows of contiguous ``x`` to e4m3, through GELU or gates first if asked.

    Args:
        gate: logits ``[..., heads]`` of LTX-2.3's gates: each head is multiplied by 2·σ(logit).
    """
    rounded: Rounded = _quantize(x, gelu, None if gate is None else gate.contiguous())
    return rounded


def _fake_nag(
    positive: Tensor,
    negative: Tensor,  # noqa: ARG001
    settings: Tensor,  # noqa: ARG001
    gate: Tensor | None,  # noqa: ARG001
) -> Rounded:
    return _rounded_like(positive)


@operator(
    "nag(Tensor positive, Tensor negative, Tensor settings, Tensor? gate) -> (Tensor, Tensor)",
    _fake_nag,
)
def _nag(positive: Tensor, negative: Tensor, settings: Tensor, gate: Tensor | None) -> Rounded:
    rows, width = _rows(positive)
    out, scale = _rounded_like(positive)
    _kernels().nag_kernel[(rows,)](
        positive,
        negative,
        settings,
        positive if gate is None else gate,
        out,
        scale,
        WIDTH=width,
        HEADS=0 if gate is None else gate.shape[-1],
        num_warps=WARPS,
    )
    return out, scale


def nag(
    positive: Tensor, negative: Tensor, settings: Tensor, *, gate: Tensor | None = None
) -> Rounded:
    """``attention.nag_mix`` of contiguous ``[..., channels]``, gated, to e4m3."""
    rounded: Rounded = _nag(
        positive, negative, settings, None if gate is None else gate.contiguous()
    )
    return rounded


def _fake_modulate(x: Tensor, table: Tensor, embedded: Tensor) -> Rounded:  # noqa: ARG001
    return _rounded_like(x)


@operator("modulate(Tensor x, Tensor table, Tensor embedded) -> (Tensor, Tensor)", _fake_modulate)
def _modulate(x: Tensor, table: Tensor, embedded: Tensor) -> Rounded:
    rows, width = _rows(x)
    out, scale = _rounded_like(x)
    _kernels().modulate_kernel[(rows,)](
        x, table, embedded, out, scale, WIDTH=width, num_warps=WARPS
    )
    return out, scale


def modulate(x: Tensor, table: Tensor, embedded: Tensor) -> Rounded:
    """``x·(1 + scale) + shift`` to e4m3, with shift and scale = table + embedded, ``[2, D]``.

    The text of LTX-2.3, which one noise level modulates alike for all tokens.
    """
    rounded: Rounded = _modulate(x.contiguous(), table.contiguous(), embedded.contiguous())
    return rounded


_Normed = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def _normed_like(x: Tensor, *, added: bool, second: bool, keep: bool) -> _Normed:
    none = torch.empty(0, dtype=x.dtype, device=x.device)
    total = torch.empty_like(x) if added else none
    out2, scale2 = _rounded_like(x) if second else (none.clone(), none.clone())
    plain = torch.empty_like(x) if keep else none.clone()
    return (total, *_rounded_like(x), out2, scale2, plain)


def _fake_norm(
    x: Tensor,
    kind: Tensor,  # noqa: ARG001
    eps: float,  # noqa: ARG001
    added: Tensor | None,
    gate: Tensor | None,  # noqa: ARG001
    shift: Tensor | None,  # noqa: ARG001
    scale: Tensor | None,  # noqa: ARG001
    shift2: Tensor | None,
    scale2: Tensor | None,  # noqa: ARG001
    keep: bool,
) -> _Normed:
    return _normed_like(x, added=added is not None, second=shift2 is not None, keep=keep)


@operator(
    "norm(Tensor x, Tensor kind, float eps, Tensor? added, Tensor? gate, Tensor? shift, "
    "Tensor? scale, Tensor? shift2, Tensor? scale2, bool keep) "
    "-> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    _fake_norm,
)
def _norm(
    x: Tensor,
    kind: Tensor,
    eps: float,
    added: Tensor | None,
    gate: Tensor | None,
    shift: Tensor | None,
    scale: Tensor | None,
    shift2: Tensor | None,
    scale2: Tensor | None,
    keep: bool,
) -> _Normed:
    rows, width = _rows(x)
    made = _normed_like(x, added=added is not None, second=shift2 is not None, keep=keep)
    total, out, scale_out, out2, scale_out2, plain = made

    def stride(table: Tensor | None) -> int:
        return 0 if table is None else table.stride(1 if table.shape[1] > 1 else 0)

    def given(table: Tensor | None) -> Tensor:
        return x if table is None else table

    _kernels().norm_kernel[(rows,)](
        x,
        given(added),
        given(gate),
        given(shift),
        given(scale),
        given(shift2),
        given(scale2),
        kind,
        total,
        out,
        scale_out,
        out2,
        scale_out2,
        plain,
        x.shape[1],
        stride(shift),
        stride(shift2),
        stride(gate),
        EPS=eps,
        WIDTH=width,
        ADD=added is not None,
        GATE=gate is not None,
        MODULATE=shift is not None,
        TWICE=shift2 is not None,
        KEEP=keep,
        KINDS=1 if shift is None else shift.shape[1],
        KINDS2=1 if shift2 is None else shift2.shape[1],
        GATE_KINDS=1 if gate is None else gate.shape[1],
        num_warps=WARPS,
    )
    return made


def norm(
    x: Tensor,
    kind: Tensor,
    *,
    eps: float,
    added: Tensor | None = None,
    gate: Tensor | None = None,
    modulation: tuple[Tensor, Tensor] | None = None,
    second: tuple[Tensor, Tensor] | None = None,
    keep: bool = False,
) -> tuple[Tensor, Rounded, Rounded, Tensor | None]:
    """``x + added·gate``, then RMS norm, ``·(1 + scale) + shift``, and rounding.

    Tensors are ``[batch, tokens, channels]`` and contiguous; gates, shifts and scales ``[batch,
    kinds, channels]``, of which a token takes row ``kind[token]``. ``modulation`` is ``(shift,
    scale)``, and so is ``second``, a second modulation of the same normed rows.

    Returns:
        The sum (``x`` itself where nothing is added), the rounded result, the second one (empty
        where there is none), and with ``keep`` the first result before rounding.
    """
    shift, scale = modulation if modulation is not None else (None, None)
    shift2, scale2 = second if second is not None else (None, None)
    total, out, scale_out, out2, scale_out2, plain = _norm(
        x, kind, eps, added, gate, shift, scale, shift2, scale2, keep
    )
    return (
        x if added is None else total,
        (out, scale_out),
        (out2, scale_out2),
        plain if keep else None,
    )


def _fake_add_gated(
    x: Tensor,
    added: Tensor,  # noqa: ARG001
    gate: Tensor,  # noqa: ARG001
    kind: Tensor,  # noqa: ARG001
) -> Tensor:
    return torch.empty_like(x)


@operator("add_gated(Tensor x, Tensor added, Tensor gate, Tensor kind) -> Tensor", _fake_add_gated)
def _add_gated(x: Tensor, added: Tensor, gate: Tensor, kind: Tensor) -> Tensor:
    rows, width = _rows(x)
    out = torch.empty_like(x)
    _kernels().add_gated_kernel[(rows,)](
        x,
        added,
        gate,
        kind,
        out,
        x.shape[1],
        gate.stride(1 if gate.shape[1] > 1 else 0),
        WIDTH=width,
        GATE_KINDS=gate.shape[1],
        num_warps=WARPS,
    )
    return out


def add_gated(x: Tensor, added: Tensor, gate: Tensor, kind: Tensor) -> Tensor:
    """``x + added·gate`` of contiguous ``[batch, tokens, channels]``.

    Of the gate ``[batch, kinds, channels]`` a token takes row ``kind[token]``.
    """
    out: Tensor = _add_gated(x, added, gate, kind)
    return out


def _fake_head_norm(
    x: Tensor,
    weight: Tensor,  # noqa: ARG001
    heads: int,  # noqa: ARG001
    eps: float,  # noqa: ARG001
    cos: Tensor | None,  # noqa: ARG001
    sin: Tensor | None,  # noqa: ARG001
) -> Tensor:
    return torch.empty_like(x)


@operator(
    "head_norm(Tensor x, Tensor weight, int heads, float eps, Tensor? cos, Tensor? sin) -> Tensor",
    _fake_head_norm,
)
def _head_norm(
    x: Tensor, weight: Tensor, heads: int, eps: float, cos: Tensor | None, sin: Tensor | None
) -> Tensor:
    batch, tokens, width = x.shape
    out = torch.empty_like(x)
    _kernels().head_norm_kernel[(batch * tokens,)](
        x,
        weight,
        weight if cos is None else cos,
        weight if sin is None else sin,
        weight,
        weight,
        out,
        tokens,
        EPS=eps,
        HEADS=heads,
        HALF=width // heads // 2,
        ROTATE=cos is not None,
        CENTER=False,
        ROUND=False,
        num_warps=WARPS,
    )
    return out


def head_norm(
    x: Tensor, weight: Tensor, heads: int, eps: float, rotary: tuple[Tensor, Tensor] | None
) -> Tensor:
    """RMS norm of contiguous ``[batch, tokens, channels]`` across heads, then the rotary embedding.

    Returns:
        ``[batch, tokens, heads, channels / heads]``.
    """
    cos, sin = rotary if rotary is not None else (None, None)
    out: Tensor = _head_norm(x, weight, heads, eps, cos, sin)
    return out.view(x.shape[0], x.shape[1], heads, x.shape[2] // heads)


def _fake_head_norm_rounded(x: Tensor, *others: Any) -> Tensor:  # noqa: ARG001
    return torch.empty_like(x, dtype=FLOAT8)


@operator(
    "head_norm_rounded(Tensor x, Tensor weight, int heads, float eps, Tensor cos, Tensor sin, "
    "Tensor? center, Tensor scale) -> Tensor",
    _fake_head_norm_rounded,
)
def _head_norm_rounded(
    x: Tensor,
    weight: Tensor,
    heads: int,
    eps: float,
    cos: Tensor,
    sin: Tensor,
    center: Tensor | None,
    scale: Tensor,
) -> Tensor:
    batch, tokens, width = x.shape
    out = torch.empty_like(x, dtype=FLOAT8)
    _kernels().head_norm_kernel[(batch * tokens,)](
        x,
        weight,
        cos,
        sin,
        scale if center is None else center,
        scale,
        out,
        tokens,
        EPS=eps,
        HEADS=heads,
        HALF=width // heads // 2,
        ROTATE=True,
        CENTER=center is not None,
        ROUND=True,
        num_warps=WARPS,
    )
    return out


SAMPLED = 64
"""Every so many tokens give the mean that keys are moved by."""


def head_norm_rounded(
    x: Tensor,
    weight: Tensor,
    heads: int,
    eps: float,
    rotary: tuple[Tensor, Tensor],
    *,
    smooth: bool = False,
) -> Rounded:
    """:func:`head_norm`, rounded to e4m3 in the same pass, for attention in fp8.

    A normed row's squares add up to its width, so nothing in a head is larger than the root of
    the width times its largest weight: that is the scale, and no pass looks for the largest value.
    e4m3 has an exponent, so that a scale that is too large costs no precision.

    Args:
        smooth: move each channel by its mean (SageAttention, arXiv 2410.02367, section 4.2).
            Softmax does not see what all keys are moved by, so the mean over every
            :data:`SAMPLED`-th token does.

    Returns:
        e4m3 ``[batch, tokens, heads, channels / heads]``, and float32 scales ``[batch, heads]``.
    """
    cos, sin = rotary
    largest = weight.view(heads, -1).abs().amax(1).float() * (x.shape[2] ** 0.5)
    center = None
    if smooth:
        some = x[:, ::SAMPLED].contiguous()
        normed = _head_norm(some, weight, heads, eps, cos[::SAMPLED].contiguous(),
                            sin[::SAMPLED].contiguous())  # fmt: skip
        center = normed.float().mean(1)
        largest = 2 * largest  # a value and the mean may have opposite signs
    scale = largest.clamp(min=1e-12) * (1.0 / FLOAT8_MAX)
    out = _head_norm_rounded(x, weight, heads, eps, cos, sin, center, scale)
    return out.view(x.shape[0], x.shape[1], heads, -1), scale.expand(x.shape[0], -1).contiguous()


def _fake_round_heads(x: Tensor, heads: int) -> Rounded:
    return (
        torch.empty_like(x, dtype=FLOAT8),
        torch.empty((x.shape[0], heads), dtype=torch.float32, device=x.device),
    )


@operator("round_heads(Tensor x, int heads) -> (Tensor, Tensor)", _fake_round_heads)
def _round_heads(x: Tensor, heads: int) -> Rounded:
    batch, tokens, width = x.shape
    sizes = {"HEADS": heads, "CHANNELS": width // heads, "num_warps": WARPS}
    peaks = torch.empty((batch, tokens, heads), dtype=torch.float32, device=x.device)
    _kernels().head_peaks_kernel[(batch * tokens,)](x, peaks, **sizes)
    scale = peaks.amax(1).clamp(min=1e-12) * (1.0 / FLOAT8_MAX)
    out = torch.empty_like(x, dtype=FLOAT8)
    _kernels().round_heads_kernel[(batch * tokens,)](x, scale, out, tokens, **sizes)
    return out, scale


def round_heads(x: Tensor, heads: int) -> Rounded:
    """Contiguous ``[batch, tokens, channels]`` to e4m3, by each head's largest value.

    Returns:
        As :func:`head_norm_rounded`.
    """
    out, scale = _round_heads(x, heads)
    return out.view(x.shape[0], x.shape[1], heads, -1), scale
