"""Defects of one part of a face: mouth, eyes, nose, jaw, skin. They come within half a second.

Makers as in ``corruptions_time.py``. Places are in inter-ocular distances from the middle of the
eyes, along the face: ``u`` to the right, ``v`` down.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.picture.face_mesh import MeshReader
from vivant.types import Frames

if TYPE_CHECKING:
    from corruptions import Material

Floats = npt.NDArray[np.float32]
Apply = Callable[["Material", "Material", np.random.Generator], Frames]

COMES_SECONDS = 0.5
"""Until then a defect has grown to its dose: the first frame is the picture."""


class Places(NamedTuple):
    """Where parts of this face are."""

    mouth: tuple[float, float]
    left: tuple[float, float]
    right: tuple[float, float]


Change = Callable[[Floats, Floats, Floats, float, float, Places], Floats]
"""Pixels around a face, their u and v, share of the dose, pixels between the eyes → new pixels."""


def _places(material: Material, pose: npt.NDArray[np.float64]) -> Places:
    """Mouth and irises of the first frame."""
    cx, cy, iod, roll = pose
    points = MeshReader().read(material.frames[0], material.track[0]).points[:, :2]

    def place(*indices: int) -> tuple[float, float]:
        x, y = points[list(indices)].mean(axis=0) - (cx, cy)
        cos, sin = np.cos(roll), np.sin(roll)
        return float((x * cos + y * sin) / iod), float((y * cos - x * sin) / iod)

    return Places(place(0, 17, 61, 291), place(468), place(473))


def _on_face(change: Change, *, comes: float | None = COMES_SECONDS) -> Apply:
    """Change the face of every frame; ``comes`` None: the defect grows through the whole clip."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        from corruptions import smooth_track

        out = material.frames.copy()
        height, width = out.shape[1:3]
        poses = smooth_track(material.track)
        places = _places(material, poses[0])
        whole = len(out) - 1 if comes is None else comes * material.fps
        for index, (cx, cy, iod, roll) in enumerate(poses):
            reach = 2.4 * iod
            top, bottom = max(0, int(cy - reach)), min(height, int(cy + reach))
            left, right = max(0, int(cx - reach)), min(width, int(cx + reach))
            if bottom - top < 8 or right - left < 8:
                continue
            y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
            cos, sin = np.cos(roll), np.sin(roll)
            u = (((x - cx) * cos + (y - cy) * sin) / iod).astype(np.float32)
            v = ((-(x - cx) * sin + (y - cy) * cos) / iod).astype(np.float32)
            part = out[index, top:bottom, left:right].astype(np.float32)
            share = min(1.0, index / max(whole, 1e-9))
            changed = change(part, u, v, share, float(iod), places)
            out[index, top:bottom, left:right] = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
        return out

    return apply


def _spot(u: Floats, v: Floats, at: tuple[float, float], wide: float, high: float) -> Floats:
    """1 in the middle of an ellipse, 0 outside, smooth at its rim."""
    radius = np.sqrt(((u - at[0]) / wide) ** 2 + ((v - at[1]) / high) ** 2)
    return np.clip((1.2 - radius) / 0.4, 0, 1).astype(np.float32)


def _moved(part: Floats, dx: Floats, dy: Floats) -> Floats:
    """Resample: every pixel comes from ``(dx, dy)`` pixels beside it."""
    y, x = np.mgrid[0 : part.shape[0], 0 : part.shape[1]].astype(np.float32)
    return cv2.remap(
        part, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32, copy=False)


def _mixed(part: Floats, other: Floats, mask: Floats) -> Floats:
    return np.asarray(part + (other - part) * mask[..., None], np.float32)


def mouth(variant: str, dose: float) -> Apply:
    """Lips and teeth smeared by ``dose`` inter-ocular distances, or bent as if they melted.

    ``streak`` smears from left to right alone: the lips keep their outline.
    """

    def change(part: Floats, u: Floats, v: Floats, share: float, iod: float, at: Places) -> Floats:
        mask = _spot(u, v, at.mouth, 0.55, 0.34)
        if variant == "smear":
            blurred = cv2.GaussianBlur(part, (0, 0), max(0.3, dose * share * iod))
            return _mixed(part, blurred.astype(np.float32), mask)
        if variant == "streak":
            blurred = cv2.blur(part, (1 + 2 * round(dose * share * iod / 2), 1))
            return _mixed(part, blurred.astype(np.float32), mask)
        wave = np.float32(dose * share * iod) * mask
        return _moved(part, wave * np.sin(9 * v + 4 * u), wave * np.sin(8 * u + 1))

    return _on_face(change)


def eye(variant: str, dose: float) -> Apply:
    """One eye turns inwards, its lid droops, or the irises get another colour."""

    def change(part: Floats, u: Floats, v: Floats, share: float, iod: float, at: Places) -> Floats:
        amount = np.float32(dose * share * iod)
        if variant == "crossed":
            mask = _spot(u, v, at.left, 0.14, 0.1)
            return _moved(part, -amount * mask, np.zeros_like(u))
        if variant == "lid":
            mask = _spot(u, v, (at.left[0], at.left[1] - 0.1), 0.3, 0.16)
            return _moved(part, np.zeros_like(u), -amount * mask)
        mask = np.maximum(_spot(u, v, at.left, 0.09, 0.09), _spot(u, v, at.right, 0.09, 0.09))
        tint = np.asarray([-30.0, 25.0, 110.0], np.float32) * np.float32(dose * share)
        return part + mask[..., None] * tint

    return _on_face(change)


