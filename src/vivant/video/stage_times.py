"""How long each stage was busy. Knows nothing of what stages do."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace

from vivant.types import Clip, Frames, Stage


@dataclass
class Times:
    """Busy seconds by stage."""

    seconds: dict[Stage, float] = field(default_factory=dict)

    def add(self, stage: Stage, seconds: float) -> None:
        """Count ``seconds`` more for ``stage``."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def measure(self, stage: Stage) -> _Measure:
        """Context manager that counts what happens inside for ``stage``."""
        return _Measure(self, stage)

    def watch(self, stage: Stage, clip: Clip) -> Clip:
        """``clip``, counting the time spent waiting for each of its chunks."""
        return replace(clip, chunks=self._watch(stage, clip.chunks))

    def _watch(self, stage: Stage, chunks: Iterator[Frames]) -> Iterator[Frames]:
        with closing(closable(chunks)) as source:
            while True:
                with self.measure(stage):
                    chunk = next(source, None)
                if chunk is None:
                    return
                yield chunk


class _Measure:
    def __init__(self, times: Times, stage: Stage) -> None:
        self._times, self._stage = times, stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._times.add(self._stage, time.perf_counter() - self._started)


def closable(chunks: Iterator[Frames]) -> Generator[Frames, None, None]:
    """``chunks``, to be closed whatever kind of iterator it is."""
    yield from chunks
