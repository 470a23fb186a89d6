"""Do nose, jaw, brows, eyes and the whole face keep their shape, and their place on the head?

Every searched frame's face is laid onto the picture's by the rigid points of the face mesh. Optical
flow says how far each place has moved since. What a rigid head explains, turned and tilted with the
picture's own depth, is taken out. What is left is expression, or a defect. Expression follows
patterns that people share: their covariance over many clips is known, and so is the direction of
each change of shape. The filters in ``models/face_shapes.npz`` measure how far a face goes in such
a direction beyond what its expression explains, in standard deviations of what faces do
(``bench/face_shapes.py``; generalised least squares, Aitken, 1936). The worst :data:`WINDOW`
frames that follow each other count, by their median.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import as_file, files
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import Layout, Matrix, cut_luma, plane, stillness
from vivant.checks.flow import Flow
from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.frame_mesh import frame_mesh, picture_mesh, turned
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.checks.robust_fit import robust_fit
from vivant.picture.face_mesh import COUNT, LEFT_EYE, POSE_POINTS, POSE_WEIGHTS, RIGHT_EYE, FaceMesh
from vivant.types import Box, Score

LAYOUT: Final = Layout(48.0, 162, 168, (81.6, 76.8))
"""From beside one ear to beside the other, from the hair to below the chin."""

CELL: Final = 6
"""Pixels of the layout; flow is averaged over cells of this side."""

WINDOW: Final = 7
"""Searched frames in a row; about 1.5 s of 97 frames."""

SEEN: Final = 5
"""Of them, at least so many must show the face from the front."""

TURNED: Final = 10.0
"""Degrees of yaw or pitch from the picture's pose: beyond, the flow is no longer exact enough."""

ROUNDS: Final = 4
"""Of robust least squares (Huber's weights)."""

FLATTEST: Final = 0.4
"""Height over width of a marked region, at least: a row of brows is hard to see in a thin box."""

BLUR: Final = 8.0
"""Pixels of the layout over which the depth of the mesh's points is spread."""

Floats = npt.NDArray[np.float64]

SPECS: Final[Mapping[str, Spec]] = {
    part: Spec(name, "fidelity", "times the usual")
    for part, name in {
        "nose": "nose_shape", "jaw": "jaw_shape", "brow": "brow_shape", "eye": "eye_shape",
        "warp": "face_warp", "shift": "face_shift",
    }.items()
}  # fmt: skip
"""Score of each part, by the name of its filters."""

POINTS: Final[Mapping[str, tuple[int, ...]]] = {
    "nose": (168, 48, 278, 2),
    "jaw": (132, 361, 152, 58, 288),
    "brow": (70, 105, 107, 300, 334, 336),
    "eye": (33, 133, 159, 145, 263, 362, 386, 374),
    "warp": (168, 50, 280, 17),
    "shift": (10, 234, 454, 152),
}
"""Points of the mesh around each part."""


class _Seen(NamedTuple):
    """A searched frame: what no rigid head explains, percent of the eye distance; the parts."""

    loose: npt.NDArray[np.float32]
    boxes: Mapping[str, Box]


class _Picture(NamedTuple):
    """The picture's face on the layout, the mesh there, and what a rigid head does to it."""

    chip: Luma
    points: Floats
    rigid: Floats


class FaceShape(Metric):
    """Six answers from the searched frames."""

    specs = tuple(SPECS.values())

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._flow = Flow("medium")
        self._picture: _Picture | None = None
        self._seen: dict[int, _Seen | None] = {}

    @property
    def seen(self) -> Sequence[npt.NDArray[np.float32] | None]:
        """``[2N]`` of every searched frame in order, None where the face was not seen frontally."""
        return [None if seen is None else seen.loose for seen in self._seen.values()]

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> _Seen | bool | None:
        """What no rigid head explains of a searched frame; False where its face is not usable."""
        if not frame.searched:
            return None
        mesh = picture_mesh(self._reference)
        found = None if mesh is None else frame_mesh(frame, self._reference)
        if mesh is None or found is None or turned(found, mesh) > TURNED:
            return False
        if self._picture is None:
            self._picture = _prepared(self._reference, mesh)
        picture = self._picture
        index = list(POSE_POINTS)
        matrix = _similarity(found.points[index, :2], picture.points[index, :2], POSE_WEIGHTS)
        flow = self._flow.between(picture.chip, cut_luma(frame.pixels, matrix, LAYOUT, frame.half))
        loose = unexplained(_cells(flow), picture.rigid) * (100 / LAYOUT.interocular)
        boxes = {part: _box(found.points[list(points), :2]) for part, points in POINTS.items()}
        return _Seen(loose.astype(np.float32), boxes)

    def add(self, index: int, _: None, found: _Seen | bool | None) -> None:
        """Keep a frame's numbers."""
        if found is not None:
            self._seen[index] = found if isinstance(found, _Seen) else None

    def finish(self, reference: Reference) -> Sequence[Score]:
        """Six scores."""
        if reference.face is None:
            raise CannotMeasure("no_face_in_picture")
        frames, medians = _medians(list(self._seen), self.seen)
        if not frames:
            raise CannotMeasure("parts_not_seen")
        return [self._judged(part, frames, medians) for part in SPECS]

    def _judged(self, part: str, frames: Sequence[int], medians: Floats) -> Score:
        along = np.einsum("ij,kj->ik", medians, filters()[part])
        values = np.sqrt(np.mean(np.square(along), axis=1))
        worst = int(values.argmax())
        seen = self._seen[frames[worst]]
        return judged(
            SPECS[part],
            float(values[worst]),
            series=[(index, float(value)) for index, value in zip(frames, values, strict=True)],
            frame=frames[worst],
            region=None if seen is None else seen.boxes[part],
        )


