"""Defects of generated clips in time: freezes, repeated frames, stutter, jumps, glitches, pumping.

Every maker takes ``(variant, dose)`` and gives a function of ``(material, other, rng)``, as in
``corruptions.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

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


def low_rate(_: str, dose: float) -> Apply:
    """Every picture is shown ``dose`` times."""

    def apply(material: Material, _: Material, __: np.random.Generator) -> Frames:
        order = np.arange(len(material.frames)) // int(dose) * int(dose)
        return material.frames[order]

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
