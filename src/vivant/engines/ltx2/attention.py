"""The fastest exact attention at hand, and NAG around it.

Queries, keys and values are ``[batch, tokens, heads, channels]`` throughout.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from types import ModuleType
from typing import Any, Final, Literal

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vivant.engines.ltx2.fp8 import FLOAT8, FLOAT8_MAX
from vivant.engines.ltx2.operators import operator
from vivant.engines.ltx2.tiers import FA3_MODULES
from vivant.engines.ltx2.without_compiler import without_compiler
from vivant.errors import MissingPartError

log = logging.getLogger(__name__)

HOPPER: Final = 9
"""Compute capability. FlashAttention 3 is made for it; cuDNN's attention is fast from it on."""

Kernel = Literal["sdpa", "fa3", "fa3-fp8"]
"""What computes attention: torch's own function, or FlashAttention 3, exact or in fp8."""


def choose_backend(device: torch.device, wanted: str = "auto") -> str:
    """The backend that ``wanted`` (one of ``options.ATTENTION``) means on ``device``.

    ``auto`` is FlashAttention 3 where its package is installed on Hopper, else cuDNN on Hopper
    and later, else flash. It is never ``fa3-fp8``, which is not exact.

    Raises:
        MissingPartError: FlashAttention 3 is asked for, and cannot be had.
    """
    if device.type != "cuda":
        return "math" if wanted == "math" else "sdpa"
    capability = torch.cuda.get_device_capability(device)[0]
    if wanted in ("fa3", "fa3-fp8") and (capability != HOPPER or _fa3_package() is None):
        raise MissingPartError(
            f"attention={wanted} needs a Hopper GPU (H100, H200) and FlashAttention 3: "
            "uv sync --extra ltx2 --extra hopper, or attention=auto, which takes the fastest "
            "that is here",
            param="attention",
        )
    if wanted != "auto":
        return wanted
    if capability == HOPPER and _fa3_package() is not None:
        return "fa3"
    return "cudnn" if capability >= HOPPER else "flash"


def kernel_of(backend: str) -> Kernel:
    """What a block calls for ``backend``."""
    return "fa3" if backend == "fa3" else "fa3-fp8" if backend == "fa3-fp8" else "sdpa"


@cache
def _fa3_package() -> ModuleType | None:
    """FlashAttention 3, or None where it is not here: a build for another torch cannot be used."""
    for name in FA3_MODULES:
        if importlib.util.find_spec(name) is None:
            continue
        try:
            return importlib.import_module(name)
        except (ImportError, OSError, RuntimeError, AttributeError) as error:
            log.warning("FlashAttention 3 is installed and cannot be used: %s", error)
    return None


_compiler_kept_out: set[Any] = set()
"""FlashAttention 3's function, once it was called."""


def _flash_attn_func(query: Tensor, key: Tensor, value: Tensor, **more: Tensor) -> Tensor:
    function = _fa3_package().flash_attn_func  # type: ignore[union-attr]
    # the package's own operators import the compiler when they are called first
    call = partial(function, query, key, value, **more)
    out = call() if _compiler_kept_out else without_compiler(call)
    _compiler_kept_out.add(function)
    result: Tensor = out[0] if isinstance(out, tuple) else out
    return result


def _fake_fa3(query: Tensor, key: Tensor, value: Tensor) -> Tensor:  # noqa: ARG001
    return torch.empty_like(query, memory_format=torch.contiguous_format)


# operators of their own: not every build can be traced by torch.compile
@operator("fa3(Tensor query, Tensor key, Tensor value) -> Tensor", _fake_fa3)
def _fa3(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return _flash_attn_func(query, key, value)


def _fake_fa3_fp8(query: Tensor, *others: Tensor) -> Tensor:  # noqa: ARG001
    # FlashAttention 3 gives bf16 for e4m3
    return torch.empty(query.shape, dtype=torch.bfloat16, device=query.device)


@operator(
    "fa3_fp8(Tensor query, Tensor key, Tensor value, Tensor query_scale, Tensor key_scale, "
    "Tensor value_scale) -> Tensor",
    _fake_fa3_fp8,
)
def _fa3_fp8(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    query_scale: Tensor,
    key_scale: Tensor,
    value_scale: Tensor,
) -> Tensor:
    return _flash_attn_func(
        query, key, value, q_descale=query_scale, k_descale=key_scale, v_descale=value_scale
    )


def quantize_heads(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x`` ``[B, T, H, D]`` → e4m3 of the same shape, and float32 scales ``[B, H]``."""
    scale = x.abs().amax(dim=(1, 3)).float().clamp(min=1e-12) * (1.0 / FLOAT8_MAX)
    scaled = (x.float() / scale[:, None, :, None]).clamp(-FLOAT8_MAX, FLOAT8_MAX)
    return scaled.to(FLOAT8), scale


def smoothed(key: Tensor) -> Tensor:
    """Keys less their mean over the tokens: the same attention, and less to round.

    A query's product with the mean is the same for every key, and softmax does not see what is
    (SageAttention, arXiv 2410.02367, section 4.2).
    """
    return (key.float() - key.float().mean(dim=1, keepdim=True)).to(key.dtype)


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


_ORDER["fa3"] = _ORDER["fa3-fp8"] = _ORDER["cudnn"]  # what FlashAttention 3 is not called for


@contextmanager
def using(backend: str) -> Iterator[None]:
    """Prefer ``backend`` inside the block; shapes it cannot take fall to the next one."""
    order = _ORDER.get(backend)
    if order is None:
        yield
        return
    with sdpa_kernel(order, set_priority=True):
        yield


def attend(query: Tensor, key: Tensor, value: Tensor, kernel: Kernel = "sdpa") -> Tensor:
    """Softmax attention without mask; ``[B, T, H, D]`` in and out.

    Keys and values may be those of one clip, ``[1, T, H, D]``, for all of the batch.
    """
    batch = query.shape[0]
    if key.shape[0] != batch:
        # repeated for one use: not every kernel takes a stride of 0
        key = key.expand(batch, -1, -1, -1).contiguous()
        value = value.expand(batch, -1, -1, -1).contiguous()
    if kernel == "fa3":
        exact: Tensor = _fa3(query, key, value)
        return exact
    if kernel == "fa3-fp8":
        rounded = (quantize_heads(x) for x in (query, smoothed(key), value))
        return attend_rounded(*rounded, dtype=query.dtype)
    out = torch.nn.functional.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
    )
    return out.transpose(1, 2)


def attend_rounded(
    query: tuple[Tensor, Tensor],
    key: tuple[Tensor, Tensor],
    value: tuple[Tensor, Tensor],
    *,
    dtype: torch.dtype,
) -> Tensor:
    """FlashAttention 3 of e4m3 ``[B, T, H, D]`` and their scales ``[B, H]``; gives ``dtype``."""
    (q, k, v), scales = zip(query, key, value, strict=True)
    result: Tensor = _fa3_fp8(q, k, v, *scales)
    return result.to(dtype)


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
