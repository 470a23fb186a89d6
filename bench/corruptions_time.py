"""Defects of generated clips in time: freezes, repeated frames, stutter, jumps, glitches, pumping.

Every maker takes ``(variant, dose)`` and gives a function of ``(material, other, rng)``, as in
``corruptions.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vivant.types import Frames

if TYPE_CHECKING:
    from corruptions import Material


Apply = Callable[["Material", "Material", np.random.Generator], Frames]


def freeze(variant: str, dose: float) -> Apply:
    """A part of the clip stands still: ``dose`` of its frames, at the start, end or middle."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        count = len(material.frames)
        length = round(dose * count)
        start = {"start": 0, "middle": (count - length) // 2, "end": count - length}[variant]
        order = np.arange(count)
        held = start + length - 1 if variant == "start" else start
        order[start : start + length] = held
        return material.frames[order]

    return apply


def low_rate(variant: str, dose: float) -> Apply:
    """Every picture is shown ``dose`` times, or the ones between are mixed of two."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        at = np.arange(len(material.frames))
        before = at // int(dose) * int(dose)
        if variant == "repeated":
            return material.frames[before]
        after = np.minimum(before + int(dose), len(at) - 1)
        return np.stack([
            np.rint(material.frames[i] * (1 - share) + material.frames[j] * share)
            for i, j, share in zip(before, after, (at - before) / dose, strict=True)
        ]).astype(np.uint8)  # fmt: skip

    return apply


def stutter(_: str, dose: float) -> Apply:
    """Now and then a picture is held for ``dose`` frames, then the motion catches up."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        order = np.arange(len(material.frames))
        at = int(rng.integers(4, 8))
        while at + dose < len(order):
            order[at : at + int(dose)] = at
            at += int(dose) + int(rng.integers(5, 9))
        return material.frames[order]

    return apply


def jump(variant: str, dose: float) -> Apply:
    """``dose`` seconds are missing, or the clip starts anew at ``dose`` of its length."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        frames, count = material.frames, len(material.frames)
        if variant == "snap_back":
            start = round(dose * count)
            return frames[np.r_[0:start, 0 : count - start]]
        skip = round(dose * material.fps)
        half = (count - skip) // 2
        order = np.r_[0:half, half + skip : count]
        # The clip keeps its length: what is missing is walked back from the end.
        more = np.arange(count - 2, count - 2 - (count - len(order)), -1)
        return frames[np.r_[order, more]]

    return apply


def reversed_motion(_: str, __: float) -> Apply:
    """The second half is the first one backwards."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        count = len(material.frames)
        half = count // 2
        return material.frames[np.r_[0 : half + 1, half - 1 : half - 1 - (count - half - 1) : -1]]

    return apply


def zoomed(dose: float) -> Apply:
    """The picture alone, enlarged by ``dose`` in the course of the clip."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        picture, count = material.frames[0], len(material.frames)
        height, width = picture.shape[:2]
        out = np.empty_like(material.frames)
        for i in range(count):
            there = cv2.getRotationMatrix2D((width / 2, height / 2), 0, 1 + dose * i / (count - 1))
            cv2.warpAffine(picture, there, (width, height), out[i], cv2.INTER_CUBIC)
        return out

    return apply


def odd_frame(variant: str, dose: float) -> Apply:
    """In one frame a square of ``dose`` of the height is garbage, or rows of another moment."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        out = material.frames.copy()
        count, height, width = out.shape[:3]
        at = int(rng.integers(count // 4, 3 * count // 4))
        side = round(dose * height)
        top, left = (height - side) // 2, (width - side) // 2
        if variant == "garbage":
            cells = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
            out[at, top : top + side, left : left + side] = cv2.resize(
                cells, (side, side), interpolation=cv2.INTER_NEAREST
            )
        else:
            rows = np.roll(material.frames[at - 12, top : top + side], height // 20, axis=1)
            out[at, top : top + side] = rows
        return out

    return apply


def local_flicker(variant: str, dose: float) -> Apply:
    """The face flickers, or bands of rows roll through the picture, by ``dose``."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        down, across = np.mgrid[0:height, 0:width].astype(np.float32)
        out = np.empty_like(material.frames)
        for i, frame in enumerate(material.frames):
            if variant == "rows":
                change = np.sin(2 * np.pi * (3 * down / height + 0.31 * i))
            else:
                box = material.track[i].box
                apart = np.hypot(
                    (across - box.center[0]) / box.width, (down - box.center[1]) / box.height
                )
                change = rng.uniform(-1, 1) * np.clip((0.75 - apart) / 0.25, 0, 1)
            out[i] = np.clip(np.rint(frame * (1 + dose * change[..., None])), 0, 255)
        return out

    return apply


def color_glitch(variant: str, dose: float) -> Apply:
    """Two frames are tinted or darkened by ``dose``."""
    tints = {"tint": (1 + dose, 1.0, 1 - dose), "dark": (1 - dose,) * 3}

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        out = material.frames.copy()
        at = int(rng.integers(len(out) // 4, 3 * len(out) // 4))
        gain = np.asarray(tints[variant], np.float32)
        out[at : at + 2] = np.clip(np.rint(out[at : at + 2] * gain), 0, 255).astype(np.uint8)
        return out

    return apply


def pumping(variant: str, dose: float) -> Apply:
    """Exposure or contrast swells and falls by ``dose``, a little faster than once a second."""

    def apply(material: Material, _: Material, rng: np.random.Generator) -> Frames:
        hertz, phase = rng.uniform(0.6, 1.4), rng.uniform(0, 2 * np.pi)
        time = np.arange(len(material.frames)) / material.fps
        gains = 1 + dose * np.sin(2 * np.pi * hertz * time + phase)
        table = np.arange(256, dtype=np.float64)
        middle = float(material.frames[0].mean()) if variant == "contrast" else 0.0
        out = np.empty_like(material.frames)
        for index, frame in enumerate(material.frames):
            levels = middle + (table - middle) * gains[index]
            out[index] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)[frame]
        return out

    return apply


def rate_converted(_: str, dose: float) -> Apply:
    """Clean: the clip as ``dose`` times as many frames a second, pictures repeated."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        order = (np.arange(int(len(material.frames) * dose)) / dose).astype(int)
        frames: Frames = material.frames[order[: len(material.frames)]]
        return frames

    return apply
