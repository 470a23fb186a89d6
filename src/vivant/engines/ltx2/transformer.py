"""The forward pass of LTX-2's transformer, without the work that need not be repeated.

The weights stay in diffusers' ``LTX2VideoTransformer3DModel``; this runs its layers so that

* modulation is computed once per distinct timestep (two or three) instead of once per token,
  for all steps of a clip at once;
* rotary embeddings are computed once per grid;
* the text's keys and values are computed once per clip, where they are the same at every step
  (LTX-2.0), or once per step for all clips made together (LTX-2.3);
* the negative text is attended to where NAG asks for it;
* fp8 blocks run their own kernels between the products, and their steps are recorded as CUDA graphs
  (``step_graphs.py``); other blocks are one compiled graph, shared by all 48.

In float32 it equals the official forward to rounding; where diffusers departs from that is told in
docs/ltx2.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count, repeat
from typing import Any

import torch
from torch import Tensor

from vivant.engines.ltx2 import block_kernels
from vivant.engines.ltx2.attention import choose_backend, kernel_of, using
from vivant.engines.ltx2.block import Rotaries, Rotary, TextKeys, TransformerBlock
from vivant.engines.ltx2.fp8 import Float8Linear, needs_widening
from vivant.engines.ltx2.fused_block import FusedBlock
from vivant.engines.ltx2.modulation import Modulation, rows_of_blocks
from vivant.engines.ltx2.sound_lane import SAME_STREAM, Lane, StreamLane
from vivant.engines.ltx2.step_graphs import AT_ONCE_TOKENS, StepGraphs
from vivant.engines.ltx2.ulysses import Ulysses
from vivant.errors import WeightsError


@dataclass(slots=True)
class TextContext:
    """What the transformer needs of a prompt, for all blocks.

    Attributes:
        keys: of every block, or None where they are computed at each use: to save memory, or
            because they depend on the noise level (LTX-2.3).
        text: projected text ``[batch, tokens, D]``, positive then negative.
        audio_text: the same for the audio stream.
        length: tokens of the positive prompt.
        has_negative: a negative prompt follows the positive one.
        clip: number of the clip, or of its stage, that it was made for.
    """

    keys: tuple[TextKeys, ...] | None
    text: Tensor
    audio_text: Tensor
    length: int
    has_negative: bool
    clip: int = field(default_factory=count().__next__)


_SUPPORTED: dict[str, Any] = {
    "rope_type": "split",
    "ff_bias": True,
    "audio_ff_bias": True,
    "use_prompt_adaln_single": True,
    "use_keyframes_abs_pos_embedding": False,
}
"""What LTX-2.0 and 2.3 have in common and later models have not. The seam: teach
:class:`TransformerBlock` one, and take it off this list."""


def check_supported(config: Any) -> None:
    """Refuse a transformer's configuration with parts of a later model.

    Raises:
        WeightsError: naming them.
    """
    later = {
        name: config[name] for name, value in _SUPPORTED.items() if config.get(name, value) != value
    }
    # what LTX-2.3 brought comes together or not at all
    news = {name: config.get(name, False) for name in _OF_2_3}
    projected = config.get("use_prompt_embeddings", True)
    if len({*news.values(), not projected}) > 1:
        later |= {name: True for name, value in news.items() if value}
        later |= {} if projected else {"use_prompt_embeddings": False}
    if later:
        what = ", ".join(
            name if value is True else f"{name}={value!r}" for name, value in later.items()
        )
        raise WeightsError(
            f"this transformer uses {what}, which belongs to another LTX model than "
            "2.0 or 2.3: choose one that `vivant weights list` names"
        )


_OF_2_3 = ("gated_attn", "audio_gated_attn", "cross_attn_mod", "audio_cross_attn_mod")
"""LTX-2.3 has all of these, LTX-2.0 none."""


MAX_SHAPES = 32
"""Compiled graphs that are kept, each for one size of clip. A worker meets more in its life, and
torch gives up, with an error, at twice as many."""


@dataclass(slots=True)
class _StepInputs:
    """What a step reads, as one list of tensors and back."""

    latents: Tensor
    audio: Tensor
    context: TextContext
    modulation: Modulation
    rotaries: Rotaries
    nag: Tensor | None

    def tensors(self) -> list[Tensor]:
        """Every tensor, in a fixed order; the text's keys only where they are kept."""
        context, keys = self.context, self.context.keys
        text = [context.text, context.audio_text] if keys is None else [t for k in keys for t in k]
        return [
            self.latents,
            self.audio,
            *([] if self.nag is None else [self.nag]),
            *(tensor for tensor in self.modulation if tensor is not None),
            *(tensor for rotary in self.rotaries for tensor in rotary),
            *text,
        ]

    def with_tensors(
        self, tensors: list[Tensor]
    ) -> tuple[Tensor, Tensor, TextContext, Modulation, Rotaries, Tensor | None]:
        """The same inputs made of other tensors of the same shapes."""
        rest = iter(tensors)
        latents, audio = next(rest), next(rest)
        nag = None if self.nag is None else next(rest)
        parts: list[Any] = [None if part is None else next(rest) for part in self.modulation]
        rotaries = Rotaries(*(Rotary(next(rest), next(rest)) for _ in self.rotaries))
        keys = self.context.keys
        if keys is None:
            context = replace(self.context, text=next(rest), audio_text=next(rest))
        else:
            made = tuple(TextKeys(*(next(rest) for _ in kept)) for kept in keys)
            context = replace(self.context, keys=made)
        return latents, audio, context, Modulation(*parts), rotaries, nag


