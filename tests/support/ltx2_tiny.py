"""Tiny LTX-2 parts shared by the tests of the engine."""

from __future__ import annotations

import gc
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ltx2_reference import follow_timestep_rule
from vivant.engines.ltx2 import tiny
from vivant.engines.ltx2.architecture import TINY
from vivant.engines.ltx2.engine import LTX2Engine
from vivant.settings import Settings
from vivant.types import Box, Portrait, Request, Source

WIDTH, HEIGHT, FRAMES = 192, 128, 17
"""Grid of the tests: 6 × 4 latents, three latent frames; 64 divides both for two stages."""

torch.set_num_threads(1)


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(cache_dir=folder / "cache", data_dir=folder / "data", **changes)


def engine(folder: Path, **changes: Any) -> LTX2Engine:
    if "transformers" in sys.modules:  # the last and largest that a clip imports
        _keep_modules()
    return LTX2Engine(settings(folder, **changes), "cpu")


@cache
def _keep_modules() -> None:
    """Let no collection of garbage look at the imported modules again.

    An engine collects garbage whenever it lets go of a component: 0.3 s each time otherwise.
    """
    gc.collect()
    gc.freeze()


def portrait() -> Portrait:
    """A smooth picture, so that a fraction of a pixel is a small difference."""
    rows, columns = np.mgrid[0:200, 0:260] / 40.0
    pixels = np.stack(
        [127 + 100 * np.sin(rows), 127 + 100 * np.cos(columns), 127 + 60 * np.sin(rows + columns)],
        axis=-1,
    ).astype(np.uint8)
    return Portrait(
        pixels=pixels,
        crop=Box(20, 30, 192, 108),
        faces=(),
        source=Source("p.png", "PNG", 260, 200, 1, "0" * 64),
    )


MODELS = {"2.0": "ltx-2-19b-distilled", "2.3": "ltx-2.3-22b-distilled"}
"""A model of the registry for each version."""


def request(version: str = "2.0", **options: Any) -> Request:
    fields = {
        key: options.pop(key)
        for key in ("seed", "prompt", "negative_prompt", "num_frames")
        if key in options
    }
    return Request(
        image=b"",
        **{"num_frames": FRAMES, "seed": 3, **fields},
        width=192,
        height=108,
        options={
            "weights": "tiny",
            "grid": f"{WIDTH}x{HEIGHT}",
            **({} if version == "2.0" else {"model": MODELS[version]}),
            **options,
        },
    )


def stock(cls: Any, **parts: Any) -> Any:
    """One of diffusers' pipelines around the engine's tiny components.

    Its cross-attention gates follow the global sigma: call it with ``use_cross_timestep=False``.
    """
    from diffusers import FlowMatchEulerDiscreteScheduler
    from diffusers.models.autoencoders.autoencoder_kl_ltx2_audio import AutoencoderKLLTX2Audio
    from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors

    follow_timestep_rule(parts["transformer"])
    version = "2.0" if parts["transformer"].config.use_prompt_embeddings else "2.3"
    torch.manual_seed(0)
    audio = AutoencoderKLLTX2Audio(
        base_channels=4, ch_mult=(1, 1, 1), num_res_blocks=1, latent_channels=2, mel_bins=8
    ).eval()
    audio.latents_mean.copy_(torch.randn(4) * 0.1)
    audio.latents_std.copy_(torch.rand(4) + 0.5)
    pipe = cls(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        audio_vae=audio,
        text_encoder=tiny.tiny_text_encoder(),
        tokenizer=tiny.TinyTokenizer(),
        connectors=tiny.build(LTX2TextConnectors, TINY[version].connectors),
        vocoder=None,
        **parts,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe
