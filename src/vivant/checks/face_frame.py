"""The face's own frame of reference: upright, of one size, whatever the picture's.

A *chip* is a picture of the face there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.frame import Luma, luma_of
from vivant.picture.averaging import averaged
from vivant.types import Box, Face, Image

Matrix = npt.NDArray[np.float64]
"""``[2, 3]`` affine map of ``(x, y)`` pixel coordinates."""

SHAPE: Final = np.asarray(
    [[0.79, 0.0], [0.21, 0.02], [-0.79, 0.0], [-0.21, 0.02], [0.0, 0.72]], np.float64
)
"""The five landmarks of a level face: inter-ocular distances from the middle of the eyes, in
the order of :class:`vivant.types.Face`; averages over the calibration clips."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Size of a chip and where the eyes are in it.

    Attributes:
        interocular: pixels between the eye centres.
        width: pixels.
        height: pixels.
        eyes: ``(x, y)`` of the middle of the eyes.
    """

    interocular: float
    width: int
    height: int
    eyes: tuple[float, float]

    def scaled(self, factor: float) -> Layout:
        """The same view at another resolution."""
        return Layout(
            self.interocular * factor,
            round(self.width * factor),
            round(self.height * factor),
            (self.eyes[0] * factor, self.eyes[1] * factor),
        )


LAYOUT: Final = Layout(48.0, 144, 144, (72.0, 46.0))
"""From one ear to the other, from the hairline to below the chin."""


def similarity(source: Matrix, target: Matrix) -> Matrix:
    """Least-squares similarity of two ``[N, 2]`` point sets (Umeyama, 1991, in complex form)."""
    return weighted_similarity(source, target, np.full(len(source), 1 / len(source)))


def weighted_similarity(source: Matrix, target: Matrix, weights: Matrix) -> Matrix:
    """As :func:`similarity`, with ``[N]`` weights that sum up to one."""
    origin, goal = weights @ source, weights @ target
    a, b = source - origin, target - goal
    za, zb = a[:, 0] + 1j * a[:, 1], b[:, 0] + 1j * b[:, 1]
    spread = max(float((weights * np.abs(za) ** 2).sum()), 1e-12)
    z = complex((weights * za.conj() * zb).sum() / spread)
    linear = np.asarray([[z.real, -z.imag], [z.imag, z.real]])
    return np.column_stack([linear, goal - linear @ origin])


def compose(after: Matrix, before: Matrix) -> Matrix:
    """``after(before(p))``."""
    both: Matrix = after[:, :2] @ before
    both[:, 2] += after[:, 2]
    return both


def inverse(matrix: Matrix) -> Matrix:
    """The way back. By hand: NumPy's inverse of a matrix takes ten times as long."""
    (a, b, x), (c, d, y) = matrix.tolist()
    size = a * d - b * c
    back: Matrix = np.asarray([[d, -b, b * y - d * x], [-c, a, c * x - a * y]], np.float64) / size
    return back


def to_chip(face: Face, layout: Layout = LAYOUT) -> Matrix:
    """The map from pixels of the picture to pixels of the chip."""
    points = np.asarray(face.landmarks, np.float64)
    return similarity(points, SHAPE * layout.interocular + np.asarray(layout.eyes))


def on_chip(matrix: Matrix, layout: Layout = LAYOUT) -> Face:
    """The face that a chip shows, in pixels of the picture that ``matrix`` leads from."""
    back = inverse(matrix)
    points = SHAPE * layout.interocular + np.asarray(layout.eyes)
    there = points @ back[:, :2].T + back[:, 2]
    width, height = layout.width, layout.height
    box = region_of(matrix, Box(0.1 * width, 0.1 * height, 0.8 * width, 0.8 * height))
    return Face(box, 0.0, tuple((float(x), float(y)) for x, y in there))


def cut(image: Image | Luma, matrix: Matrix, layout: Layout = LAYOUT) -> npt.NDArray[np.uint8]:
    """The chip under ``matrix``, averaged down before it is sampled so that nothing aliases."""
    return _reduced(image, matrix, layout, 0.0).chip(matrix)


