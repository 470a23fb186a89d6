"""Is it the same person: as in the picture, in every frame, and at the end as at the start.

Similarity is ``1 - d`` with d the Euclidean distance of two dlib embeddings (King, 2017): the
same person is at d ≤ 0.5 in 23 of 24 photo pairs, different people at d ≥ 0.68
(shared measurements, docs/calibration.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.picture.embedding import Embedding
from vivant.picture.faces import distance
from vivant.types import Box, Score

MEAN: Final = Spec("identity_mean", "fidelity")
MIN: Final = Spec("identity_min", "fidelity")
FIRST_LAST: Final = Spec("identity_first_last", "fidelity")
FIRST_FRAME: Final = Spec("identity_first_frame", "fidelity")
DRIFT: Final = Spec("identity_drift", "fidelity")
PRESENCE: Final = Spec("face_presence", "fidelity")


SETTLED: Final = 0.12
"""Share of the clip after which similarities are compared with each other."""

ENDS: Final = 0.2
"""Share of the clip at its start, and at its end, where a face must be seen to speak for it: one
of the searched frames may be missed, a second of the user's clip may not."""

FEWEST: Final = 5
"""Frames with a face that a trend needs."""


_Seen = tuple[int, Embedding, Box]
"""Which frame, who, where."""


class Identity(Metric):
    """Embeddings of sparse frames against the picture's, and the last one against the first."""

    specs = (MEAN, MIN, FIRST_LAST, DRIFT, FIRST_FRAME)

    def __init__(self) -> None:
        self._seen: list[_Seen] = []
        self._last = 0

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> tuple[Embedding, Box] | None:
        """The identity of a sparse frame."""
        if not frame.sparse or frame.face is None or frame.embedding is None:
            return None
        return frame.embedding, frame.face.box

    def add(self, index: int, _: None, found: tuple[Embedding, Box] | None) -> None:
        """Keep it."""
        self._last = index
        if found is not None:
            self._seen.append((index, *found))

    def finish(self, reference: Reference) -> Sequence[Score]:
        """Five scores, or the reason why there are none."""
        if reference.embedding is None:
            raise CannotMeasure("no_face_in_picture")
        if not self._seen:
            raise CannotMeasure("no_face_in_clip")
        known = reference.embedding
        series = [(index, 1 - distance(known, found)) for index, found, _ in self._seen]
        values = np.asarray([value for _, value in series])
        worst = int(values.argmin())
        frame, region = series[worst][0], self._seen[worst][2]
        first, last = self._seen[0], self._seen[-1]
        return (
            judged(MEAN, float(values.mean()), series=series, frame=frame, region=region),
            judged(MIN, float(values.min()), series=series, frame=frame, region=region),
            _first_last(first, last, self._last),
            _drift(series),
            _first_frame(first, series[0][1]),
        )


def _first_frame(first: _Seen, similarity: float) -> Score:
    """The first frame beside the picture; a later one does not speak for it."""
    if first[0] != 0:
        return unmeasured(FIRST_FRAME, CannotMeasure("no_face_in_first_frame"))
    return judged(FIRST_FRAME, similarity, frame=first[0], region=first[2])


def _first_last(first: _Seen, last: _Seen, end: int) -> Score:
    """The last face beside the first one, where start and end show one.

    Args:
        first: face seen first.
        last: face seen last.
        end: index of the clip's last frame.
    """
    if first[0] == last[0]:
        return unmeasured(FIRST_LAST, CannotMeasure("one_face"))
    if first[0] > ENDS * end:
        return unmeasured(FIRST_LAST, CannotMeasure("no_face_at_start", first=first[0]))
    if last[0] < (1 - ENDS) * end:
        return unmeasured(FIRST_LAST, CannotMeasure("no_face_at_end", last=last[0]))
    return judged(
        FIRST_LAST,
        1 - distance(first[1], last[1]),
        frame=last[0],
        region=last[2],
        facts={"first": first[0], "last": last[0]},
    )


def _drift(series: Sequence[tuple[int, float]]) -> Score:
    """How much similarity a straight line loses over the clip.

    The start is left out: where the picture is the first frame, that one is alike to the pixel.
    """
    last = max(1, series[-1][0])
    later = [(index / last, value) for index, value in series if index >= SETTLED * last]
    if len(later) < FEWEST:
        return unmeasured(DRIFT, CannotMeasure("too_few_faces"))
    time, value = np.asarray(later).T
    return judged(DRIFT, -float(np.polyfit(time, value, 1)[0]))


class FacePresence(Metric):
    """The share of looked-at frames that show a face: guards the identity scores."""

    specs = (PRESENCE,)

    def __init__(self) -> None:
        self._series: list[tuple[int, float]] = []

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> float | None:
        """Whether the search found the face."""
        return float(frame.face is not None) if frame.searched else None

    def add(self, index: int, _: None, found: float | None) -> None:
        """Note it."""
        if found is not None:
            self._series.append((index, found))

    def finish(self, reference: Reference) -> Sequence[Score]:
        """One score."""
        if reference.face is None:
            raise CannotMeasure("no_face_in_picture")
        found = [value for _, value in self._series]
        missing = next((index for index, value in self._series if value == 0.0), None)
        return (
            judged(
                PRESENCE,
                float(np.mean(found)) if found else 0.0,
                series=self._series,
                frame=missing,
                facts={"found": sum(found), "searched": len(found)},
            ),
        )
