"""Do the lips keep their outline, or do they bend and smear as if they melted.

The face mesh says where the lips' outline is, and which place of the picture each place of the
mouth comes from, whatever the mouth says. Short profiles across the outline are then looked up in
the picture: where lips have melted, they lie beside the place where the mesh expects them. Of
every place the median of :data:`SECONDS` counts, of all places the percentile :data:`COUNTED`. A
mesh that sits beside the lips as a whole, or too wide, is no defect, so the outline is also taken
without a common shift and growth, and the milder of both counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import Layout, Matrix, cut_luma
from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.frame_mesh import frame_mesh, picture_mesh, pupils, turned
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.picture.face_mesh import LEFT_IRIS, RIGHT_IRIS, FaceMesh
from vivant.types import Box, Image, Score

MOUTH_SHAPE: Final = Spec("mouth_shape", "fidelity", "% of eye distance")

LAYOUT: Final = Layout(90.0, 120, 96, (60.0, 48.0))
"""The mouth and what is around it; ``eyes`` is where the middle of the lips is put."""

OUTLINE: Final = (
    61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146,
)  # fmt: skip
"""Points of the mesh around the lips, in order."""

PLACES: Final = 60
"""On the outline."""

REACH: Final = 16
"""Pixels of a profile on either side of the outline."""

FURTHEST: Final = 9
"""Pixels by which a profile may lie beside its place: a tenth of the eye distance."""

FLAT: Final = 30.0
"""Power of a profile without an edge, in squared levels: nothing is found there."""

SPREAD: Final = (4.0, 15.0, 1e-4)
"""Pixels over which the mesh's points count, nearby and beyond, and the weight of the latter."""

WINDOW: Final = 13
"""Searched frames in a row, at least."""

SECONDS: Final = 3.0
"""That they last, at least: what the mesh gets wrong changes with the word that is said, a melt
stays."""

COUNTED: Final = 70.0
"""Percentile of the places that counts: teeth, tongue and shadows spoil some. Of 55 people with
melted lips it finds more than 75 does (docs/calibration-added.md)."""

SMALLEST: Final = 60.0
"""Pixels between the pupils, in the picture's own pixels, from which lips have an outline to hold
against them."""

TURNED: Final = 15.0
"""Degrees of yaw or pitch from the picture's pose: beyond, lips hide each other."""

Floats = npt.NDArray[np.float64]


class _Mouth(NamedTuple):
    """A mouth on the layout, and the mesh there."""

    luma: Luma
    points: Floats


class _Seen(NamedTuple):
    """Pixels by which the outline is off at each place, and is bent there; where the mouth is."""

    off: npt.NDArray[np.float32]
    bent: npt.NDArray[np.float32]
    box: Box


