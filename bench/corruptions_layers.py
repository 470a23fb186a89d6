"""Torn layers: a person cut through, or cut out badly, so that parts slide against each other.

Makers as in ``corruptions_time.py``. Displacements are in frame heights: 0.004 are 4 pixels of
1080. A rim's dose is its share of the pixels. The first frame stays the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from vivant.picture.matte import MatteError, person_matte
from vivant.types import Face, Frames, Image

if TYPE_CHECKING:
    from corruptions import Material

Floats = npt.NDArray[np.float32]
Apply = Callable[["Material", "Material", np.random.Generator], Frames]
Part = Callable[[Image, Face, np.random.Generator], Floats]

RADIANS = 0.8
"""A second; the slide goes once there and back in about four seconds."""

RIM = 0.012
"""Of the shorter side; how wide a rim is."""

RIM_LEVEL = 235
"""Its brightness."""

SMALL = 512
"""Pixels; longest side of the pictures that a person is cut out of."""


def _below_the_chin(frame: Image, face: Face, rng: np.random.Generator) -> Floats:
    """Beyond a straight line below the chin."""
    y, x = np.mgrid[0 : frame.shape[0], 0 : frame.shape[1]].astype(np.float32)
    cx, cy = np.asarray(face.landmarks).mean(axis=0)
    angle = rng.uniform(-0.5, 0.5)
    line = (y - cy - 2.2 * face.interocular) * np.cos(angle) + (x - cx) * np.sin(angle)
    return np.asarray(np.clip(line + 0.5, 0, 1), np.float32)


def _beside_the_eyes(frame: Image, face: Face, rng: np.random.Generator) -> Floats:
    """Beyond a curve from the hair over one cheek to the shoulder."""
    y, x = np.mgrid[0 : frame.shape[0], 0 : frame.shape[1]].astype(np.float32)
    cx, cy = np.asarray(face.landmarks).mean(axis=0)
    eyes, side = face.interocular, rng.choice([-1.0, 1.0])
    wave = 0.25 * eyes * np.sin((y - cy) / (0.8 * eyes) + rng.uniform(0, 2 * np.pi))
    return np.asarray(np.clip(side * (x - cx) - 0.9 * eyes - wave + 0.5, 0, 1), np.float32)


def _person(frame: Image, face: Face, _: np.random.Generator) -> Floats:
    """The person, by the network that the engines use; the head where it is not sure."""
    factor = min(1.0, SMALL / max(frame.shape[:2]))
    small = cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    try:
        matte = person_matte(small.astype(np.uint8), (face.scaled(factor),))[0]
    except MatteError:
        y, x = np.mgrid[0 : frame.shape[0], 0 : frame.shape[1]].astype(np.float32)
        cx, cy = np.asarray(face.landmarks).mean(axis=0)
        eyes = face.interocular
        head = np.hypot((x - cx) / (1.7 * eyes), (y - cy) / (2.3 * eyes)) < 1
        return np.asarray(head, np.float32)
    large = cv2.resize(matte, frame.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(large > 0.5, np.float32)


def _smeared(frame: Image, hole: npt.NDArray[np.bool_]) -> Image:
    """The hole's pixels become the nearest ones outside of it."""
    if hole.all() or not hole.any():
        return frame
    _, labels = cv2.distanceTransformWithLabels(
        hole.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    table = np.zeros((int(labels.max()) + 1, 3), np.uint8)
    table[labels[~hole]] = frame[~hole]
    return np.asarray(table[labels], np.uint8)


def _rim(dose: float) -> Apply:
    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        side = 2 * max(2, round(RIM * min(height, width))) + 1
        out = []
        for index, (frame, face) in enumerate(zip(material.frames, material.track, strict=True)):
            person = _person(frame, face, rng)
            wide = cv2.dilate(person, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))
            rim = cv2.GaussianBlur(wide, (0, 0), side / 6) * (1 - person)
            share = (dose * min(1.0, index / material.fps) * rim)[..., None]
            out.append(np.rint(frame * (1 - share) + RIM_LEVEL * share).astype(np.uint8))
        return np.stack(out)

    return apply


def torn(variant: str, dose: float) -> Apply:
    """A layer slides by ``dose`` against the rest, and the hole it leaves is smeared over.

    ``cut``: what is below a line under the chin. ``layer``: what is beside a curve through
    hair, cheek and shoulder. ``outline``: the person, whose background is smeared at the edge.
    ``rim``: the person's outline gets lighter by ``dose``, as where a matte is cut too wide.
    """
    if variant == "rim":
        return _rim(dose)
    parts: dict[str, Part] = {
        "cut": _below_the_chin, "layer": _beside_the_eyes, "outline": _person,
    }  # fmt: skip
    part = parts[variant]

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        angle = rng.uniform(0, 2 * np.pi)
        seed = int(rng.integers(1 << 31))
        out = []
        for index, (frame, face) in enumerate(zip(material.frames, material.track, strict=True)):
            layer = part(frame, face, np.random.default_rng(seed))
            slide = dose * height * np.sin(RADIANS * index / material.fps)
            shift = np.asarray([[1, 0, slide * np.cos(angle)], [0, 1, slide * np.sin(angle)]])
            size = (width, height)
            moved = cv2.warpAffine(frame, shift, size, flags=cv2.INTER_CUBIC, borderMode=1)
            cover = cv2.warpAffine(layer, shift, size, borderMode=cv2.BORDER_REPLICATE)[..., None]
            behind = _smeared(frame, layer > 0.5)
            mixed = behind * (1 - cover) + moved * cover
            out.append(np.clip(np.rint(mixed), 0, 255).astype(np.uint8))
        return np.stack(out)

    return apply
