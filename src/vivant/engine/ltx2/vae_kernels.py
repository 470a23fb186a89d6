"""Norm over channels, SiLU and reflected padding of the VAE decoder, in one pass over memory.

Knows nothing of time or of the layers around it. Tensors are ``[1, C, T, H, W]``.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor

EPS = 1e-8
"""diffusers' ``PerChannelRMSNorm``."""

_kernel: Any = None


def fill(out: Tensor, x: Tensor, *, norm: bool, pad: bool) -> None:
    """Write ``x``, activated and padded, into ``out`` ``[1, C, T, H + 2p, W + 2p]``.

    Args:
        norm: apply ``silu(x / rms(x over channels))``; otherwise copy.
        pad: reflect one pixel around each frame.
    """
    if _fusable(out, x):
        _launch(out, x, norm=norm, pad=pad)
        return
    if norm:
        x = x * torch.rsqrt(x.float().pow(2).mean(1, keepdim=True) + EPS).to(x.dtype)
        x = torch.nn.functional.silu(x)
    if pad:
        x = torch.nn.functional.pad(x, (1, 1, 1, 1, 0, 0), mode="reflect")
    out.copy_(x)


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


def _launch(out: Tensor, x: Tensor, *, norm: bool, pad: bool) -> None:
    global _kernel  # noqa: PLW0603 - compiled once; triton exists only beside CUDA
    if _kernel is None:
        from vivant.engine.ltx2.vae_triton import activate_kernel

        _kernel = activate_kernel
    _, channels, frames, rows, columns = x.shape
    edge = int(pad)
    pixels = frames * (rows + 2 * edge) * (columns + 2 * edge)
    block = max(1, 4096 // channels)
    _kernel[(-(-pixels // block),)](
        x,
        out,
        pixels,
        rows,
        columns,
        CHANNELS=channels,
        EDGE=edge,
        NORM=norm,
        BLOCK=block,
        EPS=EPS,
        num_warps=4,
    )
