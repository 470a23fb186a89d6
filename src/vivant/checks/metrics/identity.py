"""Is it the same person: as in the picture, in every frame, and at the end as at the start.

Similarity is ``1 - d`` with d the Euclidean distance of two dlib embeddings (King, 2017): the
same person is at d ≤ 0.5 in 23 of 24 photo pairs. Of 102 pairs of different people who look alike,
46 were nearer than 0.68, so the limits stand where clips of one person end (docs/calibration.md).
The network lies some faces closer together than others. Near the centre of such a crowd more
likeness is asked for (docs/calibration-added.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from typing import Final

import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import on_chip
from vivant.checks.face_tracker import face_near
from vivant.checks.frame import COMPARED_EVERY, AnalyzedFrame, Reference
from vivant.checks.limits import Limit, limits
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.checks.sentences import reason
from vivant.picture.embedding import Embedding
from vivant.picture.faces import FaceReader, distance
from vivant.types import Box, Face, Score

MEAN: Final = Spec("identity_mean", "fidelity")
MIN: Final = Spec("identity_min", "fidelity")
FIRST_LAST: Final = Spec("identity_first_last", "fidelity")
FIRST_FRAME: Final = Spec("identity_first_frame", "fidelity")
DRIFT: Final = Spec("identity_drift", "fidelity")
JUMP: Final = Spec("identity_jump", "fidelity")
PRESENCE: Final = Spec("face_presence", "fidelity")


SETTLED: Final = 0.12
"""Share of the clip after which similarities are compared with each other."""

ENDS: Final = 0.2
"""Share of the clip at its start, and at its end, where a face must be seen to speak for it: one
of the searched frames may be missed, a second of the user's clip may not."""

FEWEST: Final = 5
"""Frames with a face that a trend needs."""


SINGLE: Final = 0.1
"""Similarity that a single frame may be below two neighbours that agree: a blink, a blurred turn of
the head or a landmark that is off lasts one compared frame, another face lasts several."""

DOUBTED: Final = 0.56
"""Similarity below which a face that was only tracked is searched for: tracking loses the eyes of a
head that turns fast. In two clips of 35 tracked faces came down to 0.2; searched, they had 0.64."""

RAISED: Final = {"identity_mean": 0.04, "identity_min": 0.08, "identity_first_last": 0.07}
"""Similarity that is asked for beside the limits where a picture's face lies in the crowd."""

CROWD: Final = (0.38, 0.46)
"""Similarity to the crowd's centre from which limits begin to rise, and are raised in full. Of 65
people outside the crowd 95 % were below 0.38; its own 23 people were at 0.44 and above."""

_Seen = tuple[int, Embedding, Box]
"""Which frame, who, where."""


class Identity(Metric):
    """Embeddings of every third frame against the picture's, and the last against the first."""

    parallel = True
    specs = (MEAN, MIN, FIRST_LAST, DRIFT, FIRST_FRAME, JUMP)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._seen: list[_Seen] = []
        self._last = 0
        self._human = True
        self._searcher: FaceReader | None = None

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> tuple[Embedding, Box] | bool | None:
        """The identity of a compared frame; between searched ones the tracked face's.

        Of frame 0 False where the picture's face is not a human one.
        """
        if not frame.index and not self._reference.human:
            return False
        if not (frame.compared or frame.sparse):
            return None
        if not frame.searched and "face" in frame.cache:
            return self._tracked(frame, on_chip(frame.cache["face"][0]))
        if frame.face is None or frame.embedding is None:
            return None
        return frame.embedding, frame.face.box

    def _tracked(self, frame: AnalyzedFrame, face: Face) -> tuple[Embedding, Box]:
        """The identity of a face that was not searched in this frame."""
        embedding = frame.reader.embed(frame.pixels, face)
        known = self._reference.embedding
        if known is None or 1 - distance(known, embedding) >= DOUBTED:
            return embedding, face.box
        if self._searcher is None:
            self._searcher = FaceReader()  # the frame's own serves the other thread
        found = face_near(self._searcher, frame.pixels, face.box)
        if found is None:
            return embedding, face.box
        return frame.reader.embed(frame.pixels, found), found.box

    def add(self, index: int, _: None, found: tuple[Embedding, Box] | bool | None) -> None:
        """Keep it."""
        self._last = index
        if isinstance(found, bool):
            self._human = found
        elif found is not None:
            self._seen.append((index, *found))

    def finish(self, reference: Reference) -> Sequence[Score]:
        """Six scores, or the reason why there are none."""
        if reference.embedding is None:
            raise CannotMeasure("no_face_in_picture")
        if not self._human:
            raise CannotMeasure("no_human_face")
        if not self._seen:
            raise CannotMeasure("no_face_in_clip")
        known = reference.embedding
        series = [(index, 1 - distance(known, found)) for index, found, _ in self._seen]
        values = np.asarray([value for _, value in series])
        worst, least = _worst(values)
        frame, region = series[worst][0], self._seen[worst][2]
        first, last = self._seen[0], self._seen[-1]
        counted = {"found": float(len(series)), "searched": float(self._last + 1)}
        drift = _drift(series)
        crowded = crowding(known, crowd())
        return (
            judged(
                MEAN, float(values.mean()), series=series, frame=frame, region=region,
                facts=counted, limit=_raised(MEAN, crowded),
            ),
            judged(
                MIN, least, series=series, frame=frame, region=region,
                facts=counted, limit=_raised(MIN, crowded),
            ),
            _first_last(
                first, last, self._last, drifts=drift.verdict == "fail",
                limit=_raised(FIRST_LAST, crowded),
            ),
            drift,
            _first_frame(first, series[0][1]),
            _jump(self._seen),
        )  # fmt: skip


