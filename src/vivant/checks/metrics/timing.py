"""Does time run evenly: freezes, repeated frames, stutter, a part that is missing, an odd frame.

Two frames are compared as thumbnails, by their mean difference and by that of the cells that
differ most. A step *repeats* a picture if it is far smaller than steps shortly before and after
it. That is relative, so a person who rests is not called repeated. A *freeze* is absolute: what an
encoder leaves of equal pictures, also between the first and the last picture of the freeze, so
that a slow camera is not called frozen. A picture that mixes the one before and the one after it
repeats them as well. An *odd* picture shows what neither of these shows, while they are alike. A
*jump* is a step whose flow is far larger than those before and after it and goes another way, in
all parts that move in the clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.flow import Flow, cell_means
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.checks.metrics.far_flow import step_flow
from vivant.types import Score

FREEZE: Final = Spec("freeze", "quality", "frames")
REPEATED: Final = Spec("repeated_frames", "quality", "%")
STUTTER: Final = Spec("stutter", "quality", "%")
JUMP: Final = Spec("jump", "quality")
ODD: Final = Spec("odd_frame", "quality")

SIDE: Final = 64
"""Pixels; longest side of a thumbnail."""

MOST: Final = 5
"""Percent of the cells that differ most: a face that moves before a still wall. Of an odd frame a
blink is smaller, another face is larger."""

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

BRIEF: Final = 48.0
"""Frames per second from which fewer repeats in a row are no hitch."""

EQUAL: Final = 0.12
"""Of the steps around it, up to which a repeat shows an equal picture, not someone who rests; or
where it stands still."""

CAUGHT_UP: Final = (5, 1.9)
"""Brief holds at least, and how far the steps after them go, over those around: a clip that is
shown at more frames a second goes on as before, by 0.9 … 1.4 in 20 of 12 people; one that held its
picture while time went on makes up for it, by 1.5 … 2.3. A webcam that drops frames comes to 1.8.
"""

ODD_FRAMES: Final = 3
"""Frames in a row that can be odd; what lasts longer has its own checks."""

ODD_NEAR: Final = 6
"""Frames on each side, of which the second oddest tells what is usual: fast hands and heads that
shake are odd often."""

ODD_LEVELS: Final = 1.5
"""Levels that are added to what is usual, or the faintest would be odd beside nothing."""

SMOOTH: Final = 24.0
"""Frames per second that smooth motion needs; more may repeat."""

JUMP_STEPS: Final = 3
"""Steps on each side that a jump is compared with."""

RESTING: Final = 0.12
"""Percent of the height; steps of a cell that rests count as this much beside a jump. At 0.1 the
noise of flow and an encoder's key frames come near, at 0.2 four of 64 people's jumps are lost."""

RESTS: Final = 0.3
"""Levels; the same for steps between thumbnails."""

GOES_ON: Final = 1.5
"""Times the motion just before and after a step that the step may go on with: a nod or a turn of
the head speeds up and slows down again in about three frames."""

CAPTION: Final = 0.25
"""Of the height, at the top or at the bottom, in which captions and strips come and go."""

SEEN: Final = 1.2
"""Times what the picture without its top, and without its bottom, shows of a step in levels, that
its flow may count: what comes over the picture bends the flow far around it. Of 51 people's jumps
one is lost by it."""

MOVES: Final = 0.75
"""Of the steps, ordered by size: how much a cell moves in the clip."""

LARGEST: Final = 4.0
"""Times the steps around it that a cell's step counts as, at most."""

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


class _Step(NamedTuple):
    """From one frame to the next.

    Attributes:
        mean: difference of the thumbnails in levels.
        most: that of the cells that differ most.
        below: both without the top of the picture.
        above: both without the bottom.
        flow: ``[h, w, 2]`` of cells, percent of the height.
    """

    mean: float
    most: float
    below: tuple[float, float]
    above: tuple[float, float]
    flow: npt.NDArray[np.float16]


def _apart(one: Floats, other: Floats) -> Floats:
    """``[h, w]`` difference of two thumbnails in levels."""
    colors = np.abs(one - other)
    cells: Floats = (colors[..., 0] + colors[..., 1] + colors[..., 2]) / np.float32(3)
    return cells


