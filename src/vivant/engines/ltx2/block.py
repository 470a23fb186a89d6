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
from vivant.engines.ltx2.modulation import (
    BlockRows,
    Modulation,
    ShiftScale,
    combined,
    modulated,
    rows_of,
)
from vivant.engines.ltx2.sound_lane import SAME_STREAM, Lane
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


class PendingSum(NamedTuple):
    """Tokens ``x + added·gate``, not summed yet: the next norm does it in its own pass."""

    x: Tensor
    added: Tensor
    gate: Tensor


def rotate(x: Tensor, rotary: Rotary) -> Tensor:
    """Split rotary embedding of ``x`` ``[batch, tokens, heads, channels]``."""
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = rotary.cos.float(), rotary.sin.float()
    rotated = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return rotated.to(x.dtype)


def norm(x: Tensor, eps: float) -> Tensor:
    """Root mean square over the channels, no weights."""
    return nn.functional.rms_norm(x, (x.shape[-1],), None, eps)


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
        self.lane: Lane = SAME_STREAM
        self.sums = False
        """Whether :class:`PendingSum` are returned."""

    def rows(self, modulation: Modulation, dtype: torch.dtype) -> BlockRows:
        """This block's modulation in one step."""
        table = self.video_a2v_cross_attn_scale_shift_table
        sound_table = self.audio_a2v_cross_attn_scale_shift_table
        return BlockRows(
            combined(self.scale_shift_table, modulation.video, dtype),
            combined(self.audio_scale_shift_table, modulation.audio, dtype),
            combined(table[:4], modulation.video_cross, dtype),
            combined(table[4:], modulation.video_gate, dtype)[0],
            combined(sound_table[:4], modulation.audio_cross, dtype),
            combined(sound_table[4:], modulation.audio_gate, dtype)[0],
            modulation.kind,
        )

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

    def summed(self, x: Tensor | PendingSum, kind: Tensor) -> Tensor:
        """What :meth:`forward` returned, as tokens."""
        return self._add(x.x, x.added, x.gate, kind) if isinstance(x, PendingSum) else x

    def _sum(self, x: Tensor, added: Tensor, gate: Tensor, kind: Tensor) -> Tensor | PendingSum:
        return PendingSum(x, added, gate) if self.sums else self._add(x, added, gate, kind)

    # -- the block -----------------------------------------------------------------------------

    def _attend(
        self, attn: Any, x: Any, context: Any, rotary: Rotary, key_rotary: Rotary
    ) -> Tensor:
        """Attention to tokens of the same kind; the picture's are shared by several GPUs."""
        if self.ulysses is not None and attn is self.attn1:
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
        query = ulysses.to_heads(self._queries(attn, x, rotary))
        keys, values = ulysses.without_padding(key), ulysses.without_padding(value)
        out = ulysses.to_tokens(attend(query.tokens(), keys, values, self.kernel))
        return self._output(attn, x, out)

    def _picture_keys(self, attn: Any, context: Any, rotary: Rotary) -> tuple[Any, Any]:
        """The picture's keys and values for the sound; on several GPUs, on their way."""
        if self.ulysses is None:
            return self._keys(attn, context, rotary)
        value = self.ulysses.to_heads(self._value(attn, context))
        return self.ulysses.to_heads(self._key(attn, context, rotary)), value

    def _attend_picture(self, attn: Any, x: Any, keys: tuple[Any, Any], rotary: Rotary) -> Tensor:
        """The sound's attention to :meth:`_picture_keys`."""
        query = self._queries(attn, x, rotary)
        if self.ulysses is None:
            return self._output(attn, x, attend(query, *keys))
        # the sound's queries are the same on every GPU
        own = self.ulysses.own_heads(query).contiguous()
        key, value = (self.ulysses.without_padding(part) for part in keys)
        return self._output(attn, x, self.ulysses.join_heads(attend(own, key, value)))

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
        x: Tensor | PendingSum,
        audio: Tensor | PendingSum,
        text: TextKeys,
        modulation: Modulation | BlockRows,
        rotaries: Rotaries,
        length: int,
        nag: Tensor | None,
    ) -> tuple[Tensor | PendingSum, Tensor | PendingSum]:
        """Video tokens ``[batch, tokens, D]`` and audio tokens → the same, one block later.

        The sound's work is queued in a lane of its own, beside the picture's: whoever uses the
        returned audio outside of it joins the lane first.

        Args:
            modulation: of the step, or this block's rows of it.
            length: text tokens of the positive prompt inside ``text``.
            nag: ``(scale, tau, alpha)``, or None to attend to the positive prompt only.
        """
        x, added, gate = x if isinstance(x, PendingSum) else (x, None, None)
        audio, told, s_gate = audio if isinstance(audio, PendingSum) else (audio, None, None)
        by = modulation if isinstance(modulation, BlockRows) else self.rows(modulation, x.dtype)
        kind, lane = by.kind, self.lane
        video, sound, v_cross, s_cross = by.video, by.sound, by.video_cross, by.sound_cross
        gated = self.attn1.to_gate_logits is not None
        # LTX-2.3 modulates the queries of the text attention too
        text_by, text_gate = ((video[6], video[7]), video[8]) if len(video) == 9 else (None, None)
        s_text_by, s_text_gate = (
            ((sound[6], sound[7]), sound[8]) if len(sound) == 9 else (None, None)
        )

        with lane.queue():  # sound: to itself, to the text
            audio, heard, _ = self._norm(
                audio, kind, added=told, gate=s_gate, by=(sound[0], sound[1]), keep=gated
            )
            told = self._attend(self.audio_attn1, heard, heard, rotaries.audio, rotaries.audio)
            audio, heard, _ = self._norm(
                audio, kind, added=told, gate=sound[2], by=s_text_by, keep=gated
            )
            told = self._attend_text(
                self.audio_attn2, heard, text.audio_key, text.audio_value, length, nag
            )
            # the cross tables hold scale before shift
            audio, asking, telling = self._norm(
                audio,
                kind,
                added=told,
                gate=s_text_gate,
                by=(s_cross[3], s_cross[2]),
                second=(s_cross[1], s_cross[0]),
                keep=gated,
            )
            sound_keys = self._keys(self.audio_to_video_attn, telling, rotaries.audio_cross)

        # picture: to itself, to the text
        x, normed, _ = self._norm(
            x, kind, added=added, gate=gate, by=(video[0], video[1]), keep=gated
        )
        attended = self._attend(self.attn1, normed, normed, rotaries.video, rotaries.video)
        x, normed, _ = self._norm(x, kind, added=attended, gate=video[2], by=text_by, keep=gated)
        attended = self._attend_text(self.attn2, normed, text.key, text.value, length, nag)
        x, normed, context = self._norm(
            x,
            kind,
            added=attended,
            gate=text_gate,
            by=(v_cross[1], v_cross[0]),
            second=(v_cross[3], v_cross[2]),
            keep=gated,
        )
        picture_keys = self._picture_keys(self.video_to_audio_attn, context, rotaries.video_cross)

        lane.join()  # the sound's keys are there
        with lane.queue(keep=picture_keys):  # sound: to the picture, feed-forward
            told = self._attend_picture(
                self.video_to_audio_attn, asking, picture_keys, rotaries.audio_cross
            )
            audio, heard, _ = self._norm(
                audio, kind, added=told, gate=by.sound_gate, by=(sound[3], sound[4])
            )
            told = self._feed_forward(self.audio_ff, heard)
            audio_out = self._sum(audio, told, sound[5], kind)

        # picture: to the sound, feed-forward
        query = self._queries(self.audio_to_video_attn, normed, rotaries.video_cross)
        attended = self._output(self.audio_to_video_attn, normed, attend(query, *sound_keys))
        x, normed, _ = self._norm(
            x, kind, added=attended, gate=by.video_gate, by=(video[3], video[4])
        )
        return self._sum(x, self._feed_forward(self.ff, normed), video[5], kind), audio_out
