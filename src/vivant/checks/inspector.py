"""Look at a clip's frames as they come, answer at the end: the pipeline's and ``verify``'s way in.

Knows which checks there are; knows nothing of how frames are decoded or reports written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Final

import numpy as np

from vivant.checks.color import Color
from vivant.checks.deform import Deformation
from vivant.checks.delivery import Expectation, delivery
from vivant.checks.identity import FacePresence, Identity
from vivant.checks.metric import CannotMeasure, Metric, Spec, unmeasured
from vivant.checks.motion import FrameDifference
from vivant.checks.performance import Performance, performance_scores
from vivant.checks.sample import Reference, Sample, same_picture
from vivant.checks.seams import Seams
from vivant.checks.steadiness import Steadiness
from vivant.checks.texture import Textures
from vivant.checks.track import Tracker, find_faces, rescaled
from vivant.checks.words import reason
from vivant.errors import ClipError
from vivant.faces import FaceReader
from vivant.framing import crop_pixels
from vivant.grid import checked_frames
from vivant.types import ClipFacts, Face, Frames, Portrait, Score, Verification

GRID: Final = 16
"""The expensive checks look at this many frames evenly, and at the last one."""

MAX_STRIDE: Final = 12
"""Frames between two of them at most: half a second, so that long clips have no blind spots."""


def all_metrics(reference: Reference, fps: float) -> Sequence[Metric]:
    """Every check, in the order of the checklist."""
    return (
        Identity(),
        FacePresence(),
        Deformation(fps),
        FrameDifference(reference),
        Steadiness(fps),
        Textures(reference),
        Seams(reference),
        Color(reference),
    )


WILD: Final = 100.0
"""Percent of the frame's height per second; four in five calibration clips stay below 40."""


class Inspector:
    """All checks of one clip against one picture.

    Frames are given in order by :meth:`look`, in chunks of any size; the answer does not depend
    on where the chunks end. What is kept per frame is a few numbers.

    Args:
        portrait: the input picture.
        num_frames: of the clip, as announced; fewer or more are coped with.
        fps: of the clip.
        width: of the clip.
        height: of the clip.
        reader: reused where given; making one takes 0.3 s.
    """

    def __init__(
        self,
        portrait: Portrait,
        *,
        num_frames: int,
        fps: Fraction,
        width: int,
        height: int,
        reader: FaceReader | None = None,
        metrics: Callable[[Reference, float], Sequence[Metric]] = all_metrics,
    ) -> None:
        self._reader = reader or FaceReader()
        self._size = (height, width)
        self._num_frames = num_frames
        self._reference = _reference(
            portrait, self._reader, num_frames=num_frames, fps=fps, width=width, height=height
        )
        self._stride = max(1, min(MAX_STRIDE, round((num_frames - 1) / GRID)))
        self._checked = frozenset(checked_frames(max(1, num_frames)))
        self._tracker = Tracker(self._reader, self._reference.face)
        self._metrics = list(metrics(self._reference, float(fps)))
        self._given_up: dict[int, CannotMeasure] = {}
        self._done = 0

    def look(self, frames: Frames) -> None:
        """See the next frames.

        Args:
            frames: ``[T, height, width, 3]`` uint8 sRGB; not kept.

        Raises:
            ClipError: frames of another size than announced.
        """
        if frames.shape[1:3] != self._size:
            raise ClipError(
                f"frames are {frames.shape[2]}x{frames.shape[1]} where "
                f"{self._size[1]}x{self._size[0]} was announced",
                param="clip",
            )
        for pixels in frames:
            self._look(pixels)

    def _look(self, pixels: Frames) -> None:
        index = self._done
        last = index == self._num_frames - 1
        sample = Sample(
            index=index,
            pixels=np.ascontiguousarray(pixels),
            gridded=index % self._stride == 0 or last,
            sparse=index % (2 * self._stride) == 0 or last,
            checked=index in self._checked,
            reader=self._reader,
        )
        if index == 0:
            self._reference.exact = same_picture(sample.small_luma, self._reference.small_luma)
        self._tracker.look(sample)
        for number, metric in enumerate(self._metrics):
            if number not in self._given_up:
                try:
                    metric.look(sample)
                except CannotMeasure as why:
                    self._given_up[number] = why
        self._done += 1

    def finish(
        self,
        facts: ClipFacts,
        *,
        expected: Expectation | None = None,
        performance: Performance | None = None,
    ) -> Verification:
        """The answer, after the last frame.

        Args:
            facts: of the finished file, by :func:`vivant.media.probe`.
            expected: what was asked for; None for somebody else's clip.
            performance: what making it took; None where that is not known.

        Raises:
            ClipError: no frame was seen.
        """
        if self._done == 0:
            raise ClipError("the clip has no frames: there is nothing to verify", param="clip")
        scores: list[Score] = []
        for number, metric in enumerate(self._metrics):
            scores.extend(self._finish(number, metric))
        scores = [_calm(score, scores) for score in scores]
        scores.extend(delivery(facts, expected))
        scores.extend(performance_scores(performance))
        return Verification(scores=tuple(scores), facts=facts, warnings=self._warnings())

    def _finish(self, number: int, metric: Metric) -> Sequence[Score]:
        why = self._given_up.get(number)
        if why is None:
            try:
                return metric.finish(self._reference)
            except CannotMeasure as reason_why:
                why = reason_why
        return [unmeasured(spec, why) for spec in metric.specs]

    def _warnings(self) -> tuple[str, ...]:
        found = []
        if self._reference.others:
            found.append(reason({"message": "several_people", "others": self._reference.others}))
        if self._done != self._num_frames:
            found.append(
                reason(
                    {
                        "message": "frames_differ",
                        "announced": self._num_frames,
                        "seen": self._done,
                    }
                )
            )
        return tuple(found)


def _calm(score: Score, scores: Sequence[Score]) -> Score:
    """Swaying cannot be told from wild movement: say so instead of failing the clip."""
    speed = next((s for s in scores if s.name == "motion_speed"), None)
    wild = speed is not None and isinstance(speed.value, float) and speed.value > WILD
    if not wild or score.name not in ("global_jelly", "face_wobble", "face_jitter"):
        return score
    return unmeasured(
        Spec(score.name, score.group, score.unit), CannotMeasure("too_wild", speed=WILD)
    )


def _reference(
    portrait: Portrait,
    reader: FaceReader,
    *,
    num_frames: int,
    fps: Fraction,
    width: int,
    height: int,
) -> Reference:
    pixels = crop_pixels(portrait, width, height)
    factor = width / portrait.crop.width
    if portrait.faces:
        faces: tuple[Face, ...] = tuple(
            rescaled(face, factor, -portrait.crop.left * factor, -portrait.crop.top * factor)
            for face in portrait.faces
        )
    else:
        faces = find_faces(reader, pixels)
    return Reference(
        pixels=pixels,
        face=faces[0] if faces else None,
        detail=min(1.0, 1 / factor),
        num_frames=num_frames,
        fps=float(fps),
        reader=reader,
        others=max(0, len(faces) - 1),
    )
