"""A block whose linear layers are fp8: what is between the products runs in ``block_kernels``.

The video stream's norms, modulation, rotary embedding, GELU and rounding are one pass over memory
each; the audio stream, short, stays in plain torch. Knows nothing of steps or of other blocks.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from vivant.engines.ltx2 import block_kernels
from vivant.engines.ltx2.attention import attend
from vivant.engines.ltx2.block import Block, Modulation, Rotaries, Rotary, TextKeys, norm


class FusedBlock(Block):
    """A :class:`Block` of ``Float8Linear`` layers, faster."""

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
        """See :meth:`vivant.engines.ltx2.block.Block.forward`."""
        eps, kind, dtype = self.eps, modulation.kind, x.dtype
        batch, kinds = modulation.video.shape[:2]
        table = (self.scale_shift_table + modulation.video.view(batch, kinds, 6, -1)).to(dtype)
        shift, scale, gate, shift_ff, scale_ff, gate_ff = (
            part.contiguous() for part in table.unbind(2)
        )
        audio_table = self.audio_scale_shift_table + modulation.audio.view(batch, 1, 6, -1)
        a_shift, a_scale, a_gate, a_shift_ff, a_scale_ff, a_gate_ff = audio_table.to(dtype).unbind(
            2
        )

        # self-attention
        attn = self.attn1
        _, rounded, _ = block_kernels.norm(x, kind, eps=eps, modulation=(shift, scale))
        attended = self._joined(attn, rounded, rounded, x, rotaries.video, rotaries.video)
        a_normed = norm(audio, eps) * (1 + a_scale) + a_shift
        audio = audio + a_gate * self._attend(
            self.audio_attn1, a_normed, a_normed, rotaries.audio, rotaries.audio
        )

        # text
        attn = self.attn2
        x, rounded, _ = block_kernels.norm(x, kind, eps=eps, added=attended, gate=gate)
        query = block_kernels.head_norm(
            attn.to_q.multiply(rounded, dtype).view(x.shape[0], x.shape[1], -1),
            attn.norm_q.weight,
            attn.heads,
            attn.norm_q.eps,
            None,
        )
        out = attend(query, text.key[:, :length], text.value[:, :length], fa3=self.fa3)
        out = out.flatten(2).contiguous()
        if nag is None:
            rounded = block_kernels.quantize(out)
        else:
            other = attend(query, text.key[:, length:], text.value[:, length:], fa3=self.fa3)
            rounded = block_kernels.nag(out, other.flatten(2).contiguous(), nag)
        attended = attn.to_out[0].multiply(rounded, dtype).view_as(x)
        audio = audio + self._attend_text(
            self.audio_attn2, norm(audio, eps), text.audio_key, text.audio_value, length, nag
        )

        # video and audio listen to each other
        cross = self.video_a2v_cross_attn_scale_shift_table
        v_cross = (cross[:4] + modulation.video_cross.view(batch, kinds, 4, -1)).to(dtype)
        v_scale, v_shift, v_scale2, v_shift2 = (part.contiguous() for part in v_cross.unbind(2))
        v_gate = (cross[4:] + modulation.video_gate.view(batch, 1, 1, -1)).to(dtype)[:, :, 0]
        cross = self.audio_a2v_cross_attn_scale_shift_table
        a_cross = (cross[:4] + modulation.audio_cross.view(batch, 1, 4, -1)).to(dtype).unbind(2)
        a2v_gate = (cross[4:] + modulation.audio_gate.view(batch, 1, 1, -1)).to(dtype)[:, :, 0]
        x, rounded, context = block_kernels.norm(
            x,
            kind,
            eps=eps,
            added=attended,
            modulation=(v_shift, v_scale),
            second=(v_shift2, v_scale2),
        )
        a_normed = norm(audio, eps)
        heard = a_normed * (1 + a_cross[0]) + a_cross[1]
        attended = self._joined(
            self.audio_to_video_attn,
            rounded,
            block_kernels.quantize(heard.contiguous()),
            x,
            rotaries.video_cross,
            rotaries.audio_cross,
        )
        spoken = block_kernels.quantize((a_normed * (1 + a_cross[2]) + a_cross[3]).contiguous())
        audio = audio + a2v_gate * self._joined(
            self.video_to_audio_attn,
            spoken,
            context,
            audio,
            rotaries.audio_cross,
            rotaries.video_cross,
        )

        # feed-forward
        x, rounded, _ = block_kernels.norm(
            x,
            kind,
            eps=eps,
            added=attended,
            gate=v_gate.contiguous(),
            modulation=(shift_ff, scale_ff),
        )
        hidden = self.ff.net[0].proj.multiply(rounded, dtype)
        fed = self.ff.net[2].multiply(block_kernels.quantize(hidden, gelu=True), dtype)
        x = x + fed.view_as(x) * gate_ff[:, kind]
        audio = audio + self.audio_ff(norm(audio, eps) * (1 + a_scale_ff) + a_shift_ff) * a_gate_ff
        return x, audio

    def _joined(
        self,
        attn: Any,
        rounded: block_kernels.Rounded,
        context: Any,
        x: Tensor,
        rotary: Rotary,
        key_rotary: Rotary,
    ) -> Tensor:
        """:meth:`_attend` of rows already rounded; ``x`` gives batch and dtype."""
        batch, dtype = x.shape[0], x.dtype

        def project(linear: Any, rows: block_kernels.Rounded) -> Tensor:
            out: Tensor = linear.multiply(rows, dtype)
            return out.view(batch, -1, out.shape[-1])

        query = block_kernels.head_norm(
            project(attn.to_q, rounded), attn.norm_q.weight, attn.heads, attn.norm_q.eps, rotary
        )
        key = block_kernels.head_norm(
            project(attn.to_k, context), attn.norm_k.weight, attn.heads, attn.norm_k.eps, key_rotary
        )
        value = project(attn.to_v, context).unflatten(-1, (attn.heads, -1))
        out = attend(query, key, value, fa3=self.fa3).flatten(2).contiguous()
        return project(attn.to_out[0], block_kernels.quantize(out))
