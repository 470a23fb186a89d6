"""Does the face melt, wobble or jitter: its non-rigid motion, seen in the face's own frame.

Flow inside the face is a rigid head's (similarity and, for turns, depth) plus expression plus
defects. What a rigid head explains is taken out, places that expression moves weigh little, and
what is left is read over time: a melt grows steadily with one pattern or stretches the face, a
wobble oscillates, jitter is in every frame. Unit: percent of the inter-ocular distance.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import (
    LAYOUT,
    Matrix,
    Patch,
    compose,
    cut_luma,
    depth,
    inside_face,
    inverse,
    luma_patch,
    plane,
    region_of,
    stillness,
    to_chip,
)
from vivant.checks.flow import Field, Flow
from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.limits import limits
from vivant.checks.median import median
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.checks.oscillation import Oscillation
from vivant.checks.robust_fit import robust_fit
from vivant.types import Box, Score

MELT: Final = Spec("face_deformation", "fidelity", "% of eye distance")
STRETCH: Final = Spec("face_stretch", "fidelity", "%")
WOBBLE: Final = Spec("face_wobble", "fidelity", "% of eye distance")
JITTER: Final = Spec("face_jitter", "fidelity", "% of eye distance")

CELL: Final = 6
"""Chip pixels; flow is averaged over cells of this side."""

LOW_HERTZ: Final = 2.0
HIGH_HERTZ: Final = 9.0
"""Hz; below, people sway and open their mouths; above, it is jitter."""

SPEAKING: Final = 0.06
"""Stillness up to which a place belongs to speech (mouth, chin, jaw) and says nothing of wobble:
syllables swing there at 1.5 to 7 Hz, by several percent of the eye distance."""

LATE: Final = 0.75
"""A melt must show in every searched frame after this share of the clip."""

STEADINESS: Final = 3
"""Power of the correlation with time: a face that melts grows out of shape all the time, one that
turns or smiles does it in steps. Counts a correlation of 0.8 by half."""

USUAL: Final = 96
"""Frames from the first to the last of the stretches that the limits were chosen on. Over more, a
face that does not melt wanders off as in a random walk, with the root of time (two of seven clips
of 103 to 1008 frames came to 3.2 and 3.7 percent without melting): it is divided by that."""

TURNED: Final = 13.0
"""Degrees that a face turns or nods after the first one, up to which what is left counts whole: the
generic depth of a head is wrong by a share of the turn. Beyond, it counts the less the further the
face is turned. Of 20 people clean clips that turn further came to 2.5 … 4.1, the limit being 2.75;
no melt that was found turned further."""

HEAD: Final = 1.35
"""Inter-ocular distances of half a head's width, the unit of :func:`depth`."""

TREND_FRAMES: Final = 7
"""Searched frames with a face that a trend needs. By hand: 1.5 s of 97 frames."""

SHAKEN: Final = 5.0
"""Times the wobble, by which the whole face swings where a camera shakes: depth and the rows of its
sensor then bend the picture. 15 in such a clip, 0.1 to 1 in faces that wobble."""

CALM: Final = 10.0
"""Percentile over the frames: jitter does not rest even in the calmest tenth."""

Floats = npt.NDArray[np.float64]


class _FaceModel(NamedTuple):
    """The cells inside the face, and what a rigid head can do there.

    ``weights`` say how still they are when one speaks, ``silent`` is zero where they are not.
    """

    inside: npt.NDArray[np.bool_]
    weights: Floats
    silent: Floats
    similarity: Floats
    affine: Floats
    rigid: Floats
    rigid_out: tuple[Floats, Floats]
    smooth_out: tuple[Floats, Floats]


@cache
def _face_model() -> _FaceModel:
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

    def projector(model: Floats) -> tuple[Floats, Floats]:
        fit = np.asarray(np.linalg.pinv(model * root[:, None]) * root, np.float64)
        return model, fit

    silent = np.where(weights > SPEAKING, weights, 0.0)
    return _FaceModel(
        inside, weights, silent, similarity, affine, rigid, projector(rigid), projector(smooth)
    )


