"""Clips for the tests of the checks: the demonstration portrait, talking; and its defects.

The picture is public domain and ships in scikit-image; the movements are made by ``bench/talking``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
from skimage.data import astronaut

from corruptions import Case, Material, cases, recode
from talking import talk
from vivant.checks import ExpectedFile, Inspector
from vivant.checks.face_tracker import faces_in_frame
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.metric import Metric
from vivant.checks.metrics.registry import all_metrics
from vivant.picture.faces import FaceReader
from vivant.types import (
    Box,
    ClipFacts,
    Face,
    Frames,
    Image,
    Portrait,
    Score,
    Source,
    Verification,
)

FPS = Fraction(24)
SHORT = 25
"""Frames that show a defect of single frames."""

FACTS = ClipFacts(
    size_bytes=1_000_000, container="mov,mp4,m4a,3gp,3g2,mj2", codec="h264", profile="High",
    pixel_format="yuv420p", width=1920, height=1080, fps=FPS, num_frames=97, seconds=97 / 24,
    bit_rate=6_000_000, color_primaries="bt709", color_transfer="bt709", color_space="bt709",
    color_range="tv", constant_rate=True, closed_gop=True, max_gop=97, moov_first=True,
    edit_list=False, audio=False,
)  # fmt: skip


@cache
def reader() -> FaceReader:
    return FaceReader()


@cache
def picture() -> tuple[Image, Face]:
    """The upper part of the portrait, 16:10, with its face."""
    whole: Image = astronaut()  # type: ignore[no-untyped-call]
    image: Image = np.ascontiguousarray(whole[:320, :512])
    return image, faces_in_frame(reader(), image)[0]


@cache
def material(num_frames: int = 97) -> Material:
    """The clean clip; the same movements whatever its length."""
    image, face = picture()
    frames = talk(image, face, num_frames=97, fps=24.0)[:num_frames]
    return Material("astronaut", "astronaut", frames, 24.0, [face] * num_frames)


@cache
def case(label: str) -> Case:
    return next(c for c in cases() if c.label == label)


@cache
def spoiled(label: str, num_frames: int = 97) -> Frames:
    """The clip with a defect, after an encoder."""
    clean = material(num_frames)
    frames = case(label).apply(clean, clean, np.random.default_rng(7))
    return frames if label.startswith("reencode") else recode(frames, 24.0, crf=18)


def portrait(image: Image | None = None, *faces: Face) -> Portrait:
    """A picture, whole, as an input."""
    if image is None:
        image, face = picture()
        faces = (face,)
    height, width = image.shape[:2]
    source = Source("portrait.png", "png", width, height, 0, "")
    return Portrait(pixels=image, crop=Box(0, 0, width, height), faces=faces, source=source)


def examine(
    frames: Frames,
    *,
    given: Portrait | None = None,
    only: Sequence[str] = (),
    chunk: int = 8,
    facts: ClipFacts = FACTS,
    expected: ExpectedFile | None = None,
    announced: int | None = None,
) -> Verification:
    """Look at frames; ``only`` names scores, whose checks alone are run."""

    def chosen(reference: Reference, fps: float) -> Sequence[Metric]:
        found = all_metrics(reference, fps)
        if not only:
            return found
        return [m for m in found if any(spec.name in only for spec in m.specs)]

    inspector = Inspector(
        given or portrait(),
        num_frames=len(frames) if announced is None else announced,
        fps=FPS,
        width=frames.shape[2],
        height=frames.shape[1],
        reader=reader(),
        metrics=chosen,
    )
    for start in range(0, len(frames), chunk):
        inspector.inspect(frames[start : start + chunk])
    return inspector.finish(facts, expected=expected)


def by_name(verification: Verification) -> dict[str, Score]:
    return {score.name: score for score in verification.scores}


def failing(verification: Verification) -> list[str]:
    return [score.name for score in verification.scores if score.verdict == "fail"]


def with_facts(**fields: object) -> ClipFacts:
    """The facts of a perfect clip, changed."""
    return replace(FACTS, **fields)  # type: ignore[arg-type]


def judged(make: Callable[[Reference], Metric], image: Image, frames: Frames) -> Score:
    """The first score of one metric, every frame of which is searched."""
    reference = Reference(image, None, 1.0, len(frames), 24.0, reader())
    metric = make(reference)
    for index, pixels in enumerate(frames):
        frame = AnalyzedFrame(
            index, pixels, searched=True, sparse=True, rare=True, checked=False, reader=reader()
        )
        metric.add(index, None, metric.measure_frame(frame, None))
    return metric.finish(reference)[0]
