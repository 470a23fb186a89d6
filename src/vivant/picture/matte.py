"""Cut the people out of a picture: a segmentation network, then the picture's own edges.

The network is ``selfie_segmentation`` of MediaPipe (Google, Apache-2.0): all people together, at
256 × 256 pixels, 20 ms. The guided filter (He et al., TPAMI 2013) brings its outline to the edges
of the picture. OpenCV runs the file, which lies in ``models`` beside this module.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.picture.face_mesh import model_file
from vivant.types import Face, Image

Matte = npt.NDArray[np.float32]
"""``[H, W]`` float32: 1 a person, 0 the background."""

SIDE: Final = 256
"""Pixels; the network's input and output."""

SOFT_SIDE: Final = 960
"""Pixels of the longer side of the finished matte."""

MIN_FACE: Final = 0.04
"""Height of a face over that of the picture below which a person has no shape in the matte."""

MIN_BEHIND: Final = 0.03
"""Share of the picture that must be background."""

SMALL: Final = 0.01
"""Share of the picture below which a piece is dropped."""

BESIDE: Final = 0.4
"""Height of a face over the largest one's from which it must be inside the matte."""

INSIDE: Final = 0.6
"""Mean of the matte over a face that is inside."""

UNSURE: Final = 0.3
"""Share of the outline that may be unclear where planes shift along all of it."""

BESIDE_OUTLINE: Final = 0.03
"""Of the width: what the planes uncover at most, and as much again."""

HARD_EDGE: Final = 10.0
"""Levels a pixel."""

PATTERNED: Final = 0.12
"""Share of hard edges beside the outline from which a painted gap is seen: 0.20 with letters on a
wall; 0 … 0.09 in 16 of 17 portraits, and 0.16 in one before curls and leaves."""

SURE: Final = 0.8
"""Of the network, from which a pixel counts as a person's where nothing else tells of one."""

MIN_PERSON: Final = 0.04
"""Share of the picture that a person must cover to be shown for that reason."""

HEAD_SHARE: Final = 0.2
"""Share of a person's height, from the top, that is taken for the head."""

_lock = Lock()


class MatteError(Exception):
    """No usable matte; the message says why, for the report."""


def head_place(image: Image) -> tuple[float, float] | None:
    """Where the head of the largest person is, for pictures in which no face is found.

    Args:
        image: ``[H, W, 3]`` uint8 sRGB, at most about :data:`SOFT_SIDE`.

    Returns:
        x of its middle and y of its highest point in pixels of ``image``; None where the network
        is not sure of a person.
    """
    rough = rough_matte(image)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        (rough > SURE).astype(np.uint8), connectivity=8
    )
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    person = parts == largest
    top, rows = int(stats[largest, cv2.CC_STAT_TOP]), int(stats[largest, cv2.CC_STAT_HEIGHT])
    if not MIN_PERSON <= person.mean() <= 1 - MIN_BEHIND:
        return None
    _, columns = np.nonzero(person[top : top + max(1, round(HEAD_SHARE * rows))])
    height, width = image.shape[:2]
    return (float(columns.mean()) + 0.5) / SIDE * width, top / SIDE * height


def person_matte(image: Image, faces: tuple[Face, ...]) -> tuple[Matte, Matte]:
    """How much of each pixel belongs to a person, and how far that can be relied on.

    Args:
        image: ``[H, W, 3]`` uint8 sRGB, at most about :data:`SOFT_SIDE`.
        faces: in coordinates of ``image``, at least one; every one must be inside the matte.

    Returns:
        The matte, and the trust in it: ``[H, W]`` float32 in 0 … 1, low where the network
        wavers over an area and not just at an edge.

    Raises:
        MatteError: a face is too small, or the mask cannot be a person.
    """
    height, width = image.shape[:2]
    if max(face.box.height for face in faces) < MIN_FACE * height:
        raise MatteError("the face is too small in the picture to cut the person out")
    rough = rough_matte(image)
    rough = _without_crumbs(rough)
    _refuse_impossible(rough, faces, width, height)
    return _soften(image, rough), _trust(rough, image.shape[:2])


@cache
def _network() -> cv2.dnn.Net:
    return cv2.dnn.readNetFromTFLite(model_file("selfie_segmentation.tflite"))


