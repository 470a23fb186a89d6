"""Does the face melt, wobble or jitter: its non-rigid motion, seen in the face's own frame.

Flow inside the face is a rigid head's (similarity and, for turns, depth) plus expression plus
defects. What a rigid head explains is taken out, places that expression moves weigh little, and
what is left is read over time: a melt grows steadily with one pattern or
stretches the face, a wobble swings on,
jitter never rests. Unit: percent of the inter-ocular distance. Knows nothing of identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.canonical import (
    LAYOUT,
    Matrix,
    compose,
    cut_luma,
    depth,
    inside_face,
    inverse,
    plane,
    region_of,
    stillness,
    to_chip,
)
from vivant.checks.flow import Field, Flow
from vivant.checks.metric import CannotMeasure, Spec, judged, unmeasured
from vivant.checks.oscillation import Oscillation
from vivant.checks.sample import Luma, Reference, Sample
from vivant.types import Box, Score

MELT: Final = Spec("face_deformation", "fidelity", "% of eye distance")
STRETCH: Final = Spec("face_stretch", "fidelity", "%")
WOBBLE: Final = Spec("face_wobble", "fidelity", "% of eye distance")
JITTER: Final = Spec("face_jitter", "fidelity", "% of eye distance")

CELL: Final = 6
"""Chip pixels; flow is averaged over cells of this side."""

LOW_HERTZ: Final = 2.4
HIGH_HERTZ: Final = 10.0
"""Hz; people nod and speak below, flicker is above."""

LATE: Final = 0.75
"""A melt must show in every grid frame after this share of the clip."""

FEWEST: Final = 7
"""Grid frames with a face that a trend needs."""

CALM: Final = 25.0
"""Percentile over the frames: jitter does not rest even in the calmest quarter."""

Floats = npt.NDArray[np.float64]


class _Face(NamedTuple):
    """The cells inside the face, and what a rigid head can do there."""

    inside: npt.NDArray[np.bool_]
    weights: Floats
    similarity: Floats
    affine: Floats
    rigid: Floats
    smooth_out: Floats


@cache
def _face() -> _Face:
    u, v = plane(LAYOUT, CELL)
    inside = inside_face(u, v)
    weights = stillness(u, v)[inside]
    one, none, z = np.ones_like(u), np.zeros_like(u), depth(u, v)

    def columns(*pairs: tuple[Floats, Floats]) -> Floats:
        return np.stack([np.concatenate([a[inside], b[inside]]) for a, b in pairs], axis=1)

    similarity = columns((one, none), (none, one), (u, v), (-v, u))
    affine = np.hstack([similarity, columns((u, -v), (v, u))])
    rigid = np.hstack([affine, columns((z, none), (none, z))])
    bends = [(a, none) for a in (u * u, u * v, v * v)] + [(none, a) for a in (u * u, u * v, v * v)]
    smooth = np.hstack([rigid, columns(*bends)])
    root = np.sqrt(np.tile(weights, 2))
    projector = smooth @ np.linalg.pinv(smooth * root[:, None]) * root[None]
    return _Face(inside, weights, similarity, affine, rigid, projector)


def _cells(field: Field) -> Floats:
    """``[2N]`` mean flow of the cells inside the face: all x, then all y."""
    side = (LAYOUT.width // CELL, LAYOUT.height // CELL)
    small = cv2.resize(field, side, interpolation=cv2.INTER_AREA)
    inside = _face().inside
    return np.concatenate([small[..., 0][inside], small[..., 1][inside]]).astype(np.float64)


def _explain(flow: Floats, model: Floats, rounds: int) -> tuple[Floats, Floats]:
    """Weighted least squares with Huber's weights: coefficients, residual."""
    face = _face()
    still = face.weights > 0.5
    base: Floats = np.tile(face.weights, 2)
    weights = base
    coefficients: Floats = np.zeros(model.shape[1])
    residual = flow
    for _ in range(rounds):
        root = np.sqrt(weights)
        solved = np.linalg.lstsq(model * root[:, None], flow * root, rcond=None)[0]
        coefficients = solved.astype(np.float64)
        residual = flow - model @ coefficients
        length = np.hypot(*np.split(residual, 2))
        scale = 1.5 * (float(np.median(length[still])) + 0.3)
        weights = base * np.tile(np.minimum(1, scale / np.maximum(length, 1e-6)), 2)
    return coefficients, residual


def _motion(coefficients: Floats) -> Matrix:
    """The chip-to-chip map of a fitted similarity."""
    x, y, grow, turn = coefficients[:4]
    linear = np.asarray([[1.0, 0.0], [0.0, 1.0]]) + np.asarray([[grow, -turn], [turn, grow]]) / (
        LAYOUT.interocular
    )
    eyes = np.asarray(LAYOUT.eyes)
    return np.column_stack([linear, eyes + np.asarray([x, y]) - linear @ eyes])


def _growth(time: Floats, rows: Floats) -> tuple[Floats, float]:
    """How far each row has gone along the trend of all, and how steadily (0 … 1)."""
    trend = (time[:, None] * rows).sum(axis=0) / (time**2).sum()
    grown: Floats = rows @ trend / max(float(np.linalg.norm(trend)), 1e-9)
    if grown.std() < 1e-6:
        return grown, 0.0
    return grown, max(0.0, float(np.corrcoef(time, grown)[0, 1]))


def _length(rows: Floats) -> Floats:
    """``[T]`` root mean square over the cells, still places weighing most."""
    share = np.tile(_face().weights, 2)
    share = share / (share.sum() / 2)
    lengths: Floats = np.sqrt((rows**2 * share).sum(axis=-1))
    return lengths


