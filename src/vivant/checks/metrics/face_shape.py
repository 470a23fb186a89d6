"""Do nose, jaw, brows, eyes and the whole face keep their shape, and their place on the head?

Every searched frame's face is laid onto the picture's by the rigid points of the face mesh. Optical
flow says how far each place has moved since. What a rigid head explains, turned and tilted with the
picture's own depth, is taken out. What is left is expression, or a defect. Expression follows
patterns that people share: their covariance over many clips is known, and so is the direction of
each change of shape. The filters of ``shape_filters.py`` measure how far a face goes in such a
direction beyond what its expression explains, in standard deviations of what faces do. Where a
head is cut by the border, only what lies inside the picture counts; frames in which something is
held before the face do not. The worst :data:`WINDOW` frames that follow each other count, by their
median.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import (
    Layout,
    Matrix,
    cut,
    cut_luma,
    inverse,
    plane,
    stillness,
    weighted_similarity,
)
from vivant.checks.flow import Flow
from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.frame_mesh import frame_mesh, picture_mesh, turned
from vivant.checks.median import median
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.checks.metrics.color import lab
from vivant.checks.metrics.shape_filters import filters
from vivant.checks.robust_fit import robust_fit
from vivant.picture.face_mesh import COUNT, LEFT_EYE, POSE_POINTS, POSE_WEIGHTS, RIGHT_EYE, FaceMesh
from vivant.types import Box, Image, Score

LAYOUT: Final = Layout(48.0, 162, 168, (81.6, 76.8))
"""From beside one ear to beside the other, from the hair to below the chin."""

CELL: Final = 6
"""Pixels of the layout; flow is averaged over cells of this side."""

WINDOW: Final = 11
"""Searched frames in a row; about 2.5 s of 97 frames. Chosen on 64 people: expressions last less,
so that clean clips come to two thirds of what they do with 7, and defects to the same."""

SEEN: Final = 8
"""Of them, at least so many must show the face from the front: five of seven, as before."""

TURNED: Final = 10.0
"""Degrees of yaw or pitch from the picture's pose: beyond, the flow is no longer exact enough."""

ROUNDS: Final = 4
"""Of robust least squares (Huber's weights)."""

STILL_CELLS: Final = 40
"""Still cells inside the picture that a rigid head needs: five times the eight unknowns of
:func:`rigid_model`. A whole face has about 170."""

FLATTEST: Final = 0.4
"""Height over width of a marked region, at least: a row of brows is hard to see in a thin box."""

BLUR: Final = 8.0
"""Pixels of the layout over which the depth of the mesh's points is spread."""

BORDER: Final = 8.0
"""Pixels of the layout that a cell must lie inside the picture: flow is matched in patches of 8."""

FRONT: Final = 12.0
"""Degrees of yaw up to which a picture shows both sides of a head; the clips that the patterns of
faces were learned from start within 10."""

SIDEWAYS: Final = 0.25
"""Share of the way from the middle of a turned face that goes to its far side, from where on a
cell outside its outline shows what is behind it; above and below, hair and neck do."""

COVERED: Final = 0.2
"""Share of the cells from nose to chin whose colour is another one than the flow says, from where
on something is held before the face. Every frame of 62 clean clips stays below 0.15; food before
nose and mouth comes to 0.28 and more, a hand of the skin's own colour is not told."""

OTHER_COLOR: Final = 10.0
"""Difference of a* and b* from where on a cell has another colour. By hand."""

Floats = npt.NDArray[np.float64]
Seen = npt.NDArray[np.bool_]
"""``[N]`` which cells lie inside the picture."""

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
    """A searched frame: what no rigid head explains, percent of the eye distance; the parts.

    ``loose`` is NaN in cells that lie outside the picture.
    """

    loose: npt.NDArray[np.float32]
    boxes: Mapping[str, Box]


class _Picture(NamedTuple):
    """The picture's face on the layout, the mesh there, and what a rigid head does to it.

    ``colors`` are a* and b* of the cells, ``[rows, columns, 2]``.
    """

    chip: Luma
    colors: npt.NDArray[np.float32]
    points: Floats
    rigid: Floats
    seen: Seen


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
        """``[2N]`` of every searched frame in order, None where the face was not seen frontally.

        NaN in cells that lie outside the picture.
        """
        return [None if seen is None else seen.loose for seen in self._seen.values()]

    def prepare(self) -> None:
        """Measure the picture, and make its filters: they would hold up the end of the clip."""
        mesh = picture_mesh(self._reference)
        if mesh is not None:
            self._picture = _prepared(self._reference, mesh)
            filters(self._picture.seen)

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
        matrix = weighted_similarity(
            found.points[index, :2], picture.points[index, :2], POSE_WEIGHTS
        )
        flow = self._flow.between(picture.chip, cut_luma(frame.pixels, matrix, LAYOUT, frame.half))
        if covered(_colors(frame.pixels, matrix), picture.colors, flow):
            return False
        inside = picture.seen & cells_inside(matrix, frame.pixels.shape)
        loose = unexplained(_cells(flow), picture.rigid, inside) * (100 / LAYOUT.interocular)
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
        values = part_values(part, medians)
        known = np.isfinite(values)
        if not known.any():
            return unmeasured(SPECS[part], CannotMeasure("parts_not_seen"))
        frames = [frame for frame, is_known in zip(frames, known, strict=True) if is_known]
        values = values[known]
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