def _cells(field: Field) -> Floats:
    """``[2N]`` mean flow of the cells inside the face: all x, then all y."""
    side = (LAYOUT.width // CELL, LAYOUT.height // CELL)
    small = cv2.resize(field, side, interpolation=cv2.INTER_AREA)
    inside = _face_model().inside
    return np.concatenate([small[..., 0][inside], small[..., 1][inside]]).astype(np.float64)


def _explain(flow: Floats, model: Floats, rounds: int) -> tuple[Floats, Floats]:
    """Coefficients and residual of a robust fit in which still places weigh most."""
    face = _face_model()
    still = face.weights > 0.5
    return robust_fit(
        flow, model, face.weights, rounds=rounds,
        scale=lambda length: 1.5 * (median(length[still]) + 0.3),
    )  # fmt: skip


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
    share = np.tile(_face_model().weights, 2)
    share = share / (share.sum() / 2)
    lengths: Floats = np.sqrt((rows**2 * share).sum(axis=-1))
    return lengths


class _FaceStep(NamedTuple):
    """From one frame to the next: what a rigid head leaves, how much is truly bent, the face.

    ``carried`` is how far the whole face has moved, ``[1, 2]`` percent of the eye distance.
    """

    loose: npt.NDArray[np.float32]
    bent: float
    matrix: Matrix
    carried: npt.NDArray[np.float32]


class _Pose(NamedTuple):
    """The face of a searched frame; None without one. The first face is compared with nothing.

    ``turned`` is how far it has turned or nodded since, in degrees.
    """

    matrix: Matrix | None
    residual: npt.NDArray[np.float32] | None = None
    stretch: Floats | None = None
    turned: float = 0.0


class Deformation(Metric):
    """Melting, stretching, wobble and jitter from one flow per frame inside the face."""

    specs = (MELT, STRETCH, WOBBLE, JITTER)

    def __init__(self, fps: float) -> None:
        self._step = Flow("fast")
        self._reach = Flow("medium")
        self._start: int | None = None
        self._matrix: Matrix | None = None
        self._residuals: list[tuple[int, npt.NDArray[np.float32], Matrix]] = []
        self._stretches: list[Floats] = []
        self._turned: list[float] = []
        self._calm: list[float] = []
        self._wobble = Oscillation(
            fps, low=LOW_HERTZ, high=HIGH_HERTZ, weights=_face_model().silent
        )
        self._shake = Oscillation(fps, low=LOW_HERTZ, high=HIGH_HERTZ, weights=np.ones(1))

    def anchor(self, frame: AnalyzedFrame) -> tuple[int, Luma] | None:
        """The first face."""
        if frame.face is None:
            return None
        return frame.index, cut_luma(frame.pixels, to_chip(frame.face), half=frame.half)

    def measure_frame(self, frame: AnalyzedFrame, anchor: tuple[int, Luma] | None) -> _Pose | None:
        """Of a searched frame: flow from the first face."""
        if not frame.searched:
            return None
        if frame.face is None or anchor is None:
            return _Pose(None)
        matrix = to_chip(frame.face)
        patch = luma_patch(frame.pixels, matrix, half=frame.half)
        pose = _Pose(matrix)
        if anchor[0] != frame.index:
            pose = self._compare(patch, matrix, anchor[1])
        _keep(frame, pose.matrix, patch)
        return pose

    def measure_step(
        self, before: AnalyzedFrame, now: AnalyzedFrame, _: object
    ) -> _FaceStep | None:
        """Flow from the frame before, in the frame of the face."""
        if "face" not in before.cache:
            return None
        matrix, chip = before.cache["face"]
        patch = luma_patch(now.pixels, matrix, half=now.half)
        flow = _cells(self._step.between(chip, patch.chip(matrix)))
        coefficients, residual = _explain(flow, _face_model().similarity, 2)
        percent = residual / LAYOUT.interocular * 100
        # einsum, not BLAS: the same to the bit however many threads there are.
        loose, bent = (
            percent - np.einsum("ij,j->i", model, np.einsum("ij,j->i", fit, percent))
            for model, fit in (_face_model().rigid_out, _face_model().smooth_out)
        )
        matrix = compose(inverse(_motion(coefficients)), matrix)
        if not now.searched:
            _keep(now, matrix, patch)
        pairs = np.stack(np.split(loose, 2), axis=1).astype(np.float32)
        moved = np.split(flow - residual, 2)
        carried = np.asarray([[part.mean() for part in moved]], np.float32)
        return _FaceStep(pairs, float(_length(bent)), matrix, carried * (100 / LAYOUT.interocular))

    def _compare(self, patch: Patch, matrix: Matrix, first: Luma) -> _Pose:
        """Align the face with the first one, then keep what no rigid head explains."""
        flow = _cells(self._reach.between(first, patch.chip(matrix)))
        coefficients, _ = _explain(flow, _face_model().similarity, 3)
        matrix = compose(inverse(_motion(coefficients)), matrix)
        flow = _cells(self._reach.between(first, patch.chip(matrix)))
        pose, residual = _explain(flow, _face_model().rigid, 3)
        percent = residual / LAYOUT.interocular * 100
        stretch, _ = _explain(flow, _face_model().affine, 3)
        return _Pose(
            matrix,
            percent.astype(np.float32),
            stretch[4:6] / LAYOUT.interocular * 100,
            float(np.degrees(np.hypot(*pose[6:8]) / (HEAD * LAYOUT.interocular))),
        )

    def add(self, index: int, step: _FaceStep | None, found: _Pose | None) -> None:
        """Keep a frame's numbers."""
        if step is not None:
            self._calm.append(step.bent)
            self._wobble.add(step.loose)
            self._shake.add(step.carried)
            self._matrix = step.matrix
        elif index:
            self._wobble.add(None)
            self._shake.add(None)
        if found is None:
            return
        self._matrix = found.matrix
        if found.matrix is not None and self._start is None:
            self._start = index
        if found.matrix is not None and found.residual is not None and found.stretch is not None:
            self._stretches.append(found.stretch)
            self._turned.append(found.turned)
            self._residuals.append((index, found.residual, found.matrix))

    def finish(self, _: Reference) -> Sequence[Score]:
        """Four scores."""
        if self._start is None:
            raise CannotMeasure("no_face_in_clip")
        return self._melt(), self._stretch(), self._wobbling(), self._jitter()

    def _melt(self) -> Score:
        if len(self._residuals) < TREND_FRAMES:
            return unmeasured(MELT, CannotMeasure("too_few_faces"))
        time = self._time()
        fields = np.stack([field for _, field, _ in self._residuals]).astype(np.float64)
        share = np.tile(_face_model().weights, 2)
        grown, steady = _growth(time, fields * np.sqrt(share / (share.sum() / 2)))
        index, field, matrix = self._residuals[-1]
        grown = grown * min(1.0, np.sqrt(USUAL / (index - (self._start or 0))))
        grown = grown * TURNED / np.maximum(self._turned, TURNED)
        value = max(0.0, float(grown[time > LATE].min())) * steady**STEADINESS
        return judged(
            MELT,
            value,
            series=self._series(grown),
            frame=index,
            region=_where(np.hypot(*np.split(field.astype(np.float64), 2)), matrix),
            facts={"steady": steady},
        )

    def _stretch(self) -> Score:
        if len(self._stretches) < TREND_FRAMES:
            return unmeasured(STRETCH, CannotMeasure("too_few_faces"))
        time = self._time()
        grown, steady = _growth(time, np.stack(self._stretches))
        value = max(0.0, float(grown[time > LATE].min())) * steady
        return judged(STRETCH, value, series=self._series(grown), frame=self._residuals[-1][0])

    def _time(self) -> Floats:
        """0 at the first face, 1 at the last, for every searched frame after the first."""
        frames = np.asarray([index for index, _, _ in self._residuals], np.float64)
        start = self._start or 0
        share: Floats = (frames - start) / (frames[-1] - start)
        return share

    def _series(self, grown: Floats) -> list[tuple[int, float]]:
        frames = [index for index, _, _ in self._residuals]
        return [(self._start or 0, 0.0), *zip(frames, grown.tolist(), strict=True)]

    def _wobbling(self) -> Score:
        swing = self._wobble.finish()
        if swing is None:
            return unmeasured(WOBBLE, CannotMeasure("too_short"))
        if limits()[WOBBLE.name].judge(swing.amplitude) != "pass":
            shake = self._shake.finish()
            if shake is not None and shake.amplitude > SHAKEN * swing.amplitude:
                return unmeasured(WOBBLE, CannotMeasure("shaken"))
        matrix = next((m for index, _, m in self._residuals if index >= swing.frame), self._matrix)
        return judged(
            WOBBLE,
            swing.amplitude,
            frame=swing.frame,
            region=None if matrix is None else _where(swing.cells, matrix),
            facts={"hertz": swing.hertz},
        )

    def _jitter(self) -> Score:
        if len(self._calm) < TREND_FRAMES:
            return unmeasured(JITTER, CannotMeasure("too_short"))
        return judged(JITTER, float(np.percentile(self._calm, CALM)))


def _keep(frame: AnalyzedFrame, matrix: Matrix | None, patch: Patch) -> None:
    """Where the face is, for the step to the next frame."""
    if matrix is not None:
        if not patch.holds(frame.pixels, matrix):
            patch = luma_patch(frame.pixels, matrix, half=frame.half)
        frame.cache["face"] = matrix, patch.chip(matrix)


def _where(lengths: Floats, matrix: Matrix) -> Box:
    """The part of the face that is bent most, in pixels of the frame."""
    face = _face_model()
    rows, columns = np.nonzero(face.inside)
    heat = np.zeros(face.inside.shape)
    heat[rows, columns] = lengths * face.weights
    smooth = cv2.GaussianBlur(heat, (0, 0), 1.5)
    row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
    side = LAYOUT.interocular * 0.7
    x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
    return region_of(matrix, Box(x - side / 2, y - side / 2, side, side))
