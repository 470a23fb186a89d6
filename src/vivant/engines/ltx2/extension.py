"""A clip longer than one pass of the model: each pass continues from the last frames of the former.

The last frames of a segment (25 or more) are encoded again and held, with strength 1, as the first
frames of the next: the model's own conditioning (``VideoConditionByLatentIndex`` of
Lightricks/LTX-2, a multi-frame condition at index 0 in diffusers), which both stages of a recipe
get at their own size. What both segments show is cross-faded, so that what the VAE changes in
frames that it encodes and decodes again comes in slowly.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np

from vivant.engines.ltx2.generation import Generation, ReportSink, Texts
from vivant.engines.ltx2.loading import ModelLoader
from vivant.engines.ltx2.options import LTX2Options
from vivant.engines.ltx2.segments import Segment, segments_of
from vivant.types import Frames, Observer, Portrait, Progress, Request


def segment_seed(seed: int, number: int) -> int:
    """Seed of segment ``number`` of a clip; the first segment has the clip's own."""
    if not number:
        return seed
    (drawn,) = np.random.SeedSequence(seed, spawn_key=(number,)).generate_state(1, np.uint64)
    return int(drawn) >> 1  # below 2**63, as every seed


class ExtendedGeneration:
    """One clip of several segments.

    No more than one segment's latents and the frames that two segments share are held.
    """

    def __init__(
        self,
        loader: ModelLoader,
        report: ReportSink,
        portrait: Portrait,
        request: Request,
        options: LTX2Options,
        seed: int,
        observe: Observer,
    ) -> None:
        self.loader = loader
        self.report = report
        self.portrait = portrait
        self.request = request
        self.options = options
        self.seed = seed
        self.observe = observe
        self.segments = segments_of(request.num_frames)

    def frames(self) -> Generator[Frames]:
        """All frames of the clip."""
        generation: Generation | None = None
        shared: Frames | None = None
        for number, segment in enumerate(self.segments):
            texts = None if generation is None else generation.texts
            generation = self.generation(number, shared, texts)
            with closing(generation.frames(0)) as chunks:
                faded = chunks if shared is None else cross_faded(shared, chunks)
                if segment is self.segments[-1]:
                    yield from faded
                else:
                    shared = yield from all_but_last(faded, self.segments[number + 1].overlap)

    def generation(
        self, number: int, prefix: Frames | None = None, texts: Texts | None = None
    ) -> Generation:
        """The pass that makes segment ``number``, after the frames ``prefix``."""
        segment = self.segments[number]
        # the clip's last frame is that of the last segment
        at_end = segment is self.segments[-1]
        return Generation(
            self.loader,
            self.report,
            self.portrait,
            replace(self.request, num_frames=segment.num_frames),
            self.options if at_end else self.options.model_copy(update={"end_anchor": 0.0}),
            (segment_seed(self.seed, number),),
            self._observer(number, segment),
            prefix=prefix,
            texts=texts,
        )

    def _observer(self, number: int, segment: Segment) -> Observer:
        """Progress of the clip, from that of a segment."""

        def observe(progress: Progress) -> None:
            if progress.stage == "generate":
                done, total = progress.done, progress.total
                if progress.unit == "step":
                    done, total = number * total + done, len(self.segments) * total
                else:
                    # frames of the overlap were counted already
                    done = max(segment.first + segment.overlap, segment.first + done)
                    total = self.request.num_frames
                progress = replace(progress, done=done, total=total)
            self.observe(progress)

        return observe


def all_but_last(chunks: Iterator[Frames], count: int) -> Generator[Frames, None, Frames]:
    """Yield all frames but the last ``count``, and return those."""
    held = next(chunks)
    for chunk in chunks:
        held = np.concatenate([held, chunk])
        if len(held) > count:
            yield held[:-count]
            held = held[-count:].copy()
    if len(held) > count:
        yield held[:-count]
    return held[-count:]


def cross_faded(before: Frames, chunks: Iterator[Frames]) -> Iterator[Frames]:
    """``chunks``, whose first ``len(before)`` frames are faded in over ``before``.

    At the start of the overlap the segment before was decoded with its neighbours on both sides, at
    its end the segment after.
    """
    done, count = 0, len(before)
    for chunk in chunks:
        shared = len(chunk[: count - done])
        mixed = []
        for index in range(shared):
            share = (done + index + 1) / (count + 1)
            mixed.append(cv2.addWeighted(before[done + index], 1 - share, chunk[index], share, 0))
        done += shared
        yield np.concatenate([np.stack(mixed), chunk[shared:]]) if mixed else chunk