def part_values(part: str, medians: Floats) -> Floats:
    """``[K]`` of the windows ``[K, 2N]``: root mean square along the part's filters.

    Where one change of a part has a filter of its own (``eye.size``), the larger counts: among
    three changes it weighs a third. NaN where too little of the part lies inside the picture.
    """
    values = np.full(len(medians), np.nan)
    for index, row in enumerate(medians):
        known = np.isfinite(row)
        for name, found in filters(np.logical_and(*np.split(known, 2))).items():
            if name.split(".")[0] == part:
                along = np.einsum("ij,j->i", found, np.where(known, row, 0.0))
                values[index] = np.fmax(values[index], np.sqrt(np.mean(np.square(along))))
    return values


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
    matrix = weighted_similarity(eyes, goal, np.asarray([0.5, 0.5]))
    points = flat @ matrix[:, :2].T + matrix[:, 2]
    zoom = float(np.sqrt(np.linalg.det(matrix[:, :2])))
    depth = _depth(points, mesh.points[:, 2] * zoom / LAYOUT.interocular)
    seen = cells_inside(matrix, reference.pixels.shape) & ~cells_beyond(points, mesh.pose.yaw)
    return _Picture(
        cut_luma(reference.pixels, matrix, LAYOUT),
        _colors(reference.pixels, matrix),
        points,
        rigid_model(depth),
        seen,
    )


def _colors(pixels: Image, matrix: Matrix) -> npt.NDArray[np.float32]:
    cells = cv2.resize(cut(pixels, matrix, LAYOUT), _cells_across(), interpolation=cv2.INTER_AREA)
    return np.asarray(lab(cells.astype(np.uint8, copy=False))[..., 1:], np.float32)


def covered(
    colors: npt.NDArray[np.float32],
    wanted: npt.NDArray[np.float32],
    flow: npt.NDArray[np.float32],
) -> bool:
    """Whether something is held before nose, mouth and chin: it has another colour there.

    What changes the colour of the whole face, such as light, is taken out.

    Args:
        colors: of the frame's cells, ``[rows, columns, 2]`` a* and b*.
        wanted: of the picture's.
        flow: ``[H, W, 2]`` from the picture to the frame, in pixels of the layout.
    """
    inside, u, v = grid()
    across, down = _cells_across()
    moved = cv2.resize(flow, (across, down), interpolation=cv2.INTER_AREA) / CELL
    y, x = np.mgrid[0:down, 0:across].astype(np.float32)
    there = cv2.remap(
        colors, x + moved[..., 0], y + moved[..., 1], cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    apart = (there - wanted)[inside]
    apart = apart - np.median(apart[_weights() > 0.5], axis=0)
    front = (((u / 0.95) ** 2 + ((v - 0.75) / 1.05) ** 2) < 1)[inside]
    return float(np.mean(np.hypot(*apart[front].T) > OTHER_COLOR)) > COVERED


def _cells_across() -> tuple[int, int]:
    return LAYOUT.width // CELL, LAYOUT.height // CELL


def cells_inside(matrix: Matrix, shape: tuple[int, ...]) -> Seen:
    """``[N]`` which cells lie inside the picture, by more than :data:`BORDER`.

    Args:
        matrix: from the picture to the layout.
        shape: of the picture, ``(height, width, …)``.
    """
    inside, u, v = grid()
    places = np.stack([u[inside], v[inside]], axis=1) * LAYOUT.interocular + LAYOUT.eyes
    back = inverse(matrix)
    there = places @ back[:, :2].T + back[:, 2]
    room = BORDER * float(np.sqrt(abs(np.linalg.det(back[:, :2]))))
    low, high = there.min(axis=1) - room, np.asarray(shape[1::-1]) - 1 - there
    return np.asarray((low >= 0) & (high.min(axis=1) >= room))


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


def cells_beyond(points: Floats, yaw: float) -> Seen:
    """``[N]`` which cells show what is behind a head that the picture shows turned.

    Beyond the far cheek of a turned head there is no ear. Of a head that looks into the camera, as
    those do whose patterns are known, no cell is.

    Args:
        points: of the picture's mesh on the layout.
        yaw: of the picture's head, degrees.
    """
    inside, u, v = grid()
    if abs(yaw) <= FRONT:
        return np.zeros(int(inside.sum()), np.bool_)
    places = np.stack([u[inside], v[inside]], axis=1) * LAYOUT.interocular + LAYOUT.eyes
    outline = cv2.convexHull(points[:, :2].astype(np.float32))
    middle = outline[:, 0].mean(axis=0)
    out = (places - middle) * (1 if yaw > 0 else -1, 1)
    outside = [cv2.pointPolygonTest(outline, (float(x), float(y)), False) < 0 for x, y in places]
    return np.asarray(np.asarray(outside) & (out[:, 0] > SIDEWAYS * np.hypot(*out.T)))


def unexplained(flow: Floats, rigid: Floats, seen: Seen) -> Floats:
    """What the model leaves of a flow, by robust least squares on the still places.

    NaN in cells that are not ``seen``.
    """
    weights = np.where(seen, _weights(), 0.0)
    still = weights > 0.5
    if still.sum() < STILL_CELLS:
        return np.full_like(flow, np.nan)
    rest = robust_fit(
        flow, rigid, weights, rounds=ROUNDS,
        scale=lambda length: 1.5 * (median(length[still]) + 0.25),
    )[1]  # fmt: skip
    return np.where(np.tile(seen, 2), rest, np.nan)


def _box(points: Floats) -> Box:
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), (width, height) = (low + high) / 2, (high - low) * 1.2
    height = max(height, FLATTEST * width)
    return Box(float(x - width / 2), float(y - height / 2), float(width), float(height))
