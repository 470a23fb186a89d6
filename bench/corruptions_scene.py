"""Defects of the scene: backgrounds that swim, signs that melt, ghosts, grids.

Makers as in ``corruptions_time.py``. Displacements are in frame heights. The first frame stays
the picture: a defect grows to its dose within half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from vivant.types import Face, Frames, Image

if TYPE_CHECKING:
    from corruptions import Material

Floats = npt.NDArray[np.float32]
Apply = Callable[["Material", "Material", np.random.Generator], Frames]

COMES_SECONDS = 0.5


def _grown(index: int, fps: float) -> float:
    return min(1.0, index / (COMES_SECONDS * fps))


def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return x, y


def around_person(face: Face, height: int, width: int) -> Floats:
    """1 away from the person, 0 on head, shoulders and below, smooth between."""
    x, y = _grid(height, width)
    cx, cy = (float(v) for v in np.asarray(face.landmarks).mean(axis=0))
    eyes = face.interocular
    head = np.hypot((x - cx) / (1.8 * eyes), (y - cy) / (2.5 * eyes))
    body = np.abs(x - cx) / (1.6 * eyes + 1.3 * np.clip(y - cy - eyes, 0, 2.4 * eyes) + 1e-3)
    body = np.where(y > cy + eyes, body, 9.0)
    near = np.minimum(head, body).astype(np.float32)
    out: Floats = np.clip((near - 1.0) / 0.35, 0, 1).astype(np.float32)
    return out


def _noise(rng: np.random.Generator, height: int, width: int, cell: int) -> Floats:
    """``[H, W]`` smooth noise of unit size that changes over about ``cell`` pixels."""
    rows, columns = height // cell + 3, width // cell + 3
    small = rng.normal(size=(rows, columns)).astype(np.float32)
    large = cv2.resize(small, (columns * cell, rows * cell), interpolation=cv2.INTER_CUBIC)
    out: Floats = large[cell : cell + height, cell : cell + width].astype(np.float32)
    return out / max(float(out.std()), 1e-6)


def _moved(frame: Image, dx: Floats, dy: Floats) -> Image:
    x, y = _grid(*frame.shape[:2])
    return cv2.remap(frame, x + dx, y + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT).astype(
        np.uint8, copy=False
    )


def swim(variant: str, dose: float) -> Apply:
    """The background sways like water, each part its own way; ``dose``: root mean square.

    ``breathing``: six places of it grow and shrink; ``dose``: the most that they move.
    """
    if variant == "breathing":
        return _breathing(dose)

    def apply(material: Material, __: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        cell = max(8, height // 6)
        fields = [_noise(rng, height, width, cell) for _ in range(4)]
        hertz, phase = rng.uniform(0.3, 0.8, 2), rng.uniform(0, 2 * np.pi, 2)
        window = around_person(material.track[0], height, width) * np.float32(dose * height)
        out = []
        for index, frame in enumerate(material.frames):
            time = 2 * np.pi * hertz * index / material.fps + phase
            one, two = (np.float32(v) for v in np.sin(time) * _grown(index, material.fps))
            dx, dy = fields[0] * one + fields[1] * two, fields[2] * one + fields[3] * two
            out.append(_moved(frame, dx * window, dy * window))
        return np.stack(out)

    return apply


def _breathing(dose: float) -> Apply:
    def apply(material: Material, __: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        around = around_person(material.track[0], height, width)
        reach, places = 0.18 * min(height, width), rng.uniform(0.05, 0.95, (6, 2))
        phases = rng.uniform(0, 2 * np.pi, 6)
        fields = []
        for across, down in places * (width, 0.65 * height):
            u, v = (x - across) / reach, (y - down) / reach
            # the largest of u · exp(-u²/2) is 0.6065
            bell = np.exp(-(u**2 + v**2) / 2) * (dose * min(height, width) / 0.6065) * around
            fields.append(np.stack([u * bell, v * bell]).astype(np.float32))
        out = []
        for index, frame in enumerate(material.frames):
            turn = 2 * np.pi * 0.4 * index / material.fps
            shares = np.sin(turn + phases) - np.sin(phases)
            dx, dy = np.tensordot(shares.astype(np.float32), np.stack(fields), axes=1)
            out.append(_moved(frame, dx, dy))
        return np.stack(out)

    return apply


def _sign(frame: Image, outside: Floats, side: int) -> tuple[int, int]:
    """Left and top of the square of the background that holds most detail."""
    luma = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = np.abs(luma - cv2.GaussianBlur(luma, (0, 0), 3)) * (outside > 0.99)
    energy = cv2.boxFilter(fine, -1, (side, side), normalize=False)
    edge = side // 2 + 2
    inside = np.zeros_like(energy)
    inside[edge:-edge, edge:-edge] = energy[edge:-edge, edge:-edge]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(x) - side // 2, int(y) - side // 2


def gibberish(_: str, dose: float) -> Apply:
    """The square of the background that holds most detail melts into other shapes."""

    def apply(material: Material, __: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        side = height // 5
        left, top = _sign(material.frames[0], around_person(material.track[0], height, width), side)
        square = np.zeros((height, width), np.float32)
        square[top : top + side, left : left + side] = 1
        square = cv2.GaussianBlur(square, (0, 0), side / 12).astype(np.float32)
        cell = max(3, height // 60)
        fields = [_noise(rng, height, width, cell) for _ in range(4)]
        out = []
        for index, frame in enumerate(material.frames):
            grown, turn = _grown(index, material.fps), 0.8 * index / material.fps
            one, two = (np.float32(v * grown * dose * height) for v in (np.cos(turn), np.sin(turn)))
            dx, dy = fields[0] * one + fields[1] * two, fields[2] * one + fields[3] * two
            out.append(_moved(frame, dx * square, dy * square))
        return np.stack(out)

    return apply


def ghost(variant: str, dose: float) -> Apply:
    """``dose`` of an earlier picture (trail), or of a shifted one (contour), shines through."""

    def apply(material: Material, __: Material, rng: np.random.Generator) -> Frames:
        frames, height = material.frames, material.frames.shape[1]
        angle = rng.uniform(0, 2 * np.pi)
        shift = np.asarray([[1, 0, np.cos(angle)], [0, 1, np.sin(angle)]]) * (1, 1, 0.02 * height)
        out = []
        for index, frame in enumerate(frames):
            share = dose * _grown(index, material.fps)
            other = frames[max(0, index - 4)]
            if variant == "contour":
                size = (frame.shape[1], frame.shape[0])
                other = cv2.warpAffine(frame, shift, size, borderMode=cv2.BORDER_REPLICATE)
            mixed = frame * np.float32(1 - share) + other * np.float32(share)
            out.append(np.rint(mixed).astype(np.uint8))
        return np.stack(out)

    return apply


def grid(variant: str, dose: float) -> Apply:
    """Lines every 16 pixels, or cells of 16 pixels of their own brightness, by ``dose`` levels."""

    def apply(material: Material, __: Material, rng: np.random.Generator) -> Frames:
        height, width = material.frames.shape[1:3]
        x, y = np.arange(width), np.arange(height)
        if variant == "lines":
            pattern = -((x % 16 == 15)[None] | (y % 16 == 15)[:, None]).astype(np.float32)
        else:
            cells = rng.normal(size=(height // 16 + 1, width // 16 + 1)).astype(np.float32)
            pattern = cells[(y // 16)[:, None], (x // 16)[None]]
        out = []
        for index, frame in enumerate(material.frames):
            added = pattern * np.float32(dose * _grown(index + 1, material.fps))
            out.append(np.clip(np.rint(frame + added[..., None]), 0, 255).astype(np.uint8))
        return np.stack(out)

    return apply
