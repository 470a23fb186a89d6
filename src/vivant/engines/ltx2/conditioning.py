"""From a picture to clean tokens among noisy ones.

Tokens are latents of one video latent pixel each, ``[batch, frames·rows·columns, channels]``.
A token with strength 1 is kept as it is; with strength 0 it is made from noise; between, its
noise level is σ·(1 − strength) and every estimate is mixed with the picture's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import av
import cv2
import numpy as np
import torch
from torch import Tensor

from vivant.picture.framing import crop_pixels, framed
from vivant.types import Box, Frames, Image, Portrait


@dataclass(frozen=True, slots=True)
class Tokens:
    """Video tokens ready for the first step.

    Attributes:
        latents: ``[batch, tokens, channels]`` float32, noised.
        mask: ``[batch, tokens, 1]`` strengths, 0 … 1.
        clean: the picture's latents where mask > 0, zeros elsewhere.
        coords: ``[1, 3, tokens, 2]``: start and end in seconds, rows and columns of pixels.
        count: tokens of the clip itself; those after it are keyframes, dropped at the end.
    """

    latents: Tensor
    mask: Tensor
    clean: Tensor
    coords: Tensor
    count: int


def pack(latents: Tensor) -> Tensor:
    """``[B, C, F, H, W]`` → ``[B, F·H·W, C]``."""
    return latents.flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, frames: int, rows: int, columns: int) -> Tensor:
    """``[B, F·H·W, C]`` → ``[B, C, F, H, W]``."""
    batch, _, channels = tokens.shape
    return tokens.transpose(1, 2).reshape(batch, channels, frames, rows, columns)


def pack_audio(latents: Tensor) -> Tensor:
    """``[B, C, L, M]`` → ``[B, L, C·M]``."""
    return latents.transpose(1, 2).flatten(2)


def recompress(pixels: Image, crf: int) -> Image:
    """One H.264 round trip at ``crf``, as the model's training pictures had.

    Lower keeps more facial detail, and tends to stiller clips; 0 keeps the picture as it is.
    """
    if crf == 0:
        return pixels
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    pixels = np.ascontiguousarray(pixels[:height, :width])
    buffer = BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream(
            "libx264", rate=1, options={"crf": str(crf), "preset": "veryfast"}
        )
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    buffer.seek(0)
    with av.open(buffer, "r") as container:
        decoded = next(container.decode(video=0))
        return np.asarray(decoded.to_ndarray(format="rgb24"), dtype=np.uint8)


def grid_pixels(portrait: Portrait, width: int, height: int, *, crf: int = 0) -> Image:
    """The portrait on a grid, ``[height, width, 3]``: its centre, cut back, is the crop.

    Where the grid's aspect is not the crop's, the frame shows more of the real picture. The
    re-compression comes before the resize, as in Lightricks' own pipeline: what the model sees
    of it depends on the picture's size.
    """
    if crf:
        region = framed(portrait.crop, width, height)
        rows, columns = portrait.pixels.shape[:2]
        margin = 16
        left = max(0, int(region.left) - margin)
        top = max(0, int(region.top) - margin)
        right = min(columns, int(np.ceil(region.right)) + margin)
        bottom = min(rows, int(np.ceil(region.bottom)) + margin)
        part = recompress(portrait.pixels[top:bottom, left:right], crf)
        crop = portrait.crop
        portrait = replace(
            portrait,
            pixels=part,
            crop=Box(crop.left - left, crop.top - top, crop.width, crop.height),
        )
    return crop_pixels(portrait, width, height)


def shrunk(frames: Frames, factor: int) -> Frames:
    """Frames at a part of their size: the mean of ``factor`` × ``factor`` pixels."""
    if factor == 1:
        return frames
    height, width = (side // factor for side in frames.shape[1:3])
    return np.stack(
        [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in frames]
    )


@torch.no_grad()
def encode_frames(vae: Any, frames: Frames) -> Tensor:
    """``[8k + 1, H, W, 3]`` uint8 on the grid → normalised latents ``[1, C, k + 1, H/32, W/32]``.

    They are float32. One frame is a picture.
    """
    weight = next(vae.encoder.parameters())
    tensor = torch.from_numpy(np.array(frames)).to(weight.device)
    tensor = (tensor.permute(3, 0, 1, 2)[None].float() / 127.5 - 1.0).to(weight.dtype)
    encoded = vae.encode(tensor).latent_dist.mode().float()
    mean, std = statistics(vae, encoded.device)
    latents: Tensor = (encoded - mean) / std
    return latents


def statistics(vae: Any, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the latents, ``[1, C, 1, 1, 1]`` float32."""
    shape = (1, -1, 1, 1, 1)
    return (
        vae.latents_mean.view(shape).to(device, torch.float32),
        vae.latents_std.view(shape).to(device, torch.float32),
    )


