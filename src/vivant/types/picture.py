"""A picture of a person: its pixels, its faces, and the part that is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vivant.crop_area import Rotation

Image: TypeAlias = npt.NDArray[np.uint8]
"""One picture, ``[H, W, 3]`` uint8 sRGB."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels. ``left`` and ``top`` belong to it, ``right`` and ``bottom`` do not."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """First column to the right of the box."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """First row below the box."""
        return self.top + self.height

    @property
    def center(self) -> tuple[float, float]:
        """``(x, y)`` of the middle."""
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def scaled(self, factor: float) -> Box:
        """The same region of a picture resized by ``factor``."""
        return Box(self.left * factor, self.top * factor, self.width * factor, self.height * factor)

    def moved(self, dx: float, dy: float) -> Box:
        """The box shifted by ``(dx, dy)`` pixels."""
        return Box(self.left + dx, self.top + dy, self.width, self.height)

    def shared_area(self, other: Box) -> float:
        """Square pixels that both boxes cover."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, across) * max(0.0, down)


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Attributes:
        box: tight box, brow to chin, ear to ear.
        score: the detector's confidence (dlib HOG margin; higher is surer, 0 is its threshold).
        landmarks: five ``(x, y)`` points in the order of dlib's five-point predictor: outer and
            inner corner of the eye on the picture's right side, outer and inner corner of the
            eye on its left side, base of the nose.
        covered: only the second detector found it (:mod:`vivant.picture.blaze_face`): it is partly
            covered or turned. ``score`` is 0 … 1 then. The checks measure no identity of it.
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...]
    covered: bool = False

    @property
    def interocular(self) -> float:
        """Distance between the two eye centres in pixels."""
        points = np.asarray(self.landmarks, dtype=np.float64)
        return float(np.linalg.norm(points[0:2].mean(axis=0) - points[2:4].mean(axis=0)))

    def scaled(self, factor: float) -> Face:
        """The same face of a picture resized by ``factor``."""
        landmarks = tuple((x * factor, y * factor) for x, y in self.landmarks)
        return replace(self, box=self.box.scaled(factor), landmarks=landmarks)

    def moved(self, dx: float, dy: float) -> Face:
        """The face shifted by ``(dx, dy)`` pixels."""
        landmarks = tuple((x + dx, y + dy) for x, y in self.landmarks)
        return replace(self, box=self.box.moved(dx, dy), landmarks=landmarks)


@dataclass(frozen=True, slots=True)
class Source:
    """The picture's file: name, format, size in pixels and bytes, hash."""

    name: str
    format: str
    width: int
    height: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture ready to be animated: upright sRGB, with the framing chosen.

    Attributes:
        pixels: the whole picture, ``[H, W, 3]``, never cropped and never stretched.
        crop: the part to show, at the request's aspect, inside ``pixels``; avoids cutting a face.
        faces: largest first, in coordinates of ``pixels``; empty if none was found.
        source: the file it came from.
        warnings: plain sentences for the user (several faces, too small for the target, …).
        suggested_rotation: ``Request.rotate`` by which a face is seen, where none was found
            without; the request's own otherwise.
        last: the picture of the clip's last frame, where another one was given for it.
    """

    pixels: Image
    crop: Box
    faces: tuple[Face, ...]
    source: Source
    warnings: tuple[str, ...] = ()
    suggested_rotation: Rotation = 0
    last: Portrait | None = None
