"""Latents → frames, chunk by chunk, equal to decoding the whole clip at once.

LTX-2's decoder sees both ways in time through 3-frame convolutions and nothing else: no
attention, no statistics over frames. So every convolution keeps the last two frames it saw, and
emits a frame as soon as the frame after it has come; residual paths wait for it in a queue. No
frame is computed twice and no seam exists to be blended. The first levels, small, run on the
whole clip; memory after them depends on the chunk, not on the clip.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vivant.engines.ltx2.conditioning import statistics
from vivant.engines.ltx2.ulysses import Ulysses
from vivant.engines.ltx2.vae_kernels import add, fill
from vivant.types import Frames


class _Conv:
    """One ``LTX2VideoCausalConv3d``, fed in pieces."""

    def __init__(self, source: Any, *, causal: bool, ulysses: Ulysses | None = None) -> None:
        self.conv: nn.Conv3d = source.conv
        self.causal = causal
        self.ulysses = ulysses
        self.reflect = self.conv.padding_mode == "reflect"
        self.tail: Tensor | None = None

    def __call__(
        self,
        x: Tensor | None,
        *,
        last: bool,
        norm: bool = False,
        before: Tensor | None = None,
        bias: bool = True,
    ) -> Tensor | None:
        """Feed ``[1, C, T, H, W]`` or nothing; what can be said of the frames so far, or None.

        With ``norm`` the input is normalised over channels and passed through SiLU first, after
        ``before``, the bias of the convolution it comes from, was added. Without ``bias`` this
        convolution leaves its own to whoever comes next: cuDNN adds it in a pass of its own.
        """
        if x is None and self.tail is None:
            return None
        joined = self._join(x, last=last, norm=norm, bias=before)
        self.tail = None if last else joined[:, :, -2:].clone(memory_format=torch.preserve_format)
        if joined.shape[2] < 3:
            return None
        padding = (0, 0, 0) if self.reflect else self.conv.padding
        own = self.conv.bias if bias else None
        return nn.functional.conv3d(joined, self.conv.weight, own, padding=padding)

    def _join(self, x: Tensor | None, *, last: bool, norm: bool, bias: Tensor | None) -> Tensor:
        """Frames before, the frames of ``x`` activated and padded, and the last one again."""
        like = x if self.tail is None else self.tail
        assert like is not None  # noqa: S101 - checked by the caller
        edge = 2 if self.reflect and self.tail is None else 0
        rows, columns = like.shape[3] + edge, like.shape[4] + edge
        before = (2 if self.causal else 1) if self.tail is None else self.tail.shape[2]
        new = 0 if x is None else x.shape[2]
        after = 1 if last and not self.causal else 0
        joined = torch.empty(
            (1, like.shape[1], before + new + after, rows, columns),
            dtype=like.dtype,
            device=like.device,
            memory_format=torch.channels_last_3d,
        )
        if x is not None:
            # one pass over memory: norm, activation and both paddings land in place
            fill(joined[:, :, before : before + new], x, norm=norm, pad=self.reflect, bias=bias)
        if self.ulysses is not None:
            # frames of one GPU, whole: one frame at either end is a neighbour's
            self.ulysses.exchange_edges(joined[0].permute(1, 2, 3, 0))
            return joined
        if self.tail is None:
            joined[:, :, :before] = joined[:, :, before : before + 1]
        else:
            joined[:, :, :before] = self.tail
        if after:
            joined[:, :, -1:] = joined[:, :, -2:-1]
        return joined


class _Queue:
    """Frames that wait for the convolutions beside them."""

    def __init__(self) -> None:
        self.parts: deque[Tensor] = deque()

    def put(self, x: Tensor | None) -> None:
        if x is not None:
            self.parts.append(x)

    def take(self, count: int) -> Iterator[Tensor]:
        """The oldest ``count`` frames, in one or more parts; what stays is copied out of ``x``."""
        while count:
            part = self.parts.popleft()
            yield part[:, :, :count]
            if part.shape[2] > count:
                self.parts.appendleft(part[:, :, count:])
                break
            count -= part.shape[2]
        self.parts = deque(part.clone(memory_format=torch.preserve_format) for part in self.parts)


class _Resnet:
    """One ``LTX2VideoResnetBlock3d`` of equal width in and out, without noise or timestep."""

    def __init__(self, source: Any, *, causal: bool, ulysses: Ulysses | None = None) -> None:
        self.conv1 = _Conv(source.conv1, causal=causal, ulysses=ulysses)
        self.conv2 = _Conv(source.conv2, causal=causal, ulysses=ulysses)
        self.bias: Tensor = source.conv2.conv.bias
        self.queue = _Queue()

    def __call__(self, x: Tensor | None, *, last: bool) -> Tensor | None:
        self.queue.put(x)
        hidden = self.conv1(x, last=last, norm=True, bias=False)
        hidden = self.conv2(hidden, last=last, norm=True, before=self.conv1.conv.bias, bias=False)
        if hidden is None:
            return None
        start = 0
        for part in self.queue.take(hidden.shape[2]):
            add(hidden[:, :, start : start + part.shape[2]], part, self.bias)
            start += part.shape[2]
        return hidden


def _spread(x: Tensor, stride: tuple[int, int, int]) -> Tensor:
    """Depth to space and time: ``[1, C·a·b·c, T, H, W]`` → ``[1, T·a, H·b, W·c, C]``."""
    _, _, frames, rows, columns = x.shape
    x = x.reshape(1, -1, *stride, frames, rows, columns).permute(0, 5, 2, 6, 3, 7, 4, 1)
    a, b, c = stride
    return x.reshape(1, frames * a, rows * b, columns * c, -1)


class _Upsampler:
    """One ``LTX2VideoUpsampler3d``: the first frame of a clip is not doubled in time."""

    def __init__(self, source: Any, *, causal: bool, ulysses: Ulysses | None = None) -> None:
        self.conv = _Conv(source.conv, causal=causal, ulysses=ulysses)
        self.stride: tuple[int, int, int] = tuple(source.stride)
        self.residual: bool = source.residual
        self.repeats = self.stride[0] * self.stride[1] * self.stride[2] // source.upscale_factor
        self.queue = _Queue()
        self.started = ulysses is not None and ulysses.rank > 0

    def __call__(self, x: Tensor | None, *, last: bool) -> Tensor | None:
        if self.residual:
            self.queue.put(x)
        hidden = self.conv(x, last=last)
        if hidden is None:
            return None
        out = _spread(hidden, self.stride)
        if self.residual:
            parts = list(self.queue.take(hidden.shape[2]))
            residual = _spread(torch.cat(parts, dim=2), self.stride)
            out.unflatten(-1, (self.repeats, -1)).add_(residual.unsqueeze(-2))
        if not self.started:
            self.started = True
            out = out[:, self.stride[0] - 1 :]
        return out.permute(0, 4, 1, 2, 3) if out.shape[1] else None


class _Level:
    """One up block: upsampler, then resnets."""

    def __init__(self, source: Any, *, causal: bool, ulysses: Ulysses | None = None) -> None:
        self.steps: list[_Upsampler | _Resnet] = [
            _Upsampler(upsampler, causal=causal, ulysses=ulysses)
            for upsampler in source.upsamplers or ()
        ]
        self.steps += [_Resnet(resnet, causal=causal, ulysses=ulysses) for resnet in source.resnets]

    def __call__(self, x: Tensor | None, *, last: bool) -> Tensor | None:
        for step in self.steps:
            x = step(x, last=last)
        return x


class _Head:
    """Final norm, convolution and patches to pixels."""

    def __init__(self, decoder: Any, *, causal: bool, ulysses: Ulysses | None = None) -> None:
        self.conv = _Conv(decoder.conv_out, causal=causal, ulysses=ulysses)
        self.patch: int = decoder.patch_size

    def __call__(self, x: Tensor | None, *, last: bool) -> Tensor | None:
        out = self.conv(x, last=last, norm=True)
        if out is None:
            return None
        batch, _, frames, rows, columns = out.shape
        patch = self.patch
        out = out.reshape(batch, -1, 1, patch, patch, frames, rows, columns)
        return out.permute(0, 1, 5, 2, 6, 4, 7, 3).flatten(6, 7).flatten(4, 5).flatten(2, 3)


def can_stream(vae: Any) -> bool:
    """Whether ``vae`` decodes frame by frame as described above (LTX-2.0's does)."""
    decoder = vae.decoder
    if decoder.time_embedder is not None or decoder.patch_size_t != 1:
        return False
    resnets = list(decoder.mid_block.resnets)
    for block in decoder.up_blocks:
        if block.conv_in is not None:
            return False
        resnets += list(block.resnets)
    return all(
        resnet.conv_shortcut is None
        and resnet.per_channel_scale1 is None
        and resnet.scale_shift_table is None
        for resnet in resnets
    )


def prepare(vae: Any) -> None:
    """Lay the decoder's kernels out channels last, as cuDNN's fastest convolutions want them."""
    for module in vae.decoder.modules():
        if isinstance(module, nn.Conv3d) and module.weight.is_cuda:
            module.to(memory_format=torch.channels_last_3d)


@torch.no_grad()
def decode(vae: Any, latents: Tensor, *, chunk: int = 4) -> Iterator[Tensor]:
    """Pixels of normalised ``latents`` ``[1, C, F, H, W]``, in pieces ``[1, 3, T, 32·H, 32·W]``.

    Args:
        chunk: frames per piece on the level that runs at half the final rate; the pieces that
            come out have about twice as many. Fewer need less memory.

    Yields:
        Pixels in about −1 … 1, in the decoder's dtype.
    """
    x = _scaled(vae, latents)
    if not can_stream(vae):
        yield vae.decode(x, None, return_dict=False)[0]
        return
    decoder = vae.decoder
    causal = bool(decoder.is_causal)
    whole: list[Any] = [_Conv(decoder.conv_in, causal=causal)]
    whole += [_Resnet(resnet, causal=causal) for resnet in decoder.mid_block.resnets]
    blocks = list(decoder.up_blocks)
    whole += [_Level(block, causal=causal) for block in blocks[:-2]]
    streams: list[Any] = [_Level(block, causal=causal) for block in blocks[-2:]]
    streams.append(_Head(decoder, causal=causal))
    hidden: Tensor | None = x
    for stage in whole:
        hidden = stage(hidden, last=True)
    assert hidden is not None  # noqa: S101 - a clip has a frame, and last=True flushes it
    pieces = _run(streams[0], _pieces(hidden, max(1, chunk // 2)))
    for stage in streams[1:]:
        pieces = _run(stage, _split(pieces, chunk if stage is streams[1] else 2 * chunk))
    for piece, _ in pieces:
        if piece is not None:
            yield piece


def _scaled(vae: Any, latents: Tensor) -> Tensor:
    """Normalised latents as the decoder takes them."""
    weight = next(vae.decoder.parameters())
    mean, std = statistics(vae, weight.device)
    x = latents.to(weight.device, torch.float32) * std / vae.config.scaling_factor + mean
    x = x.to(weight.dtype)
    return x.contiguous(memory_format=torch.channels_last_3d) if x.is_cuda else x


def can_share(vae: Any, frames: int, gpus: int) -> bool:
    """Whether ``gpus`` can decode ``frames`` latent frames together."""
    return can_stream(vae) and not vae.decoder.is_causal and frames >= gpus


@torch.no_grad()
def decode_share(vae: Any, latents: Tensor, ulysses: Ulysses) -> Tensor:
    """Pixels ``[1, 3, T, 32·H, 32·W]`` of this GPU's frames of a whole clip's ``latents``.

    All of them at once; each convolution exchanges one frame with either neighbour, so that the
    shares together equal :func:`decode` to rounding.
    """
    own = ulysses.frames(latents.shape[2])
    hidden: Tensor | None = _scaled(vae, latents[:, :, own.start : own.stop])
    decoder = vae.decoder
    how: dict[str, Any] = {"causal": False, "ulysses": ulysses}
    stages: list[Any] = [_Conv(decoder.conv_in, **how)]
    stages += [_Resnet(resnet, **how) for resnet in decoder.mid_block.resnets]
    stages += [_Level(block, **how) for block in decoder.up_blocks]
    for stage in (*stages, _Head(decoder, **how)):
        hidden = stage(hidden, last=True)
    assert hidden is not None  # noqa: S101 - every GPU has a frame, and last=True flushes it
    return hidden


def _pieces(x: Tensor, size: int) -> Iterator[tuple[Tensor | None, bool]]:
    for start in range(0, x.shape[2], size):
        yield x[:, :, start : start + size], start + size >= x.shape[2]


def _split(
    pieces: Iterator[tuple[Tensor | None, bool]], size: int
) -> Iterator[tuple[Tensor | None, bool]]:
    """Pieces of at most ``size`` frames, so that a flush does not swell the next level."""
    for piece, last in pieces:
        if piece is None:
            yield None, last
            continue
        for part, end in _pieces(piece, size):
            yield part, last and end


def _run(
    stage: Any, pieces: Iterator[tuple[Tensor | None, bool]]
) -> Iterator[tuple[Tensor | None, bool]]:
    for piece, last in pieces:
        out = stage(piece, last=last)
        if out is not None or last:
            yield out, last


def to_bytes(pixels: Tensor) -> Tensor:
    """``[1, 3, T, H, W]`` in −1 … 1 → ``[T, H, W, 3]`` uint8, rounded half to even."""
    scaled = pixels[0].permute(1, 2, 3, 0).float().mul_(0.5).add_(0.5).clamp_(0, 1).mul_(255)
    return scaled.round_().to(torch.uint8).contiguous()


def to_frames(pieces: Iterator[Tensor]) -> Iterator[Frames]:
    """Frames ``[T, H, W, 3]`` uint8 to the CPU: while one piece is used, the next is decoded."""
    waiting: tuple[Tensor, torch.cuda.Event | None] | None = None
    for piece in pieces:
        queued = _start_copy(piece)
        if waiting is not None:
            yield _finish_copy(*waiting)
        waiting = queued
    if waiting is not None:
        yield _finish_copy(*waiting)


def _start_copy(frames: Tensor) -> tuple[Tensor, torch.cuda.Event | None]:
    if not frames.is_cuda:
        return frames, None
    host = torch.empty(frames.shape, dtype=torch.uint8, pin_memory=True)
    host.copy_(frames, non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return host, event


def _finish_copy(host: Tensor, event: torch.cuda.Event | None) -> Frames:
    if event is not None:
        event.synchronize()
    frames: Frames = np.asarray(host.numpy())
    return frames
