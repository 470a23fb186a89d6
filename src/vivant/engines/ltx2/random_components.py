"""Components with random weights: tiny ones for tests, or at real size to time with."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from vivant.engines.ltx2 import tiny
from vivant.engines.ltx2.architecture import Architecture
from vivant.engines.ltx2.components import Components, named
from vivant.engines.ltx2.decode import prepare
from vivant.engines.ltx2.diffusers_classes import (
    AutoencoderKLLTX2Video,
    LTX2LatentUpsamplerModel,
    LTX2TextConnectors,
    LTX2VideoTransformer3DModel,
)
from vivant.engines.ltx2.lora import Adapter, fuse
from vivant.engines.ltx2.prompts import MAX_TOKENS, Embedding, EncodeTexts, PromptEncoder


def random_components(
    architecture: Architecture,
    *,
    small: bool,
    device: torch.device,
    store: torch.device,
    precision: str,
    two_stages: bool,
    adapters: tuple[Adapter, ...] = (),
    seed: int = 0,
) -> Components:
    """Random weights: tiny, or at real size to time with.

    Args:
        architecture: which version, and of which size.
        small: with a tiny text encoder; else every text gets noise.
        device: where they are drawn.
        store: where they stay.
    """
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    quantized = precision == "fp8"

    def make(cls: Any, config: Any, **more: Any) -> Any:
        module = tiny.build(cls, config, device=device, dtype=dtype, seed=seed, **more)
        return nn.Module.to(module, store)

    transformer = make(LTX2VideoTransformer3DModel, architecture.transformer, quantize=quantized)
    fuse(transformer, adapters)
    vae = make(AutoencoderKLLTX2Video, architecture.vae)
    prepare(vae)
    upsampler = None
    if two_stages:
        upsampler = make(LTX2LatentUpsamplerModel, architecture.upsampler)
    text: EncodeTexts = (
        _tiny_text(architecture, device, dtype, seed, adapters)
        if small
        else partial(_noise_for_text, architecture.text, seed)
    )
    return Components(
        transformer=transformer,
        vae=vae,
        upsampler=upsampler,
        text=text,
        audio=architecture.audio,
        identity=named(
            {
                "model": f"{'tiny' if small else 'random'} LTX-{architecture.version}",
                "seed": str(seed),
                "dtype": str(dtype),
            },
            adapters,
        ),
        precision=precision,
        notes=[
            "The weights are random: the frames are noise, made as fast as real ones.",
            *(note for adapter in adapters for note in adapter.notes()),
        ],
    )


def _tiny_text(
    architecture: Architecture,
    device: torch.device,
    dtype: torch.dtype,
    seed: int,
    adapters: tuple[Adapter, ...],
) -> EncodeTexts:
    def connectors() -> Any:
        module = tiny.build(
            LTX2TextConnectors, architecture.connectors, device=device, dtype=dtype, seed=seed
        )
        fuse(module, adapters, text=True)
        return module

    return PromptEncoder(
        tokenizer=tiny.TinyTokenizer,
        text_encoder=lambda: nullcontext(tiny.tiny_text_encoder(seed).to(device, dtype)),
        connectors=connectors,
        device=device,
        max_tokens=16,
    )


def _noise_for_text(
    channels: tuple[int, int], seed: int, texts: tuple[str, ...]
) -> Generator[Embedding]:
    """Random weights have no text encoder: each text gets noise of its own."""
    for text in texts:
        generator = torch.Generator().manual_seed(
            seed + sum(byte << (8 * (i % 6)) for i, byte in enumerate(text.encode()))
        )
        video, audio = (
            torch.randn((1, MAX_TOKENS, width), generator=generator).to(torch.bfloat16)
            for width in channels
        )
        yield video, audio
