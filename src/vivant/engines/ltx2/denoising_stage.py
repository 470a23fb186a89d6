"""One walk down a recipe's noise levels: what it needs, and how it is run with a loaded model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vivant.engines.ltx2.conditioning import Tokens
from vivant.engines.ltx2.memory import OffloadedModule
from vivant.engines.ltx2.prompts import Embedding
from vivant.engines.ltx2.sampling import Nag, denoise
from vivant.engines.ltx2.transformer import Denoiser


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoisingStage:
    """Inputs of one stage.

    Attributes:
        tokens: noisy video tokens of the whole clip, with their conditioning.
        audio: noisy audio tokens ``[batch, tokens, channels]``, float32.
        audio_coords: their coordinates.
        positive: the prompt's embedding, one for all clips of the batch.
        negative: the negative prompt's.
    """

    tokens: Tokens
    audio: Tensor
    audio_coords: Tensor
    sigmas: tuple[float, ...]
    positive: Embedding
    negative: Embedding | None
    nag: Nag | None

    def run(
        self, transformer: OffloadedModule, denoiser: Denoiser, after_step: Callable[[int], None]
    ) -> tuple[Tensor, Tensor]:
        """Clean video and audio tokens, on the GPU."""
        with transformer.use(), torch.no_grad():
            # one text for all clips of the batch: its keys are held once
            context = denoiser.text_context(self.positive, self.negative)
            return denoise(
                denoiser,
                self.tokens,
                self.audio,
                self.audio_coords,
                context,
                self.sigmas,
                nag=self.nag,
                after_step=after_step,
            )

    def tensors(self) -> list[Tensor]:
        """Every tensor, in a fixed order."""
        tokens = self.tokens
        return [
            tokens.latents,
            tokens.mask,
            tokens.clean,
            tokens.coords,
            self.audio,
            self.audio_coords,
            *self.positive,
            *(self.negative or ()),
        ]

    def parameters(self) -> dict[str, Any]:
        """What is not a tensor, for :meth:`from_tensors`."""
        return {
            "count": self.tokens.count,
            "sigmas": self.sigmas,
            "nag": self.nag,
            "has_negative": self.negative is not None,
        }

    @classmethod
    def from_tensors(
        cls,
        tensors: Iterator[Tensor],
        *,
        count: int,
        sigmas: tuple[float, ...],
        nag: Nag | None,
        has_negative: bool,
    ) -> DenoisingStage:
        """A stage from its :meth:`tensors` and its :meth:`parameters`."""
        latents, mask, clean, coords, audio, audio_coords = (next(tensors) for _ in range(6))
        return cls(
            tokens=Tokens(latents, mask, clean, coords, count),
            audio=audio,
            audio_coords=audio_coords,
            positive=(next(tensors), next(tensors)),
            negative=(next(tensors), next(tensors)) if has_negative else None,
            sigmas=sigmas,
            nag=nag,
        )
