"""Run all checks on a finished file.

The caller has read the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

import cv2

from vivant.checks.inspector import Inspector
from vivant.checks.metrics.delivery import ExpectedFile
from vivant.checks.metrics.performance import Performance
from vivant.checks.registration import Registration, register
from vivant.checks.sentences import reason
from vivant.checks.worker_pool import worker_count
from vivant.errors import ClipError
from vivant.picture.faces import FaceReader
from vivant.types import ClipFacts, Observer, Portrait, Progress, Verification, ignore_progress
from vivant.video.prefetch import prefetch
from vivant.video.probe import probe
from vivant.video.reader import CHUNK_BYTES, open_clip

WAITING_BYTES: Final = 20_000_000
"""Of decoded frames that wait: three at 1080p. With more, every frame leaves the processor's cache
before it is measured, which costs more than decoding ahead gains."""


def verify_file(
    clip: Path,
    portrait: Portrait,
    *,
    expected: ExpectedFile | None = None,
    performance: Performance | None = None,
    observe: Observer = ignore_progress,
    reader: FaceReader | None = None,
    cores: int = 1,
    facts: ClipFacts | None = None,
) -> Verification:
    """All checks of a file on disk.

    Args:
        clip: the file.
        portrait: the input picture, framed for the clip's aspect.
        expected: what was asked for; None for somebody else's clip.
        performance: what making it took, where known.
        observe: called with stage ``verify`` after every chunk.
        reader: reused where given; making one takes 0.3 s.
        cores: that may be used.
        facts: what :func:`vivant.video.probe.probe` says of the file, where that is known.

    Raises:
        ClipError: the file cannot be read, see :func:`vivant.video.probe.probe`.
        Cancelled: the observer said so.
    """
    facts = facts or probe(clip)
    opened = open_clip(clip, facts=facts)
    done = 0
    observe(Progress("verify", 0, facts.num_frames))
    depth = WAITING_BYTES // max(CHUNK_BYTES, 3 * facts.width * facts.height)
    with closing(prefetch(opened.chunks, max(2, depth))) as chunks:
        start = next(iter(chunks), None)
        if start is None:
            raise ClipError(f"{clip.name} has no frames: there is nothing to verify", param="clip")
        found = register(portrait, start[0])
        left, top, right, bottom = found.window
        width, height = right - left, bottom - top
        with (
            Inspector(
                found.portrait,
                num_frames=facts.num_frames,
                fps=facts.fps,
                width=width,
                height=height,
                reader=reader,
                workers=worker_count(cores, facts.num_frames, width, height, alone=True),
                parallel=cores > 1,
                pixels=found.pixels,
            ) as inspector,
            _one_opencv_thread(),
        ):
            for frames in chain((start,), chunks):
                inspector.inspect(frames[:, top:bottom, left:right])
                if inspector.done > done:
                    done = inspector.done
                    observe(Progress("verify", done, facts.num_frames))
            inspector.wait()
            observe(Progress("verify", inspector.done, facts.num_frames))
            return _in_whole_clip(
                inspector.finish(facts, expected=expected, performance=performance), found
            )


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV computes in the thread that calls it.

    Decoder and both measuring threads keep the cores busy: OpenCV's own threads would mostly wait
    for each other.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


def _in_whole_clip(verification: Verification, found: Registration) -> Verification:
    """The regions in pixels of the whole clip, and a note where only a part was judged."""
    left, top, right, bottom = found.window
    if found.whole:
        return verification
    scores = tuple(
        score if score.region is None else replace(score, region=score.region.moved(left, top))
        for score in verification.scores
    )
    note = reason({"message": "part_judged", "shown": f"{right - left}×{bottom - top}"})
    return replace(verification, scores=scores, warnings=(*verification.warnings, note))