class MouthShape(Metric):
    """One answer from the searched frames."""

    specs = (MOUTH_SHAPE,)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._picture: _Mouth | None = None
        self._seen: list[tuple[int, _Seen]] = []

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> _Seen | None:
        """How far the lips are off in a searched frame; None where they cannot be seen."""
        if not frame.searched or not frame.index:
            return None
        mesh = picture_mesh(self._reference)
        found = None if mesh is None else frame_mesh(frame, self._reference)
        if mesh is None or found is None or turned(found, mesh) > TURNED:
            return None
        if pupils(mesh) * self._reference.detail < SMALLEST:
            return None
        if self._picture is None:
            self._picture = _mouth(self._reference.pixels, mesh)
        lips = found.points[list(OUTLINE), :2]
        mouth = _mouth(frame.pixels, found, frame.half)
        off = _off(mouth, self._picture)
        return _Seen(off, _bent(off, mouth), _box(lips))

    def add(self, index: int, _: None, found: _Seen | None) -> None:
        """Keep a frame's numbers."""
        if found is not None:
            self._seen.append((index, found))

    def finish(self, reference: Reference) -> Sequence[Score]:
        """One score."""
        if reference.face is None:
            raise CannotMeasure("no_face_in_picture")
        if len(self._seen) < 4:
            raise CannotMeasure("parts_not_seen")
        stride = float(np.median(np.diff([index for index, _ in self._seen])))
        length = min(len(self._seen), max(WINDOW, round(SECONDS * reference.fps / stride)))
        values = np.minimum(
            _lasting([seen.off for _, seen in self._seen], length),
            _lasting([seen.bent for _, seen in self._seen], length),
        )
        worst = int(values.argmax())
        series = [(self._seen[i + length // 2][0], float(value)) for i, value in enumerate(values)]
        index, seen = self._seen[worst + length // 2]
        value = float(values[worst])
        found = judged(MOUTH_SHAPE, value, series=series, frame=index, region=seen.box)
        return (found,)


def _lasting(frames: Sequence[npt.NDArray[np.float32]], length: int) -> Floats:
    """Of every ``length`` frames in a row: percent of the eye distance that their lips are off."""
    rows = np.stack(frames).astype(np.float64)
    medians = [
        np.abs(np.median(rows[start : start + length], axis=0))
        for start in range(len(rows) - length + 1)
    ]
    return np.asarray(np.percentile(medians, COUNTED, axis=1) * (100 / LAYOUT.interocular))


def _bent(off: npt.NDArray[np.float32], mouth: _Mouth) -> npt.NDArray[np.float32]:
    """``off`` without what a shift and a growth of the whole outline explain."""
    model = np.column_stack([_outline(mouth.points[list(OUTLINE)])[1], np.ones(PLACES)])
    normal = np.einsum("ij,ik->jk", model, model)
    moved = np.linalg.solve(normal, np.einsum("ij,i->j", model, off))
    return np.asarray(off - np.einsum("ij,j->i", model, moved), np.float32)


def _mouth(pixels: Image, mesh: FaceMesh, half: Image | None = None) -> _Mouth:
    flat = mesh.points[:, :2].astype(np.float64)
    one, other = flat[LEFT_IRIS.start], flat[RIGHT_IRIS.start]
    along = other - one if other[0] >= one[0] else one - other
    zoom = LAYOUT.interocular / max(float(np.hypot(*along)), 1e-6)
    cos, sin = along / max(float(np.hypot(*along)), 1e-6) * zoom
    linear = np.asarray([[cos, sin], [-sin, cos]])
    middle = flat[list(OUTLINE)].mean(axis=0)
    matrix: Matrix = np.column_stack([linear, np.asarray(LAYOUT.eyes) - linear @ middle])
    return _Mouth(cut_luma(pixels, matrix, LAYOUT, half), flat @ linear.T + matrix[:, 2])


def _off(frame: _Mouth, picture: _Mouth) -> npt.NDArray[np.float32]:
    """``[PLACES]`` pixels outwards by which the outline lies beside its place."""
    places, outwards = _outline(frame.points[list(OUTLINE)])
    steps = np.arange(-REACH, REACH + 1)
    x, y = ((places[:, i, None] + outwards[:, i, None] * steps) for i in (0, 1))
    there = _expected(frame.points, picture.points, x, y)
    now, was = (_levels(frame.luma, x, y), _levels(picture.luma, *there))
    inner = slice(FURTHEST, len(steps) - FURTHEST)
    wanted = was[:, inner] - was[:, inner].mean(axis=1, keepdims=True)
    found = []
    for shift in range(-FURTHEST, FURTHEST + 1):
        part = now[:, FURTHEST + shift : len(steps) - FURTHEST + shift]
        part = part - part.mean(axis=1, keepdims=True)
        power = ((part**2).sum(axis=1) * (wanted**2).sum(axis=1)) + FLAT
        found.append((part * wanted).sum(axis=1) / np.sqrt(power))
    alike = np.asarray(found)
    best = np.clip(alike.argmax(axis=0), 1, 2 * FURTHEST - 1)
    before, peak, after = (alike[best + step, np.arange(PLACES)] for step in (-1, 0, 1))
    curve = np.minimum(before + after - 2 * peak, -1e-3)
    beyond = np.clip((before - after) / (2 * curve), -0.5, 0.5)
    return np.asarray(best - FURTHEST + beyond, np.float32)


def _outline(points: Floats) -> tuple[Floats, Floats]:
    """``[PLACES, 2]`` places at equal distances around, and the directions across."""
    closed = np.vstack([points, points[:1]])
    way = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(closed, axis=0).T))])
    at = np.linspace(0, way[-1], PLACES, endpoint=False)
    places = np.stack([np.interp(at, way, closed[:, i]) for i in (0, 1)], axis=1)
    along = np.roll(places, -1, axis=0) - np.roll(places, 1, axis=0)
    across = np.stack([along[:, 1], -along[:, 0]], axis=1)
    return places, across / np.maximum(np.hypot(*across.T), 1e-6)[:, None]


def _expected(now: Floats, before: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Where places of the frame's mouth are in the picture's, by the mesh's points nearby."""
    near = np.all((now > -15) & (now < (LAYOUT.width + 15, LAYOUT.height + 15)), axis=1)
    points, moved = (v.astype(np.float32) for v in (now[near], (before - now)[near]))
    coarse = slice(None, None, 4)
    across, down = (
        v[:, coarse, None].astype(np.float32) - points[:, i] for i, v in enumerate((x, y))
    )
    apart = across * across + down * down
    close, wide, share = (np.float32(v) for v in SPREAD)
    weights = np.exp(apart * (-1 / (2 * close**2))) + share * np.exp(apart * (-1 / (2 * wide**2)))
    total = np.maximum(weights.sum(axis=2), 1e-12)
    steps, known = np.arange(x.shape[1]), np.arange(x.shape[1])[coarse]
    out = []
    for axis, places in enumerate((x, y)):
        field = np.einsum("ijk,k->ij", weights, moved[:, axis]) / total
        out.append(places + np.stack([np.interp(steps, known, row) for row in field]))
    return out[0], out[1]


def _levels(luma: Luma, x: Floats, y: Floats) -> npt.NDArray[np.float32]:
    """Profiles, a little smoothed along and across."""
    soft = cv2.GaussianBlur(luma, (0, 0), 1).astype(np.float32)
    found = cv2.remap(
        soft, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    return cv2.blur(found, (1, 3)).astype(np.float32, copy=False)


def _box(points: npt.NDArray[np.generic]) -> Box:
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), (width, height) = (low + high) / 2, (high - low) * 1.4
    return Box(float(x - width / 2), float(y - height / 2), float(width), float(height))
