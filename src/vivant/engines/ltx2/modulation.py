"""Scales, shifts and gates of one step: the timestep embeddings plus each block's tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor


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


class BlockRows(NamedTuple):
    """One block's modulation in one step: its tables plus the timestep embeddings.

    Each is a tuple of rows ``[batch, kinds, D]`` in the order of the block's table.
    ``kind`` is :class:`Modulation`'s.
    """

    video: tuple[Tensor, ...]
    sound: tuple[Tensor, ...]
    video_cross: tuple[Tensor, ...]
    video_gate: Tensor
    sound_cross: tuple[Tensor, ...]
    sound_gate: Tensor
    kind: Tensor


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


def rows_of_blocks(
    blocks: Sequence[Any], modulation: Modulation, dtype: torch.dtype
) -> Iterator[BlockRows]:
    """What ``TransformerBlock.rows`` gives, for all blocks in one pass."""

    def made(name: str, part: slice, embedded: Tensor) -> list[tuple[Tensor, ...]]:
        tables = torch.stack([getattr(block, name)[part] for block in blocks])
        batch, kinds = embedded.shape[:2]
        rows = embedded.view(batch, kinds, tables.shape[1], -1).permute(2, 0, 1, 3)
        # one contiguous [batch, kinds, D] for each row of each block's table
        values = (tables[:, :, None, None] + rows).to(dtype).contiguous()
        return [one.unbind(0) for one in values.unbind(0)]

    cross, gate = slice(None, 4), slice(4, None)
    video_table = "video_a2v_cross_attn_scale_shift_table"
    sound_table = "audio_a2v_cross_attn_scale_shift_table"
    whole = slice(None)
    for video, sound, v_cross, v_gate, s_cross, s_gate in zip(
        made("scale_shift_table", whole, modulation.video),
        made("audio_scale_shift_table", whole, modulation.audio),
        made(video_table, cross, modulation.video_cross),
        made(video_table, gate, modulation.video_gate),
        made(sound_table, cross, modulation.audio_cross),
        made(sound_table, gate, modulation.audio_gate),
        strict=True,
    ):
        yield BlockRows(video, sound, v_cross, v_gate[0], s_cross, s_gate[0], modulation.kind)