def _parts(apart: Floats) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and most without the top, and without the bottom: captions come and go in one."""
    top, bottom = round(CAPTION * len(apart)), round((1 - CAPTION) * len(apart))
    return _mean_and_most(apart[top:]), _mean_and_most(apart[:bottom])


def _mean_and_most(apart: Floats) -> tuple[float, float]:
    """The mean difference, and that of the cells that differ most."""
    cells = apart.ravel()
    count = max(1, cells.size * MOST // 100)
    return float(cells.mean()), float(np.partition(cells, -count)[-count:].mean())


class Cadence(Metric):
    """Five answers from every step."""

    parallel = True
    specs = (FREEZE, REPEATED, STUTTER, JUMP, ODD)

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._flow = Flow("fast")
        self._steps: list[_Step] = []
        self._start: Floats | None = None
        self._run = 0
        self._longest = (0, 0)
        self._latest: list[Floats] = []
        self._apart: list[list[Floats]] = []
        self._mixed: list[tuple[float, float]] = []
        self._odd: dict[int, list[float]] = {}

    def measure_step(self, before: AnalyzedFrame, now: AnalyzedFrame, _: object) -> _Step:
        """How far the picture changes."""
        flow = cell_means(step_flow(self._flow, before, now)) * (100 / now.small_luma.shape[0])
        apart = _apart(thumbnail(before), thumbnail(now))
        return _Step(*_mean_and_most(apart), *_parts(apart), flow.astype(np.float16))

    def measure_frame(self, frame: AnalyzedFrame, _: object) -> npt.NDArray[np.float16]:
        """The thumbnail, to compare the ends of a freeze."""
        return thumbnail(frame).astype(np.float16)

    def add(self, index: int, step: _Step | None, found: npt.NDArray[np.float16]) -> None:
        """Keep the step; count how long the picture has stood still."""
        if step is not None:
            self._steps.append(step)
        cells = found.astype(np.float32)
        self._compare(cells)
        if step is None or self._start is None or not _still(step.mean, step.most, 1.0):
            self._start, self._run = cells, 0
            return
        if not _still(*_mean_and_most(_apart(self._start, cells)), STAYED):
            self._start, self._run = cells, 0
            return
        self._run += 1
        if self._run > self._longest[0]:
            self._longest = (self._run, index)

    def _compare(self, cells: Floats) -> None:
        """How much the last frames are mixtures or odd, now that this one is known."""
        self._latest = [cells, *self._latest[: ODD_FRAMES + 1]]
        self._apart = [[_apart(cells, old) for old in self._latest[1:]], *self._apart[:ODD_FRAMES]]
        if len(self._latest) > 2:
            after, now, before = self._latest[:3]
            below, above = _parts(_apart((before + after) / np.float32(2), now))
            self._mixed.append((below[1], above[1]))
        for count in range(1, len(self._apart[0])):
            # the first and the last odd frame, each beside the one before and the one after them
            last, first, end = self._apart[1], self._apart[count], self._apart[0]
            sides = (end[0], end[count - 1], last[count - 1], first[0])
            odd = np.maximum(np.minimum.reduce(sides) - end[count], 0)
            self._odd.setdefault(count, []).append(_mean_and_most(odd)[1])

    def finish(self, _: Reference) -> Sequence[Score]:
        """Five scores."""
        if len(self._steps) < 2 * NEAR:
            raise CannotMeasure("too_short")
        parts = [(step.below[1], step.above[1]) for step in self._steps]
        small, mixed = (_smallness(np.asarray(both)) for both in (parts, self._mixed))
        repeats = small < SMALL
        return (
            self._freeze(),
            self._repeated(max(repeats, mixed < SMALL, key=np.count_nonzero)),
            self._stutter(small),
            self._jump(repeats),
            self._strange(),
        )

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

    def _stutter(self, small: npt.NDArray[np.float64]) -> Score:
        held = [(start, length) for start, length in runs(small < SMALL) if length >= HELD]
        if self._fps < BRIEF:
            held += self._brief(small)
        share = sum(length for _, length in held) / len(small)
        longest = max(held, key=lambda run: run[1], default=None)
        return judged(STUTTER, 100 * share, frame=None if longest is None else longest[0] + 1)

    def _brief(self, small: npt.NDArray[np.float64]) -> list[tuple[int, int]]:
        """Starts and lengths of the repeats that are a hitch though they are few in a row.

        All are where the steps after them catch up; else the pairs, where single repeats are fewer:
        clips shown at more frames a second have those.
        """
        repeats = small < SMALL
        equal = (small < EQUAL) | [_still(step.mean, step.most, 1.0) for step in self._steps]
        short = [(start, length) for start, length in runs(repeats) if length < HELD]
        brief = [run for run in short if equal[run[0] : sum(run)].all()]
        moved = [
            float(np.hypot(step.flow[..., 0], step.flow[..., 1]).mean()) for step in self._steps
        ]
        after = usual = 0.0
        for start, length in brief:
            end = start + length
            near = [*range(max(0, start - NEAR), start), *range(end + 1, end + 1 + NEAR)]
            around = [moved[i] for i in near if i < len(moved) and not repeats[i]]
            if end < len(moved) and around:
                after, usual = after + moved[end], usual + float(np.median(around))
        fewest, further = CAUGHT_UP
        if len(brief) >= fewest and after > further * usual:
            return brief
        pairs = [run for run in brief if run[1] == HELD - 1]
        return pairs if 2 * len(pairs) > len(short) else []

    def _jump(self, repeats: npt.NDArray[np.bool_]) -> Score:
        kept = np.flatnonzero(~repeats)
        steps = [self._steps[i] for i in kept]
        levels = np.minimum(
            _over_steps([step.below[0] for step in steps]),
            _over_steps([step.above[0] for step in steps]),
        )
        moved = _beyond_steps([step.flow for step in steps])
        ratios = np.minimum(moved, SEEN * levels).tolist()
        series = [(int(at) + 1, ratio) for at, ratio in zip(kept, ratios, strict=True)]
        frame, value = max(series, key=lambda pair: pair[1])
        return judged(JUMP, value, series=series, frame=frame)

    def _strange(self) -> Score:
        """The frames that are odd, over what is usual around them, however many are odd there."""
        odd: dict[int, tuple[float, int]] = {}
        for count, found in self._odd.items():
            for index, value in enumerate(found, 1):
                odd[index] = max(odd.get(index, (0.0, 1)), (value, count))
        series = []
        for index, (value, count) in sorted(odd.items()):
            away = range(2, ODD_NEAR + 1)
            near = [index - i for i in away] + [index + count - 1 + i for i in away]
            usual = sorted(odd[i][0] for i in near if i in odd)[-2:]
            series.append((index, value / (usual[0] + ODD_LEVELS)))
        frame, value = max(series, key=lambda pair: pair[1])
        return judged(ODD, value, series=series, frame=frame)


def _over_steps(levels: Sequence[float]) -> Floats:
    """Every step over the largest of :data:`JUMP_STEPS` on each side, and of :data:`RESTS`."""
    ratios = []
    for i, step in enumerate(levels):
        near = [*levels[max(0, i - JUMP_STEPS) : i], *levels[i + 1 : i + 1 + JUMP_STEPS]]
        ratios.append(step / max(RESTS, *near))
    return np.asarray(ratios, np.float32)


def _beyond_steps(flows: Sequence[npt.NDArray[np.float16]]) -> Floats:
    """How far every step is beyond the :data:`JUMP_STEPS` on each side, as a mean over the cells.

    Cells count by the root of what they move by in the upper quarter of the steps. Nothing can be
    told of the last step, as nothing comes after it.
    """
    count = len(flows)
    steps = np.stack(flows).astype(np.float32).reshape(count, -1, 2)
    lengths = np.hypot(steps[..., 0], steps[..., 1])
    weights = np.sqrt(np.quantile(lengths, MOVES, axis=0)) + np.float32(1e-6)
    weights /= weights.sum()
    padded = np.pad(steps, ((2, 2), (0, 0), (0, 0)))
    around = np.pad(lengths, ((JUMP_STEPS, JUMP_STEPS), (0, 0)))
    out = np.zeros(count, np.float32)
    for i in range(count - 1):
        own = steps[i]
        for apart in (1, 2):  # the second: of frames drawn in pairs, every other step is large
            usual = padded[i + 2 - apart] + padded[i + 2 + apart]
            share = float((own * usual).sum()) / max(float((usual * usual).sum()), 1e-9)
            own = own - np.float32(min(max(share, 0.0), GOES_ON)) * usual
        near = np.delete(around[i : i + 2 * JUMP_STEPS + 1], JUMP_STEPS, axis=0).max(axis=0)
        beyond = np.hypot(own[:, 0], own[:, 1]) / np.maximum(near, RESTING)
        out[i] = np.minimum(beyond, LARGEST) @ weights
    return out


def _still(mean: float, most: float, share: float) -> bool:
    return mean <= STILL[0] * share and most <= STILL[1] * share


def _smallness(steps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Every step over the largest ones shortly before and shortly after it, the smaller of them.

    ``[T, 2]`` of both parts of the picture, of which the larger counts; 1 where nothing moves. A
    part that moves too little to tell says no more than whether it stands still.
    """
    padded = np.pad(steps, ((NEAR, NEAR), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, NEAR, axis=0)
    before, after = windows[: len(steps)].max(axis=-1), windows[NEAR + 1 :].max(axis=-1)
    usual = np.minimum(before, after)
    small = np.where(usual > VISIBLE, steps / np.maximum(usual, VISIBLE), steps > STILL[1])
    return np.where((usual > VISIBLE).any(axis=1), small.max(axis=1), 1.0)


def runs(flags: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and length of every run of True."""
    edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(np.int8), 0]))
    return [(int(a), int(b - a)) for a, b in edges.reshape(-1, 2)]