@cache
def crowd() -> Embedding:
    """``[128]`` centre of the faces that the network lies close together."""
    with as_file(files("vivant.checks") / "models" / "crowded_faces.npy") as path:
        return np.asarray(np.load(path), np.float64)


def crowding(embedding: Embedding, centre: Embedding) -> float:
    """0 … 1: how far a face lies in the crowd, see :data:`CROWD`."""
    low, high = CROWD
    return float(np.clip((1 - distance(embedding, centre) - low) / (high - low), 0, 1))


def _raised(spec: Spec, crowded: float) -> Limit:
    """The limit of a score for a face in the crowd."""
    limit, more = limits()[spec.name], RAISED[spec.name] * crowded
    fail, warn = (None if v is None else v + more for v in (limit.fail, limit.warn))
    return replace(limit, fail=fail, warn=warn)


def _worst(values: npt.NDArray[np.float64]) -> tuple[int, float]:
    """The worst frame's place, and its similarity: two that follow agree, or one is far below."""
    alone = int(values.argmin())
    if len(values) < 3:
        return alone, float(values[alone])
    pairs = np.maximum(values[:-1], values[1:])
    at = int(pairs.argmin())
    pair = at if values[at] < values[at + 1] else at + 1
    single = float(values[alone]) + SINGLE
    return (pair, float(pairs[at])) if pairs[at] <= single else (alone, single)


def _jump(seen: Sequence[_Seen]) -> Score:
    """How far two faces that follow at once differ from the two before: another face steps in.

    The nearest of the four pairs counts, so that a single frame cannot make a jump.
    """
    series = []
    for i in range(2, len(seen) - 1):
        before, after = seen[i - 2 : i], seen[i : i + 2]
        if after[-1][0] - before[0][0] <= 4 * COMPARED_EVERY:
            nearest = min(distance(one, other) for _, one, _ in before for _, other, _ in after)
            series.append((seen[i][0], nearest))
    if not series:
        return unmeasured(JUMP, CannotMeasure("too_few_faces"))
    frame, value = max(series, key=lambda pair: pair[1])
    region = next(box for index, _, box in seen if index == frame)
    return judged(JUMP, value, series=series, frame=frame, region=region)


def _first_frame(first: _Seen, similarity: float) -> Score:
    """The first frame beside the picture; a later one does not speak for it."""
    if first[0] != 0:
        return unmeasured(FIRST_FRAME, CannotMeasure("no_face_in_first_frame"))
    return judged(FIRST_FRAME, similarity, frame=first[0], region=first[2])


def _first_last(first: _Seen, last: _Seen, end: int, *, drifts: bool, limit: Limit) -> Score:
    """The last face beside the first one, where start and end show one.

    Args:
        first: face seen first.
        last: face seen last.
        end: index of the clip's last frame.
        drifts: the likeness falls over the clip: start and end alone do not outweigh that.
        limit: for this person.
    """
    if first[0] == last[0]:
        return unmeasured(FIRST_LAST, CannotMeasure("one_face"))
    if first[0] > ENDS * end:
        return unmeasured(FIRST_LAST, CannotMeasure("no_face_at_start", first=first[0]))
    if last[0] < (1 - ENDS) * end:
        return unmeasured(FIRST_LAST, CannotMeasure("no_face_at_end", last=last[0]))
    found = judged(
        FIRST_LAST,
        1 - distance(first[1], last[1]),
        frame=last[0],
        region=last[2],
        facts={"first": first[0], "last": last[0]},
        limit=limit,
    )
    if drifts and found.verdict == "pass":
        facts = {**found.facts, "message": "identity_first_last.warn"}
        return replace(found, verdict="warn", facts=facts, reason=reason(facts))
    return found


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
    """The share of looked-at frames that show a face: guards the identity scores.

    As in the input picture, a face that the first detector misses, because the border cuts it or
    it is turned, is looked for by the second.
    """

    specs = (PRESENCE,)

    def __init__(self) -> None:
        self._series: list[tuple[int, float]] = []

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> float | None:
        """Whether a searched frame shows a face."""
        if not frame.searched:
            return None
        return float(frame.face is not None or bool(frame.reader.detect_covered(frame.pixels)))

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