def cut_luma(
    image: Image, matrix: Matrix, layout: Layout = LAYOUT, half: Image | None = None
) -> Luma:
    """Luma of the chip; ``half`` as in :func:`luma_patch`."""
    return luma_patch(image, matrix, layout, 0.0, half).chip(matrix)


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """What a picture shows where a face is: several chips are sampled from it.

    Attributes:
        pixels: averaged down to about the chips' size.
        to_picture: the map from its pixels to the picture's.
        box: left, top, right, bottom in the picture.
        layout: of the chips.
    """

    pixels: npt.NDArray[np.uint8]
    to_picture: Matrix
    box: tuple[int, int, int, int]
    layout: Layout

    def chip(self, matrix: Matrix) -> npt.NDArray[np.uint8]:
        """The chip under ``matrix``, which must not reach beyond :attr:`box`."""
        return cv2.warpAffine(
            self.pixels,
            compose(matrix, self.to_picture),
            (self.layout.width, self.layout.height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.uint8, copy=False)

    def holds(self, image: Image, matrix: Matrix) -> bool:
        """Whether the chip under ``matrix`` lies inside, as far as the picture does."""
        left, top, right, bottom = _box(image, matrix, self.layout, 0.0)
        return (
            self.box[0] <= left and self.box[1] <= top
            and right <= self.box[2] and bottom <= self.box[3]
        )  # fmt: skip


def luma_patch(
    image: Image,
    matrix: Matrix,
    layout: Layout = LAYOUT,
    more: float = 0.1,
    half: Image | None = None,
) -> Patch:
    """Luma where the chip under ``matrix`` lies, and beyond.

    Args:
        image: ``[H, W, 3]``.
        matrix: from the picture to the chip.
        layout: of the chip.
        more: how far beyond on each side, in sides of the chip.
        half: means of 2×2 pixels of ``image``, where they are known already: faster for large
            faces.
    """
    return _reduced(image, matrix, layout, more, luma_of, half)


def _reduced(
    image: Image | Luma,
    matrix: Matrix,
    layout: Layout,
    more: float,
    taken: Callable[[Image], npt.NDArray[np.uint8]] | None = None,
    half: Image | None = None,
) -> Patch:
    box = left, top, right, bottom = _box(image, matrix, layout, more)
    shrink = _shrink(matrix)
    if min(bottom - top, right - left) < 2 * shrink:
        shrink = 1
    if half is not None and shrink % 2 == 0:
        left, top = left - left % 2, top - top % 2
        part = half[top // 2 : -(-bottom // 2), left // 2 : -(-right // 2)]
        more_often = shrink // 2
    else:
        part, more_often = image[top:bottom, left:right], shrink
    if taken is not None:
        part = taken(part)
    part = averaged(part, more_often)
    middle = (shrink - 1) / 2
    to_picture = np.asarray([[shrink, 0, left + middle], [0, shrink, top + middle]], np.float64)
    return Patch(part, to_picture, box, layout)


def _box(
    image: Image | Luma, matrix: Matrix, layout: Layout, more: float
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what the chip is sampled from, inside the picture, not empty."""
    low, high = -more, 1 + more
    corners = np.asarray([[low, low], [high, low], [low, high], [high, high]], np.float64)
    back = inverse(matrix)
    there = corners * (layout.width, layout.height) @ back[:, :2].T + back[:, 2]
    room = 2 * _shrink(matrix)
    height, width = image.shape[:2]
    left, top = np.floor(there.min(axis=0)).astype(int) - room
    right, bottom = np.ceil(there.max(axis=0)).astype(int) + room
    left, top = min(max(0, left), width - 1), min(max(0, top), height - 1)
    right, bottom = max(left + 1, min(width, right)), max(top + 1, min(height, bottom))
    return int(left), int(top), int(right), int(bottom)


def _shrink(matrix: Matrix) -> int:
    """Pixels of the picture, along a side, that are averaged into one."""
    (a, b, _), (c, d, _) = matrix.tolist()
    scale = abs(a * d - b * c) ** 0.5
    return max(1, int(1 / max(scale, 1e-3) + 0.25))


def region_of(matrix: Matrix, box: Box) -> Box:
    """The upright rectangle of the picture around a rectangle of the chip."""
    back = inverse(matrix)
    corners = np.asarray(
        [[box.left, box.top], [box.right, box.top], [box.left, box.bottom], [box.right, box.bottom]]
    )
    there = corners @ back[:, :2].T + back[:, 2]
    low, high = there.min(axis=0), there.max(axis=0)
    return Box(float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))


def plane(layout: Layout = LAYOUT, cell: int = 1) -> tuple[Matrix, Matrix]:
    """``u, v`` of every cell's centre, in inter-ocular distances from the middle of the eyes."""
    x = np.arange(layout.width // cell) * cell + (cell - 1) / 2
    y = np.arange(layout.height // cell) * cell + (cell - 1) / 2
    u, v = np.meshgrid(
        (x - layout.eyes[0]) / layout.interocular, (y - layout.eyes[1]) / layout.interocular
    )
    return u, v


def _bump(u: Matrix, v: Matrix, at: tuple[float, float], width: float, height: float) -> Matrix:
    bump: Matrix = np.exp(-(((u - at[0]) / width) ** 2) - ((v - at[1]) / height) ** 2)
    return bump


def inside_face(u: Matrix, v: Matrix) -> npt.NDArray[np.bool_]:
    """Brow to chin, cheek to cheek."""
    return ((u / 1.1) ** 2 + ((v - 0.45) / 1.45) ** 2) < 1


def stillness(u: Matrix, v: Matrix) -> Matrix:
    """Weight 0.05 … 1 of how little a place moves against the skull when one talks and blinks."""
    mouth = _bump(u, v, (0, 1.15), 0.65, 0.45)
    jaw = 1 / (1 + np.exp(-(v - 0.95) / 0.12))
    eyes = _bump(u, v, (-0.5, 0), 0.38, 0.2) + _bump(u, v, (0.5, 0), 0.38, 0.2)
    brows = _bump(u, v, (-0.5, -0.35), 0.5, 0.18) + _bump(u, v, (0.5, -0.35), 0.5, 0.18)
    weight: Matrix = np.clip(1 - mouth - jaw - 0.8 * eyes - 0.7 * brows, 0.05, 1)
    return weight * inside_face(u, v)


def depth(u: Matrix, v: Matrix) -> Matrix:
    """A generic head's depth in half head widths: an ellipsoid with a nose.

    Turning the head moves every point by this times the turn: what the flow of a rigid,
    turning head looks like (first order, weak perspective).
    """
    radius = (u / 1.35) ** 2 + ((v - 0.35) / 1.9) ** 2
    head: Matrix = np.sqrt(np.clip(1 - radius, 0, 1))
    return head + 0.35 * _bump(u, v, (0, 0.55), 0.22, 0.3)


def skin(u: Matrix, v: Matrix) -> npt.NDArray[np.bool_]:
    """Cheeks and the middle of the forehead: no eyes, brows, nostrils, lips or beard line."""
    cheeks = (((np.abs(u) - 0.55) / 0.28) ** 2 + ((v - 0.55) / 0.3) ** 2) < 1
    forehead = ((u / 0.5) ** 2 + ((v + 0.62) / 0.18) ** 2) < 1
    return np.asarray(cheeks | forehead)
