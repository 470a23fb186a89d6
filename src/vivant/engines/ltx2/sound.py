"""The model's sound: audio latents → mel spectrogram (audio VAE) → waveform (vocoder).

LTX-2.0's vocoder gives 24 kHz. 2.3's gives 16 kHz, which a second network extends to 48 kHz. The
two networks are diffusers' classes; they are read only for clips with sound. The vocoder runs in
float32, as Lightricks' own code does: rounding errors of bf16 add up over its 108 convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vivant.engines.ltx2.architecture import Architecture
from vivant.engines.ltx2.checkpoint import (
    config_of,
    diffusers_config,
    empty,
    files_of,
    fill,
    read_component,
)
from vivant.engines.ltx2.diffusers_classes import sound_classes
from vivant.engines.ltx2.memory import OffloadedModule
from vivant.engines.ltx2.names import audio_vae_name, vocoder_name
from vivant.engines.ltx2.tiny import randomize
from vivant.engines.ltx2.without_compiler import without_compiler
from vivant.errors import EngineError, MissingPartError
from vivant.types import Sound
from vivant.weights import Model, read_header


@dataclass(frozen=True, slots=True)
class SoundDecoder:
    """Both networks, in their places. ``rate`` is that of the waveform, samples per second."""

    vae: OffloadedModule
    vocoder: OffloadedModule
    rate: int

    @torch.no_grad()
    def decode(self, tokens: Tensor) -> list[Sound]:
        """Clean audio tokens ``[clips, tokens, channels·bins]`` → the sound of each clip.

        Raises:
            EngineError: it is not finite.
        """
        sounds = []
        for one in tokens.split(1):  # one at a time: what is in between takes memory
            with self.vae.use() as vae:
                mel = _spectrogram(vae, one.to(self.vae.device))
            with self.vocoder.use() as vocoder:
                waveform: Tensor = vocoder(mel.to(torch.float32))
            samples = waveform[0].float().cpu().numpy()
            if not np.isfinite(samples).all():
                raise EngineError(
                    "the vocoder returned values that are not finite: the weights of the sound "
                    "are broken; make the clip without sound, or pull the model again"
                )
            sounds.append(Sound(np.ascontiguousarray(samples.clip(-1.0, 1.0)), self.rate))
        return sounds


def _spectrogram(vae: Any, tokens: Tensor) -> Tensor:
    """Normalised tokens ``[1, tokens, channels·bins]`` → log-mel ``[1, 2, frames, mel bins]``."""
    mean, std = vae.latents_mean.float(), vae.latents_std.float()
    channels = vae.config.latent_channels
    latents = (tokens.float() * std + mean).unflatten(2, (channels, -1)).transpose(1, 2)
    weight = next(vae.decoder.parameters())
    spectrogram: Tensor = vae.decode(latents.to(weight.dtype)).sample
    return spectrogram


def check_sound_parts(model: Model, folder: Path) -> None:
    """Refuse a model whose sound was not pulled, before anything is loaded.

    Raises:
        MissingPartError: with what to run.
    """
    if model.single_file is not None:
        names = read_header(folder / model.single_file)
        there = any(name.startswith("vocoder.") for name in names)
    else:
        there = all(any((folder / part).glob("*.safetensors")) for part in ("audio_vae", "vocoder"))
    if not there:
        raise MissingPartError(
            f"the sound of {model.name} is not in {folder} (audio_vae and vocoder, 0.2 GB): run "
            f"`vivant weights pull {model.name}`, or make the clip without sound"
        )


def load_sound_decoder(
    model: Model,
    folder: Path,
    architecture: Architecture,
    *,
    device: torch.device,
    swap: bool,
) -> SoundDecoder:
    """Read both networks of a pulled model.

    Raises:
        MissingPartError: a file is not there.
        WeightsError: a file is corrupt, or another model's.
    """
    check_sound_parts(model, folder)
    classes = sound_classes(architecture.version)
    vae_type = torch.bfloat16 if device.type == "cuda" else torch.float32
    store = torch.device("cpu") if swap else device
    single = folder / model.single_file if model.single_file else None
    modules = []
    for part, cls, dtype, config in (
        ("audio_vae", classes.vae, vae_type, architecture.audio_vae),
        ("vocoder", classes.vocoder, torch.float32, architecture.vocoder),
    ):
        if single is None:
            files, config = files_of(folder / part), config_of(folder / part)
        else:
            files = [single]
            config = (diffusers_config(read_header(single), single) or {}).get(part, config)
        module = empty(cls, config, files[0])
        _complete(module, config, classes.resampler)
        tensors = _decoding(part, read_component(files, device, store), single is not None)
        fill(module, tensors, dtype=dtype, device=device, store=store)
        modules.append(module)
    return _placed(modules[0], modules[1], device, swap=swap)


def random_sound_decoder(
    architecture: Architecture, *, device: torch.device, swap: bool
) -> SoundDecoder:
    """Random weights: noise that is made as fast as sound."""
    classes = sound_classes(architecture.version)
    vae_type = torch.bfloat16 if device.type == "cuda" else torch.float32

    @torch.no_grad()
    def build(cls: Any, config: Mapping[str, Any], dtype: torch.dtype) -> Any:
        module = randomize(cls(**config))
        for name, parameter in module.named_parameters():
            if name.endswith("conv_out.weight"):
                parameter.mul_(0.05)  # not so loud that all of it is cut off at 1
        generator = torch.Generator().manual_seed(1)
        for name, buffer in module.named_buffers():
            if not name.endswith("filter"):  # statistics and spectra: of a checkpoint, not computed
                buffer.copy_(torch.rand(buffer.shape, generator=generator) * 0.1)
                if name.endswith("std"):
                    buffer.add_(0.9)
        return nn.Module.to(module, dtype)

    vae = without_compiler(lambda: build(classes.vae, architecture.audio_vae, vae_type))
    vocoder = without_compiler(lambda: build(classes.vocoder, architecture.vocoder, torch.float32))
    return _placed(vae, vocoder, device, swap=swap)


def _placed(vae: Any, vocoder: Any, device: torch.device, *, swap: bool) -> SoundDecoder:
    vae.encoder = None
    for module in (vae, vocoder):
        module.eval().requires_grad_(requires_grad=False)
    return SoundDecoder(
        OffloadedModule(vae, device, swap=swap),
        OffloadedModule(vocoder, device, swap=swap),
        int(vocoder.config.output_sampling_rate),
    )


def _complete(module: Any, config: Mapping[str, Any], resampler: Any) -> None:
    """What no file holds: the encoder is not needed, the resampler's filter is computed."""
    if hasattr(module, "encoder"):
        module.encoder = None
    if hasattr(module, "resampler"):
        ratio = config["output_sampling_rate"] // config["input_sampling_rate"]
        module.resampler = resampler(ratio=ratio, window_type="hann", persistent=False)


def _decoding(
    part: str, tensors: Iterator[tuple[str, Tensor]], single: bool
) -> Iterator[tuple[str, Tensor]]:
    """Tensors that decoding needs, under diffusers' names."""
    rename = audio_vae_name if part == "audio_vae" else vocoder_name
    for name, tensor in tensors:
        renamed = rename(name) if single else name
        if renamed is not None and not renamed.startswith("encoder."):
            yield renamed, tensor
