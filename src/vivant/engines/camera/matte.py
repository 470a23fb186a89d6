"""Cut the person out of the picture: GrabCut from a head-and-shoulders prior, then a soft edge.

GrabCut: Rother et al., SIGGRAPH 2004. Guided filter: He et al., TPAMI 2013. Masks
that cannot be right are refused; whether a mask is right is not known.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vivant.types import Box, Face, Image

Matte = npt.NDArray[np.float32]
"""``[H, W]`` float32: 1 the subject, 0 the background."""

CUT_SIDE = 384
"""Pixels of the longer side while cutting: GrabCut's time goes with the area, 0.3 s here."""

SOFT_SIDE = 960
"""Pixels of the longer side of the finished matte."""

INLET = 0.13
"""Half of the gap, in face widths, through which the background may reach into the person."""

MIN_BEHIND = 0.1
"""Share of the picture outside head and shoulders; less says too little about the background."""

MIN_FACE = 20
"""Pixels at cutting size; a smaller head has no shape there."""


class MatteError(Exception):
    """No usable matte; the message says why, for the report."""


def subject_matte(image: Image, face: Face) -> Matte:
    """How much of each pixel belongs to the person of ``face``.

    Args:
        image: ``[H, W, 3]`` uint8 sRGB, at most about :data:`SOFT_SIDE`.
        face: in coordinates of ``image``.

    Returns:
        ``[H, W]`` float32 in 0 … 1.

    Raises:
        MatteError: the face is too small, or the mask cannot be a person.
    """
    height, width = image.shape[:2]
    factor = min(1.0, CUT_SIDE / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    box = face.box.scaled(factor)
    if min(box.width, box.height) < MIN_FACE:
        raise MatteError("the face is too small in the picture to cut the person out")
    mask = _cut(small, box)
    _refuse_impossible(mask, box)
    return _soften(image, mask)


def _prior(shape: tuple[int, int], box: Box) -> npt.NDArray[np.uint8]:
    """GrabCut's labels from where heads and shoulders are around a face.

    Proportions: dlib's box spans brow to chin; a head is about 1.5 box widths wide with hair and
    starts about half a box above it, shoulders are about three head widths (Loomis, 1956).
    """
    height, width = shape
    labels = np.full((height, width), cv2.GC_BGD, dtype=np.uint8)
    (cx, cy), w, h = box.center, box.width, box.height
    chin = box.bottom

    def ellipse(label: int, y: float, rx: float, ry: float) -> None:
        center, axes = (round(cx), round(y)), (max(1, round(rx)), max(1, round(ry)))
        cv2.ellipse(labels, center, axes, 0, 0, 360, label, -1)

    def torso(label: int, neck: float, shoulder: float, drop: float, top: float) -> None:
        points = [
            (cx - neck * w, top), (cx + neck * w, top),
            (cx + shoulder * w, chin + drop * h), (cx + shoulder * w, height),
            (cx - shoulder * w, height), (cx - shoulder * w, chin + drop * h),
        ]  # fmt: skip
        cv2.fillPoly(labels, [np.rint(np.array(points)).astype(np.int32)], label)

    ellipse(cv2.GC_PR_BGD, cy - 0.1 * h, 1.45 * w, 1.65 * h)
    torso(cv2.GC_PR_BGD, 1.3, 3.0, 0.3, cy)
    torso(cv2.GC_PR_FGD, 0.45, 1.5, 0.65, chin - 0.1 * h)
    ellipse(cv2.GC_PR_FGD, cy - 0.15 * h, 0.72 * w, 0.95 * h)
    torso(cv2.GC_FGD, 0.22, 0.5, 0.8, cy)
    ellipse(cv2.GC_FGD, cy, 0.42 * w, 0.55 * h)
    return labels


def _cut(small: Image, box: Box) -> npt.NDArray[np.uint8]:
    """``[h, w]`` uint8, 255 the person: one piece that holds the face, without holes."""
    labels = _prior(small.shape[:2], box)
    behind = (labels == cv2.GC_BGD) | (labels == cv2.GC_PR_BGD)
    if np.count_nonzero(behind) < MIN_BEHIND * labels.size:
        raise MatteError("the person fills the picture, so there is no background to shift")
    cv2.setRNGSeed(0)  # GrabCut's k-means draws from OpenCV's generator
    models = np.zeros((2, 1, 65), dtype=np.float64)
    try:
        cv2.grabCut(small, labels, (0, 0, 0, 0), models[0], models[1], 5, cv2.GC_INIT_WITH_MASK)
    except cv2.error as error:
        raise MatteError("the person could not be told from the background") from error
    person = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, kernel)
    _, parts = cv2.connectedComponents(person, connectivity=4)
    cx, cy = box.center
    person = (parts == parts[round(cy), round(cx)]).astype(np.uint8)
    person = _without_inlets(person, max(1, round(INLET * box.width)))
    return np.asarray(person * 255, dtype=np.uint8)


def _without_inlets(person: npt.NDArray[np.uint8], radius: int) -> npt.NDArray[np.uint8]:
    """``person`` with what the background reaches only through gaps below two radii filled."""
    outside = np.pad(1 - person, radius + 1, constant_values=1)
    outside[-radius - 1 :] = 0  # the picture's lower edge is the person's own

    def disc(size: int) -> npt.NDArray[np.uint8]:
        shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * size + 1, 2 * size + 1))
        return np.asarray(shape, dtype=np.uint8)

    wide = cv2.erode(outside, disc(radius), borderType=cv2.BORDER_CONSTANT, borderValue=1)
    _, parts = cv2.connectedComponents(wide, connectivity=4)
    reached = cv2.dilate((parts == parts[0, 0]).astype(np.uint8), disc(round(1.4 * radius)))
    filled = 1 - np.minimum(reached, outside)
    inner = slice(radius + 1, -radius - 1)
    return np.asarray(filled[inner, inner], dtype=np.uint8)


def _refuse_impossible(mask: npt.NDArray[np.uint8], box: Box) -> None:
    share = float(np.count_nonzero(mask)) / mask.size
    if share > 0.85:
        raise MatteError("the person could not be told from the background")
    top, bottom = max(0, round(box.top)), round(box.bottom)
    left, right = max(0, round(box.left)), round(box.right)
    inside = mask[top:bottom, left:right]
    if not inside.size or np.count_nonzero(inside) < 0.6 * inside.size:
        raise MatteError("the person could not be told from the background")
    if np.count_nonzero(mask[0]) > 0.6 * mask.shape[1]:
        raise MatteError("the person could not be told from the background")


def _soften(image: Image, mask: npt.NDArray[np.uint8]) -> Matte:
    """Let the picture's own edges shape the mask's: hair and cloth become partly covering."""
    height, width = image.shape[:2]
    rough = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
    rough = cv2.GaussianBlur(rough, (0, 0), max(height, width) / 480)
    radius = max(2, round(max(height, width) / 110))
    guide = image.astype(np.float32) / 255
    source = rough.astype(np.float32) / 255
    alpha = cv2.ximgproc.guidedFilter(guide, source, radius, 1e-4)
    alpha = np.clip((alpha - 0.08) / 0.84, 0, 1)
    near = cv2.dilate(mask, np.ones((5, 5), np.uint8))
    near = cv2.GaussianBlur(near, (0, 0), 2)
    alpha *= cv2.resize(near, (width, height), interpolation=cv2.INTER_LINEAR) / np.float32(255)
    return np.asarray(alpha, dtype=np.float32)
