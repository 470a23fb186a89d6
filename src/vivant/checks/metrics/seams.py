"""Are there seams: straight lines of upscaled or decoded tiles, fixed in the frame.

A seam is a step in brightness that runs along a whole column or row, stays there in every
frame whatever moves, and is not in the input picture. Where the clip starts with something else
than the picture, a door frame would be one too: then nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Luma, Reference
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.types import Box, Score

SEAMS: Final = Spec("seams", "quality", "levels")

BLOCK: Final = 32
"""Pixels; a step is averaged along this length before it is compared over time."""

NEAR: Final = 3
"""Pixels; an edge of the picture may lie this far off."""

PICTURED: Final = 1.5
"""An edge of the picture may be this much harder in the clip: resizing filters overshoot."""

RING: Final = (2, 8)
"""Pixels; a seam stands out from its neighbours at these distances."""

ALIKE: Final = 0.9
"""Correlation of the first frame with the picture, both small, from which on they are framed alike:
what stands upright in one does so in the other."""

MARGIN: Final = 4
"""Pixels at the border that are left out."""

Floats = npt.NDArray[np.float32]


def steps(luma: Luma) -> Floats:
    """``[blocks, W - 1]``: signed step at every column, averaged over blocks of rows."""
    apart = np.subtract(luma[:, 1:], luma[:, :-1], dtype=np.int16)
    rows = max(1, luma.shape[0] // BLOCK)
    return cv2.resize(
        apart[: rows * BLOCK].astype(np.float32),
        (apart.shape[1], rows),
        interpolation=cv2.INTER_AREA,
    ).astype(np.float32, copy=False)


class Seams(Metric):
    """One answer from the rare frames; keeps what every frame so far has in common."""

    parallel = True
    specs = (SEAMS,)

    def __init__(self, reference: Reference) -> None:
        self._pictured = [np.abs(steps(luma)) for luma in _both(reference.luma)]
        self._small = reference.small_luma
        self._alike = 0.0
        self._common: list[Floats] | None = None
        self._seen = 0

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> tuple[list[Floats], float] | None:
        """The steps of a rare frame; of the first one also how much it is like the picture."""
        if not frame.rare:
            return None
        alike = 0.0 if frame.index else _correlation(frame.small_luma, self._small)
        return [steps(luma) for luma in _both(frame.luma)], alike

    def add(self, index: int, _: None, found: tuple[list[Floats], float] | None) -> None:
        """Keep the steps that are still there."""
        if found is None:
            return
        stepped, alike = found
        self._seen += 1
        if not index:
            self._alike = alike
        if self._common is None:
            self._common = stepped
            return
        for kept, now in zip(self._common, stepped, strict=True):
            agree = np.where(kept * now > 0, np.sign(kept), 0)
            np.copyto(kept, agree * np.minimum(np.abs(kept), np.abs(now)))

    def finish(self, _: Reference) -> Sequence[Score]:
        """The strongest line."""
        if self._common is None or self._seen < 3:
            raise CannotMeasure("too_short")
        if self._alike < ALIKE:
            raise CannotMeasure("starts_elsewhere")
        best, where = 0.0, Box(0, 0, 1, 1)
        height, width = self._common[1].shape[1] + 1, self._common[0].shape[1] + 1
        kernel = np.ones((1, 2 * NEAR + 1), np.uint8)
        for upright, (kept, pictured) in enumerate(zip(self._common, self._pictured, strict=True)):
            excess = np.maximum(0, np.abs(kept) - PICTURED * cv2.dilate(pictured, kernel))
            line = excess.mean(axis=0)
            size = 2 * RING[1] + 1
            around = np.convolve(line, _ring(size), mode="same")
            stands = (line - around)[MARGIN:-MARGIN]
            if not stands.size:
                continue
            at = int(stands.argmax())
            if stands[at] > best:
                best = float(stands[at])
                edge = float(at + MARGIN)
                where = Box(0, edge - 8, width, 16) if upright else Box(edge - 8, 0, 16, height)
        return (judged(SEAMS, best, frame=0, region=where),)


def _correlation(one: Luma, other: Luma) -> float:
    """Pearson's, of the pixels; 0 where one of them is plain."""
    a, b = (luma.astype(np.float64) - float(luma.mean()) for luma in (one, other))
    return float((a * b).sum() / max(float(np.sqrt((a * a).sum() * (b * b).sum())), 1e-9))


def _both(luma: Luma) -> tuple[Luma, Luma]:
    return luma, np.ascontiguousarray(luma.T)


def _ring(size: int) -> npt.NDArray[np.float64]:
    kernel = np.ones(size)
    middle = size // 2
    kernel[middle - RING[0] + 1 : middle + RING[0]] = 0
    share: npt.NDArray[np.float64] = kernel / kernel.sum()
    return share
