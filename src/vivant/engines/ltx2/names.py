"""Lightricks' names of weights → diffusers'. No torch.

As in diffusers' ``scripts/convert_ltx2_to_diffusers.py``, for LTX-2.0 and 2.3.
"""

from __future__ import annotations

import re

_TRANSFORMER = (
    ("audio_patchify_proj", "audio_proj_in"),
    ("patchify_proj", "proj_in"),
    ("av_ca_video_scale_shift_adaln_single", "av_cross_attn_video_scale_shift"),
    ("av_ca_a2v_gate_adaln_single", "av_cross_attn_video_a2v_gate"),
    ("av_ca_audio_scale_shift_adaln_single", "av_cross_attn_audio_scale_shift"),
    ("av_ca_v2a_gate_adaln_single", "av_cross_attn_audio_v2a_gate"),
    ("scale_shift_table_a2v_ca_video", "video_a2v_cross_attn_scale_shift_table"),
    ("scale_shift_table_a2v_ca_audio", "audio_a2v_cross_attn_scale_shift_table"),
    ("prompt_adaln_single", "prompt_adaln"),
    ("audio_adaln_single", "audio_time_embed"),
    ("adaln_single", "time_embed"),
    ("q_norm", "norm_q"),
    ("k_norm", "norm_k"),
)
"""In this order: some names contain others."""

_CONNECTORS = (
    ("model.diffusion_model.", ""),
    ("connectors.", ""),
    ("video_embeddings_connector", "video_connector"),
    ("audio_embeddings_connector", "audio_connector"),
    ("transformer_1d_blocks", "transformer_blocks"),
    ("text_embedding_projection.aggregate_embed", "text_proj_in"),
    ("text_embedding_projection.video_aggregate_embed", "video_text_proj_in"),
    ("text_embedding_projection.audio_aggregate_embed", "audio_text_proj_in"),
    ("q_norm", "norm_q"),
    ("k_norm", "norm_k"),
)

_OF_CONNECTORS = ("video_connector", "audio_connector", "text_proj_in", "video_text_proj_in",
                  "audio_text_proj_in")  # fmt: skip

_NETWORK = "model.diffusion_model."
_STATISTICS = {
    "per_channel_statistics.mean-of-means": "latents_mean",
    "per_channel_statistics.std-of-means": "latents_std",
}
_VAE_BLOCK = re.compile(r"^(encoder\.down|decoder\.up)_blocks\.(\d+)\.(.+)$")
_ENCODER_LEVELS = 4


def renamed_in_transformer(name: str) -> str:
    """Diffusers' name of a module or tensor of the transformer."""
    for old, new in _TRANSFORMER:
        name = name.replace(old, new)
    return name


def renamed_in_connectors(name: str) -> str | None:
    """Diffusers' name of a module or tensor of the text connectors; None where it is of another."""
    for old, new in _CONNECTORS:
        name = name.replace(old, new)
    # Lightricks' other spelling of the same projection
    name = re.sub(r"^aggregate_embed\b", "text_proj_in", name)
    return name if name.startswith(_OF_CONNECTORS) else None


def transformer_name(name: str) -> str | None:
    """For a tensor of a file that holds all parts: None where it is another part's."""
    if not name.startswith(_NETWORK) or renamed_in_connectors(name) is not None:
        return None
    return renamed_in_transformer(name.removeprefix(_NETWORK))


def vae_name(name: str) -> str | None:
    """As :func:`transformer_name`, of the video VAE.

    The file counts resamplers as blocks of their own; diffusers puts them into the level they
    follow (encoder) or begin (decoder).
    """
    if not name.startswith("vae."):
        return None
    name = name.removeprefix("vae.")
    if name.startswith("per_channel_statistics."):
        return _STATISTICS.get(name)
    if match := _VAE_BLOCK.match(name):
        side, number, rest = match[1], int(match[2]), match[3]
        if side == "encoder.down":
            level, resamples = divmod(number, 2)
            where = f"down_blocks.{level}" + (".downsamplers.0" if resamples else "")
            middle = number == 2 * _ENCODER_LEVELS
        else:
            level, resamples = (number - 1) // 2, number % 2
            where = f"up_blocks.{level}" + (".upsamplers.0" if resamples else "")
            middle = number == 0
        name = f"{side.split('.')[0]}.{'mid_block' if middle else where}.{rest}"
    return name.replace("res_blocks", "resnets")


_VOCODER = (
    ("resblocks", "resnets"),
    ("conv_pre", "conv_in"),
    ("conv_post", "conv_out"),
    ("act_post", "act_out"),
    ("downsample.lowpass", "downsample"),
)


def audio_vae_name(name: str) -> str | None:
    """As :func:`transformer_name`, of the audio VAE."""
    if not name.startswith("audio_vae."):
        return None
    name = name.removeprefix("audio_vae.")
    return _STATISTICS.get(name) if name.startswith("per_channel_statistics.") else name


def vocoder_name(name: str) -> str | None:
    """As :func:`transformer_name`, of the vocoder; 2.3's holds two networks."""
    if not name.startswith("vocoder."):
        return None
    name = name.removeprefix("vocoder.")
    for old, new in _VOCODER:
        name = name.replace(old, new)
    # not the "ups" of "upsample"
    return re.sub(r"(^|\.)ups\.", r"\1upsamplers.", name)