def _medians(
    indices: Sequence[int], seen: Sequence[npt.NDArray[np.float32] | None]
) -> tuple[list[int], Floats]:
    """Of every window: the seen frame nearest its middle, and the median of its frames."""
    length = min(WINDOW, len(indices))
    frames, rows = [], []
    for start in range(len(indices) - length + 1):
        part = [i for i in range(start, start + length) if seen[i] is not None]
        if len(part) >= min(SEEN, length) and part:
            middle = min(part, key=lambda i: abs(i - start - length // 2))
            frames.append(indices[middle])
            rows.append(np.median(np.stack([np.asarray(seen[i], np.float64) for i in part]), 0))
    return frames, np.asarray(rows)


def windows(seen: Sequence[npt.NDArray[np.float32] | None]) -> Floats:
    """``[K, 2N]`` medians of the windows that :class:`FaceShape` judges."""
    return _medians(range(len(seen)), seen)[1]


@cache
def filters() -> Mapping[str, Floats]:
    """By part, ``[D, 2N]``: numbers of standard deviations for percent of the eye distance."""
    with as_file(files("vivant.checks") / "models" / "face_shapes.npz") as path, np.load(path) as f:
        return {part: np.asarray(f[part], np.float64) for part in SPECS}


@cache
def grid() -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Which cells count, ``[rows, columns]``, and their u and v in inter-ocular distances."""
    u, v = plane(LAYOUT, CELL)
    return ((u / 1.45) ** 2 + ((v - 0.35) / 1.62) ** 2) < 1, u, v


@cache
def _weights() -> Floats:
    inside, u, v = grid()
    return np.asarray(stillness(u, v)[inside], np.float64)


def _cells(flow: npt.NDArray[np.float32]) -> Floats:
    """``[2N]`` mean flow of the cells that count: all x, then all y."""
    inside = grid()[0]
    small = cv2.resize(flow, inside.shape[::-1], interpolation=cv2.INTER_AREA)
    return np.concatenate([small[..., 0][inside], small[..., 1][inside]]).astype(np.float64)


def _prepared(reference: Reference, mesh: FaceMesh) -> _Picture:
    flat = mesh.points[:, :2]
    eyes = np.stack([flat[list(LEFT_EYE)].mean(axis=0), flat[list(RIGHT_EYE)].mean(axis=0)])
    half = LAYOUT.interocular / 2
    goal = np.asarray([[-half, 0.0], [half, 0.0]]) + LAYOUT.eyes
    matrix = _similarity(eyes, goal, np.asarray([0.5, 0.5]))
    points = flat @ matrix[:, :2].T + matrix[:, 2]
    zoom = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    depth = _depth(points, mesh.points[:, 2] * zoom / LAYOUT.interocular)
    return _Picture(cut_luma(reference.pixels, matrix, LAYOUT), points, rigid_model(depth))


def _similarity(source: Floats, target: Floats, weights: Floats) -> Matrix:
    """Weighted least-squares similarity of two ``[N, 2]`` point sets (Umeyama, 1991)."""
    origin, goal = weights @ source, weights @ target
    a, b = source - origin, target - goal
    za, zb = a[:, 0] + 1j * a[:, 1], b[:, 0] + 1j * b[:, 1]
    z = complex((weights * za.conj() * zb).sum() / (weights * np.abs(za) ** 2).sum())
    linear = np.asarray([[z.real, -z.imag], [z.imag, z.real]])
    return np.column_stack([linear, goal - linear @ origin])


def _depth(points: Floats, z: Floats) -> Floats:
    """``[N]`` depth of the cells from the points nearby; far from the mesh, that of its rim."""
    inside, u, v = grid()
    places = np.stack([u[inside], v[inside]], axis=1) * LAYOUT.interocular + LAYOUT.eyes
    surface = slice(0, COUNT - 10)  # without the irises
    apart = ((places[:, None] - points[None, surface]) ** 2).sum(axis=2)
    near = np.exp(-apart / (2 * BLUR**2))
    total = near.sum(axis=1)
    spread = np.einsum("ij,j->i", near, z[surface]) / np.maximum(total, 1e-9)
    return np.where(total < 1e-3, np.percentile(z[surface], 95), spread)


def rigid_model(depth: Floats) -> Floats:
    """``[2N, 8]``: flow of a head that moves, tilts, grows, stretches and turns."""
    inside, u, v = grid()
    x, y = u[inside], v[inside]
    one, none = np.ones_like(x), np.zeros_like(x)
    pairs = (
        (one, none), (none, one), (x, y), (-y, x), (x, -y), (y, x), (depth, none), (none, depth),
    )  # fmt: skip
    return np.stack([np.concatenate(pair) for pair in pairs], axis=1)


def unexplained(flow: Floats, rigid: Floats) -> Floats:
    """What the model leaves of a flow, by robust least squares on the still places."""
    weights = _weights()
    still = weights > 0.5
    return robust_fit(
        flow, rigid, weights, rounds=ROUNDS,
        scale=lambda length: 1.5 * (float(np.median(length[still])) + 0.25),
    )[1]  # fmt: skip


def _box(points: Floats) -> Box:
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), (width, height) = (low + high) / 2, (high - low) * 1.2
    height = max(height, FLATTEST * width)
    return Box(float(x - width / 2), float(y - height / 2), float(width), float(height))
