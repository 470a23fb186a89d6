"""Row-wise fp8 matrix products.

Weights are quantised once, one scale per output row; activations at every call, one scale per
token. ``torch._scaled_mm`` multiplies e4m3 by e4m3 and accumulates in float32; the quantisation
around it is plain torch, so that ``torch.compile`` fuses it with the norms before it. On a CPU the
same rounded values are multiplied in the activation's dtype; GPUs without fp8 matrix units (before
Ada) keep fp8 weights to save memory, widen them at every use and leave activations as they are.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vivant.engines.ltx2.tiers import FP8_CAPABILITY

FLOAT8 = torch.float8_e4m3fn
FLOAT8_MAX = 448.0
"""Largest finite e4m3fn value (OCP 8-bit floating point specification, 2023)."""


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` ``[rows, columns]`` → e4m3 of the same shape, and float32 scales ``[rows, 1]``."""
    amax = x.abs().amax(dim=-1, keepdim=True).float()
    scale = amax.clamp(min=1e-12) * (1.0 / FLOAT8_MAX)
    scaled = (x.float() / scale).clamp(-FLOAT8_MAX, FLOAT8_MAX)
    return scaled.to(FLOAT8), scale


def has_fp8_matmul(device: torch.device) -> bool:
    """Ada, Hopper and later multiply e4m3 in hardware."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= FP8_CAPABILITY


def needs_widening(device: torch.device) -> bool:
    """A GPU that can hold e4m3 and not multiply it."""
    return device.type == "cuda" and not has_fp8_matmul(device)


@torch.library.custom_op(
    "vivant::widen",
    mutates_args=(),
    schema="(Tensor weight, Tensor scale, ScalarType dtype) -> Tensor",
)
def _widen(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    # an operator of its own: Triton, which compilation writes, cannot read e4m3 before Ada
    return (weight.float() * scale).to(dtype)


@_widen.register_fake
def _(weight: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:  # noqa: ARG001
    return torch.empty_like(weight, dtype=dtype)


class Float8Linear(nn.Module):
    """``nn.Linear`` with an e4m3 weight ``[out, in]`` and one float32 scale per output row.

    With ``weight_only`` activations are not rounded: for GPUs that :func:`needs_widening`.
    Where there is a ``kernel``, it rounds them, unless the compiler fuses plain torch.
    """

    weight_only = False
    kernel: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.out_features, self.in_features = weight.shape
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.weight_scale = nn.Parameter(scale, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    @classmethod
    def from_linear(cls, linear: nn.Linear) -> Float8Linear:
        """Quantise a linear layer's weight; the bias keeps its dtype."""
        weight, scale = quantize_rows(linear.weight.detach())
        bias: Tensor | None = getattr(linear, "bias", None)
        bias = None if bias is None else bias.detach()
        return cls(weight, scale, bias)

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """The weight as ``dtype``."""
        return (self.weight.float() * self.weight_scale).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., in]`` → ``[..., out]`` in ``x``'s dtype."""
        if self.weight_only:
            wide: Tensor = _widen(self.weight, self.weight_scale, x.dtype)
            return nn.functional.linear(x, wide, self.bias)
        rows = x.reshape(-1, self.in_features)
        if self.kernel is None or torch.compiler.is_compiling():
            rounded = quantize_rows(rows)
        else:
            rounded = self.kernel(rows.contiguous())
        out = self.multiply(rounded, x.dtype)
        return out.reshape(*x.shape[:-1], self.out_features)

    def multiply(self, rounded: tuple[Tensor, Tensor], dtype: torch.dtype) -> Tensor:
        """Rows already rounded, ``[rows, in]`` with scales ``[rows, 1]`` → ``[rows, out]``."""
        quantized, scale = rounded
        if not quantized.is_cuda:
            wide = (quantized.float() * scale).to(dtype)
            return nn.functional.linear(wide, self.dequantized(dtype), self.bias)
        return torch._scaled_mm(
            quantized,
            self.weight.t(),
            scale_a=scale,
            scale_b=self.weight_scale.t(),
            bias=self.bias,
            out_dtype=dtype,
            use_fast_accum=True,
        )


GATES = "to_gate_logits"
"""Layers that stay as they are, as in Lightricks' code: small, and what they scale is large."""


def quantize_linears(module: nn.Module) -> int:
    """Replace every ``nn.Linear`` under ``module`` in place but the gates'; the number replaced."""
    count = 0
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            if name == GATES:
                continue
            setattr(module, name, Float8Linear.from_linear(child))
            count += 1
        else:
            count += quantize_linears(child)
    return count


def skeleton(module: nn.Module) -> int:
    """As :func:`quantize_linears`, with uninitialised weights: for loading a checkpoint into."""
    count = 0
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            if name == GATES:
                continue
            device = child.weight.device
            # not empty_like: on the meta device that imports SymPy, for a second
            weight = torch.empty(child.weight.shape, dtype=FLOAT8, device=device)
            scale = torch.empty((child.out_features, 1), dtype=torch.float32, device=device)
            setattr(module, name, Float8Linear(weight, scale, child.bias))
            count += 1
        else:
            count += skeleton(child)
    return count
