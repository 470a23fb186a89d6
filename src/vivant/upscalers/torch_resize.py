"""Lanczos resampling with torch: on the GPU, while the next frames are decoded there.

Frames come and go as ``uint8`` on the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vivant.grid import cover_crop
from vivant.types import Box, Clip, Frames, Observer, Progress, YuvClip, YuvFrames
from vivant.upscalers.torch_yuv import to_yuv

LOBES = 3
"""Lanczos-3: the window reaches three source pixels to either side."""


@lru_cache(maxsize=8)
def weights(size_in: int, start: float, length: float, size_out: int) -> Tensor:
    """Resampling matrix ``[size_out, size_in]``: rows sum to 1, edges are repeated.

    Output pixel ``i`` has its centre at ``start + (i + ½)·length/size_out`` in source pixels;
    when shrinking, the window widens so that it averages. Float32; kept for the next clip, so not
    to be changed.
    """
    step = length / size_out
    widen = max(1.0, step)
    centers = start + (torch.arange(size_out, dtype=torch.float64)[:, None] + 0.5) * step - 0.5
    reach = math.ceil(2 * LOBES * widen) + 2
    taps = torch.floor(centers - LOBES * widen) + torch.arange(reach, dtype=torch.float64)
    at = (taps - centers) / widen
    values = torch.where(at.abs() < LOBES, torch.sinc(at) * torch.sinc(at / LOBES), 0.0)
    values /= values.sum(1, keepdim=True)
    matrix = torch.zeros(size_out, size_in, dtype=torch.float64)
    matrix.scatter_add_(1, taps.long().clamp(0, size_in - 1), values)
    return matrix.float()


class Resampler:
    """Crops and resizes ``[T, 3, H, W]`` to a fixed size.

    Args:
        width_in: of the frames that come.
        height_in: of the frames that come.
        crop: the part of them to keep.
        width: of the frames that leave.
        height: of the frames that leave.
        device: where it computes.
    """

    def __init__(
        self,
        width_in: int,
        height_in: int,
        crop: Box,
        width: int,
        height: int,
        device: torch.device,
    ) -> None:
        self.columns = weights(width_in, crop.left, crop.width, width).t().to(device)
        self.rows = weights(height_in, crop.top, crop.height, height).to(device)

    def __call__(self, frames: Tensor) -> Tensor:
        """Float32, values as they came."""
        return torch.matmul(torch.matmul(self.rows, frames), self.columns)


def to_device(chunk: Frames, device: torch.device) -> Tensor:
    """``[T, H, W, 3]`` uint8 → the same on ``device``."""
    return torch.from_numpy(np.ascontiguousarray(chunk)).to(device, non_blocking=True)


def to_frames(pixels: Tensor) -> Tensor:
    """``[T, 3, H, W]`` in 0 … 255 → ``[T, H, W, 3]`` uint8, rounded."""
    return pixels.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def fetch(frames: Tensor) -> Frames:
    """Frames on the CPU, once the current stream has made them."""
    if frames.is_cuda:
        host = torch.empty(frames.shape, dtype=torch.uint8, pin_memory=True)
        host.copy_(frames, non_blocking=True)
        torch.cuda.current_stream(frames.device).synchronize()
        frames = host
    pixels: Frames = frames.numpy()
    return pixels


class TorchLanczosUpscaler:
    """Lanczos-3 as two matrix products per frame; averages where the clip has to shrink.

    Args:
        device: the GPU where there is one, if None.
    """

    name = "lanczos-gpu"

    def __init__(self, device: torch.device | str | None = None) -> None:
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def upscale(self, clip: Clip, *, width: int, height: int, observe: Observer) -> Clip:
        """See :class:`vivant.types.Upscaler`."""
        return Clip(
            num_frames=clip.num_frames,
            fps=clip.fps,
            width=width,
            height=height,
            chunks=self._resize(clip, width, height, observe),
        )

    def upscale_to_yuv(self, clip: Clip, *, width: int, height: int, observe: Observer) -> YuvClip:
        """See :class:`vivant.types.YuvUpscaler`."""
        chunks = self._resize(clip, width, height, observe, to_yuv)
        return YuvClip(
            num_frames=clip.num_frames,
            fps=clip.fps,
            width=width,
            height=height,
            chunks=map(YuvFrames, chunks),
        )

    @property
    def yuv(self) -> bool:
        """See :class:`vivant.types.YuvUpscaler`."""
        return self.device.type == "cuda"

    def _resize(
        self,
        clip: Clip,
        width: int,
        height: int,
        observe: Observer,
        convert: Callable[[Tensor], Tensor] = lambda frames: frames,
    ) -> Iterator[Frames]:
        crop = cover_crop(clip.width, clip.height, width / height)
        resample = Resampler(clip.width, clip.height, crop, width, height, self.device)
        # a stream of its own: the frames do not wait for those that are being decoded after them
        stream = torch.cuda.Stream(self.device, priority=-1) if self.yuv else None
        if stream is not None:
            stream.wait_stream(torch.cuda.current_stream(self.device))
        done = 0
        for chunk in clip.chunks:
            with torch.inference_mode(), torch.cuda.stream(stream):
                pixels = to_device(chunk, self.device).permute(0, 3, 1, 2).float()
                out = fetch(convert(to_frames(resample(pixels))))
            done += len(out)
            yield out
            observe(Progress("upscale", done, clip.num_frames))
