"""Does the outline of the hair stay as the picture shows it.

The person is cut out of the rarest searched frames (:func:`vivant.picture.matte.rough_matte`). From
the middle of the head, rays go to the hair, from ear to ear over the top. How far hair reaches
along each ray is compared with the picture, in the face's own frame, which the rigid points of the
mesh give. A head that turns or nods a little shifts, widens and narrows the whole outline: that is
taken out. What is left counts, as the median of the worst :data:`WINDOW` frames in a row. Rays
along which the matte is unsure, or that meet the picture's border first, say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import Matrix, compose, weighted_similarity
from vivant.checks.frame import AnalyzedFrame, Reference, reduced
from vivant.checks.frame_mesh import frame_mesh, picture_mesh, pupils, turned
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.picture.face_mesh import LEFT_EYE, POSE_POINTS, POSE_WEIGHTS, RIGHT_EYE, FaceMesh
from vivant.picture.matte import SIDE as MATTE_SIDE
from vivant.picture.matte import rough_matte
from vivant.types import Box, Image, Score

HAIR_SHAPE: Final = Spec("hair_shape", "fidelity", "% of eye distance")

ANGLES: Final = np.linspace(-1.02 * np.pi, 0.02 * np.pi, 64)
"""Of the rays: from the left ear over the top to the right one."""

MIDDLE: Final = 0.3
"""Eye distances below the eyes where the rays start."""

LENGTHS: Final = np.arange(0.6, 3.2, 0.02)
"""Eye distances along a ray where the matte is looked up."""

SMALLEST: Final = 20.0
"""Pixels of the matte between the pupils: one pixel is then 5 % of the eye distance."""

SHORTEST: Final = 0.8
"""Eye distances: hair that ends nearer is no hair, but a hole in the matte."""

BEYOND: Final = 5
"""Places along a ray after the hair that must lie inside the picture."""

UNSURE: Final = 0.35
"""Eye distances from where the matte is sure of the person to where it is sure of the background:
beyond, the outline is not known."""

SURE: Final = (0.9, 0.1)
"""Of the matte, from which it is sure of the person and of the background."""

TURNED: Final = 12.0
"""Degrees of yaw or pitch from the picture's pose: beyond, another side of the hair is the outline.
"""

WINDOW: Final = 3
"""Measured frames in a row; half of 97 frames."""

RAYS: Final = 24
"""Rays that must be seen."""

ROUNDS: Final = 4
"""Of robust least squares (Huber's weights)."""

SIDE: Final = 512
"""Pixels; longest side of the picture that the matte is made from."""

Floats = npt.NDArray[np.float64]


class _Outline(NamedTuple):
    """Eye distances that hair reaches along each ray, NaN where unsure; a box around the hair."""

    reach: Floats
    box: Box


class HairShape(Metric):
    """One answer from the rare frames."""

    specs = (HAIR_SHAPE,)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._picture: _Outline | None = None
        self._seen: list[tuple[int, _Outline]] = []

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> tuple[_Outline, _Outline] | None:
        """The hair of the picture and of a rare frame that looks the same way."""
        mesh = picture_mesh(self._reference)
        if not frame.rare or not frame.index or mesh is None:
            return None
        if pupils(mesh) * MATTE_SIDE < SMALLEST * max(frame.pixels.shape[:2]):
            return None
        found = frame_mesh(frame, self._reference)
        if found is None or turned(found, mesh) > TURNED:
            return None
        head = _head(mesh)
        if self._picture is None:
            self._picture = _outline(self._reference.pixels, head)
        one, other = (m.points[list(POSE_POINTS), :2] for m in (mesh, found))
        moved = weighted_similarity(one, other, POSE_WEIGHTS)
        return self._picture, _outline(frame.pixels, compose(moved, head), frame.halved)

    def add(self, index: int, _: None, found: tuple[_Outline, _Outline] | None) -> None:
        """Keep a frame's outline."""
        if found is not None:
            self._picture = found[0]
            self._seen.append((index, found[1]))

    def finish(self, reference: Reference) -> Sequence[Score]:
        """One score."""
        if reference.face is None:
            raise CannotMeasure("no_face_in_picture")
        picture = self._picture
        if picture is None or len(self._seen) < WINDOW:
            raise CannotMeasure("parts_not_seen")
        rows = np.stack([100 * (seen.reach - picture.reach) for _, seen in self._seen])
        series, boxes = [], {}
        for start in range(len(rows) - WINDOW + 1):
            left = _bent(rows[start : start + WINDOW])
            if left is not None:
                index, seen = self._seen[start + WINDOW // 2]
                series.append((index, left))
                boxes[index] = seen.box
        if not series:
            raise CannotMeasure("hair_not_seen")
        frame, value = max(series, key=lambda pair: pair[1])
        score = judged(HAIR_SHAPE, value, series=series, frame=frame, region=boxes[frame])
        return (score,)


def _bent(rows: Floats) -> float | None:
    """Upper quartile of what a shift and a growth of the whole outline leave of these frames."""
    known = np.isfinite(rows).sum(axis=0) >= WINDOW - 1
    if known.sum() < RAYS:
        return None
    values = np.nanmedian(rows[:, known], axis=0)
    angles = ANGLES[known]
    model = np.stack([np.ones_like(angles), np.cos(angles), np.sin(angles)], axis=1)
    weights, left = np.ones_like(values), values
    for _ in range(ROUNDS):
        weighted = model * weights[:, None]
        normal = np.einsum("ij,ik->jk", weighted, model)
        found = np.linalg.solve(normal, np.einsum("ij,i->j", weighted, values))
        left = values - np.einsum("ij,j->i", model, found)
        size = 1.5 * (float(np.median(np.abs(left))) + 0.5)
        weights = np.minimum(1.0, size / np.maximum(np.abs(left), 1e-6))
    return float(np.percentile(np.abs(left), 75))


def _head(mesh: FaceMesh) -> Matrix:
    """The map from ``u, v`` in eye distances from the middle of the eyes to pixels."""
    flat = mesh.points[:, :2].astype(np.float64)
    left, right = (flat[list(eye)].mean(axis=0) for eye in (LEFT_EYE, RIGHT_EYE))
    x, y = right - left
    return np.column_stack([[[x, -y], [y, x]], (left + right) / 2])


def _outline(pixels: Image, head: Matrix, small: Image | None = None) -> _Outline:
    """How far hair reaches; ``small`` is the same picture, made smaller before."""
    height, width = pixels.shape[:2]
    matte = rough_matte(reduced(pixels if small is None else small, SIDE))
    u = np.cos(ANGLES)[:, None] * LENGTHS
    v = MIDDLE + np.sin(ANGLES)[:, None] * LENGTHS
    x, y = (head[i, 0] * u + head[i, 1] * v + head[i, 2] for i in (0, 1))
    inside = (x > 2) & (x < width - 3) & (y > 2) & (y < height - 3)
    rows, columns = matte.shape
    found = cv2.remap(
        matte,
        (x * (columns / width) - 0.5).astype(np.float32),
        (y * (rows / height) - 0.5).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    reach = np.asarray([_reach(*ray) for ray in zip(found, inside, strict=True)])
    known = np.isfinite(reach)
    places = np.stack([np.cos(ANGLES) * reach, MIDDLE + np.sin(ANGLES) * reach], axis=1)[known]
    return _Outline(reach, _box(places @ head[:, :2].T + head[:, 2]))


def _reach(ray: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_]) -> float:
    """Where along a ray the person ends; NaN where that is not known."""
    out = np.flatnonzero(ray < 0.5)
    if not len(out) or not inside[: out[0] + BEYOND].all() or LENGTHS[out[0]] < SHORTEST:
        return float("nan")
    end = int(out[0])
    person = np.flatnonzero(ray[:end] > SURE[0])
    background = np.flatnonzero(ray[end:] < SURE[1])
    if not len(person) or not len(background):
        return float("nan")
    if LENGTHS[end + background[0]] - LENGTHS[person[-1]] > UNSURE:
        return float("nan")
    before, after = float(ray[end - 1]), float(ray[end])
    step = LENGTHS[1] - LENGTHS[0]
    return float(LENGTHS[end - 1] + step * (before - 0.5) / max(before - after, 1e-3))


def _box(points: Floats) -> Box:
    if not len(points):
        return Box(0.0, 0.0, 0.0, 0.0)
    low, high = points.min(axis=0), points.max(axis=0)
    width, height = high - low
    return Box(float(low[0]), float(low[1]), float(width), float(height))
