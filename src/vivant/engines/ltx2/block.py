"""One block of LTX-2's transformer, in plain torch: any device, any precision.

Of LTX-2.0 and of 2.3, whose attention is gated per head and whose text attention is modulated too.
In float32 it equals the official block to rounding. ``fused_block.py`` runs the same steps with
its own kernels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from vivant.engines.ltx2.attention import Kernel, attend, nag_mix
from vivant.engines.ltx2.ulysses import Ulysses


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

    ``video`` is ``[batch, kinds, 6·D]`` (LTX-2.3: 9·D), ``video_cross`` ``[batch, kinds, 4·D]``,
    and ``kind`` ``[tokens]`` says which row a token takes: tokens of one conditioning strength
    share a timestep. The gates, on the global sigma, and the audio's are ``[batch, 1, …]``.
    ``prompt`` and ``audio_prompt`` ``[1, 1, 2·D]``, also of the global sigma, are LTX-2.3's.
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
    prompt: Tensor | None = None
    audio_prompt: Tensor | None = None


ShiftScale = tuple[Tensor, Tensor]
"""Rows that tokens are modulated with, each ``[batch, kinds, D]``."""


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Split rotary embedding of ``x`` ``[batch, tokens, heads, channels]``."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = rotary.cos.float(), rotary.sin.float()
    rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return rotated.to(x.dtype)


def norm(x: Tensor, eps: float) -> Tensor:
    """Root mean square over the channels, no weights."""
    return nn.functional.rms_norm(x, (x.shape[-1],), None, eps)


def rows_of(table: Tensor, kind: Tensor) -> Tensor:
    """Every token's row of ``[batch, kinds, D]``; one row for all stays one."""
    return table[:, kind] if table.shape[1] > 1 else table


def modulated(x: Tensor, by: ShiftScale, kind: Tensor) -> Tensor:
    """``x·(1 + scale) + shift``, with each token's rows."""
    shift, scale = by
    return x * (1 + rows_of(scale, kind)) + rows_of(shift, kind)


