"""Sequence parallelism: each of several GPUs has a share of a clip's tokens and frames.

DeepSpeed-Ulysses (arXiv 2309.14509): everything but attention works on a GPU's own tokens. For
attention, an all-to-all exchange gives each GPU all tokens of its share of the heads, and another
one gives its tokens back with all heads. Text and sound are the same on every GPU.

Tensors of tokens are ``[batch, tokens, heads, channels]``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from vivant.engines.ltx2.conditioning import Tokens


class Ulysses:
    """One process's part in a group of several, over ``torch.distributed``'s default group.

    Args:
        rank: of this process, from 0.
        size: processes, one for each GPU.

    Attributes:
        tokens: video tokens of the clip in all; every GPU has ``ceil(tokens / size)``, and the
            last ones of the last GPU are padding, which nothing attends to.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank = rank
        self.size = size
        self.tokens = 0

    # -- shares of tokens ----------------------------------------------------------------------

    def share(self, tokens: Tokens) -> Tokens:
        """This GPU's part of a clip's tokens, padded; sets :attr:`tokens`."""
        self.tokens = tokens.latents.shape[1]
        return replace(
            tokens,
            latents=self._own(tokens.latents, 1),
            mask=self._own(tokens.mask, 1),
            clean=self._own(tokens.clean, 1),
            coords=self._own(tokens.coords, 2),
        )

    def own_kinds(self, kind: Tensor) -> Tensor:
        """This GPU's part of one number per token, ``[tokens]``."""
        return self._own(kind, 0)

    def _own(self, x: Tensor, axis: int) -> Tensor:
        """This GPU's part along ``axis``; the last values are repeated as padding."""
        count = x.shape[axis]
        each = math.ceil(count / self.size)
        index = torch.arange(self.rank * each, (self.rank + 1) * each, device=x.device)
        return x.index_select(axis, index.clamp(max=count - 1))

    def whole(self, x: Tensor) -> Tensor:
        """``[batch, own tokens, channels]`` → ``[batch, tokens, channels]``, without padding."""
        return self._gather(x).transpose(0, 1).flatten(1, 2)[:, : self.tokens]

    def _gather(self, x: Tensor) -> Tensor:
        """``x`` of every GPU, ``[size, …]``."""
        parts = x.new_empty((self.size * x.shape[0], *x.shape[1:]))
        dist.all_gather_into_tensor(parts, x.contiguous())
        return parts.unflatten(0, (self.size, -1))

    # -- attention -----------------------------------------------------------------------------

    def own_heads(self, x: Tensor) -> Tensor:
        """This GPU's heads of a tensor that is the same on every GPU."""
        each = x.shape[2] // self.size
        return x[:, :, self.rank * each : (self.rank + 1) * each]

    def to_heads(self, x: Tensor) -> Exchange:
        """Begin: own tokens of all heads → all tokens (padding included) of own heads."""
        batch, tokens, heads, channels = x.shape
        sent = x.view(batch, tokens, self.size, heads // self.size, channels)
        return Exchange(sent.permute(2, 0, 1, 3, 4).contiguous())

    def to_tokens(self, x: Tensor) -> Tensor:
        """All tokens (padding included) of own heads → own tokens of all heads."""
        batch, tokens, heads, channels = x.shape
        sent = x.reshape(batch, self.size, tokens // self.size, heads, channels)
        received = Exchange(sent.transpose(0, 1).contiguous()).result()
        return received.permute(1, 2, 0, 3, 4).flatten(2, 3)

    def join_heads(self, x: Tensor) -> Tensor:
        """Own heads → all heads, of tokens that every GPU has."""
        return self._gather(x).permute(1, 2, 0, 3, 4).flatten(2, 3)

    def without_padding(self, exchange: Exchange) -> Tensor:
        """All tokens of own heads, as keys or values."""
        return exchange.tokens()[:, : self.tokens]

    # -- frames --------------------------------------------------------------------------------

    def frames(self, count: int) -> range:
        """This GPU's part of ``count`` latent frames; there are at least as many as GPUs."""
        each, more = divmod(count, self.size)
        start = self.rank * each + min(self.rank, more)
        return range(start, start + each + (self.rank < more))

    def exchange_edges(self, frames: Tensor) -> None:
        """Fill the first and last of ``[frames, …]`` (contiguous) from the neighbours' own frames.

        Where there is no neighbour, at the ends of the clip, the frame beside it is repeated.
        """
        work: list[Any] = []
        if self.rank:
            work.append(dist.P2POp(dist.isend, frames[1], self.rank - 1))
            work.append(dist.P2POp(dist.irecv, frames[0], self.rank - 1))
        else:
            frames[0].copy_(frames[1])
        if self.rank + 1 < self.size:
            work.append(dist.P2POp(dist.isend, frames[-2], self.rank + 1))
            work.append(dist.P2POp(dist.irecv, frames[-1], self.rank + 1))
        else:
            frames[-1].copy_(frames[-2])
        _finish(work)

    def send_first(self, share: Tensor) -> None:
        """Send this GPU's frames to the first one."""
        _finish([dist.P2POp(dist.isend, share, 0)])

    def receive(self, shares: list[Tensor]) -> None:
        """On the first GPU: take the others' frames; ``shares[0]`` are its own."""
        _finish([dist.P2POp(dist.irecv, share, rank) for rank, share in enumerate(shares) if rank])


def _finish(exchanges: list[Any]) -> None:
    """Exchanges between pairs, side by side."""
    for pending in dist.batch_isend_irecv(exchanges):
        pending.wait()


class Exchange:
    """An all-to-all under way: part ``i`` of ``sent`` ``[size, …]`` goes to GPU ``i``."""

    def __init__(self, sent: Tensor) -> None:
        self._sent = sent  # kept until it has gone
        self._received = torch.empty_like(sent)
        self._work: Any = dist.all_to_all_single(self._received, sent, async_op=True)

    def result(self) -> Tensor:
        """What came, ``[size, …]``, part ``i`` from GPU ``i``."""
        if self._work is not None:
            self._work.wait()
            self._work = None
        return self._received

    def tokens(self) -> Tensor:
        """What came, as ``[batch, all tokens, heads, channels]``."""
        return self.result().transpose(0, 1).flatten(1, 2)