class Deformation:
    """Melting, stretching, wobble and jitter from one flow per frame inside the face."""

    specs = (MELT, STRETCH, WOBBLE, JITTER)

    def __init__(self, fps: float) -> None:
        self._step = Flow("fast")
        self._reach = Flow("medium")
        self._first: Luma | None = None
        self._start = 0
        self._previous: Luma | None = None
        self._matrix: Matrix | None = None
        self._residuals: list[tuple[int, npt.NDArray[np.float32], Matrix]] = []
        self._stretches: list[Floats] = []
        self._calm: list[float] = []
        self._wobble = Oscillation(fps, low=LOW_HERTZ, high=HIGH_HERTZ, weights=_face().weights)

    def look(self, sample: Sample) -> None:
        """Flow from the frame before; on the grid also from the first frame."""
        if self._matrix is not None and self._previous is not None:
            now = cut_luma(sample.pixels, self._matrix)
            flow = _cells(self._step.between(self._previous, now))
            coefficients, residual = _explain(flow, _face().similarity, 2)
            self._swing(residual)
            self._matrix = compose(inverse(_motion(coefficients)), self._matrix)
        elif sample.index:
            self._wobble.add(np.zeros((len(_face().weights), 2), np.float32))
        if sample.gridded:
            self._matrix = None
            if sample.face is not None:
                self._matrix = to_chip(sample.face)
                if self._first is None:
                    self._first = cut_luma(sample.pixels, self._matrix)
                    self._start = sample.index
                else:
                    self._compare(sample)
        matrix = self._matrix
        self._previous = None if matrix is None else cut_luma(sample.pixels, matrix)

    def _swing(self, residual: Floats) -> None:
        percent = residual / LAYOUT.interocular * 100
        bent = percent - _face().smooth_out @ percent
        self._calm.append(float(_length(bent)))
        self._wobble.add(np.stack(np.split(bent, 2), axis=1).astype(np.float32))

    def _compare(self, sample: Sample) -> None:
        """Align the face with the first one, then keep what no rigid head explains."""
        if self._first is None or self._matrix is None:
            return
        matrix = self._matrix
        flow = _cells(self._reach.between(self._first, cut_luma(sample.pixels, matrix)))
        coefficients, _ = _explain(flow, _face().similarity, 3)
        matrix = compose(inverse(_motion(coefficients)), matrix)
        flow = _cells(self._reach.between(self._first, cut_luma(sample.pixels, matrix)))
        _, residual = _explain(flow, _face().rigid, 3)
        percent = residual / LAYOUT.interocular * 100
        self._matrix = matrix
        stretch, _ = _explain(flow, _face().affine, 3)
        self._stretches.append(stretch[4:6] / LAYOUT.interocular * 100)
        self._residuals.append((sample.index, percent.astype(np.float32), matrix))

    def finish(self, _: Reference) -> Sequence[Score]:
        """Four scores."""
        if self._first is None:
            raise CannotMeasure("no_face_in_clip")
        return self._melt(), self._stretch(), self._wobbling(), self._jitter()

    def _melt(self) -> Score:
        if len(self._residuals) < FEWEST:
            return unmeasured(MELT, CannotMeasure("too_few_faces"))
        time = self._time()
        fields = np.stack([field for _, field, _ in self._residuals]).astype(np.float64)
        share = np.tile(_face().weights, 2)
        grown, steady = _growth(time, fields * np.sqrt(share / (share.sum() / 2)))
        value = max(0.0, float(grown[time > LATE].min())) * steady
        index, field, matrix = self._residuals[-1]
        return judged(
            MELT,
            value,
            series=self._series(grown),
            frame=index,
            region=_where(np.hypot(*np.split(field.astype(np.float64), 2)), matrix),
            facts={"steady": steady},
        )

    def _stretch(self) -> Score:
        if len(self._stretches) < FEWEST:
            return unmeasured(STRETCH, CannotMeasure("too_few_faces"))
        time = self._time()
        grown, steady = _growth(time, np.stack(self._stretches))
        value = max(0.0, float(grown[time > LATE].min())) * steady
        return judged(STRETCH, value, series=self._series(grown), frame=self._residuals[-1][0])

    def _time(self) -> Floats:
        """0 at the first face, 1 at the last, for every grid frame after the first."""
        frames = np.asarray([index for index, _, _ in self._residuals], np.float64)
        share: Floats = (frames - self._start) / (frames[-1] - self._start)
        return share

    def _series(self, grown: Floats) -> list[tuple[int, float]]:
        frames = [index for index, _, _ in self._residuals]
        return [(self._start, 0.0), *zip(frames, grown.tolist(), strict=True)]

    def _wobbling(self) -> Score:
        swing = self._wobble.finish()
        if swing is None:
            return unmeasured(WOBBLE, CannotMeasure("too_short"))
        matrix = next((m for index, _, m in self._residuals if index >= swing.frame), self._matrix)
        return judged(
            WOBBLE,
            swing.amplitude,
            frame=swing.frame,
            region=None if matrix is None else _where(swing.cells, matrix),
            facts={"hertz": swing.hertz},
        )

    def _jitter(self) -> Score:
        if len(self._calm) < FEWEST:
            return unmeasured(JITTER, CannotMeasure("too_short"))
        return judged(JITTER, float(np.percentile(self._calm, CALM)))


def _where(lengths: Floats, matrix: Matrix) -> Box:
    """The part of the face that is bent most, in pixels of the frame."""
    face = _face()
    rows, columns = np.nonzero(face.inside)
    heat = np.zeros(face.inside.shape)
    heat[rows, columns] = lengths * face.weights
    smooth = cv2.GaussianBlur(heat, (0, 0), 1.5)
    row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
    side = LAYOUT.interocular * 0.7
    x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
    return region_of(matrix, Box(x - side / 2, y - side / 2, side, side))
