"""Steps of one size, recorded as CUDA graphs: a replay costs the CPU nothing.

A step launches thousands of kernels. At small sizes the GPU is done with them before the CPU has
launched the next: there a recorded step is a fifth faster. A graph reads and writes the memory it
was recorded with, so inputs are copied into tensors that stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import ref

import torch
from torch import Tensor

MOST_TOKENS: Final = 10_000
"""Tokens of all clips together up to which recording pays: above, the GPU is never waited for."""

MOST_GRAPHS: Final = 8
"""Graphs that are kept, each for one size of clip, guided or not."""

Pair = tuple[Tensor, Tensor]
Replay = Callable[[], None]


class _Kept:
    """An input's own memory, and the tensor it was copied from last."""

    def __init__(self, source: Tensor) -> None:
        self.tensor = source.clone()
        self._source = ref(source)

    def holds(self, source: Tensor) -> bool:
        """Whether it is a copy of this very tensor, which nobody writes to."""
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
    inputs: list[_Kept] = field(default_factory=list)
    outputs: Pair | None = None
    replay: Replay | None = None


class StepGraphs:
    """Runs a step's work; from the second clip of a size on, as a recorded graph.

    The first clip of a size is not recorded: recording takes as long as a step, which a single
    clip does not win back.
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
    ) -> Pair:
        """``work(inputs)``.

        Args:
            size: whatever the work depends on beside the contents of its inputs.
            clip: number of the clip, or of its stage.
            inputs: all tensors that are not the same at every call.
            work: reads no other tensors that change.
        """
        held = self._sizes.get(size)
        if held is None:
            if len(self._sizes) >= MOST_GRAPHS:
                self.forget()
            self._sizes[size] = _Size(clip)
            return work(inputs)
        if held.clip == clip or not self._recording:
            return work(inputs)
        if held.replay is None:
            held.inputs = [self._kept(tensor) for tensor in inputs]
            kept = [item.tensor for item in held.inputs]
            try:
                held.outputs, held.replay = self.record(lambda: work(kept))
            except torch.OutOfMemoryError:
                self._recording = False
                self.forget()
                return work(inputs)
            held.clip = -1
        for item, given in zip(held.inputs, inputs, strict=True):
            item.copy(given)
        held.replay()
        self.replays += 1
        assert held.outputs is not None  # noqa: S101 - recorded above
        video, audio = held.outputs
        return video.clone(), audio.clone()

    def _kept(self, source: Tensor) -> _Kept:
        """Memory for an input: another size's, where that holds the same tensor (text keys)."""
        for size in self._sizes.values():
            for item in size.inputs:
                if item.holds(source):
                    return item
        return _Kept(source)

    def forget(self) -> None:
        """Let go of all graphs and their memory."""
        self._sizes.clear()
        self._pool = None

    def record(self, work: Callable[[], Pair]) -> tuple[Pair, Replay]:
        """``work`` as a graph: the tensors it writes, and what runs it again."""
        graph = torch.cuda.CUDAGraph()
        # one pool for all: they never run at the same time, and outputs are copied at once
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        with torch.cuda.graph(graph, pool=self._pool):
            outputs = work()
        return outputs, graph.replay
