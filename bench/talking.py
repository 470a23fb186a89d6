"""A person who talks, nods and blinks, made from one picture by warping: clean material.

Real clips cannot be shipped; this one can. Knows nothing of the checks.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vivant.types import Face, Frames, Image

Floats = npt.NDArray[np.float32]


def _bouts(rng: np.random.Generator, count: int, fps: float, hertz: float) -> Floats:
    """``[count]`` smooth random values of about unit size, changing at about ``hertz``."""
    knots = rng.normal(size=int(count / fps * hertz * 2) + 6)
    x = np.linspace(1, len(knots) - 3, count)
    base = np.floor(x).astype(int)
    f = x - base
    p = [knots[base + k] for k in (-1, 0, 1, 2)]
    # Catmull and Rom (1974)
    cubic = f * (3 * (p[1] - p[2]) + p[3] - p[0])
    value = p[1] + 0.5 * f * (p[2] - p[0] + f * (2 * p[0] - 5 * p[1] + 4 * p[2] - p[3] + cubic))
    path: Floats = (value - value[0]).astype(np.float32)
    return path


def talk(
    image: Image, face: Face, *, num_frames: int = 97, fps: float = 24.0, seed: int = 0
) -> Frames:
    """Animate a portrait: frame 0 is the picture itself.

    Args:
        image: ``[H, W, 3]`` uint8.
        face: the person in it.
        num_frames: of the clip.
        fps: of the clip.
        seed: of the movements.
    """
    rng = np.random.default_rng(seed)
    height, width = image.shape[:2]
    points = np.asarray(face.landmarks, np.float64)
    eyes = (points[0:2].mean(axis=0) + points[2:4].mean(axis=0)) / 2
    iod = np.float32(face.interocular)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    u, v = (x - np.float32(eyes[0])) / iod, (y - np.float32(eyes[1])) / iod
    head = np.exp(-((u / 2.6) ** 4) - ((v - 0.3) / 2.9) ** 4).astype(np.float32)
    mouth = np.exp(-((u / 0.55) ** 2) - ((v - 1.15) / 0.28) ** 2).astype(np.float32)
    jaw = np.exp(-((u / 0.9) ** 2) - ((v - 1.5) / 0.6) ** 4) / (1 + np.exp(-(v - 1.2) / 0.1))
    lids = (np.exp(-(((np.abs(u) - 0.5) / 0.25) ** 2) - (v / 0.12) ** 2) * v).astype(np.float32)
    shift_x, shift_y = _bouts(rng, num_frames, fps, 0.5), _bouts(rng, num_frames, fps, 0.7)
    roll, grow = _bouts(rng, num_frames, fps, 0.4), _bouts(rng, num_frames, fps, 0.4)
    speech = np.abs(_bouts(rng, num_frames, fps, 2.5))
    blink = np.zeros(num_frames, np.float32)
    for start in range(int(fps), num_frames, int(fps * 1.7)):
        blink[start : start + 4] = np.asarray([0.5, 1, 0.7, 0.3], np.float32)[: num_frames - start]
    out = np.empty((num_frames, height, width, 3), np.uint8)
    for t in range(num_frames):
        turn = np.float32(0.012) * roll[t]
        scale = np.float32(0.006) * grow[t]
        du = head * (np.float32(0.05) * shift_x[t] + scale * u - turn * v)
        dv = head * (np.float32(0.04) * shift_y[t] + scale * v + turn * u)
        dv = dv + np.float32(0.05) * speech[t] * (mouth * np.sign(v - 1.15) * 0.4 + jaw)
        dv = dv - np.float32(1.2) * blink[t] * lids
        out[t] = cv2.remap(
            image, x - du * iod, y - dv * iod, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
    out[0] = image
    return out
