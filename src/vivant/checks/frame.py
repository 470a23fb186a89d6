"""One frame of the clip, or the picture, with what several checks need of it.

Each value is computed at its first use and kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.picture.averaging import averaged
from vivant.picture.embedding import Embedding
from vivant.picture.face_mesh import PRESENT, FaceMesh
from vivant.picture.faces import FaceReader
from vivant.types import Box, Face, Image

Luma = npt.NDArray[np.uint8]
"""``[H, W]`` uint8, the Y' of BT.601 as OpenCV computes it from RGB."""

COMPARED_EVERY: Final = 3
"""Every so many frames the face is compared with the picture's: an eighth of a second at 24 fps."""

MIN_FACE_MARGIN: Final = 0.15
"""Margin of the detector below which a face is not taken for a human one: of about 120 photographed
people the lowest had 0.28, a monkey and an alpaca 0.03."""

DRAWN_UNLIKENESS: Final = 0.6
DRAWN_IRIS_SIZE: Final = 0.205
"""A face whose mesh is above both counts as drawn. Photographed people with such irises came to an
unlikeness of 0.55; a boy who laughs came to 0.7, with irises of 0.19."""

SMALL_SIDE: Final = 192
"""Pixels; longest side of the frames that motion and flicker are measured on."""

MEDIUM_SIDE: Final = 640
"""Pixels; longest side of the pictures in which ghosts and tears are looked for."""

THUMBNAIL_SOURCE_SIDE: Final = 2 * SMALL_SIDE
"""Pixels; longest side that thumbnails of :data:`SMALL_SIDE` are made from, at least."""


def reduced(image: Image, side: int) -> Image:
    """The picture at most ``side`` pixels long, by area averaging; itself when it already is."""
    height, width = image.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return image
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def halved(image: Image, side: int = THUMBNAIL_SOURCE_SIDE) -> Image:
    """The picture halved while its longest side keeps ``side`` pixels: to make thumbnails of.

    Means of 2×2 pixels take a tenth of the time of one large reduction by a broken factor.
    """
    height, width = image.shape[:2]
    while max(height, width) >= 2 * side and min(height, width) >= 2:
        height, width = height // 2, width // 2
        image = cv2.resize(
            image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA
        ).astype(np.uint8, copy=False)
    return image


