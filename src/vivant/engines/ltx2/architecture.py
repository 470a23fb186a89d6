"""How each version of LTX-2 is built: the arguments of diffusers' classes. No torch.

From diffusers' ``scripts/convert_ltx2_to_diffusers.py``; arguments left out are the classes'
defaults. The tiny ones have every part of their version, for tests and rehearsals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """The parts of one version.

    Attributes:
        version: ``2.0`` or ``2.3``.
        audio: latent channels of the audio VAE, and mel bins after its compression by 4.
        audio_vae: arguments of ``AutoencoderKLLTX2Audio``.
        vocoder: of ``LTX2Vocoder``; of 2.3, ``LTX2VocoderWithBWE``.
        text: channels of the connectors' outputs for picture and sound.
    """

    version: str
    transformer: Mapping[str, Any]
    vae: Mapping[str, Any]
    upsampler: Mapping[str, Any]
    connectors: Mapping[str, Any]
    audio: tuple[int, int]
    audio_vae: Mapping[str, Any]
    vocoder: Mapping[str, Any]
    text: tuple[int, int]


_VAE: Final = {
    "decoder_causal": False,
    "spatial_compression_ratio": 32,
    "temporal_compression_ratio": 8,
}
"""The decoder sees both ways in time and has no timestep."""

_TRANSFORMER_2_3: Final = {
    "rope_type": "split",
    "gated_attn": True,
    "audio_gated_attn": True,
    "cross_attn_mod": True,
    "audio_cross_attn_mod": True,
    "use_prompt_embeddings": False,
    "perturbed_attn": True,
}
"""Attention gated per head, nine modulation parameters, text modulated by the noise level."""

_VAE_2_3: Final = {
    **_VAE,
    "decoder_inject_noise": (False, False, False, False, False),
    "decoder_spatio_temporal_scaling": (True, True, True, True),
    "decoder_spatial_padding_mode": "zeros",
    "upsample_type": ("spatiotemporal", "spatiotemporal", "temporal", "spatial"),
    "upsample_residual": (False, False, False, False),
    "upsample_factor": (2, 2, 1, 2),
}

_CONNECTORS_2_3: Final = {
    "rope_type": "split",
    "per_modality_projections": True,
    "proj_bias": True,
    "video_gated_attn": True,
    "audio_gated_attn": True,
}

LTX_2_0: Final = Architecture(
    version="2.0",
    transformer={"rope_type": "split"},
    vae=_VAE,
    upsampler={"rational_spatial_scale": 2.0, "use_rational_resampler": True},
    connectors={"rope_type": "split"},
    audio=(8, 16),
    audio_vae={},
    vocoder={"output_sampling_rate": 24_000},
    text=(3840, 3840),
)
"""19 billion parameters."""

LTX_2_3: Final = replace(
    LTX_2_0,
    version="2.3",
    transformer=_TRANSFORMER_2_3,
    vae={
        **_VAE_2_3,
        "block_out_channels": (256, 512, 1024, 1024),
        "layers_per_block": (4, 6, 4, 2, 2),
        "decoder_block_out_channels": (256, 512, 512, 1024),
        "decoder_layers_per_block": (4, 6, 4, 2, 2),
    },
    upsampler={"rational_spatial_scale": 2.0, "use_rational_resampler": False},
    connectors={
        **_CONNECTORS_2_3,
        "video_connector_num_attention_heads": 32,
        "video_connector_num_layers": 8,
        "audio_connector_num_attention_heads": 32,
        "audio_connector_attention_head_dim": 64,
        "audio_connector_num_layers": 8,
        "video_hidden_dim": 4096,
        "audio_hidden_dim": 2048,
    },
    vocoder={"input_sampling_rate": 16_000, "output_sampling_rate": 48_000},
    text=(4096, 2048),
)
"""22 billion parameters."""

_TINY_TRANSFORMER: Final = {
    "in_channels": 4,
    "out_channels": 4,
    "num_attention_heads": 4,
    "attention_head_dim": 8,
    "cross_attention_dim": 32,
    "audio_in_channels": 4,
    "audio_out_channels": 4,
    "audio_num_attention_heads": 4,
    "audio_attention_head_dim": 4,
    "audio_cross_attention_dim": 16,
    "num_layers": 2,
    "caption_channels": 16,
}
_TINY_VAE: Final = {
    "latent_channels": 4,
    "block_out_channels": (8, 8, 8, 8),
    "layers_per_block": (1, 1, 1, 1, 1),
}
_TINY_UPSAMPLER: Final = {"in_channels": 4, "mid_channels": 32, "num_blocks_per_stage": 1}
_TINY_CONNECTORS: Final = {
    "caption_channels": 16,
    "text_proj_in_factor": 3,
    "video_connector_num_attention_heads": 2,
    "video_connector_attention_head_dim": 8,
    "video_connector_num_layers": 1,
    "video_connector_num_learnable_registers": 8,
    "audio_connector_num_attention_heads": 2,
    "audio_connector_attention_head_dim": 8,
    "audio_connector_num_layers": 1,
    "audio_connector_num_learnable_registers": 8,
}
_TINY_AUDIO_VAE: Final = {
    "base_channels": 4,
    "ch_mult": (1, 1, 1),
    "num_res_blocks": 1,
    "latent_channels": 2,
    "mel_bins": 8,
}
_TINY_VOCODER: Final = {"in_channels": 16, "hidden_channels": 64}

TINY_2_0: Final = Architecture(
    version="2.0",
    transformer={**_TINY_TRANSFORMER, **LTX_2_0.transformer},
    vae={
        **_TINY_VAE,
        "decoder_block_out_channels": (8, 16, 32),
        "decoder_layers_per_block": (1, 1, 2, 1),
        **LTX_2_0.vae,
    },
    upsampler={**_TINY_UPSAMPLER, **LTX_2_0.upsampler},
    connectors={**_TINY_CONNECTORS, **LTX_2_0.connectors},
    audio=(2, 2),
    audio_vae=_TINY_AUDIO_VAE,
    vocoder={**_TINY_VOCODER, **LTX_2_0.vocoder},
    text=(16, 16),
)

TINY_2_3: Final = replace(
    TINY_2_0,
    version="2.3",
    transformer={**_TINY_TRANSFORMER, **_TRANSFORMER_2_3},
    vae={
        **_VAE_2_3,
        **_TINY_VAE,
        "decoder_block_out_channels": (8, 16, 16, 32),
        "decoder_layers_per_block": (1, 1, 2, 1, 1),
    },
    upsampler={**_TINY_UPSAMPLER, **LTX_2_3.upsampler},
    connectors={
        **_CONNECTORS_2_3,
        **_TINY_CONNECTORS,
        "video_connector_attention_head_dim": 16,
        "video_connector_num_layers": 2,
        "audio_connector_num_layers": 2,
        "video_hidden_dim": 32,
        "audio_hidden_dim": 16,
    },
    vocoder={
        **_TINY_VOCODER,
        "bwe_in_channels": 16,
        "bwe_hidden_channels": 32,
        "num_mel_channels": 8,
        **LTX_2_3.vocoder,
    },
    text=(32, 16),
)

ARCHITECTURES: Final[Mapping[str, Architecture]] = {"2.0": LTX_2_0, "2.3": LTX_2_3}
TINY: Final[Mapping[str, Architecture]] = {"2.0": TINY_2_0, "2.3": TINY_2_3}
