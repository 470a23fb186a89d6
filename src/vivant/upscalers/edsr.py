"""EDSR: enhanced deep residual networks for super-resolution (Lim et al. 2017, arXiv 1707.02921).

The published network, and its published weight files (``EDSR-PyTorch`` names): width, depth and
scale are read from the file.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vivant.errors import WeightsError

MEAN = (0.4488, 0.4371, 0.4040)
"""Mean colour of DIV2K, subtracted and added back (EDSR-PyTorch)."""

RES_SCALE = 0.1
"""Residual scaling of the full 256-channel model; smaller ones use 1 (arXiv 1707.02921, §4)."""


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int, scale: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return x + out * self.scale


class EDSR(nn.Module):
    """``[B, 3, H, W]`` in 0 … 1 → ``[B, 3, scale·H, scale·W]``.

    Args:
        channels: width; 64 (baseline) or 256 (full).
        blocks: depth; 16 or 32.
        scale: 2, 3 or 4.
    """

    def __init__(self, channels: int = 64, blocks: int = 16, scale: int = 2) -> None:
        super().__init__()
        self.scale = scale
        residual = RES_SCALE if channels >= 256 else 1.0
        self.head = nn.Sequential(nn.Conv2d(3, channels, 3, padding=1))
        self.body = nn.Sequential(
            *(_ResidualBlock(channels, residual) for _ in range(blocks)),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        up: list[nn.Module] = []
        for factor in (2, 2) if scale == 4 else (scale,):
            up += [
                nn.Conv2d(channels, channels * factor**2, 3, padding=1),
                nn.PixelShuffle(factor),
            ]
        self.tail = nn.Sequential(nn.Sequential(*up), nn.Conv2d(channels, 3, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge."""
        # the published weights live on a scale of 0 … 255
        mean = torch.tensor(MEAN, dtype=x.dtype, device=x.device).view(1, 3, 1, 1)
        x = (x - mean) * 255
        x = self.head(x)
        body: Tensor = self.body(x)
        out: Tensor = self.tail(x + body)
        return out / 255 + mean


def from_state(state: dict[str, Any], name: str) -> EDSR | None:
    """The network a weight file holds, or None where it is not an EDSR.

    Raises:
        WeightsError: it is one, but not whole.
    """
    state = {key: value for key, value in state.items() if not key.startswith(("sub_", "add_"))}
    if "head.0.weight" not in state or "tail.0.0.weight" not in state:
        return None
    channels = int(state["head.0.weight"].shape[0])
    blocks = len(
        {key.split(".")[1] for key in state if key.startswith("body.") and ".body." in key}
    )
    factor = round((state["tail.0.0.weight"].shape[0] / channels) ** 0.5)
    scale = factor**2 if "tail.0.2.weight" in state else factor
    model = EDSR(channels, blocks, scale)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(
            f"{name} is not a whole EDSR: {str(error).splitlines()[-1].strip()}"
        ) from None
    return model
