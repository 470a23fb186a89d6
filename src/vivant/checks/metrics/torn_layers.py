"""Is the picture torn: parts that belong together slide against each other along a line.

A rare frame's optical flow says where each place of the picture has gone. At a tear, places on both
sides of a line have moved differently, each side is explained by its own motion up to the line
and by the other side's motion not at all, and the picture goes on across the line. At the outline
of a person the motion breaks off as well, but there the picture does too. Marks of most frames at
one place count. The score is how much of the best line is marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import ceil
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.flow import Field, Flow
from vivant.checks.frame import MEDIUM_SIDE, AnalyzedFrame, Luma, Reference
from vivant.checks.median import median
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.checks.robust_fit import robust_fit
from vivant.types import Box, Face, Score

TORN: Final = Spec("torn_layers", "quality", "%")

BESIDE: Final = 8
"""Pixels from the line at which the motion of either side is taken."""

NEAR: Final = (1, 3, 5)
"""Pixels from the line, on both sides, at which either motion is tried."""

ALONG: Final = 17
"""Pixels along the line over which errors are averaged."""

SLIDE: Final = (0.4, 1.0)
"""Pixels between the motions of both sides: from none to all of a mark."""

GOES_ON: Final = (0.6, 0.9)
"""Correlation of the picture's levels 3 px on either side of the line, along it."""

EDGE: Final = (8.0, 16.0)
"""Levels between both sides from which the picture has an edge there of its own."""

OUTLINE: Final = (16.0, 32.0)
"""Levels as :data:`EDGE`, of an edge within :data:`BESIDE` pixels: flow breaks off a little beside
an outline."""

GAIN: Final = 3.0
"""Levels by which each side's own motion must explain it better, for a whole mark."""

POOLED: Final = 4
"""Pixels; marks are kept in cells of this side."""

LENGTH: Final = 25
"""Cells of the line whose marks are counted: a sixth of the picture's longest side."""

MOST: Final = 0.6
"""Share of the frames in which a mark must be seen."""

STEADY: Final = 0.5
"""Share of all marks that must last, or the score is less by as much: a tear stays where it is."""

BUSY: Final = 0.003
"""Share of the picture that is marked in a frame, on average, from which nothing can be told:
engines that move a picture come to 0.0018, people in real clips to 0.0005 … 0.006."""

ROUNDS: Final = 4
"""Of robust least squares for the motion of the whole picture."""

Floats = npt.NDArray[np.float32]
Marks = npt.NDArray[np.uint8]
"""``[2, rows, columns]``: of lines from left to right, then of those from top to bottom."""


class _Prepared(NamedTuple):
    """The picture, and by axis where it goes on across a line, 0 … 1."""

    luma: Luma
    levels: Floats
    unbroken: tuple[Floats, Floats]


class _Found(NamedTuple):
    """The marks of a frame, nearly all of which are zero: the places of the others, and those."""

    shape: tuple[int, ...]
    places: npt.NDArray[np.int32]
    marks: npt.NDArray[np.uint8]


class TornLayers(Metric):
    """One answer from the rare frames."""

    parallel = True
    specs = (TORN,)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._flow = Flow("medium")
        self._seen: list[tuple[int, _Found]] = []

    @cached_property
    def _picture(self) -> _Prepared:
        luma = self._reference.medium_luma
        levels = luma.astype(np.float32)
        return _Prepared(luma, levels, (_unbroken(levels, 0), _unbroken(levels, 1)))

    def prepare(self) -> None:
        """Measure the picture."""
        _ = self._picture

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> _Found | None:
        """Marks of a rare frame."""
        if not frame.rare or not frame.index:
            return None
        picture = self._picture
        luma = frame.medium_luma
        field = self._flow.between(picture.luma, luma)
        growth = _growth(field)
        marks = np.stack([_marks(picture, luma, field, growth, axis) for axis in (0, 1)])
        places = np.flatnonzero(marks).astype(np.int32)
        return _Found(marks.shape, places, marks.ravel()[places])

    def add(self, index: int, _: None, found: _Found | None) -> None:
        """Keep it."""
        if found is not None:
            self._seen.append((index, found))

    def finish(self, reference: Reference) -> Sequence[Score]:
        """One score."""
        if len(self._seen) < 2:
            raise CannotMeasure("too_short")
        marks = np.stack([_laid_out(found) for _, found in self._seen])
        if reference.face is not None:
            factor = min(1.0, MEDIUM_SIDE / max(reference.pixels.shape[:2])) / POOLED
            marks[..., _features(marks.shape[2:], reference.face, factor)] = 0
        lasting = np.sort(marks, axis=0)[-ceil(MOST * len(marks))]
        share = float(marks.mean()) / 255
        if share > BUSY:
            raise CannotMeasure("moves_freely")
        steady = float(lasting.mean()) / 255 / max(share, 1e-9)
        found = [_line(lasting[0].T), _line(lasting[1])]
        upright = int(found[1][0] >= found[0][0])
        value, box = found[upright]
        value *= min(1.0, steady / STEADY)
        if not upright:
            box = Box(box.top, box.left, box.height, box.width)
        scale = reference.pixels.shape[1] / lasting.shape[2]
        most = int(marks[:, upright].sum(axis=(1, 2), dtype=np.int64).argmax())
        index = self._seen[most][0]
        return (judged(TORN, value, frame=index, region=box.scaled(scale)),)


