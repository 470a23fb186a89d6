"""What a denoising stage begins with: noisy video and audio tokens, and what holds them.

Noise is drawn here, video before audio, so that a seed gives the same clip as in diffusers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vivant.engines.ltx2.conditioning import (
    Tokens,
    clip_coords,
    conditioned,
    encode_frames,
    first_frame,
    grid_pixels,
    keyframe_coords,
    noise_like,
    pack_audio,
    shrunk,
)
from vivant.engines.ltx2.loading import ModelLoader
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.recipes import SPATIAL_FACTOR, TEMPORAL_FACTOR
from vivant.types import Frames, Image, Portrait, Request


class Refinement(NamedTuple):
    """What the second stage needs that does not depend on the first one's result."""

    beginning: Frames
    noise: Tensor
    audio_noise: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """One walk down the noise levels, at the grid's size or a part of it.

    Attributes:
        shrink: the grid's sides are divided by it.
        sigmas: noise levels, falling.
        generators: one for each clip of the batch.
        latents: ``[B, C, F, H, W]`` of the stage before, at this stage's size; None: noise alone.
        audio: audio tokens of the stage before.
        prepared: made while the stage before was denoised.
    """

    shrink: int
    sigmas: tuple[float, ...]
    generators: list[torch.Generator]
    latents: Tensor | None = None
    audio: Tensor | None = None
    prepared: Refinement | None = None


class StageInputs:
    """Makes the tokens of the stages of one pass.

    Args:
        loader: its model encodes.
        portrait: frame 0, where there is no ``prefix``.
        request: ``num_frames`` are those of this pass.
        options: of the request.
        prefix: frames ``[8k + 1, height, width, 3]`` that the clips begin with, on the grid.
    """

    def __init__(
        self,
        loader: ModelLoader,
        portrait: Portrait,
        request: Request,
        options: LTX2Options,
        prefix: Frames | None,
    ) -> None:
        self._loader = loader
        self._portrait, self._prefix = portrait, prefix
        self._request, self._options = request, options
        # motion slower than real time: the same frames, said to be closer together in time
        self._fps = float(request.fps) / options.motion_speed

    def latent_shape(self, shrink: int) -> tuple[int, int, int]:
        """Latent frames, rows and columns of a stage."""
        frames = (self._request.num_frames - 1) // TEMPORAL_FACTOR + 1
        width, height = self._options.width // shrink, self._options.height // shrink
        return frames, height // SPATIAL_FACTOR, width // SPATIAL_FACTOR

    def video(self, stage: StagePlan) -> Tokens:
        """Noisy video tokens, held to the picture or the prefix, and to the end anchor if any."""
        shape = self.latent_shape(stage.shrink)
        prepared = stage.prepared
        beginning = self._beginning(stage.shrink) if prepared is None else prepared.beginning
        image = self._encoded(beginning)
        transformer = self._loader.loaded.parts.transformer
        coords = clip_coords(transformer.rope, *shape, self._fps)
        if self._only_first_frame(stage):
            return first_frame(image, shape[0], coords, stage.generators)
        latents = stage.latents
        if latents is None:
            latents = torch.zeros(len(stage.generators), image.shape[1], *shape)
        return conditioned(
            latents,
            image,
            self._strength,
            coords,
            stage.sigmas[0],
            stage.generators,
            anchor=self._end_anchor(image, stage.shrink),
            noise=None if prepared is None else prepared.noise,
        )

    def audio(self, stage: StagePlan) -> Tensor:
        """Noisy audio tokens: the picture's model always makes sound too, and listens to it."""
        if stage.audio is not None:
            if stage.prepared is None:
                noise = noise_like(tuple(stage.audio.shape), stage.generators)
            else:
                noise = stage.prepared.audio_noise
            return noise * stage.sigmas[0] + stage.audio * (1 - stage.sigmas[0])
        parts = self._loader.loaded.parts
        config = parts.transformer.config
        channels, bins = parts.audio
        rate = (
            config.audio_sampling_rate / config.audio_hop_length / float(config.audio_scale_factor)
        )
        # of the same model time as the picture, which motion_speed stretches
        seconds = float(self._request.num_frames / self._request.fps) * self._options.motion_speed
        length = round(seconds * rate)
        batch = len(stage.generators)
        # diffusers draws on packed tokens where it conditions, and on latents where it does not
        if self._only_first_frame(stage):
            return pack_audio(noise_like((batch, channels, length, bins), stage.generators))
        return noise_like((batch, length, channels * bins), stage.generators)

    def refinement(
        self, tokens: Tensor, audio: Tensor, generators: list[torch.Generator]
    ) -> Refinement:
        """What the second stage needs of the CPU, in another thread while the first one runs.

        Args:
            tokens: of the first stage.
            audio: likewise.
            generators: whose next numbers are the second stage's.
        """
        # the first stage's tokens cover as many frames, at a part of the size
        _, rows, columns = self.latent_shape(1)
        _, small_rows, small_columns = self.latent_shape(self._options.recipe.stages)
        count = tokens.shape[1] // (small_rows * small_columns) * (rows * columns)
        noise = noise_like((tokens.shape[0], count, tokens.shape[2]), generators)
        return Refinement(self._beginning(1), noise, noise_like(tuple(audio.shape), generators))

    @property
    def _strength(self) -> float:
        # frames made before are kept: what would change in them is not shown
        return self._options.image_strength if self._prefix is None else 1.0

    def _only_first_frame(self, stage: StagePlan) -> bool:
        """Whether frame 0 is the picture itself, and all else is noise."""
        held = self._prefix is None and self._strength == 1
        return held and stage.latents is None and not self._options.end_anchor

    def _end_anchor(self, image: Tensor, shrink: int) -> tuple[Tensor, float, Tensor] | None:
        """Latents of the last keyframe, its strength and coordinates; None without one."""
        if not self._options.end_anchor:
            return None
        _, rows, columns = self.latent_shape(shrink)
        last_frame = self._request.num_frames - 1
        where = keyframe_coords(rows, columns, last_frame, self._fps, SPATIAL_FACTOR)
        if self._portrait.last is not None or self._prefix is not None:
            last = self._portrait.last or self._portrait
            image = self._encoded(self._pixels(last, shrink)[None])
        return image, self._options.end_anchor, where

    def _encoded(self, frames: Frames) -> Tensor:
        """Latents of frames on a grid."""
        with self._loader.loaded.vae.use() as vae:
            return encode_frames(vae, frames).cpu()

    def _beginning(self, shrink: int) -> Frames:
        """What the clips begin with, on the grid or a part of its size."""
        if self._prefix is None:
            return self._pixels(self._portrait, shrink)[None]
        return shrunk(self._prefix, shrink)

    def _pixels(self, portrait: Portrait, shrink: int) -> Image:
        """A picture on the grid, or a part of its size."""
        width, height = self._options.width // shrink, self._options.height // shrink
        crf = self._loader.loaded.image_crf(self._options)
        return grid_pixels(portrait, width, height, crf=crf)
