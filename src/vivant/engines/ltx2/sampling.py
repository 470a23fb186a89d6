"""The denoising loop.

Euler steps of a rectified flow, as diffusers' ``FlowMatchEulerDiscreteScheduler`` takes them
with its shift and its terminal rescaling off: those rewrite the distilled sigmas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from vivant.engines.ltx2.conditioning import Tokens
from vivant.engines.ltx2.transformer import Denoiser, TextContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Nag:
    """Normalised attention guidance: how strong, and at which noise levels.

    Attributes:
        scale: how far from the negative prompt, s ≥ 1.
        tau: most the guided output's L1 norm may grow, τ ≥ 1.
        alpha: share of the guided output, 0 … 1.
        from_sigma: off below this noise level: the layout is settled by then.
        to_sigma: off above this noise level.
    """

    scale: float
    tau: float
    alpha: float
    from_sigma: float
    to_sigma: float = 1.0

    def active(self, sigma: float) -> bool:
        """Whether a step at ``sigma`` is guided."""
        return self.from_sigma <= sigma <= self.to_sigma


@torch.no_grad()
def denoise(
    denoiser: Denoiser,
    tokens: Tokens,
    audio: Tensor,
    audio_coords: Tensor,
    context: TextContext,
    sigmas: tuple[float, ...],
    *,
    nag: Nag | None,
    after_step: Callable[[int], None],
) -> tuple[Tensor, Tensor]:
    """Walk ``sigmas`` down to 0.

    Args:
        tokens: noisy video tokens with their conditioning; all of them, also where several
            GPUs share the work.
        audio: noisy audio tokens ``[batch, tokens, channels]``, float32.
        after_step: called with the number of steps done; raising stops the loop there.

    Returns:
        Clean video tokens ``[batch, tokens, channels]`` and audio tokens, float32.
    """
    device = denoiser.device
    strengths, kind = torch.unique(tokens.mask[0, :, 0].cpu(), return_inverse=True)
    ulysses = denoiser.ulysses
    if ulysses is not None:
        tokens, kind = ulysses.share(tokens), ulysses.own_kinds(kind)
    latents = tokens.latents.to(device)
    audio = audio.to(device)
    keep = tokens.mask.to(device)
    clean = tokens.clean.to(device)
    rotaries = denoiser.rotaries(tokens.coords.to(device), audio_coords.to(device))
    modulations = denoiser.modulations(sigmas, strengths, kind, latents.shape[0])
    settings = None
    if nag is not None and context.has_negative:
        settings = torch.tensor([nag.scale, nag.tau, nag.alpha], dtype=torch.float32).to(device)
    for step, (sigma, following) in enumerate(zip(sigmas, (*sigmas[1:], 0.0), strict=True)):
        guided = settings if nag is not None and nag.active(sigma) else None
        velocity, audio_velocity = denoiser(
            latents, audio, context, modulations[step], rotaries, guided
        )
        # a token held with strength s has the noise level σ·(1 - s); diffusers takes σ for all
        denoised = latents - sigma * (1 - keep) * velocity
        denoised = denoised * (1 - keep) + clean * keep
        latents = latents + (following - sigma) * ((latents - denoised) / sigma)
        audio = audio + (following - sigma) * audio_velocity
        after_step(step + 1)
    return latents if ulysses is None else ulysses.whole(latents), audio
