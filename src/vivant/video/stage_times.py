"""How long each stage of a job was busy, and its share of the time that the job took."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from vivant.types import Clip, Stage, YuvClip

T = TypeVar("T")
C = TypeVar("C", Clip, YuvClip)

BESIDE: frozenset[Stage] = frozenset({"encode", "verify"})
"""Stages that run beside the others, in threads and processes of their own."""


@dataclass
class StageTimes:
    """Busy seconds by stage. Stages overlap and have several threads: their sum exceeds the total.

    Those of :data:`BESIDE` are of all their threads together; those of the others are the seconds
    that the job waited for them.
    """

    seconds: dict[Stage, float] = field(default_factory=dict)

    def add(self, stage: Stage, seconds: float) -> None:
        """Count ``seconds`` more for ``stage``."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def shares(self, total: float) -> dict[Stage, float]:
        """Wall seconds of every stage, which add up to ``total``.

        What the job did not spend waiting for its picture, engine or upscaler, it spent waiting
        for the stages of :data:`BESIDE`; they divide it by their busy seconds.

        Args:
            total: wall seconds of the job.
        """
        busy = {stage: max(0.0, seconds) for stage, seconds in self.seconds.items()}
        beside = sum(seconds for stage, seconds in busy.items() if stage in BESIDE)
        waited = sum(busy.values()) - beside
        left = max(0.0, total - waited) if beside else 0.0
        factor = (total - left) / waited if waited else 0.0
        return {
            stage: seconds * (left / beside if stage in BESIDE and beside else factor)
            for stage, seconds in busy.items()
        }

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Inside, time counts for ``stage``."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def timed(self, stage: Stage, clip: C) -> C:
        """``clip``, counting the time spent waiting for each of its chunks."""
        return replace(clip, chunks=self._timed(stage, clip.chunks))

    def _timed(self, stage: Stage, chunks: Iterator[T]) -> Iterator[T]:
        with closing(closable(chunks)) as source:
            while True:
                with self.measure(stage):
                    chunk = next(source, None)
                if chunk is None:
                    return
                yield chunk


def closable(chunks: Iterator[T]) -> Generator[T, None, None]:
    """``chunks`` as a generator, which has ``close()`` whatever kind of iterator they are."""
    yield from chunks
