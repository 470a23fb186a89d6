"""Edits that are no defects: captions, logos, bars, another shape or size. No check may fail.

Makers as in ``corruptions_time.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vivant.types import Frames, Image

if TYPE_CHECKING:
    from corruptions import Material

Apply = Callable[["Material", "Material", np.random.Generator], Frames]


def _written(frame: Image, text: str, left: int, top: int, height: int) -> None:
    """White letters with a black rim, ``height`` pixels tall, in place."""
    scale = height / 22
    for color, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(
            frame, text, (left, top + height), cv2.FONT_HERSHEY_SIMPLEX, scale, color,
            max(1, round(width * scale)), cv2.LINE_AA,
        )  # fmt: skip


def overlay(variant: str, start: float) -> Apply:
    """A subtitle, a caption strip or a logo, from ``start`` seconds on."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        out = material.frames.copy()
        height, width = out.shape[1:3]
        for frame in out[round(start * material.fps) :]:
            if variant == "logo":
                side = max(8, height // 12)
                cv2.circle(frame, (width - side, side), side // 2, (240, 60, 40), -1, cv2.LINE_AA)
                _written(frame, "TV", width - 3 * side // 2, side // 2 + side // 4, side // 2)
                continue
            if variant == "strip":
                frame[height - height // 8 :] = (24, 28, 60)
            _written(frame, "she said it twice", width // 8, height - height // 10, height // 20)
        return out

    return apply


def bars(variant: str, share: float) -> Apply:
    """Black bars of ``share`` of the height, over the picture or around the whole of it."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        top, left = round(share * height), round(share * width)
        size = (width - 2 * left, height - 2 * top)
        out = np.zeros_like(material.frames)
        for frame, shown in zip(material.frames, out, strict=True):
            if variant == "letterbox":
                shown[top : height - top] = frame[top : height - top]
            else:
                small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
                shown[top : height - top, left : width - left] = small
        return out

    return apply


def cropped(_: str, shape: float) -> Apply:
    """Cut to ``shape``, width over height, around the face."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        wide = min(width, round(height * shape) // 2 * 2)
        x = float(np.asarray(material.track[0].landmarks).mean(axis=0)[0])
        left = int(np.clip(round(x - wide / 2), 0, width - wide))
        return np.ascontiguousarray(material.frames[:, :, left : left + wide])

    return apply


def faded(variant: str, seconds: float) -> Apply:
    """The end goes to black, or the start comes from it, within ``seconds``."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        count = round(seconds * material.fps)
        gains = np.ones(len(material.frames), np.float32)
        ramp = np.linspace(1, 0, count, dtype=np.float32)
        if variant == "out":
            gains[-count:] = ramp
        else:
            gains[:count] = ramp[::-1]
        return np.stack(
            [
                np.rint(frame * gain).astype(np.uint8)
                for frame, gain in zip(material.frames, gains, strict=True)
            ]
        )

    return apply