def shape(variant: str, dose: float) -> Apply:
    """Nose, jaw or brows become another's: wider, narrower, higher by ``dose``."""

    def change(part: Floats, u: Floats, v: Floats, share: float, iod: float, _: Places) -> Floats:
        amount = np.float32(dose * share * iod)
        none = np.zeros_like(u)
        if variant == "nose":
            mask = _spot(u, v, (0.0, 0.6), 0.42, 0.4)
            return _moved(part, -amount * mask * np.sin(np.pi * u / 0.5), none)
        if variant == "jaw":
            mask = _spot(u, v, (0.0, 1.35), 1.3, 0.75)
            return _moved(part, amount * mask * np.sin(np.pi * np.clip(u, -1.2, 1.2) / 2.0), none)
        mask = _spot(u, v, (-0.5, -0.35), 0.45, 0.22)
        return _moved(part, none, amount * mask)

    return _on_face(change)


def _skin(part: Floats, u: Floats, v: Floats) -> Floats:
    window = _spot(u, v, (0.0, 0.5), 1.1, 1.5)
    chroma = cv2.cvtColor(np.clip(part, 0, 255).astype(np.uint8), cv2.COLOR_RGB2YCrCb)
    mask = cv2.inRange(chroma, (0, 133, 77), (255, 180, 135)).astype(np.float32) / 255
    soft: Floats = window * cv2.GaussianBlur(mask, (0, 0), 3)
    return soft


def _larger_eyes(u: Floats, v: Floats, growth: float) -> tuple[Floats, Floats]:
    """How far both eyes reach beyond their places, to the right and down, in eye distances."""
    left, right = _spot(u, v, (-0.5, 0), 0.3, 0.22), _spot(u, v, (0.5, 0), 0.3, 0.22)
    size = np.float32(growth)
    return size * (left * (u + 0.5) + right * (u - 0.5)), size * v * (left + right)


def skin(variant: str, dose: float) -> Apply:
    """Skin gets lighter by ``dose`` levels; or the face is beautified; or its eyes grow alone."""

    def change(part: Floats, u: Floats, v: Floats, share: float, iod: float, _: Places) -> Floats:
        size = np.float32(iod)
        if variant == "eyes":
            wider, taller = _larger_eyes(u, v, dose * share)
            return _moved(part, -size * wider, -size * taller)
        mask = _skin(part, u, v)
        if variant == "lighter":
            return part + mask[..., None] * np.float32(dose * share)
        smooth = cv2.bilateralFilter(part, 9, 60, max(1.0, 0.06 * iod)).astype(np.float32)
        other = _mixed(part, smooth, mask * np.float32(dose * share))
        slim = np.float32(0.09 * dose * share) * _spot(u, v, (0.0, 1.35), 1.3, 0.75)
        narrow = slim * np.sin(np.pi * np.clip(u, -1.2, 1.2) / 2.0)
        wider, taller = _larger_eyes(u, v, 0.16 * dose * share)
        return _moved(other, size * (narrow - wider), -size * taller) + mask[
            ..., None
        ] * np.float32(8 * dose * share)

    return _on_face(change)


def skin_trend(variant: str, dose: float) -> Apply:
    """The skin gets smoother all the time, up to a blur of ``dose`` inter-ocular distances.

    ``edges`` is a filter that keeps edges, and ``dose`` its share at the end.
    """

    def change(part: Floats, u: Floats, v: Floats, share: float, iod: float, _: Places) -> Floats:
        if variant == "edges":
            smooth: Floats = part
            for _round in range(2):
                smooth = cv2.bilateralFilter(smooth, -1, 40, max(1.0, 0.04 * iod)).astype(
                    np.float32, copy=False
                )
            mask = _skin(part, u, v) * np.float32(dose * share)
            return _mixed(part, smooth.astype(np.float32), mask)
        blurred = cv2.GaussianBlur(part, (0, 0), max(0.2, dose * share * iod))
        return _mixed(part, blurred.astype(np.float32), _skin(part, u, v))

    return _on_face(change, comes=None)


def glasses(_: str, dose: float) -> Apply:
    """What is straight around the eyes, such as glasses, bends by ``dose``."""

    def change(part: Floats, u: Floats, v: Floats, share: float, iod: float, _: Places) -> Floats:
        mask = np.float32(dose * share * iod) * _spot(u, v, (0.0, 0.05), 1.3, 0.5)
        return _moved(part, np.zeros_like(u), mask * np.sin(5.5 * u + 0.6))

    return _on_face(change)


def slide(_: str, dose: float) -> Apply:
    """The face slides to the side by ``dose``; hair, ears and neck stay."""

    def change(part: Floats, u: Floats, v: Floats, share: float, iod: float, _: Places) -> Floats:
        mask = np.float32(dose * share * iod) * _spot(u, v, (0.0, 0.5), 1.0, 1.25)
        return _moved(part, -mask, np.zeros_like(u))

    return _on_face(change)


def hair(_: str, dose: float) -> Apply:
    """The outline of the hair bends by ``dose``."""

    def change(part: Floats, u: Floats, v: Floats, share: float, iod: float, _: Places) -> Floats:
        ring = np.clip((np.sqrt((u / 1.3) ** 2 + ((v - 0.3) / 1.6) ** 2) - 0.9) / 0.3, 0, 1)
        wave = np.float32(dose * share * iod) * ring.astype(np.float32)
        return _moved(part, wave * np.sin(3.1 * v + 1), wave * np.sin(2.7 * u))

    return _on_face(change)
