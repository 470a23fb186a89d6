"""A block whose linear layers are fp8: what is between the products runs in ``block_kernels``.

The video stream's norms, modulation, rotary embedding, gates, GELU and rounding are one pass over
memory each; the audio stream, short, stays in plain torch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from vivant.engines.ltx2 import block_kernels
from vivant.engines.ltx2.attention import attend_rounded
from vivant.engines.ltx2.block import Rotary, TransformerBlock
from vivant.engines.ltx2.modulation import ShiftScale


class Fp8Rows(NamedTuple):
    """Tokens rounded to fp8.

    Attributes:
        rounded: e4m3 rows ``[batch·tokens, D]`` and their scales.
        batch: clips the rows belong to.
        dtype: of the products.
        plain: the same tokens ``[batch, tokens, D]``, not rounded, where gates need them.
    """

    rounded: block_kernels.Rounded
    batch: int
    dtype: torch.dtype
    plain: Tensor | None = None

    def times(self, linear: Any) -> Tensor:
        """Through a ``Float8Linear``: ``[batch, tokens, out]``."""
        out: Tensor = linear.multiply(self.rounded, self.dtype)
        return out.view(self.batch, -1, out.shape[-1])


class FusedBlock(TransformerBlock):
    """A :class:`TransformerBlock` of ``Float8Linear`` layers, faster."""

    def _norm(
        self,
        x: Tensor,
        kind: Tensor,
        *,
        added: Tensor | None = None,
        gate: Tensor | None = None,
        by: ShiftScale | None = None,
        second: ShiftScale | None = None,
        keep: bool = False,
    ) -> tuple[Tensor, Any, Any]:
        total, first, other, plain = block_kernels.norm(
            x, kind, eps=self.eps, added=added, gate=gate, modulation=by, second=second, keep=keep
        )
        batch, dtype = x.shape[0], x.dtype
        return total, Fp8Rows(first, batch, dtype, plain), Fp8Rows(other, batch, dtype)

    def _rounded(self, x: Tensor) -> Any:
        x = x.contiguous()
        return Fp8Rows(block_kernels.quantize(x), x.shape[0], x.dtype, x)

    def _modulated_text(self, text: Tensor, table: Tensor, embedded: Tensor) -> Any:
        rounded = block_kernels.modulate(text, table, embedded.view(2, -1))
        return Fp8Rows(rounded, text.shape[0], text.dtype)

    def _queries(self, attn: Any, x: Any, rotary: Rotary | None) -> Tensor:
        if not isinstance(x, Fp8Rows):
            return super()._queries(attn, x, rotary)
        return block_kernels.head_norm(
            x.times(attn.to_q), attn.norm_q.weight, attn.heads, attn.norm_q.eps, rotary
        )

    def _key(self, attn: Any, context: Any, rotary: Rotary | None) -> Tensor:
        if not isinstance(context, Fp8Rows):
            return super()._key(attn, context, rotary)
        return block_kernels.head_norm(
            context.times(attn.to_k), attn.norm_k.weight, attn.heads, attn.norm_k.eps, rotary
        )

    def _value(self, attn: Any, context: Any) -> Tensor:
        if not isinstance(context, Fp8Rows):
            return super()._value(attn, context)
        return context.times(attn.to_v).unflatten(-1, (attn.heads, -1))

    def _attend(
        self, attn: Any, x: Any, context: Any, rotary: Rotary, key_rotary: Rotary
    ) -> Tensor:
        """As in plain torch, but fp8 attention gets queries, keys and values rounded already."""
        if self.kernel != "fa3-fp8" or attn is not self.attn1 or self.ulysses is not None:
            return super()._attend(attn, x, context, rotary, key_rotary)
        heads, norm_q, norm_k = attn.heads, attn.norm_q, attn.norm_k
        value = block_kernels.round_heads(context.times(attn.to_v), heads)
        key = block_kernels.head_norm_rounded(
            context.times(attn.to_k), norm_k.weight, heads, norm_k.eps, key_rotary, smooth=True
        )
        query = block_kernels.head_norm_rounded(
            x.times(attn.to_q), norm_q.weight, heads, norm_q.eps, rotary
        )
        return self._output(attn, x, attend_rounded(query, key, value, dtype=x.dtype))

    def _output(
        self,
        attn: Any,
        x: Any,
        attended: Tensor,
        negative: Tensor | None = None,
        nag: Tensor | None = None,
    ) -> Tensor:
        if not isinstance(x, Fp8Rows):
            return super()._output(attn, x, attended, negative, nag)
        logits = None if attn.to_gate_logits is None else attn.to_gate_logits(x.plain)
        out = attended.flatten(2).contiguous()
        if nag is None:
            rounded = block_kernels.quantize(out, gate=logits)
        else:
            assert negative is not None  # noqa: S101 - they come together
            rounded = block_kernels.nag(out, negative.flatten(2).contiguous(), nag, gate=logits)
        return Fp8Rows(rounded, x.batch, x.dtype).times(attn.to_out[0])

    def _feed_forward(self, layers: Any, x: Any) -> Tensor:
        hidden = x.times(layers.net[0].proj)
        rounded = block_kernels.quantize(hidden, gelu=True)
        return Fp8Rows(rounded, x.batch, x.dtype).times(layers.net[2])

    def _add(self, x: Tensor, added: Tensor, gate: Tensor, kind: Tensor) -> Tensor:
        return block_kernels.add_gated(x, added, gate, kind)
