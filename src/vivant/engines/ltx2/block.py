"""One block of LTX-2's transformer, in plain torch: any device, any precision.

In float32 it equals diffusers' block to rounding. Knows nothing of steps or of other blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from vivant.engines.ltx2.attention import attend, nag_mix


class Rotary(NamedTuple):
    """Cosines and sines of one embedding, ``[tokens, heads, channels per head / 2]``."""

    cos: Tensor
    sin: Tensor


class Rotaries(NamedTuple):
    """The four embeddings of a grid."""

    video: Rotary
    audio: Rotary
    video_cross: Rotary
    audio_cross: Rotary


class TextKeys(NamedTuple):
    """Keys and values of the text in one block, ``[batch, text tokens, heads, channels]``.

    Positive first, then, where there is one, negative, on the token axis.
    """

    key: Tensor
    value: Tensor
    audio_key: Tensor
    audio_value: Tensor


class Modulation(NamedTuple):
    """Timestep embeddings of one step.

    ``video`` is ``[batch, kinds, 6·D]``, ``video_cross`` ``[batch, kinds, 4·D]``, and ``kind``
    ``[tokens]`` says which row a token takes: tokens of one conditioning strength share a
    timestep. The gates, on the global sigma, and the audio's are ``[batch, 1, …]``.
    """

    video: Tensor
    video_out: Tensor
    audio: Tensor
    audio_out: Tensor
    video_cross: Tensor
    video_gate: Tensor
    audio_cross: Tensor
    audio_gate: Tensor
    kind: Tensor


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Split rotary embedding of ``x`` ``[batch, tokens, heads, channels]``."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = rotary.cos.float(), rotary.sin.float()
    rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return rotated.to(x.dtype)


def norm(x: Tensor, eps: float) -> Tensor:
    """Root mean square over the channels, no weights."""
    return nn.functional.rms_norm(x, (x.shape[-1],), None, eps)


class Block(nn.Module):
    """One of diffusers' ``LTX2VideoTransformerBlock``, run by the rules of ``transformer.py``."""

    if TYPE_CHECKING:
        # the submodules and tables taken over from diffusers' block
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, source: Any, *, eps: float, fa3: bool = False) -> None:
        super().__init__()
        for name in (
            "attn1",
            "audio_attn1",
            "attn2",
            "audio_attn2",
            "audio_to_video_attn",
            "video_to_audio_attn",
            "ff",
            "audio_ff",
        ):
            setattr(self, name, getattr(source, name))
        for name in (
            "scale_shift_table",
            "audio_scale_shift_table",
            "video_a2v_cross_attn_scale_shift_table",
            "audio_a2v_cross_attn_scale_shift_table",
        ):
            self.register_parameter(name, getattr(source, name))
        self.eps = eps
        self.fa3 = fa3

    def text_keys(self, text: Tensor, audio_text: Tensor) -> TextKeys:
        """Keys and values of the projected text ``[batch, tokens, D]`` in this block."""
        parts = []
        for attn, source in ((self.attn2, text), (self.audio_attn2, audio_text)):
            parts.append(attn.norm_k(attn.to_k(source)).unflatten(-1, (attn.heads, -1)))
            parts.append(attn.to_v(source).unflatten(-1, (attn.heads, -1)))
        return TextKeys(*parts)

    def _attend(
        self,
        attn: Any,
        x: Tensor,
        context: Tensor,
        rotary: Rotary,
        key_rotary: Rotary,
    ) -> Tensor:
        heads = (attn.heads, -1)
        query = rotate(attn.norm_q(attn.to_q(x)).unflatten(-1, heads), rotary)
        key = rotate(attn.norm_k(attn.to_k(context)).unflatten(-1, heads), key_rotary)
        value = attn.to_v(context).unflatten(-1, heads)
        out: Tensor = attn.to_out[0](attend(query, key, value, fa3=self.fa3).flatten(2))
        return out

    def _attend_text(
        self, attn: Any, x: Tensor, key: Tensor, value: Tensor, length: int, nag: Tensor | None
    ) -> Tensor:
        query = attn.norm_q(attn.to_q(x)).unflatten(-1, (attn.heads, -1))
        out = attend(query, key[:, :length], value[:, :length], fa3=self.fa3).flatten(2)
        if nag is not None:
            negative = attend(query, key[:, length:], value[:, length:], fa3=self.fa3).flatten(2)
            out = nag_mix(out, negative, nag)
        joined: Tensor = attn.to_out[0](out)
        return joined

    def forward(
        self,
        x: Tensor,
        audio: Tensor,
        text: TextKeys,
        modulation: Modulation,
        rotaries: Rotaries,
        length: int,
        nag: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Video tokens ``[batch, tokens, D]`` and audio tokens → the same, one block later.

        Args:
            length: text tokens of the positive prompt inside ``text``.
            nag: ``(scale, tau, alpha)``, or None to attend to the positive prompt only.
        """
        eps, kind = self.eps, modulation.kind
        batch, kinds = modulation.video.shape[:2]
        table = self.scale_shift_table + modulation.video.view(batch, kinds, 6, -1)
        table = table.to(x.dtype)[:, kind]
        shift, scale, gate, shift_ff, scale_ff, gate_ff = table.unbind(2)
        audio_table = self.audio_scale_shift_table + modulation.audio.view(batch, 1, 6, -1)
        a_shift, a_scale, a_gate, a_shift_ff, a_scale_ff, a_gate_ff = audio_table.to(
            audio.dtype
        ).unbind(2)

        normed = norm(x, eps) * (1 + scale) + shift
        x = x + self._attend(self.attn1, normed, normed, rotaries.video, rotaries.video) * gate
        a_normed = norm(audio, eps) * (1 + a_scale) + a_shift
        audio = audio + a_gate * self._attend(
            self.audio_attn1, a_normed, a_normed, rotaries.audio, rotaries.audio
        )

        x = x + self._attend_text(self.attn2, norm(x, eps), text.key, text.value, length, nag)
        audio = audio + self._attend_text(
            self.audio_attn2,
            norm(audio, eps),
            text.audio_key,
            text.audio_value,
            length,
            nag,
        )

        cross = self.video_a2v_cross_attn_scale_shift_table
        v_table = (cross[:4] + modulation.video_cross.view(batch, kinds, 4, -1)).to(x.dtype)
        v_cross = v_table[:, kind].unbind(2)
        v_gate = (cross[4:] + modulation.video_gate.view(batch, 1, 1, -1)).to(x.dtype)[:, :, 0]
        cross = self.audio_a2v_cross_attn_scale_shift_table
        a_cross = (
            (cross[:4] + modulation.audio_cross.view(batch, 1, 4, -1)).to(audio.dtype).unbind(2)
        )
        a2v_gate = (cross[4:] + modulation.audio_gate.view(batch, 1, 1, -1)).to(audio.dtype)[
            :, :, 0
        ]
        normed, a_normed = norm(x, eps), norm(audio, eps)
        x = x + v_gate * self._attend(
            self.audio_to_video_attn,
            normed * (1 + v_cross[0]) + v_cross[1],
            a_normed * (1 + a_cross[0]) + a_cross[1],
            rotaries.video_cross,
            rotaries.audio_cross,
        )
        audio = audio + a2v_gate * self._attend(
            self.video_to_audio_attn,
            a_normed * (1 + a_cross[2]) + a_cross[3],
            normed * (1 + v_cross[2]) + v_cross[3],
            rotaries.audio_cross,
            rotaries.video_cross,
        )

        x = x + self.ff(norm(x, eps) * (1 + scale_ff) + shift_ff) * gate_ff
        audio = audio + self.audio_ff(norm(audio, eps) * (1 + a_scale_ff) + a_shift_ff) * a_gate_ff
        return x, audio
