"""The fastest exact attention at hand, and NAG around it.

Queries, keys and values are ``[batch, tokens, heads, channels]`` throughout. Knows nothing of
where they come from.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

BACKENDS = ("auto", "cudnn", "flash", "fa3", "math")
"""``auto``: FlashAttention 3 where its package is installed, cuDNN on Hopper and later, flash."""


def choose_backend(device: torch.device, wanted: str = "auto") -> str:
    """The backend that ``wanted`` means on ``device``."""
    if device.type != "cuda":
        return "math" if wanted == "math" else "sdpa"
    if wanted != "auto":
        return wanted
    if torch.cuda.get_device_capability(device)[0] == 9:
        return "fa3" if importlib.util.find_spec("flash_attn_interface") else "cudnn"
    return "cudnn" if torch.cuda.get_device_capability(device)[0] > 9 else "flash"


_ORDER = {
    "cudnn": [
        SDPBackend.CUDNN_ATTENTION,
        SDPBackend.FLASH_ATTENTION,
        SDPBackend.EFFICIENT_ATTENTION,
        SDPBackend.MATH,
    ],
    "flash": [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH],
    "math": [SDPBackend.MATH],
}


@contextmanager
def using(backend: str) -> Iterator[None]:
    """Prefer ``backend`` inside the block; shapes it cannot take fall to the next one."""
    order = _ORDER.get(backend)
    if order is None:
        yield
        return
    with sdpa_kernel(order, set_priority=True):
        yield


def attend(query: Tensor, key: Tensor, value: Tensor, *, fa3: bool = False) -> Tensor:
    """Softmax attention without mask; ``[B, T, H, D]`` in and out."""
    if fa3 and query.shape[-1] % 8 == 0:
        from flash_attn_interface import (  # type: ignore[import-not-found, unused-ignore]
            flash_attn_func,
        )

        out = flash_attn_func(query, key, value)
        result: Tensor = out[0] if isinstance(out, tuple) else out
        return result
    out = torch.nn.functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    )
    return out.transpose(1, 2)


def nag_mix(positive: Tensor, negative: Tensor, settings: Tensor) -> Tensor:
    """Normalised attention guidance of two attention outputs (arXiv 2505.21179, eqs. 7–10).

    Args:
        positive: ``[..., channels]``, attention to the prompt, heads joined.
        negative: the same for the negative prompt.
        settings: ``(scale, tau, alpha)``. The result equals ``positive`` where the two are the
            same, or scale is 1, or alpha is 0.

    Returns:
        ``α·g·min(r, τ)/r + (1 − α)·positive`` with ``g = s·positive − (s − 1)·negative`` and
        ``r = ‖g‖₁ / ‖positive‖₁``; computed in float32 at least, returned in the input's dtype.
    """
    wide = torch.promote_types(positive.dtype, torch.float32)
    scale, tau, alpha = settings.to(wide).unbind()
    z = positive.to(wide)
    guided = scale * z - (scale - 1) * negative.to(wide)
    tiny = torch.finfo(torch.float32).tiny
    ratio = guided.abs().sum(-1, keepdim=True) / z.abs().sum(-1, keepdim=True).clamp(min=tiny)
    guided = guided * (torch.minimum(ratio, tau) / ratio.clamp(min=tiny))
    return (alpha * guided + (1 - alpha) * z).to(positive.dtype)
