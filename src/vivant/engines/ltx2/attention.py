"""The fastest exact attention at hand, and NAG around it.

Queries, keys and values are ``[batch, tokens, heads, channels]`` throughout.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vivant.errors import MissingPartError

log = logging.getLogger(__name__)

HOPPER: Final = 9
"""Compute capability. FlashAttention 3 is made for it; cuDNN's attention is fast from it on."""

BACKENDS = ("auto", "cudnn", "flash", "fa3", "math")
"""``auto``: FlashAttention 3 where its package is installed, cuDNN on Hopper and later, flash."""


def choose_backend(device: torch.device, wanted: str = "auto") -> str:
    """The backend that ``wanted`` means on ``device``.

    Raises:
        MissingPartError: FlashAttention 3 is asked for, and cannot be had.
    """
    if device.type != "cuda":
        return "math" if wanted == "math" else "sdpa"
    capability = torch.cuda.get_device_capability(device)[0]
    if wanted == "fa3" and (capability != HOPPER or not _has_fa3()):
        raise MissingPartError(
            "attention=fa3 needs a Hopper GPU and the package flash_attn_interface "
            "(FlashAttention 3): attention=auto takes the fastest that is here",
            param="attention",
        )
    if wanted != "auto":
        return wanted
    if capability == HOPPER and _has_fa3():
        return "fa3"
    return "cudnn" if capability >= HOPPER else "flash"


@cache
def _has_fa3() -> bool:
    """Whether FlashAttention 3 can be imported: a build for another torch cannot."""
    if importlib.util.find_spec("flash_attn_interface") is None:
        return False
    try:
        importlib.import_module("flash_attn_interface")
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        log.warning("FlashAttention 3 is installed and cannot be used: %s", error)
        return False
    return True


@torch.library.custom_op(
    "vivant::fa3", mutates_args=(), schema="(Tensor query, Tensor key, Tensor value) -> Tensor"
)
def _fa3(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    # an operator of its own: not every build can be traced by torch.compile
    out = importlib.import_module("flash_attn_interface").flash_attn_func(query, key, value)
    result: Tensor = out[0] if isinstance(out, tuple) else out
    return result


@_fa3.register_fake
def _(query: Tensor, key: Tensor, value: Tensor) -> Tensor:  # noqa: ARG001
    return torch.empty_like(query, memory_format=torch.contiguous_format)


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
    """Softmax attention without mask; ``[B, T, H, D]`` in and out.

    Keys and values may be those of one clip, ``[1, T, H, D]``, for all of the batch.
    """
    batch = query.shape[0]
    if key.shape[0] != batch:
        # repeated for one use: not every kernel takes a stride of 0
        key = key.expand(batch, -1, -1, -1).contiguous()
        value = value.expand(batch, -1, -1, -1).contiguous()
    if fa3:
        result: Tensor = _fa3(query, key, value)
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