def _laid_out(found: _Found) -> Marks:
    marks = np.zeros(found.shape, np.uint8)
    marks.ravel()[found.places] = found.marks
    return marks


def _beside(image: npt.NDArray[np.float32], pixels: int, axis: int) -> Floats:
    """The picture so that each place shows what is ``pixels`` further along the axis."""
    out = np.empty_like(image)
    there, source = (out, image) if axis == 0 else (out.swapaxes(0, 1), image.swapaxes(0, 1))
    if pixels > 0:
        there[:-pixels], there[-pixels:] = source[pixels:], source[-1:]
    else:
        there[-pixels:], there[:-pixels] = source[:pixels], source[:1]
    return out


def _averaged(image: Floats, axis: int) -> Floats:
    """Along a line that is crossed along ``axis``."""
    size = (1, ALONG) if axis else (ALONG, 1)
    return cv2.blur(image, size).astype(np.float32, copy=False)


def _ramp(values: npt.NDArray[Any], low: float, high: float) -> Floats:
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)


def _unbroken(levels: Floats, axis: int) -> Floats:
    """1 where the picture's levels are alike on both sides of a line, 0 at an edge."""
    one, other = _beside(levels, -NEAR[1], axis), _beside(levels, NEAR[1], axis)
    mean, mean_other = _averaged(one, axis), _averaged(other, axis)
    both = _averaged(one * other, axis) - mean * mean_other
    power = _averaged(one * one, axis) - mean**2
    power_other = _averaged(other * other, axis) - mean_other**2
    alike = both / np.sqrt(np.maximum(power * power_other, 1))
    apart = np.abs(mean - mean_other)
    side = 2 * BESIDE + 5
    near = cv2.dilate(apart, np.ones((1, side) if axis else (side, 1), np.uint8))
    return _ramp(alike, *GOES_ON) * (1 - _ramp(apart, *EDGE)) * (1 - _ramp(near, *OUTLINE))


def _growth(field: Field) -> Floats:
    """``[2, 2]`` by which the whole picture's motion grows per pixel down, and per pixel across."""
    height, width = field.shape[:2]
    y, x = (v.astype(np.float64) for v in np.mgrid[4:height:12, 4:width:12])
    model = np.stack([np.ones(x.size), y.ravel(), x.ravel()], axis=1)
    flow = field[4:height:12, 4:width:12].reshape(-1, 2).astype(np.float64)
    coefficients, _ = robust_fit(
        flow.T.ravel(),
        np.kron(np.eye(2), model),  # x and y have coefficients of their own
        np.ones(len(flow)),
        rounds=ROUNDS,
        scale=lambda off: median(off) + 0.1,
    )
    return coefficients.reshape(2, 3).T[1:].astype(np.float32)


