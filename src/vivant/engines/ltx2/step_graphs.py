"""Denoising steps recorded as CUDA graphs: replaying one costs the CPU nothing.

A step launches thousands of kernels, which takes the CPU 0.3 to 0.5 s. At small sizes, and where
several GPUs share a clip, the GPU would wait for that. A graph reads and writes the memory it was
recorded with, so inputs are copied into tensors that stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import ref

import torch
from torch import Tensor

log = logging.getLogger(__name__)

AT_ONCE_TOKENS: Final = 10_000
"""Tokens on one GPU up to which the second step of a new size is recorded. Recording takes as long
as a step; a single clip of more tokens does not win that back, so there it waits for the second
clip of the size."""

MOST_GRAPHS: Final = 8
"""Graphs that are kept. Each is for one size of clip, with or without guidance."""

Pair = tuple[Tensor, Tensor]
Replay = Callable[[], None]


class _CapturedInput:
    """Memory of one input, and the tensor that was copied into it last."""

    def __init__(self, source: Tensor) -> None:
        self.tensor = source.clone()
        self._source = ref(source)

    def holds(self, source: Tensor) -> bool:
        """Whether it is a copy of this very tensor. Inputs are never written to."""
        return self._source() is source

    def copy(self, source: Tensor) -> None:
        """Take over the contents."""
        if not self.holds(source):
            self.tensor.copy_(source)
            self._source = ref(source)


@dataclass(slots=True)
class _Size:
    """One size of step: the clip it was seen with first, and its graph once it has one."""

    clip: int
    inputs: list[_CapturedInput] = field(default_factory=list)
    outputs: Pair | None = None
    replay: Replay | None = None


class StepGraphs:
    """Runs the work of steps, recorded from a size's second step or second clip on.

    Attributes:
        replays: steps that were replayed so far.
    """

    def __init__(self) -> None:
        self._sizes: dict[Any, _Size] = {}
        self._pool: Any = None
        self._recording = True
        self.replays = 0

    def run(
        self,
        size: Any,
        clip: int,
        inputs: list[Tensor],
        work: Callable[[list[Tensor]], Pair],
        *,
        at_once: bool,
    ) -> Pair:
        """``work(inputs)``.

        Args:
            size: whatever the work depends on beside the contents of its inputs.
            clip: number of the clip, or of its stage.
            inputs: all tensors that are not the same at every call.
            work: reads no other tensors that change.
            at_once: record the second step of a size; else the first of the size's second clip.
        """
        held = self._sizes.get(size)
        if held is None:
            if len(self._sizes) >= MOST_GRAPHS:
                self.forget()
            # the first step is never recorded: it loads kernels
            self._sizes[size] = _Size(clip)
            return work(inputs)
        if not self._recording or (held.replay is None and held.clip == clip and not at_once):
            return work(inputs)
        if held.replay is None and not self._record_size(held, inputs, work):
            return work(inputs)
        assert held.replay is not None  # noqa: S101 - recorded above
        assert held.outputs is not None  # noqa: S101 - recorded above
        for item, given in zip(held.inputs, inputs, strict=True):
            item.copy(given)
        held.replay()
        self.replays += 1
        video, audio = held.outputs
        return video.clone(), audio.clone()

    def _record_size(
        self, held: _Size, inputs: list[Tensor], work: Callable[[list[Tensor]], Pair]
    ) -> bool:
        """Record ``work`` for one size; False where that failed, and nothing is recorded again."""
        try:
            held.inputs = [self._kept(tensor) for tensor in inputs]
            kept = [item.tensor for item in held.inputs]
            held.outputs, held.replay = self.record(lambda: work(kept))
        except RuntimeError as error:  # no memory, or a kernel that cannot be recorded
            log.warning("steps are not recorded as CUDA graphs: %s", str(error).splitlines()[:1])
            self._recording = False
            self.forget()
            return False
        return True

    def _kept(self, source: Tensor) -> _CapturedInput:
        """Memory for an input: another size's, where that holds the same tensor (text keys)."""
        for size in self._sizes.values():
            for item in size.inputs:
                if item.holds(source):
                    return item
        return _CapturedInput(source)

    def forget(self) -> None:
        """Let go of all graphs and their memory."""
        self._sizes.clear()
        self._pool = None

    def record(self, work: Callable[[], Pair]) -> tuple[Pair, Replay]:
        """``work`` as a graph: the tensors it writes, and what runs it again."""
        graph = torch.cuda.CUDAGraph()
        # one pool for all graphs: they never run at the same time, and outputs are copied at once
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        # thread_local: other threads may allocate memory meanwhile
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = work()
        return outputs, graph.replay