class Denoiser:
    """Diffusers' transformer, ready to be run step after step.

    Args:
        transformer: an ``LTX2VideoTransformer3DModel`` with LTX-2.0's configuration; its linear
            layers may be :class:`~vivant.engines.ltx2.fp8.Float8Linear`.
        device: where it computes; where its weights are, if None.
        attention: one of ``options.ATTENTION``.
        compile_blocks: compile the block once, for all blocks (CUDA only).
        record: record steps as CUDA graphs (CUDA only; weights must stay where they are).
        ulysses: this process's part in a group; latents given are its own tokens.
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
        record: bool = False,
        ulysses: Ulysses | None = None,
    ) -> None:
        config = transformer.config
        check_supported(config)
        self.ulysses = ulysses
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
        for layer in transformer.modules():
            if isinstance(layer, Float8Linear):
                layer.weight_only = needs_widening(self.device)
                layer.kernel = block_kernels.quantize if fused else None
        block_class = FusedBlock if fused else TransformerBlock
        blocks = [
            block_class(block, eps=config.norm_eps, kernel=kernel_of(self.backend), ulysses=ulysses)
            for block in transformer.transformer_blocks
        ]
        self.graphs = StepGraphs() if record and not compile_blocks else None
        """Recorded steps, where steps are recorded."""
        self._shapes: set[tuple[Any, ...]] | None = set() if compile_blocks else None
        self._blocks = blocks
        self._lane: Lane = SAME_STREAM
        if fused and not compile_blocks:
            if self.device.type == "cuda":
                self._lane = StreamLane(self.device)
            for block in blocks:
                block.lane, block.sums = self._lane, True
        self.blocks: list[Callable[..., tuple[Tensor, Tensor]]] = list(blocks)
        if compile_blocks:
            torch._dynamo.config.recompile_limit = 2 * MAX_SHAPES
            for block in blocks:
                block.compile(fullgraph=True, dynamic=False)

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
        video, audio = video.to(self.device, self.dtype), audio.to(self.device, self.dtype)
        model = self.transformer
        if model.config.use_prompt_embeddings:
            # LTX-2.3 has this in its connectors
            video, audio = model.caption_projection(video), model.audio_caption_projection(audio)
        return TextContext(None, video, audio, length, negative is not None)

    def _text_keys(self, context: TextContext, modulation: Modulation) -> Iterator[TextKeys]:
        """Keys and values of every block, kept in ``context`` where they hold for all steps."""
        if context.keys is not None:
            yield from context.keys
            return
        made = (
            block.text_keys(context.text, context.audio_text, modulation) for block in self._blocks
        )
        if self.cache_text and modulation.prompt is None:
            context.keys = tuple(made)
            yield from context.keys
        else:
            yield from made

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
        # scale and shift by each token's own timestep, gates by the global one: the official rule,
        # from which both settings of diffusers' use_cross_timestep depart
        v_cross, _ = embed(model.av_cross_attn_video_scale_shift, video_time, kinds)
        v_gate, _ = embed(model.av_cross_attn_video_a2v_gate, time * ratio, 1)
        a_cross, _ = embed(model.av_cross_attn_audio_scale_shift, time, 1)
        a_gate, _ = embed(model.av_cross_attn_audio_v2a_gate, time * ratio, 1)
        prompts: list[tuple[Tensor | None, Tensor | None]] = [(None, None)] * steps
        if model.prompt_modulation:
            # of the global sigma, and so the same for all clips: their text is held once
            prompt = model.prompt_adaln(time, batch_size=steps, hidden_dtype=self.dtype)[0]
            audio_prompt = model.audio_prompt_adaln(
                time, batch_size=steps, hidden_dtype=self.dtype
            )[0]
            prompts = [
                (prompt[i].view(1, 1, -1), audio_prompt[i].view(1, 1, -1)) for i in range(steps)
            ]
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
                *prompts[i],
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
        shape = (
            latents.shape,
            audio_latents.shape,
            context.text.shape,
            context.length,
            modulation.video.shape,
            nag is None,
            self.ulysses and self.ulysses.tokens,
        )
        if self._shapes is not None:
            self._make_room(shape)
        if self.graphs is None:
            return self._step(latents, audio_latents, context, modulation, rotaries, nag)
        if context.keys is None and self.cache_text and modulation.prompt is None:
            context.keys = tuple(self._text_keys(context, modulation))
        given = _StepInputs(latents, audio_latents, context, modulation, rotaries, nag)
        return self.graphs.run(
            shape,
            context.clip,
            given.tensors(),
            lambda tensors: self._step(*given.with_tensors(tensors)),
            at_once=latents.shape[0] * latents.shape[1] <= AT_ONCE_TOKENS
            or self.ulysses is not None,
        )

    def _step(
        self,
        latents: Tensor,
        audio_latents: Tensor,
        context: TextContext,
        modulation: Modulation,
        rotaries: Rotaries,
        nag: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        model = self.transformer
        x = model.proj_in(latents.to(self.dtype))
        audio = model.audio_proj_in(audio_latents.to(self.dtype))
        with using(self.backend):
            text = self._text_keys(context, modulation)
            rows: Iterable[Any] = repeat(modulation, len(self.blocks))
            if self._shapes is None:  # compiled blocks combine them by themselves
                rows = rows_of_blocks(self._blocks, modulation, self.dtype)
            for block, keys, by in zip(self.blocks, text, rows, strict=True):
                x, audio = block(x, audio, keys, by, rotaries, context.length, nag)
            self._lane.join()
            last = self._blocks[-1]
            x, audio = (last.summed(tokens, modulation.kind) for tokens in (x, audio))
        shift, scale = self._out(model.scale_shift_table, modulation.video_out, modulation.kind)
        x = model.proj_out(model.norm_out(x) * (1 + scale) + shift)
        shift, scale = self._out(model.audio_scale_shift_table, modulation.audio_out, None)
        audio = model.audio_proj_out(model.audio_norm_out(audio) * (1 + scale) + shift)
        return x.float(), audio.float()

    def _make_room(self, shape: tuple[Any, ...]) -> None:
        """Forget all compiled graphs where one more would be too many: the disk still has them."""
        assert self._shapes is not None  # noqa: S101 - the caller looked
        if shape not in self._shapes and len(self._shapes) >= MAX_SHAPES:
            torch._dynamo.reset()
            self._shapes.clear()
        self._shapes.add(shape)

    @staticmethod
    def _out(table: Tensor, embedded: Tensor, kind: Tensor | None) -> tuple[Tensor, Tensor]:
        values = table[None, None] + embedded[:, :, None]
        if kind is not None:
            values = values[:, kind]
        return values[:, :, 0], values[:, :, 1]