def _marks(picture: _Prepared, luma: Luma, field: Field, growth: Floats, axis: int) -> Marks:
    """Cells through which a tear goes, 0 … 255."""
    sides = [_beside(field, side, axis) for side in (-BESIDE, BESIDE)]
    apart = sides[1] - sides[0] - 2 * BESIDE * growth[axis]
    slide = _ramp(cv2.magnitude(apart[..., 0], apart[..., 1]), *SLIDE)
    slide *= picture.unbroken[axis]
    kernel = np.ones((ALONG, 1) if axis else (1, ALONG), np.uint8)
    places = np.flatnonzero(cv2.dilate((slide > 0).astype(np.uint8), kernel))
    marks = np.zeros(luma.shape, np.float32)
    if len(places):
        before, after = _errors(picture.levels, luma, sides, places, axis)
        gain = np.minimum(after.before - after.after, before.after - before.before)
        gain -= 0.6 * np.maximum(after.after, before.before)
        marks = slide * _ramp(gain, 0, GAIN)
    height, width = luma.shape[0] // POOLED, luma.shape[1] // POOLED
    cells = marks[: height * POOLED, : width * POOLED].reshape(height, POOLED, width * POOLED)
    cells = cells.max(axis=1)
    cells = np.max([cells[:, first::POOLED] for first in range(POOLED)], axis=0)
    return np.asarray(np.rint(255 * cells), np.uint8)


class _Sides(NamedTuple):
    """Levels by which one motion misses the picture, before and after the line."""

    before: Floats
    after: Floats


def _errors(
    levels: Floats,
    luma: Luma,
    motions: Sequence[Floats],
    places: npt.NDArray[np.intp],
    axis: int,
) -> list[_Sides]:
    """How far the frame is from the picture moved by each motion, beside each of the places.

    ``places`` are those of the flattened picture.
    """
    width = luma.shape[1]
    shown = luma.astype(np.float32)
    rows, columns = np.divmod(places, width)
    border = max(NEAR)
    wider = cv2.copyMakeBorder(levels, *(border,) * 4, cv2.BORDER_REPLICATE)
    there = wider.ravel(), (rows + border) * wider.shape[1] + columns + border
    stride = 1 if axis else wider.shape[1]
    out = []
    for motion in motions:
        moved = motion.reshape(-1, 2)[places]
        x, y = (
            _grid(start.astype(np.float32) + moved[:, i]) for i, start in enumerate((columns, rows))
        )
        sides = []
        for sign in (-1, 1):
            total = np.zeros(len(places), np.float32)
            for pixels in NEAR:
                step = sign * pixels
                at = (x + step, y) if axis else (x, y + step)
                found = cv2.remap(shown, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
                apart = found.ravel()[: len(places)] - there[0][there[1] + step * stride]
                total += np.abs(apart, out=apart)
            image = np.zeros(luma.shape, np.float32)
            image.ravel()[places] = total / len(NEAR)
            sides.append(_averaged(image, axis))
        out.append(_Sides(*sides))
    return out


def _grid(values: Floats) -> Floats:
    """In rows, filled up with zeros: OpenCV wants maps of less than 32,768 columns."""
    columns = 4096
    grid = np.zeros((-(-len(values) // columns), columns), np.float32)
    grid.ravel()[: len(values)] = values
    return grid


def _features(shape: tuple[int, int], face: Face, factor: float) -> npt.NDArray[np.bool_]:
    """Cells of eyes, nose and mouth: what moves there against the rest is no layer."""
    x, y = (np.asarray(face.landmarks) * factor).mean(axis=0)
    eyes = max(face.interocular * factor, 1e-6)
    rows, columns = np.mgrid[0 : shape[0], 0 : shape[1]]
    inside = ((columns - x) / eyes) ** 2 + ((rows - y - 0.5 * eyes) / (1.1 * eyes)) ** 2 < 1
    return np.asarray(inside)


def _line(marks: Marks) -> tuple[float, Box]:
    """Percent of the best line from top to bottom that is marked, and the cells it goes through.

    A line goes down one cell at a time and to the side by one at most.
    """
    own = marks.astype(np.float32) / 255
    best = own
    reach = np.ones((1, 3), np.uint8)
    for _ in range(LENGTH - 1):
        above = np.zeros_like(own)
        above[1:] = cv2.dilate(best, reach)[:-1]
        best = own + above
    row, column = (int(v) for v in np.unravel_index(int(best.argmax()), best.shape))
    top, left = max(0, row - LENGTH + 1), max(0, column - LENGTH // 2)
    part = own[top : row + 1, left : column + LENGTH // 2 + 1]
    rows, columns = np.nonzero(part > 0.2)
    value = 100 * float(best[row, column]) / LENGTH
    if not len(rows):
        return value, Box(column, row, 1, 1)
    low, high = columns.min() + left, columns.max() + left + 1
    first, last = rows.min() + top, rows.max() + top + 1
    return value, Box(float(low), float(first), float(high - low), float(last - first))
