"""Find faces that dlib's detector misses: under a mask, behind a hand, turned, tilted.

BlazeFace (Bazarevsky et al., 2019), the short-range detector of Google's MediaPipe, Apache-2.0. It
also answers to things that are no faces, so :class:`vivant.picture.faces.FaceReader` asks the face
mesh about everything that it finds.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.picture.face_mesh import model_file
from vivant.types import Box, Image

SIDE: Final = 128
"""Pixels of the network's square input."""

CELLS: Final = ((8, 2), (16, 6))
"""(pixels of a cell, faces looked for in it), in the network's order of answers; the four layers of
the original options file are strides 8, 16, 16 and 16 with two anchors each."""

LONG: Final = 1.25
"""Longer over shorter side from which squares are searched as well."""

MOST_SQUARES: Final = 9
"""Each overlaps the next by half up to a picture of 5:1."""

MIN_SCORE: Final = 0.6
"""Of 36 frames of six people with a drawn mask, faces were found in 35, at 0.64 … 0.94 (dlib's
detector: 7); patches of noise scored up to 0.55."""

OVERLAP: Final = 0.3
"""Intersection over union from which two answers are one face, as in MediaPipe."""


class Candidate(NamedTuple):
    """What may be a face: its box, in pixels of the picture, and 0 … 1."""

    box: Box
    score: float


class BlazeFace:
    """The network, ready to run: 5 ms. Not thread-safe.

    Raises:
        MissingPartError: its file is not there.
    """

    def __init__(self) -> None:
        self._net = cv2.dnn.readNetFromTFLite(model_file("face_detection_short_range.tflite"))
        self._centres = np.concatenate([_centres(*cell) for cell in CELLS])

    def find(self, image: Image) -> list[Candidate]:
        """Candidates, surest first. A face an eighth of the shorter side wide, or more, is found.

        The whole picture is searched, and then the squares that it is covered by.

        Args:
            image: ``[H, W, 3]`` uint8 sRGB.
        """
        height, width = image.shape[:2]
        answers = []
        for left, top, side in _squares(width, height):
            part = image[max(top, 0) : top + side, max(left, 0) : left + side]
            offset = max(left, 0), max(top, 0)
            answers += [Candidate(box.moved(*offset), score) for box, score in self._search(part)]
        found: list[Candidate] = []
        for one in sorted(answers, key=lambda answer: -answer.score):
            if all(_overlap(one.box, other.box) < OVERLAP for other in found):
                found.append(one)
        return found

    def _search(self, image: Image) -> list[Candidate]:
        """All answers above the threshold in one picture, of several for each face."""
        height, width = image.shape[:2]
        factor = SIDE / max(height, width)
        size = (max(1, round(width * factor)), max(1, round(height * factor)))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        left, top = (SIDE - size[0]) // 2, (SIDE - size[1]) // 2
        square = np.full((SIDE, SIDE, 3), -1.0, np.float32)
        square[top : top + size[1], left : left + size[0]] = small / 127.5 - 1.0
        self._net.setInput(np.ascontiguousarray(square.transpose(2, 0, 1)[None]))
        boxes, logits = self._net.forward(("regressors", "classificators"))
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits.reshape(-1).astype(np.float64), -100, 100)))
        found = []
        for index in np.flatnonzero(scores > MIN_SCORE):
            shift_x, shift_y, across, down = boxes.reshape(-1, 16)[index, :4].astype(np.float64)
            x, y = self._centres[index] * SIDE + (shift_x - left, shift_y - top)
            box = Box(x - across / 2, y - down / 2, across, down).scaled(1 / factor)
            found.append(Candidate(box, float(scores[index])))
        return found


def _squares(width: int, height: int) -> list[tuple[int, int, int]]:
    """Left, top and side of the squares to search; the whole picture is the first."""
    longer, shorter = max(width, height), min(width, height)
    whole = [(0, 0, longer)]
    if longer < LONG * shorter:
        return whole
    count = min(math.ceil(2 * longer / shorter) - 1, MOST_SQUARES)
    places = [round(n * (longer - shorter) / (count - 1)) for n in range(count)]
    if width > height:
        return whole + [(place, 0, shorter) for place in places]
    return whole + [(0, place, shorter) for place in places]


def _centres(pixels: int, faces: int) -> npt.NDArray[np.float64]:
    """``[n, 2]``: x and y of each answer's cell, 0 … 1."""
    count = SIDE // pixels
    middle = (np.arange(count) + 0.5) / count
    grid = np.stack(np.meshgrid(middle, middle), axis=-1).reshape(-1, 2)
    return np.repeat(grid, faces, axis=0)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    shared = one.shared_area(other)
    return shared / max(one.area + other.area - shared, 1e-9)