def clip_coords(rope: Any, frames: int, rows: int, columns: int, fps: float) -> Tensor:
    """Coordinates of a clip's latents, by the transformer's own embedding module."""
    coords: Tensor = rope.prepare_video_coords(
        1, frames, rows, columns, torch.device("cpu"), fps=fps
    )
    return coords


def keyframe_coords(rows: int, columns: int, frame: int, fps: float, factor: int) -> Tensor:
    """Coordinates of one picture at pixel frame ``frame``: it lasts that frame only.

    Follows ``VideoConditionByKeyframeIndex`` of Lightricks/LTX-2, with the pixel frame given
    (diffusers counts in latents, and cannot name a clip's last frame).
    """
    row = torch.arange(rows, dtype=torch.float32)
    column = torch.arange(columns, dtype=torch.float32)
    grid_r, grid_c = torch.meshgrid(row, column, indexing="ij")
    start = torch.stack(
        [torch.full_like(grid_r, float(frame)), grid_r * factor, grid_c * factor]
    ).flatten(1)
    end = torch.stack(
        [torch.full_like(grid_r, frame + 1.0), (grid_r + 1) * factor, (grid_c + 1) * factor]
    ).flatten(1)
    coords = torch.stack([start, end], dim=-1)[None]
    coords[:, 0] /= fps
    return coords


def noise_like(shape: tuple[int, ...], generators: list[torch.Generator]) -> Tensor:
    """Float32 noise, one generator per clip of the batch: a seed's noise is its own."""
    return torch.cat([torch.randn((1, *shape[1:]), generator=g) for g in generators])


def first_frame(
    image: Tensor,
    frames: int,
    coords: Tensor,
    generators: list[torch.Generator],
) -> Tokens:
    """Noise with the picture pinned as frame 0, drawn as diffusers' image-to-video does."""
    batch = len(generators)
    _, channels, _, rows, columns = image.shape
    shape = (batch, channels, frames, rows, columns)
    noise = noise_like(shape, generators)
    image = image.cpu()
    noise[:, :, :1] = image
    mask = torch.zeros(batch, frames * rows * columns, 1)
    mask[:, : rows * columns] = 1.0
    latents = pack(noise)
    return Tokens(latents, mask, latents * mask, coords, latents.shape[1])


def conditioned(
    latents: Tensor,
    image: Tensor,
    strength: float,
    coords: Tensor,
    sigma: float,
    generators: list[torch.Generator],
    *,
    anchor: tuple[Tensor, float, Tensor] | None = None,
    noise: Tensor | None = None,
) -> Tokens:
    """Latents re-noised to ``sigma``, the picture at the beginning and, optionally, at the end.

    Noise is drawn on packed tokens, keyframes included, as diffusers' condition pipeline does.

    Args:
        latents: normalised ``[batch, C, F, H, W]``; zeros to begin from noise alone.
        image: what the clip begins with, normalised: a picture ``[1, C, 1, H, W]``, or the last
            frames of the clip that it continues, ``[1, C, k + 1, H, W]``.
        strength: of these latents.
        anchor: the last keyframe's latents ``[1, C, 1, H, W]``, strength and coordinates.
        noise: of the packed tokens, where it is drawn already.
    """
    batch = latents.shape[0]
    packed = pack(latents.cpu().float()).clone()
    count = packed.shape[1]
    mask = torch.zeros(batch, count, 1)
    clean = torch.zeros_like(packed)
    picture = pack(image.cpu())
    first = picture.shape[1]
    packed[:, :first] = picture
    clean[:, :first] = picture
    mask[:, :first] = strength
    if anchor is not None:
        keyframe, hold, where = anchor
        extra = pack(keyframe.cpu()).expand(batch, -1, -1)
        packed = torch.cat([packed, extra], dim=1)
        clean = torch.cat([clean, extra], dim=1)
        mask = torch.cat([mask, torch.full((batch, extra.shape[1], 1), hold)], dim=1)
        coords = torch.cat([coords, where], dim=2)
    if noise is None:
        noise = noise_like(tuple(packed.shape), generators)
    share = (1.0 - mask) * sigma
    return Tokens(noise * share + packed * (1 - share), mask, clean, coords, count)
