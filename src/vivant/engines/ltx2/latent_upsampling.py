"""Latents at twice the size, between the two stages of a recipe."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vivant.engines.ltx2.conditioning import statistics
from vivant.engines.ltx2.loading import LoadedModel


@torch.no_grad()
def upsampled(loaded: LoadedModel, latents: Tensor, device: torch.device) -> Tensor:
    """Normalised latents ``[B, C, F, H, W]`` → ``[B, C, F, 2·H, 2·W]``, on the CPU."""
    assert loaded.upsampler is not None  # noqa: S101 - two stages load it
    mean, std = statistics(loaded.parts.vae, device)
    factor = loaded.parts.vae.config.scaling_factor
    out = []
    with loaded.upsampler.use() as upsampler:
        weight: Any = next(upsampler.parameters())
        for one in latents.split(1):
            raw = one.to(device) * std / factor + mean
            larger = upsampler(raw.to(weight.dtype)).float()
            out.append(((larger - mean) * factor / std).cpu())
    return torch.cat(out)