def luma_of(image: Image) -> Luma:
    """``[H, W]`` uint8 luma."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False)


@dataclass(eq=False)
class AnalyzedFrame:
    """A frame of the clip.

    Attributes:
        index: 0 for the first one.
        pixels: ``[H, W, 3]`` uint8; released after all metrics have measured it.
        searched: one of the frames where the face is searched.
        sparse: every other of them, and the last.
        rare: every other of those, and the last: for what is expensive and changes slowly.
        compared: one of the frames whose face is compared with the picture's.
        checked: one of the user's checked frames (0, 24, 48, 72 and 96 of 97).
        face: the person, in pixels of the frame; None where no face was found.
        cache: values that a metric computed of this frame and needs for the step to the next one.
    """

    index: int
    pixels: Image
    searched: bool
    sparse: bool
    rare: bool
    checked: bool
    reader: FaceReader
    compared: bool = False
    face: Face | None = None
    cache: dict[str, Any] = field(default_factory=dict, repr=False)
    _embedding: Embedding | None = field(default=None, repr=False)

    @cached_property
    def half(self) -> Image:
        """Means of 2×2 pixels: thumbnails and chips of large faces are made of them."""
        return averaged(self.pixels, 2) if min(self.pixels.shape[:2]) >= 2 else self.pixels

    @cached_property
    def halved(self) -> Image:
        """The frame for thumbnails, see :func:`halved`."""
        return halved(
            self.half if max(self.pixels.shape) >= 2 * THUMBNAIL_SOURCE_SIDE else self.pixels
        )

    @cached_property
    def small_luma(self) -> Luma:
        """Luma at most :data:`SMALL_SIDE` long."""
        return reduced(luma_of(self.halved), SMALL_SIDE)

    @cached_property
    def medium_luma(self) -> Luma:
        """Luma at most :data:`MEDIUM_SIDE` long, of the reduced colours."""
        return luma_of(reduced(self.pixels, MEDIUM_SIDE))

    @cached_property
    def luma(self) -> Luma:
        """Luma at full size."""
        return luma_of(self.pixels)

    @property
    def embedding(self) -> Embedding | None:
        """Identity of :attr:`face`; None without one."""
        if self._embedding is None and self.face is not None:
            self._embedding = self.reader.embed(self.pixels, self.face)
        return self._embedding


@dataclass(eq=False)
class Reference:
    """The input picture as the clip should show it, at the clip's size.

    Attributes:
        pixels: ``[H, W, 3]`` uint8, the crop resampled to the clip's size.
        face: the person, in pixels of ``pixels``; None where none was found.
        detail: clip pixels per picture pixel are ``1 / detail``; 1.0 where the picture has at
            least the clip's resolution, below where it was enlarged.
        num_frames: of the clip, as announced.
        others: faces beside the followed one.
        exact: the clip's first frame is this picture; known once that frame was seen.
        fps: of the clip.
    """

    pixels: Image
    face: Face | None
    detail: float
    num_frames: int
    fps: float
    reader: FaceReader
    others: int = 0
    exact: bool = False

    @cached_property
    def small_luma(self) -> Luma:
        """Luma at most :data:`SMALL_SIDE` long."""
        return reduced(luma_of(self.halved), SMALL_SIDE)

    @cached_property
    def halved(self) -> Image:
        """The picture for thumbnails, see :func:`halved`."""
        return halved(self.pixels)

    @cached_property
    def medium_luma(self) -> Luma:
        """Luma at most :data:`MEDIUM_SIDE` long, of the reduced colours."""
        return luma_of(reduced(self.pixels, MEDIUM_SIDE))

    @cached_property
    def luma(self) -> Luma:
        """Luma at full size."""
        return luma_of(self.pixels)

    @cached_property
    def embedding(self) -> Embedding | None:
        """Identity of :attr:`face`; None without one."""
        return None if self.face is None else self.reader.embed(self.pixels, self.face)

    @cached_property
    def mesh(self) -> FaceMesh | None:
        """Mesh of :attr:`face`; None without one."""
        return None if self.face is None else self.reader.mesh.read(self.pixels, self.face)

    @property
    def human(self) -> bool:
        """Whether :attr:`face` looks like a photographed human one: embeddings are for those.

        The detector's margin is near zero for animals, and drawn faces are out of proportion:
        large irises in a face that is unlike the canonical one. A drawing in the proportions of
        a person is taken for one.
        """
        mesh, face = self.mesh, self.face
        if mesh is None or face is None:
            return True
        drawn = mesh.unlikeness > DRAWN_UNLIKENESS and mesh.iris_size > DRAWN_IRIS_SIZE
        return mesh.presence >= PRESENT and face.score >= MIN_FACE_MARGIN and not drawn


SAME_PICTURE_LEVELS: Final = 3.0
"""Levels of mean difference at :data:`SMALL_SIDE` up to which two pictures are the same one: an
encoder's losses stay below one, a second of talking is above five."""


def same_picture(one: Luma, other: Luma) -> bool:
    """Whether two lumas of one size show the same, up to brightness, blur, noise and encoding."""
    apart = one.astype(np.float32) - other.astype(np.float32)
    return float(np.mean(np.abs(apart - np.median(apart)))) <= SAME_PICTURE_LEVELS


def clipped(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    """``left, top, right, bottom`` of the box in whole pixels, inside the frame, never empty."""
    left = min(max(0, round(box.left)), width - 1)
    top = min(max(0, round(box.top)), height - 1)
    right = max(left + 1, min(width, round(box.right)))
    bottom = max(top + 1, min(height, round(box.bottom)))
    return left, top, right, bottom
