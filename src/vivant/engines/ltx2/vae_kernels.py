"""Norm over channels, SiLU and reflected padding of the VAE decoder, in one pass over memory.

Tensors are ``[1, C, T, H, W]``.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor

EPS = 1e-8
"""diffusers' ``PerChannelRMSNorm``."""


def fill(out: Tensor, x: Tensor, *, norm: bool, pad: bool, bias: Tensor | None = None) -> None:
    """Write ``x``, activated and padded, into ``out`` ``[1, C, T, H + 2p, W + 2p]``.

    With ``norm``, ``bias`` ``[C]`` is added and ``silu(x / rms(x over channels))`` taken; without,
    it is a copy. With ``pad`` every frame is reflected by one pixel.
    """
    if _fusable(out, x):
        _fill(out, x, norm=norm, pad=pad, bias=bias)
        return
    if norm:
        if bias is not None:
            x = x + bias.view(1, -1, 1, 1, 1)
        x = x * torch.rsqrt(x.float().pow(2).mean(1, keepdim=True) + EPS).to(x.dtype)
        x = torch.nn.functional.silu(x)
    if pad:
        x = torch.nn.functional.pad(x, (1, 1, 1, 1, 0, 0), mode="reflect")
    out.copy_(x)


def add(target: Tensor, part: Tensor, bias: Tensor) -> None:
    """``target += part + bias``, the bias ``[C]``."""
    if _fusable(target, part):
        _add(target, part, bias)
    else:
        target += part + bias.view(1, -1, 1, 1, 1)


def _fusable(out: Tensor, x: Tensor) -> bool:
    channels = x.shape[1]
    return (
        x.is_cuda
        and x.shape[0] == 1
        and channels & (channels - 1) == 0
        and 16 <= channels <= 2048
        and x.is_contiguous(memory_format=torch.channels_last_3d)
        and out.is_contiguous(memory_format=torch.channels_last_3d)
        and importlib.util.find_spec("triton") is not None
    )


def _kernels() -> Any:
    from vivant.engines.ltx2 import vae_triton  # beside CUDA only

    return vae_triton


def _fill(out: Tensor, x: Tensor, *, norm: bool, pad: bool, bias: Tensor | None) -> None:
    _, channels, frames, rows, columns = x.shape
    edge = int(pad)
    pixels = frames * (rows + 2 * edge) * (columns + 2 * edge)
    block = max(1, 4096 // channels)
    _kernels().activate_kernel[(-(-pixels // block),)](
        x,
        out,
        x if bias is None else bias,
        pixels,
        rows,
        columns,
        CHANNELS=channels,
        EDGE=edge,
        NORM=norm,
        BIAS=bias is not None,
        BLOCK=block,
        EPS=EPS,
        num_warps=4,
    )


def _add(target: Tensor, part: Tensor, bias: Tensor) -> None:
    block = 4096
    _kernels().add_kernel[(-(-part.numel() // block),)](
        target, part, bias, part.numel(), CHANNELS=part.shape[1], BLOCK=block, num_warps=4
    )