def rough_matte(image: Image) -> Matte:
    """The network's answer as it is; it was trained on pictures stretched to a square.

    Args:
        image: ``[H, W, 3]`` uint8 sRGB, at most about :data:`SOFT_SIDE`.

    Returns:
        ``[SIDE, SIDE]`` float32, 0 … 1.
    """
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    with _lock:
        net = _network()
        net.setInput(np.ascontiguousarray(small.transpose(2, 0, 1)[None] / np.float32(255)))
        found = net.forward()
    return np.clip(np.asarray(found, np.float32).reshape(SIDE, SIDE), 0, 1)


def _without_crumbs(rough: Matte) -> Matte:
    """``rough`` without small pieces beside the people."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        (rough > 0.1).astype(np.uint8), connectivity=8
    )
    if count <= 2:
        return rough
    small = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] < SMALL * rough.size]
    return np.where(np.isin(parts, small), np.float32(0), rough)


def refuse_unclear(matte: Matte, trust: Matte) -> None:
    """For planes that shift against each other along the whole outline.

    Raises:
        MatteError: too much of the outline cannot be relied on.
    """
    person = (matte > 0.5).astype(np.uint8)
    outline = cv2.morphologyEx(person, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    unsure = int(np.count_nonzero(outline & (trust < 0.5)))
    if unsure > UNSURE * np.count_nonzero(outline):
        raise MatteError("the person could not be told from the background")


def refuse_patterned(image: Image, matte: Matte) -> None:
    """For planes whose gap is painted: what has hard edges there (letters) would smear.

    Args:
        image: ``[H, W, 3]`` uint8, of the matte's size.
        matte: of the person.

    Raises:
        MatteError: too many hard edges lie beside the outline.
    """
    luma = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 1.0)
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *along) / 8 for along in ((1, 0), (0, 1)))
    edges = cv2.magnitude(across, down)
    away = cv2.distanceTransform((matte <= 0.02).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    # not at the outline itself, which is an edge
    beside = (away > 3) & (away < BESIDE_OUTLINE * image.shape[1])
    if beside.any() and float((edges[beside] > HARD_EDGE).mean()) > PATTERNED:
        raise MatteError("a pattern with hard edges lies beside the person")


def _refuse_impossible(rough: Matte, faces: tuple[Face, ...], width: int, height: int) -> None:
    """Faces of a size with the largest must all be inside; a far one may be on a poster."""
    largest = max(face.box.height for face in faces)
    for face in faces:
        if face.box.height < BESIDE * largest:
            continue
        (x, y), w, h = face.box.center, face.box.width, face.box.height
        left, right = (round(np.clip(v, 0, width) / width * SIDE) for v in (x - w / 3, x + w / 3))
        top, bottom = (round(np.clip(v, 0, height) / height * SIDE) for v in (y - h / 3, y + h / 3))
        inside = rough[top : bottom + 1, left : right + 1]
        if inside.size and float(inside.mean()) < INSIDE:
            raise MatteError("the person could not be told from the background")
    if float(rough.mean()) > 1 - MIN_BEHIND:
        raise MatteError("the person fills the picture, so there is no background to shift")


def _soften(image: Image, rough: Matte) -> Matte:
    """Let the picture's own edges shape the mask's: hair and cloth become partly covering."""
    height, width = image.shape[:2]
    source = cv2.resize(rough, (width, height), interpolation=cv2.INTER_CUBIC)
    source = np.clip((source - 0.15) / 0.7, 0, 1)
    radius = max(2, round(max(height, width) / 110))
    guide = image.astype(np.float32) / 255
    alpha = cv2.ximgproc.guidedFilter(guide, source, radius, 1e-4)
    return np.asarray(np.clip((alpha - 0.08) / 0.84, 0, 1), dtype=np.float32)


def _trust(rough: Matte, shape: tuple[int, int]) -> Matte:
    """1 where the network is sure up to an edge, 0 where it wavers over an area."""
    wavering = 4 * rough * (1 - rough)
    wide = cv2.GaussianBlur(cv2.erode(wavering, np.ones((5, 5), np.uint8)), (0, 0), 6)
    trust = np.clip(1.25 - 5 * wide, 0, 1)
    height, width = shape
    return np.asarray(cv2.resize(trust, (width, height)), dtype=np.float32)
