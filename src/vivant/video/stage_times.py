"""How long each stage of a job was busy, in seconds."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace

from vivant.types import Clip, Frames, Stage


@dataclass
class StageTimes:
    """Busy seconds by stage."""

    seconds: dict[Stage, float] = field(default_factory=dict)

    def add(self, stage: Stage, seconds: float) -> None:
        """Count ``seconds`` more for ``stage``."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Inside, time counts for ``stage``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def timed(self, stage: Stage, clip: Clip) -> Clip:
        """``clip``, counting the time spent waiting for each of its chunks."""
        return replace(clip, chunks=self._timed(stage, clip.chunks))

    def _timed(self, stage: Stage, chunks: Iterator[Frames]) -> Iterator[Frames]:
        with closing(closable(chunks)) as source:
            while True:
                with self.measure(stage):
                    chunk = next(source, None)
                if chunk is None:
                    return
                yield chunk


def closable(chunks: Iterator[Frames]) -> Generator[Frames, None, None]:
    """``chunks`` as a generator, which has ``close()`` whatever kind of iterator they are."""
    yield from chunks