def combined(table: Tensor, embedded: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """A block's table ``[n, D]`` plus a step's ``[batch, kinds, n·D]``.

    Returns:
        n tensors ``[batch, kinds, D]``.
    """
    batch, kinds = embedded.shape[:2]
    values = (table + embedded.view(batch, kinds, table.shape[0], -1)).to(dtype)
    return tuple(part.contiguous() for part in values.unbind(2))


class TransformerBlock(nn.Module):
    """One of diffusers' ``LTX2VideoTransformerBlock``, run by the rules of ``transformer.py``."""

    if TYPE_CHECKING:
        # the submodules and tables taken over from diffusers' block
        def __getattr__(self, name: str) -> Any: ...

    def __init__(
        self, source: Any, *, eps: float, kernel: Kernel = "sdpa", ulysses: Ulysses | None = None
    ) -> None:
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
        for name in ("prompt_scale_shift_table", "audio_prompt_scale_shift_table"):
            self.register_parameter(name, getattr(source, name, None))
        self.eps = eps
        self.kernel = kernel
        self.exact: Kernel = "sdpa" if kernel == "sdpa" else "fa3"
        self.ulysses = ulysses

    def text_keys(self, text: Tensor, audio_text: Tensor, modulation: Modulation) -> TextKeys:
        """Keys and values of the projected text ``[batch, tokens, D]`` in this block.

        LTX-2.3 modulates the text first, so that they are those of one noise level.
        """
        parts: list[Tensor] = []
        for attn, source, table, embedded in (
            (self.attn2, text, self.prompt_scale_shift_table, modulation.prompt),
            (
                self.audio_attn2,
                audio_text,
                self.audio_prompt_scale_shift_table,
                modulation.audio_prompt,
            ),
        ):
            if table is None:
                rows = self._rounded(source)
            else:
                assert embedded is not None  # noqa: S101 - such blocks come with such embeddings
                rows = self._modulated_text(source, table, embedded)
            parts += self._keys(attn, rows, None)
        return TextKeys(*parts)

    # -- the steps that FusedBlock does with kernels -------------------------------------------

    def _norm(
        self,
        x: Tensor,
        kind: Tensor,
        *,
        added: Tensor | None = None,
        gate: Tensor | None = None,
        by: ShiftScale | None = None,
        second: ShiftScale | None = None,
        keep: bool = False,  # noqa: ARG002 - for the kernels
    ) -> tuple[Tensor, Any, Any]:
        """``x + added·gate``, its modulated RMS norm, and the norm by a second modulation."""
        if added is not None:
            x = x + (added if gate is None else added * rows_of(gate, kind))
        normed = norm(x, self.eps)
        first = normed if by is None else modulated(normed, by, kind)
        return x, first, None if second is None else modulated(normed, second, kind)

    def _modulated_text(self, text: Tensor, table: Tensor, embedded: Tensor) -> Any:
        """The text by shift and scale of one noise level, as the linear layers want it."""
        shift, scale = combined(table, embedded, text.dtype)
        return text * (1 + scale) + shift

    def _rounded(self, x: Tensor) -> Any:
        """``x`` as the linear layers want it."""
        return x

    def _queries(self, attn: Any, x: Any, rotary: Rotary | None) -> Tensor:
        query: Tensor = attn.norm_q(attn.to_q(x)).unflatten(-1, (attn.heads, -1))
        return query if rotary is None else rotate(query, rotary)

    def _key(self, attn: Any, context: Any, rotary: Rotary | None) -> Tensor:
        key: Tensor = attn.norm_k(attn.to_k(context)).unflatten(-1, (attn.heads, -1))
        return key if rotary is None else rotate(key, rotary)

    def _value(self, attn: Any, context: Any) -> Tensor:
        value: Tensor = attn.to_v(context).unflatten(-1, (attn.heads, -1))
        return value

    def _keys(self, attn: Any, context: Any, rotary: Rotary | None) -> tuple[Tensor, Tensor]:
        """Keys and values, ``[batch, tokens, heads, channels]``."""
        return self._key(attn, context, rotary), self._value(attn, context)

    def _output(
        self,
        attn: Any,
        x: Any,
        attended: Tensor,
        negative: Tensor | None = None,
        nag: Tensor | None = None,
    ) -> Tensor:
        """From attention ``[batch, tokens, heads, channels]`` to channels, guided and gated."""
        out = attended.flatten(2)
        if nag is not None:
            assert negative is not None  # noqa: S101 - they come together
            out = nag_mix(out, negative.flatten(2), nag)
        if attn.to_gate_logits is not None:
            gates = 2 * torch.sigmoid(attn.to_gate_logits(x))
            out = (out.unflatten(-1, (attn.heads, -1)) * gates.unsqueeze(-1)).flatten(2)
        joined: Tensor = attn.to_out[0](out)
        return joined

    def _feed_forward(self, layers: Any, x: Any) -> Tensor:
        out: Tensor = layers(x)
        return out

    def _add(self, x: Tensor, added: Tensor, gate: Tensor, kind: Tensor) -> Tensor:
        """``x + added·gate``, the gate ``[batch, kinds, D]``."""
        return x + added * rows_of(gate, kind)

    # -- the block -----------------------------------------------------------------------------

    def _attend(
        self, attn: Any, x: Any, context: Any, rotary: Rotary, key_rotary: Rotary
    ) -> Tensor:
        if self.ulysses is not None and attn in (self.attn1, self.video_to_audio_attn):
            return self._attend_split(self.ulysses, attn, x, context, rotary, key_rotary)
        key, value = self._keys(attn, context, key_rotary)
        # sound is short: there a call of FlashAttention 3 costs the CPU more than it saves the GPU
        kernel = self.kernel if attn is self.attn1 else "sdpa"
        return self._output(attn, x, attend(self._queries(attn, x, rotary), key, value, kernel))

    def _attend_split(
        self,
        ulysses: Ulysses,
        attn: Any,
        x: Any,
        context: Any,
        rotary: Rotary,
        key_rotary: Rotary,
    ) -> Tensor:
        """Attention to a picture of which every GPU has its own tokens.

        Each exchange runs while the next product is computed.
        """
        value = ulysses.to_heads(self._value(attn, context))
        key = ulysses.to_heads(self._key(attn, context, key_rotary))
        query = self._queries(attn, x, rotary)
        if attn is self.attn1:
            exchange = ulysses.to_heads(query)
            keys, values = ulysses.without_padding(key), ulysses.without_padding(value)
            out = ulysses.to_tokens(attend(exchange.tokens(), keys, values, self.kernel))
        else:  # the sound's queries are the same on every GPU
            own = ulysses.own_heads(query).contiguous()
            keys, values = ulysses.without_padding(key), ulysses.without_padding(value)
            out = ulysses.join_heads(attend(own, keys, values))
        return self._output(attn, x, out)

    def _attend_text(
        self, attn: Any, x: Any, key: Tensor, value: Tensor, length: int, nag: Tensor | None
    ) -> Tensor:
        query = self._queries(attn, x, None)
        kernel = self.exact if attn is self.attn2 else "sdpa"
        out = attend(query, key[:, :length], value[:, :length], kernel)
        negative = None
        if nag is not None:
            negative = attend(query, key[:, length:], value[:, length:], kernel)
        return self._output(attn, x, out, negative, nag)

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
        kind, dtype = modulation.kind, x.dtype
        gated = self.attn1.to_gate_logits is not None
        video = combined(self.scale_shift_table, modulation.video, dtype)
        sound = combined(self.audio_scale_shift_table, modulation.audio, dtype)
        table = self.video_a2v_cross_attn_scale_shift_table
        v_cross = combined(table[:4], modulation.video_cross, dtype)
        (v_gate,) = combined(table[4:], modulation.video_gate, dtype)
        table = self.audio_a2v_cross_attn_scale_shift_table
        a_cross = combined(table[:4], modulation.audio_cross, dtype)
        (a_gate,) = combined(table[4:], modulation.audio_gate, dtype)
        # LTX-2.3 modulates the queries of the text attention too
        text_by, text_gate = ((video[6], video[7]), video[8]) if len(video) == 9 else (None, None)

        def sounded(by: ShiftScale) -> Tensor:
            """The sound's tokens, normed and modulated: one timestep for all of them."""
            return norm(audio, self.eps) * (1 + by[1]) + by[0]

        # self-attention
        x, normed, _ = self._norm(x, kind, by=(video[0], video[1]), keep=gated)
        attended = self._attend(self.attn1, normed, normed, rotaries.video, rotaries.video)
        heard = sounded((sound[0], sound[1]))
        audio = audio + sound[2] * self._attend(
            self.audio_attn1, heard, heard, rotaries.audio, rotaries.audio
        )

        # text
        x, normed, _ = self._norm(x, kind, added=attended, gate=video[2], by=text_by, keep=gated)
        attended = self._attend_text(self.attn2, normed, text.key, text.value, length, nag)
        heard = norm(audio, self.eps) if text_by is None else sounded((sound[6], sound[7]))
        told = self._attend_text(
            self.audio_attn2, heard, text.audio_key, text.audio_value, length, nag
        )
        audio = audio + (told if text_gate is None else told * sound[8])

        # picture and sound attend to each other; their tables hold scale before shift
        x, normed, context = self._norm(
            x,
            kind,
            added=attended,
            gate=text_gate,
            by=(v_cross[1], v_cross[0]),
            second=(v_cross[3], v_cross[2]),
            keep=gated,
        )
        attended = self._attend(
            self.audio_to_video_attn,
            normed,
            self._rounded(sounded((a_cross[1], a_cross[0]))),
            rotaries.video_cross,
            rotaries.audio_cross,
        )
        audio = audio + a_gate * self._attend(
            self.video_to_audio_attn,
            self._rounded(sounded((a_cross[3], a_cross[2]))),
            context,
            rotaries.audio_cross,
            rotaries.video_cross,
        )

        # feed-forward
        x, normed, _ = self._norm(x, kind, added=attended, gate=v_gate, by=(video[3], video[4]))
        x = self._add(x, self._feed_forward(self.ff, normed), video[5], kind)
        audio = audio + self.audio_ff(sounded((sound[3], sound[4]))) * sound[5]
        return x, audio
