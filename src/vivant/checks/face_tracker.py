"""Follow one face through a clip, from one searched frame to the next.

Deterministic; no state between calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from vivant.checks.frame import clipped
from vivant.picture.averaging import averaged
from vivant.picture.embedding import Embedding
from vivant.picture.faces import FaceReader, distance
from vivant.types import Box, Face, Image

FACE_SIDE: Final = 110
"""Pixels; the detector sees the followed face about this wide (its own window is 80)."""

WINDOW: Final = 2.2
"""Side of the searched window in face widths."""

MAX_COMPARED_FACES: Final = 3
"""Faces, the nearest ones, that are compared with the picture's: 0.09 s each."""

SEARCH_SIDES: Final = (640, 1280)
"""Pixels; the whole frame is searched at the first size, then, without luck, at the second."""


def faces_in_frame(reader: FaceReader, image: Image) -> tuple[Face, ...]:
    """Faces anywhere in the picture, largest first; small ones are looked for a second time."""
    height, width = image.shape[:2]
    for side in SEARCH_SIDES:
        factor = side / max(height, width)
        if factor > 1:
            # HOG misses faces below 80 px: enlarge small pictures.
            factor = min(factor, 2.0)
            size = (round(width * factor), round(height * factor))
            larger = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8)
            found = reader.detect(larger, max_side=max(size))
            faces = tuple(face.scaled(1 / factor) for face in found)
        else:
            faces = reader.detect(image, max_side=side)
        if faces:
            return faces
    return ()


def face_near(reader: FaceReader, image: Image, box: Box) -> Face | None:
    """The face that is searched close to where one was; None where none is found there."""
    x, y = box.center
    side = max(box.width, box.height) * WINDOW
    window = Box(x - side / 2, y - side / 2, side, side)
    left, top, right, bottom = clipped(window, image.shape[1], image.shape[0])
    factor = FACE_SIDE / max(box.width, 1.0)
    shrink = 1  # of large faces by halves first: one large reduction takes five times as long
    while 4 * shrink * factor <= 1:
        shrink *= 2
    part = averaged(image[top:bottom, left:right], shrink)
    width, height = part.shape[1] * shrink, part.shape[0] * shrink
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    method = cv2.INTER_AREA if factor * shrink < 1 else cv2.INTER_LINEAR
    part = cv2.resize(part, size, interpolation=method).astype(np.uint8, copy=False)
    found = reader.detect(part, max_side=max(size))
    if not found:
        return None
    scale = width / size[0]
    faces = [face.scaled(scale).moved(left, top) for face in found]
    return min(faces, key=lambda face: _center_distance(face.box, box))


class Tracker:
    """Finds the person of the picture again and again, however large others are.

    Args:
        reader: shared with the other checks.
        start: the face in the input picture, at the clip's size, if any.
        person: the picture's person. Where the followed face is lost, or several are in the first
            frame, the one who is most alike is followed; without it, the nearest one.
    """

    def __init__(
        self,
        reader: FaceReader,
        start: Face | None,
        person: Callable[[], Embedding | None] = lambda: None,
    ) -> None:
        self._reader = reader
        self._start = start
        self._person = person

    def find(self, image: Image, last: Face | None) -> Face | None:
        """The person in a searched frame; ``last`` is the face of the one before."""
        face = None if last is None else face_near(self._reader, image, last.box)
        return self._find_anywhere(image, last or self._start) if face is None else face

    def _find_anywhere(self, image: Image, known: Face | None) -> Face | None:
        faces = faces_in_frame(self._reader, image)
        if not faces or known is None:
            return faces[0] if faces else None
        near = sorted(
            faces, key=lambda face: _center_distance(face.box, known.box) - 0.001 * face.box.area
        )
        person = self._person() if len(near) > 1 else None
        if person is None:
            return near[0]
        return min(
            near[:MAX_COMPARED_FACES],
            key=lambda face: distance(person, self._reader.embed(image, face)),
        )


def _center_distance(one: Box, other: Box) -> float:
    """Distance of the centres in pixels."""
    return float(np.hypot(one.center[0] - other.center[0], one.center[1] - other.center[1]))
