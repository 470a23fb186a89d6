"""Does time run evenly: freezes, repeated frames, stutter, a part that is missing.

Two frames are compared as thumbnails, by their mean difference and by that of the cells that
differ most. A step *repeats* a picture if it is far smaller than steps shortly before and after
it. That is relative, so a person who rests is not called repeated. A *freeze* is absolute: what an
encoder leaves of equal pictures, also between the first and the last picture of the freeze, so
that a slow camera is not called frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Reference, clipped
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.types import Box, Score

FREEZE: Final = Spec("freeze", "quality", "frames")
REPEATED: Final = Spec("repeated_frames", "quality", "%")
STUTTER: Final = Spec("stutter", "quality", "%")
JUMP: Final = Spec("jump", "quality")

SIDE: Final = 64
"""Pixels; longest side of a thumbnail."""

MOST: Final = 5
"""Percent of the cells that differ most: a face that moves before a still wall."""

STILL: Final = (0.09, 0.8)
"""Levels, mean and of the cells that differ most, up to which an encoded step stands still. Frozen
clips at CRF 18 stay below 0.05 and 0.6; people who rest are at 0.1 and 1.1."""

STAYED: Final = 1.4
"""How much more of it may lie between the first and the last picture of a freeze."""

SMALL: Final = 0.3
"""Of the largest step before it, and of that after it, up to which a step repeats a picture."""

NEAR: Final = 4
"""Steps that are looked at on each side."""

VISIBLE: Final = 1.5
"""Levels in the cells that differ most, that a step must have to be missed."""

HELD: Final = 3
"""Repeats in a row that are seen as a hitch; 24 frames shown as 60 come to two."""

SMOOTH: Final = 24.0
"""Frames per second that smooth motion needs; more may repeat."""

JUMP_STEPS: Final = 3
"""Steps on each side that a jump is compared with."""

RESTING: Final = 0.3
"""Levels; steps of a person who rests count as this much beside a jump."""

FACE_STEP: Final = 1.2
"""Of the face's steps before and after, that its own must have at a jump. Of 35 people, a second
that is missing and a step back to the start make all that the whole picture shows; a subtitle that
comes makes less."""

Floats = npt.NDArray[np.float32]


def thumbnail(frame: AnalyzedFrame) -> Floats:
    """``[h, w, 3]`` float32 levels, at most :data:`SIDE` long; kept in the frame's cache."""
    if "thumbnail" not in frame.cache:
        height, width = frame.pixels.shape[:2]
        factor = SIDE / max(height, width)
        frame.cache["thumbnail"] = cv2.resize(
            frame.halved.astype(np.float32),
            (max(2, round(width * factor)), max(2, round(height * factor))),
            interpolation=cv2.INTER_AREA,
        )
    cells: Floats = frame.cache["thumbnail"]
    return cells


CAPTION: Final = 0.25
"""Of the height, at the top or at the bottom, in which captions and strips come and go."""


IN_BOTH: Final = 0.65
"""Of what the whole picture shows, that the picture without its top, and without its bottom, must
show of a jump: of 63 people's jumps none loses by it, a strip that comes loses more."""


class _Step(NamedTuple):
    """Difference of two thumbnails in levels: its mean, and that of the cells that differ most.

    ``face`` is the mean inside the picture's face; without one it is :attr:`mean`. ``below`` and
    ``above`` are the means without the top and without the bottom.
    """

    mean: float
    most: float
    face: float
    below: float
    above: float


