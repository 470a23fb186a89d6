"""The official forward pass and denoising loop, written from their rules in float64.

Read from Lightricks/LTX-2 (its head of August 2026): ``transformer_args.py``, ``transformer.py``,
``model.py`` and ``samplers.py``.

diffusers 0.42.1 departs from it in two places, and is no oracle for these:

* it conditions scale, shift and gate of the cross-attention between picture and sound on the same
  timestep. The rule: scale and shift on each token's own timestep, the gate on the global sigma;
* its estimate of the clean latents uses the full sigma also for tokens that are held in part. The
  rule: ``x0 = latents - sigma * (1 - strength) * velocity``.

:func:`follow_timestep_rule` and :class:`PartlyHeld` correct just these in diffusers' own pipelines.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class Reference:
    """One forward pass with a transformer's weights, token by token, in float64."""

    def __init__(self, transformer: Any) -> None:
        self.model = transformer
        self.config = transformer.config
        self.weights: dict[str, Tensor] = {
            name: value.double() for name, value in transformer.state_dict().items()
        }
        self.heads: int = self.config.num_attention_heads

    def linear(self, name: str, x: Tensor) -> Tensor:
        return nn.functional.linear(
            x, self.weights[f"{name}.weight"], self.weights.get(f"{name}.bias")
        )

    def embed(self, name: str, time: Tensor) -> tuple[Tensor, Tensor]:
        """``[...]`` timesteps → modulation values and the embedding itself."""
        rates = torch.exp(-math.log(10_000) * torch.arange(128, dtype=torch.float64) / 128)
        angles = time.double()[..., None] * rates
        x = torch.cat([angles.cos(), angles.sin()], dim=-1)
        x = self.linear(f"{name}.emb.timestep_embedder.linear_1", x)
        x = self.linear(f"{name}.emb.timestep_embedder.linear_2", nn.functional.silu(x))
        return self.linear(f"{name}.linear", nn.functional.silu(x)), x

    def project(self, name: str, text: Tensor) -> Tensor:
        x = nn.functional.gelu(self.linear(f"{name}.linear_1", text), approximate="tanh")
        return self.linear(f"{name}.linear_2", x)

    @staticmethod
    def norm(x: Tensor, weight: Tensor | None = None) -> Tensor:
        x = x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
        return x if weight is None else x * weight

    def split(self, x: Tensor, rotary: tuple[Tensor, Tensor] | None) -> Tensor:
        """``[B, T, C]`` → ``[B, H, T, C / H]``, rotated."""
        x = x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)
        if rotary is None:
            return x
        cos, sin = (part.double() for part in rotary)
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

    def attention(
        self,
        name: str,
        x: Tensor,
        context: Tensor,
        rotary: tuple[Tensor, Tensor] | None = None,
        key_rotary: tuple[Tensor, Tensor] | None = None,
        *,
        negative: Tensor | None = None,
        nag: tuple[float, float, float] | None = None,
    ) -> Tensor:
        def attended(source: Tensor) -> Tensor:
            query = self.norm(self.linear(f"{name}.to_q", x), self.weights[f"{name}.norm_q.weight"])
            key = self.norm(
                self.linear(f"{name}.to_k", source), self.weights[f"{name}.norm_k.weight"]
            )
            q, k = self.split(query, rotary), self.split(key, key_rotary)
            v = self.split(self.linear(f"{name}.to_v", source), None)
            weight = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
            joined: Tensor = (weight @ v).transpose(1, 2).flatten(2)
            return joined

        out = attended(context)
        if nag is not None:
            assert negative is not None
            scale, tau, alpha = nag
            guided = scale * out - (scale - 1) * attended(negative)
            ratio = guided.abs().sum(-1, keepdim=True) / out.abs().sum(-1, keepdim=True)
            guided = torch.where(ratio > tau, guided * tau / ratio, guided)
            out = alpha * guided + (1 - alpha) * out
        if f"{name}.to_gate_logits.weight" in self.weights:
            gates = 2 * torch.sigmoid(self.linear(f"{name}.to_gate_logits", x))
            out = (out.reshape(*gates.shape, -1) * gates[..., None]).flatten(2)
        return self.linear(f"{name}.to_out.0", out)

    def feed_forward(self, name: str, x: Tensor) -> Tensor:
        x = nn.functional.gelu(self.linear(f"{name}.net.0.proj", x), approximate="tanh")
        return self.linear(f"{name}.net.2", x)

    @torch.no_grad()
    def __call__(
        self,
        latents: Tensor,
        audio: Tensor,
        text: tuple[Tensor, Tensor],
        strengths: Tensor,
        sigma: float,
        coords: Tensor,
        audio_coords: Tensor,
        *,
        negative: tuple[Tensor, Tensor] | None = None,
        nag: tuple[float, float, float] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Velocities ``[B, T, C]`` of video and audio tokens.

        Args:
            text: connector outputs for video and audio, ``[1, tokens, channels]``.
            strengths: ``[T]``, how firmly each video token is held.
        """
        model, table = self.model, self.weights
        batch = latents.shape[0]
        rotary, audio_rotary = model.rope(coords), model.audio_rope(audio_coords)
        cross_rotary = model.cross_attn_rope(coords[:, 0:1])
        audio_cross_rotary = model.cross_attn_audio_rope(audio_coords[:, 0:1])
        x = self.linear("proj_in", latents.double())
        a = self.linear("audio_proj_in", audio.double())
        # every token has a timestep of its own; the sound's is the global one
        time = 1000 * sigma * (1 - strengths.double())[None]
        everywhere = torch.tensor([[1000 * sigma]], dtype=torch.float64)
        video_values, video_out = self.embed("time_embed", time)
        audio_values, audio_out = self.embed("audio_time_embed", everywhere)
        cross_values, _ = self.embed("av_cross_attn_video_scale_shift", time)
        audio_cross_values, _ = self.embed("av_cross_attn_audio_scale_shift", everywhere)
        ratio = (
            self.config.cross_attn_timestep_scale_multiplier / self.config.timestep_scale_multiplier
        )
        gate_values, _ = self.embed("av_cross_attn_video_a2v_gate", everywhere * ratio)
        audio_gate_values, _ = self.embed("av_cross_attn_audio_v2a_gate", everywhere * ratio)
        prompts: list[tuple[Tensor, Tensor]] = []
        for pair in (text, negative):
            if pair is None:
                continue
            video_text, audio_text = (one.double().expand(batch, -1, -1) for one in pair)
            if self.config.use_prompt_embeddings:
                video_text = self.project("caption_projection", video_text)
                audio_text = self.project("audio_caption_projection", audio_text)
            prompts.append((video_text, audio_text))

        def values(name: str, embedded: Tensor, part: slice = slice(None)) -> tuple[Tensor, ...]:
            rows = table[name][part]
            parts: tuple[Tensor, ...] = (
                rows + embedded.reshape(*embedded.shape[:2], len(rows), -1)
            ).unbind(2)
            return parts

        for index in range(self.config.num_layers):
            p = f"transformer_blocks.{index}."
            v_mod = values(p + "scale_shift_table", video_values)
            a_mod = values(p + "audio_scale_shift_table", audio_values)
            h = self.norm(x) * (1 + v_mod[1]) + v_mod[0]
            x = x + self.attention(p + "attn1", h, h, rotary, rotary) * v_mod[2]
            h = self.norm(a) * (1 + a_mod[1]) + a_mod[0]
            a = a + self.attention(p + "audio_attn1", h, h, audio_rotary, audio_rotary) * a_mod[2]
            # text
            out = []
            for stream, h, mod in ((0, x, v_mod), (1, a, a_mod)):
                sources = [prompt[stream] for prompt in prompts]
                query = self.norm(h)
                if len(mod) == 9:
                    query = query * (1 + mod[7]) + mod[6]
                    which = ("", "audio_")[stream]
                    embedded, _ = self.embed(f"{which}prompt_adaln", everywhere)
                    shift, scale = values(f"{p}{which}prompt_scale_shift_table", embedded)
                    sources = [source * (1 + scale) + shift for source in sources]
                attended = self.attention(
                    p + ("attn2", "audio_attn2")[stream],
                    query,
                    sources[0],
                    negative=sources[1] if len(sources) > 1 else None,
                    nag=nag,
                )
                out.append(h + (attended * mod[8] if len(mod) == 9 else attended))
            x, a = out
            # picture and sound attend to each other
            name = p + "video_a2v_cross_attn_scale_shift_table"
            v_cross = values(name, cross_values, slice(4))
            (v_gate,) = values(name, gate_values, slice(4, None))
            name = p + "audio_a2v_cross_attn_scale_shift_table"
            a_cross = values(name, audio_cross_values, slice(4))
            (a_gate,) = values(name, audio_gate_values, slice(4, None))
            h, k = self.norm(x), self.norm(a)
            x = x + v_gate * self.attention(
                p + "audio_to_video_attn",
                h * (1 + v_cross[0]) + v_cross[1],
                k * (1 + a_cross[0]) + a_cross[1],
                cross_rotary,
                audio_cross_rotary,
            )
            a = a + a_gate * self.attention(
                p + "video_to_audio_attn",
                k * (1 + a_cross[2]) + a_cross[3],
                h * (1 + v_cross[2]) + v_cross[3],
                audio_cross_rotary,
                cross_rotary,
            )
            h = self.norm(x) * (1 + v_mod[4]) + v_mod[3]
            x = x + self.feed_forward(p + "ff", h) * v_mod[5]
            h = self.norm(a) * (1 + a_mod[4]) + a_mod[3]
            a = a + self.feed_forward(p + "audio_ff", h) * a_mod[5]
        results = []
        for which, h, embedded in (("", x, video_out), ("audio_", a, audio_out)):
            shift, scale = (table[f"{which}scale_shift_table"] + embedded[:, :, None]).unbind(2)
            h = nn.functional.layer_norm(h, (h.shape[-1],), eps=1e-6)
            results.append(self.linear(f"{which}proj_out", h * (1 + scale) + shift))
        return results[0], results[1]

    def denoise(
        self,
        latents: Tensor,
        clean: Tensor,
        audio: Tensor,
        text: tuple[Tensor, Tensor],
        strengths: Tensor,
        sigmas: tuple[float, ...],
        coords: Tensor,
        audio_coords: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Euler steps down ``sigmas`` to 0, held tokens mixed with ``clean`` in every estimate."""
        latents, audio = latents.double(), audio.double()
        hold = strengths.double()[None, :, None]
        for sigma, following in zip(sigmas, (*sigmas[1:], 0.0), strict=True):
            velocity, audio_velocity = self(
                latents, audio, text, strengths, sigma, coords, audio_coords
            )
            estimate = latents - sigma * (1 - hold) * velocity
            estimate = estimate * (1 - hold) + clean.double() * hold
            latents = latents + (following - sigma) * (latents - estimate) / sigma
            audio = audio + (following - sigma) * audio_velocity
        return latents, audio


def follow_timestep_rule(transformer: Any) -> None:
    """Give diffusers' gates the global sigma; call it with ``use_cross_timestep=False``.

    Without that switch, scale and shift follow each token's own timestep, as they should, and so
    do the gates, as they should not. The global sigma is the timestep of the freest token.
    """

    def globally(_: Any, arguments: tuple[Tensor, ...], options: dict[str, Any]) -> Any:
        time = arguments[0].view(options["batch_size"], -1).amax(1)
        return (time,), options

    for gate in (
        transformer.av_cross_attn_video_a2v_gate,
        transformer.av_cross_attn_audio_v2a_gate,
    ):
        gate.register_forward_pre_hook(globally, with_kwargs=True)


class PartlyHeld:
    """Mixin for diffusers' condition pipeline: x0 of a held token by its own noise level."""

    _strengths: Tensor

    def prepare_latents(self, *args: Any, **kwargs: Any) -> Any:
        out = super().prepare_latents(*args, **kwargs)  # type: ignore[misc]
        self._strengths = out[1]
        return out

    def convert_velocity_to_x0(
        self, sample: Tensor, denoised_output: Tensor, step_idx: int, scheduler: Any
    ) -> Tensor:
        sigma: Tensor = scheduler.sigmas[step_idx]
        if scheduler is self.scheduler:  # type: ignore[attr-defined]  # the sound has its own
            sigma = sigma * (1 - self._strengths)
        return sample - denoised_output * sigma
