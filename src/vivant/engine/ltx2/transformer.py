"""The forward pass of LTX-2's transformer, without the work that need not be repeated.

The weights stay in diffusers' ``LTX2VideoTransformer3DModel``; this runs its layers so that

* modulation is computed once per distinct timestep (two or three) instead of once per token,
  for all steps of a clip at once;
* rotary embeddings are computed once per grid;
* the text's keys and values, the same at every step, are computed once per clip;
* the negative text is attended to where NAG asks for it;
* one block is one compiled graph, shared by all 48.

In float32 it equals diffusers' forward to rounding. It knows nothing of noise, steps or pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from vivant.engine.ltx2 import block_kernels
from vivant.engine.ltx2.attention import attend, choose_backend, nag_mix, using
from vivant.engine.ltx2.fp8 import Float8Linear
from vivant.errors import WeightsError


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

    ``video`` is ``[batch, kinds, 6·D]`` and ``kind`` ``[tokens]`` says which one a token takes:
    tokens of one conditioning strength share a timestep. The rest is ``[batch, 1, …]``.
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


def _norm(x: Tensor, eps: float) -> Tensor:
    return nn.functional.rms_norm(x, (x.shape[-1],), None, eps)


class Block(nn.Module):
    """One of diffusers' ``LTX2VideoTransformerBlock``, run by the rules of this module."""

    if TYPE_CHECKING:
        # the submodules and tables taken over from diffusers' block
        def __getattr__(self, name: str) -> Any: ...

    def __init__(self, source: Any, *, eps: float, fa3: bool = False, fused: bool = False) -> None:
        super().__init__()
        self.fused = fused
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
        if self.fused:
            return self._fused(x, audio, text, modulation, rotaries, length, nag)
        eps, kind = self.eps, modulation.kind
        batch, kinds = modulation.video.shape[:2]
        table = self.scale_shift_table + modulation.video.view(batch, kinds, 6, -1)
        table = table.to(x.dtype)[:, kind]
        shift, scale, gate, shift_ff, scale_ff, gate_ff = table.unbind(2)
        audio_table = self.audio_scale_shift_table + modulation.audio.view(batch, 1, 6, -1)
        a_shift, a_scale, a_gate, a_shift_ff, a_scale_ff, a_gate_ff = audio_table.to(
            audio.dtype
        ).unbind(2)

        normed = _norm(x, eps) * (1 + scale) + shift
        x = x + self._attend(self.attn1, normed, normed, rotaries.video, rotaries.video) * gate
        a_normed = _norm(audio, eps) * (1 + a_scale) + a_shift
        audio = audio + a_gate * self._attend(
            self.audio_attn1, a_normed, a_normed, rotaries.audio, rotaries.audio
        )

        x = x + self._attend_text(self.attn2, _norm(x, eps), text.key, text.value, length, nag)
        audio = audio + self._attend_text(
            self.audio_attn2,
            _norm(audio, eps),
            text.audio_key,
            text.audio_value,
            length,
            nag,
        )

        cross = self.video_a2v_cross_attn_scale_shift_table
        v_cross = (cross[:4] + modulation.video_cross.view(batch, 1, 4, -1)).to(x.dtype).unbind(2)
        v_gate = (cross[4:] + modulation.video_gate.view(batch, 1, 1, -1)).to(x.dtype)[:, :, 0]
        cross = self.audio_a2v_cross_attn_scale_shift_table
        a_cross = (
            (cross[:4] + modulation.audio_cross.view(batch, 1, 4, -1)).to(audio.dtype).unbind(2)
        )
        a2v_gate = (cross[4:] + modulation.audio_gate.view(batch, 1, 1, -1)).to(audio.dtype)[
            :, :, 0
        ]
        normed, a_normed = _norm(x, eps), _norm(audio, eps)
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

        x = x + self.ff(_norm(x, eps) * (1 + scale_ff) + shift_ff) * gate_ff
        audio = audio + self.audio_ff(_norm(audio, eps) * (1 + a_scale_ff) + a_shift_ff) * a_gate_ff
        return x, audio

    def _fused(
        self,
        x: Tensor,
        audio: Tensor,
        text: TextKeys,
        modulation: Modulation,
        rotaries: Rotaries,
        length: int,
        nag: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """:meth:`forward` with fp8 layers: the video stream through ``block_kernels``."""
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
        a_normed = _norm(audio, eps) * (1 + a_scale) + a_shift
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
            self.audio_attn2, _norm(audio, eps), text.audio_key, text.audio_value, length, nag
        )

        # video and audio listen to each other
        cross = self.video_a2v_cross_attn_scale_shift_table
        v_cross = (cross[:4] + modulation.video_cross.view(batch, 1, 4, -1)).to(dtype)
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
        a_normed = _norm(audio, eps)
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
        audio = audio + self.audio_ff(_norm(audio, eps) * (1 + a_scale_ff) + a_shift_ff) * a_gate_ff
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