def _apart(one: Floats, other: Floats, place: Box | None = None) -> _Step:
    """``place`` of the face is in shares of the picture's width and height."""
    colors = np.abs(one - other)
    apart = (colors[..., 0] + colors[..., 1] + colors[..., 2]) / np.float32(3)
    cells = apart.ravel()
    count = max(1, cells.size * MOST // 100)
    mean = face = float(cells.mean())
    if place is not None:
        rows, columns = apart.shape
        box = Box(
            place.left * columns, place.top * rows, place.width * columns, place.height * rows
        )
        left, top, right, bottom = clipped(box, columns, rows)
        face = float(apart[top:bottom, left:right].mean())
    most = float(np.partition(cells, -count)[-count:].mean())
    rows = round(CAPTION * len(apart))
    below, above = float(apart[rows:].mean()), float(apart[: len(apart) - rows].mean())
    return _Step(mean, most, face, below, above)


def _face_place(reference: Reference | None) -> Box | None:
    """The picture's face, in shares of width and height."""
    if reference is None or reference.face is None:
        return None
    height, width = reference.pixels.shape[:2]
    box = reference.face.box
    return Box(box.left / width, box.top / height, box.width / width, box.height / height)


class Cadence(Metric):
    """Four answers from every step."""

    parallel = True
    specs = (FREEZE, REPEATED, STUTTER, JUMP)

    def __init__(self, fps: float, reference: Reference | None = None) -> None:
        self._fps = fps
        self._place = _face_place(reference)
        self._steps: list[_Step] = []
        self._start: Floats | None = None
        self._run = 0
        self._longest = (0, 0)

    def measure_step(self, before: AnalyzedFrame, now: AnalyzedFrame, _: object) -> _Step:
        """How far the picture changes."""
        return _apart(thumbnail(before), thumbnail(now), self._place)

    def measure_frame(self, frame: AnalyzedFrame, _: object) -> npt.NDArray[np.float16]:
        """The thumbnail, to compare the ends of a freeze."""
        return thumbnail(frame).astype(np.float16)

    def add(self, index: int, step: _Step | None, found: npt.NDArray[np.float16]) -> None:
        """Keep the step; count how long the picture has stood still."""
        if step is not None:
            self._steps.append(step)
        cells = found.astype(np.float32)
        if step is None or self._start is None or not _still(step, 1.0):
            self._start, self._run = cells, 0
            return
        if not _still(_apart(self._start, cells), STAYED):
            self._start, self._run = cells, 0
            return
        self._run += 1
        if self._run > self._longest[0]:
            self._longest = (self._run, index)

    def finish(self, _: Reference) -> Sequence[Score]:
        """Four scores."""
        if len(self._steps) < 2 * NEAR:
            raise CannotMeasure("too_short")
        repeats = _repeats(np.asarray([step.most for step in self._steps]))
        return self._freeze(), self._repeated(repeats), self._stutter(repeats), self._jump(repeats)

    def _freeze(self) -> Score:
        length, last = self._longest
        facts = {"first": float(last - length), "last": float(last)}
        return judged(FREEZE, float(length), frame=max(0, last - length), facts=facts)

    def _repeated(self, repeats: npt.NDArray[np.bool_]) -> Score:
        different = self._fps * (1 - float(repeats.mean()))
        missing = max(0.0, 1 - different / min(self._fps, SMOOTH))
        at = int(repeats.argmax()) + 1 if repeats.any() else None
        facts = {"rate": different}
        return judged(REPEATED, 100 * missing, frame=at, facts=facts)

    def _stutter(self, repeats: npt.NDArray[np.bool_]) -> Score:
        held = [(start, length) for start, length in runs(repeats) if length >= HELD]
        share = sum(length for _, length in held) / len(repeats)
        longest = max(held, key=lambda run: run[1], default=None)
        return judged(STUTTER, 100 * share, frame=None if longest is None else longest[0] + 1)

    def _jump(self, repeats: npt.NDArray[np.bool_]) -> Score:
        kept = np.flatnonzero(~repeats)
        steps = [self._steps[i] for i in kept]
        # a caption comes or goes at the top or at the bottom, a jump is in both
        below = _beyond_steps([step.below for step in steps])
        above = _beyond_steps([step.above for step in steps])
        whole, part = _beyond_steps([step.mean for step in steps]), np.minimum(below, above)
        whole = np.where(part < IN_BOTH * whole, part, whole)
        face = _beyond_steps([step.face for step in steps])
        # where the face does not step, something else has come or gone
        ratios = np.where(face >= FACE_STEP, whole, np.minimum(whole, face)).tolist()
        series = [(int(at) + 1, ratio) for at, ratio in zip(kept, ratios, strict=True)]
        frame, value = max(series, key=lambda pair: pair[1])
        return judged(JUMP, value, series=series, frame=frame)


def _beyond_steps(steps: Sequence[float]) -> npt.NDArray[np.float64]:
    """Every step over the largest of :data:`JUMP_STEPS` on each side, and of :data:`RESTING`."""
    ratios = []
    for i, step in enumerate(steps):
        others = [*steps[max(0, i - JUMP_STEPS) : i], *steps[i + 1 : i + 1 + JUMP_STEPS]]
        ratios.append(step / max(RESTING, *others))
    return np.asarray(ratios, np.float64)


def _still(step: _Step, share: float) -> bool:
    return step.mean <= STILL[0] * share and step.most <= STILL[1] * share


def _repeats(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which steps are far smaller than one shortly before and one shortly after them."""
    padded = np.pad(steps, NEAR)
    windows = np.lib.stride_tricks.sliding_window_view(padded, NEAR)
    before, after = windows[: len(steps)].max(axis=1), windows[NEAR + 1 :].max(axis=1)
    usual = np.minimum(before, after)
    return np.asarray((steps < SMALL * usual) & (usual > VISIBLE))


def runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and length of every run of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(np.int8), 0]))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
