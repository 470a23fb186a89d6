"""What the clips of a series share is done once; its seconds are divided among them evenly."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from vivant.engines import generated_frames
from vivant.pipeline import ClipJob
from vivant.types import (
    Clip,
    Engine,
    EngineInfo,
    EngineOfMany,
    Frames,
    Observer,
    Portrait,
    Request,
    Stage,
)
from vivant.video.stage_times import closable


class SharedEngine:
    """An engine as each clip of a series sees it.

    Where the real one can (:class:`vivant.types.EngineOfMany`), all clips start together.

    Args:
        engine: the real one.
        seeds: of the series.
        portrait: the picture of all clips.
        image_seconds: what reading it took.
    """

    def __init__(
        self, engine: Engine, seeds: tuple[int, ...], portrait: Portrait, image_seconds: float
    ) -> None:
        self._engine, self._seeds, self._portrait = engine, seeds, portrait
        self._clips: dict[int, Clip] = {}
        self._spent: dict[Stage, float] = {"image": image_seconds}
        self._job: ClipJob | None = None
        self._begun = self._ready = False

    @property
    def info(self) -> EngineInfo:
        """The engine's own."""
        return self._engine.info

    @property
    def failed(self) -> bool:
        """Whether the shared part was begun and did not come to its end."""
        return self._begun and not self._ready

    def join(self, job: ClipJob) -> None:
        """Make ``job`` one of the series: it gets the picture, and its part of seconds spent."""
        self._job = job
        job.engine, job.portrait = self, self._portrait
        job.shares = {stage: spent / len(self._seeds) for stage, spent in self._spent.items()}

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        """See :class:`vivant.types.Engine`."""
        engine = self._engine
        # clips of several passes share none: each is generated in its own seconds
        several = generated_frames(request.engine, request.num_frames) > request.num_frames
        if len(self._seeds) == 1 or several or not isinstance(engine, EngineOfMany):
            return engine.generate(portrait, request, observe)
        if not self._begun:
            self._begun = True
            started = time.perf_counter()
            clips = engine.generate_many(portrait, request, self._seeds, observe)
            self._clips = dict(zip(self._seeds, clips, strict=True))
            clip, loading = self._clips.pop(request.seed), time.perf_counter() - started
            return replace(clip, chunks=self._first(clip, loading))
        return self._clips.pop(request.seed)

    def _first(self, clip: Clip, loading: float) -> Iterator[Frames]:
        """Chunks of the first clip: the seconds until its first chunk belong to all clips."""
        with closing(closable(clip.chunks)) as chunks:
            started = time.perf_counter()
            chunk = next(chunks, None)
            spent: dict[Stage, float] = {
                "load": loading,
                "generate": time.perf_counter() - started,
            }
            self._spent |= spent
            self._ready = True
            if self._job is not None:
                others = 1 - 1 / len(self._seeds)
                self._job.shares = {
                    **self._job.shares,
                    **{stage: -others * seconds for stage, seconds in spent.items()},
                }
            if chunk is not None:
                yield chunk
            yield from chunks