@dataclass(frozen=True, slots=True)
class TextContext:
    """What the transformer needs of a prompt, for all blocks.

    Attributes:
        keys: of every block, or None where they are computed at each use (to save memory).
        text: projected text ``[batch, tokens, D]``, positive then negative.
        audio_text: the same for the audio stream.
        length: tokens of the positive prompt.
        has_negative: a negative prompt follows the positive one.
    """

    keys: tuple[TextKeys, ...] | None
    text: Tensor
    audio_text: Tensor
    length: int
    has_negative: bool


_UNSUPPORTED = (
    "gated_attn",
    "audio_gated_attn",
    "cross_attn_mod",
    "audio_cross_attn_mod",
    "perturbed_attn",
    "use_keyframes_abs_pos_embedding",
)
"""Of LTX-2.3 and later. The seam: teach :class:`Block` one, and take it off this list."""


class Denoiser:
    """Diffusers' transformer, ready to be run step after step.

    Args:
        transformer: an ``LTX2VideoTransformer3DModel`` with LTX-2.0's configuration; its linear
            layers may be :class:`~vivant.engine.ltx2.fp8.Float8Linear`.
        device: where it computes; where its weights are, if None.
        attention: one of ``attention.BACKENDS``.
        compile_blocks: compile the block once, for all blocks (CUDA only).
        fused: run fp8 layers through ``block_kernels``; where they are available, if None.
        cache_text: keep every block's text keys (1.2 GB; 2.4 GB with a negative prompt).

    Raises:
        WeightsError: the transformer has parts of a later model.
    """

    def __init__(
        self,
        transformer: Any,
        *,
        device: torch.device | None = None,
        attention: str = "auto",
        compile_blocks: bool = False,
        cache_text: bool = True,
        fused: bool | None = None,
    ) -> None:
        config = transformer.config
        later = [name for name in _UNSUPPORTED if config.get(name, False)]
        if later or config.rope_type != "split" or not config.use_prompt_embeddings:
            what = ", ".join(later) or f"rope_type={config.rope_type!r}"
            raise WeightsError(
                f"this transformer uses {what}, which belongs to another LTX model than 2.0: "
                "choose an LTX-2 19B checkpoint"
            )
        self.transformer = transformer
        self.device = device or transformer.proj_in.weight.device
        self.dtype: torch.dtype = transformer.proj_in.weight.dtype
        self.backend = choose_backend(self.device, attention)
        self.cache_text = cache_text
        self.forwards = 0
        """Forward passes so far: guidance off means one per step."""
        quantized = isinstance(transformer.transformer_blocks[0].attn1.to_q, Float8Linear)
        if fused is None:
            fused = quantized and block_kernels.available(self.device)
        blocks = [
            Block(block, eps=config.norm_eps, fa3=self.backend == "fa3", fused=fused)
            for block in transformer.transformer_blocks
        ]
        if compile_blocks:
            torch._dynamo.config.recompile_limit = 64
            for block in blocks:
                block.compile(fullgraph=True, dynamic=False)
        self.blocks: list[Callable[..., tuple[Tensor, Tensor]]] = list(blocks)
        self._blocks = blocks

    def rotaries(self, coords: Tensor, audio_coords: Tensor) -> Rotaries:
        """Embeddings of ``coords`` ``[1, 3, tokens, 2]`` (pixels, seconds) and audio's."""
        model = self.transformer
        half = torch.float16 if self.dtype == torch.bfloat16 else torch.float32

        def rotary(rope: Any, where: Tensor) -> Rotary:
            # fp16 has 2⁻¹¹ for values in −1 … 1: finer than the bf16 they multiply
            cos, sin = rope(where, device=where.device)
            return Rotary(
                cos[0].transpose(0, 1).to(half).contiguous(),
                sin[0].transpose(0, 1).to(half).contiguous(),
            )

        return Rotaries(
            video=rotary(model.rope, coords),
            audio=rotary(model.audio_rope, audio_coords),
            video_cross=rotary(model.cross_attn_rope, coords[:, 0:1]),
            audio_cross=rotary(model.cross_attn_audio_rope, audio_coords[:, 0:1]),
        )

    def text_context(
        self,
        text: tuple[Tensor, Tensor],
        negative: tuple[Tensor, Tensor] | None = None,
    ) -> TextContext:
        """Project connector outputs ``(video, audio)``, each ``[batch, tokens, channels]``."""
        video, audio = text
        length = video.shape[1]
        if negative is not None:
            video = torch.cat([video, negative[0]], dim=1)
            audio = torch.cat([audio, negative[1]], dim=1)
        projected = self.transformer.caption_projection(video.to(self.device, self.dtype))
        audio_projected = self.transformer.audio_caption_projection(
            audio.to(self.device, self.dtype)
        )
        keys = None
        if self.cache_text:
            keys = tuple(block.text_keys(projected, audio_projected) for block in self._blocks)
        return TextContext(keys, projected, audio_projected, length, negative is not None)

    def modulations(
        self, sigmas: tuple[float, ...], strengths: Tensor, kind: Tensor, batch: int
    ) -> list[Modulation]:
        """Timestep embeddings of every step.

        Args:
            strengths: ``[kinds]``, conditioning strength of each kind of token: its timestep is
                σ·(1 − strength).
            kind: ``[tokens]``, which kind a token is.
        """
        model, device = self.transformer, self.device
        # the scheduler's timesteps: σ of its 1000 training steps
        time = torch.tensor(sigmas, dtype=torch.float32, device=device) * 1000.0
        steps, kinds = len(sigmas), strengths.numel()
        video_time = (time[:, None] * (1 - strengths.to(device, torch.float32))).flatten()
        ratio = (
            model.config.cross_attn_timestep_scale_multiplier
            / model.config.timestep_scale_multiplier
        )

        def embed(module: Any, values: Tensor, count: int) -> tuple[Tensor, Tensor]:
            emb, out = module(values, batch_size=values.numel(), hidden_dtype=self.dtype)
            return (
                emb.view(steps, 1, count, -1).expand(-1, batch, -1, -1),
                out.view(steps, 1, count, -1).expand(-1, batch, -1, -1),
            )

        video, video_out = embed(model.time_embed, video_time, kinds)
        audio, audio_out = embed(model.audio_time_embed, time, 1)
        v_cross, _ = embed(model.av_cross_attn_video_scale_shift, time, 1)
        v_gate, _ = embed(model.av_cross_attn_video_a2v_gate, time * ratio, 1)
        a_cross, _ = embed(model.av_cross_attn_audio_scale_shift, time, 1)
        a_gate, _ = embed(model.av_cross_attn_audio_v2a_gate, time * ratio, 1)
        kind = kind.to(device)
        return [
            Modulation(
                video[i],
                video_out[i],
                audio[i],
                audio_out[i],
                v_cross[i],
                v_gate[i],
                a_cross[i],
                a_gate[i],
                kind,
            )
            for i in range(steps)
        ]

    def __call__(
        self,
        latents: Tensor,
        audio_latents: Tensor,
        context: TextContext,
        modulation: Modulation,
        rotaries: Rotaries,
        nag: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Velocities of packed latents, ``[batch, tokens, channels]``, float32."""
        self.forwards += 1
        model = self.transformer
        x = model.proj_in(latents.to(self.dtype))
        audio = model.audio_proj_in(audio_latents.to(self.dtype))
        with using(self.backend):
            for index, block in enumerate(self.blocks):
                keys = (
                    context.keys[index]
                    if context.keys is not None
                    else self._blocks[index].text_keys(context.text, context.audio_text)
                )
                x, audio = block(x, audio, keys, modulation, rotaries, context.length, nag)
        shift, scale = self._out(model.scale_shift_table, modulation.video_out, modulation.kind)
        x = model.proj_out(model.norm_out(x) * (1 + scale) + shift)
        shift, scale = self._out(model.audio_scale_shift_table, modulation.audio_out, None)
        audio = model.audio_proj_out(model.audio_norm_out(audio) * (1 + scale) + shift)
        return x.float(), audio.float()

    @staticmethod
    def _out(table: Tensor, embedded: Tensor, kind: Tensor | None) -> tuple[Tensor, Tensor]:
        values = table[None, None] + embedded[:, :, None]
        if kind is not None:
            values = values[:, kind]
        return values[:, :, 0], values[:, :, 1]
