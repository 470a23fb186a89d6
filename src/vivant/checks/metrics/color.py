"""Do the colours stay those of the picture: saturation, cast, drift.

Colours are CIE L*a*b* (D65) of the sRGB values. The whole frame and the skin are measured
apart, and the milder counts: what enters the picture changes the one, light on a turning face
the other, a defect of the clip both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import cut, plane, stillness, to_chip
from vivant.checks.frame import AnalyzedFrame, Reference, reduced
from vivant.checks.metric import (
    CannotMeasure,
    Metric,
    Spec,
    against_picture,
    judged,
    unmeasured,
)
from vivant.types import Face, Image, Score

SATURATION: Final = Spec("saturation", "ai_feel")
FADED: Final = Spec("faded_colors", "ai_feel")
CAST: Final = Spec("color_cast", "ai_feel", "ΔE")
DRIFT: Final = Spec("color_drift", "ai_feel", "ΔE")

SIDE: Final = 192
"""Pixels; colours need no more."""

TO_XYZ: Final[npt.NDArray[np.float32]] = np.asarray(
    [
        [0.4124 / 0.9505, 0.3576 / 0.9505, 0.1805 / 0.9505],
        [0.2126, 0.7152, 0.0722],
        [0.0193 / 1.089, 0.1192 / 1.089, 0.9505 / 1.089],
    ],
    np.float32,
)
"""From linear sRGB to X, Y, Z over those of white (IEC 61966-2-1, D65)."""

FROM_ROOTS: Final = np.asarray([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float32)
"""From their cube roots to L*, a*, b*."""

DARKEST: Final = (6 / 29) ** 3
"""Of white; below, L* is linear."""

GREY: Final = 4.0
"""Mean chroma of the picture below which saturation cannot be compared."""


@dataclass(frozen=True, slots=True)
class ColorStatistics:
    """Colours of one picture.

    Attributes:
        colorfulness: Hasler and Süsstrunk (2003).
        mean: ``[3]`` L*, a*, b* of the whole frame.
        skin: ``[3]`` median over the still parts of the face; NaN without one.
    """

    colorfulness: float
    mean: npt.NDArray[np.float64]
    skin: npt.NDArray[np.float64]

    @property
    def skin_chroma(self) -> float:
        """Distance of the skin from grey."""
        return float(np.hypot(self.skin[1], self.skin[2]))


def colorfulness(pixels: Image) -> float:
    """Hasler and Süsstrunk (2003): spread plus 0.3 times the offset of the opponent colours."""
    red, green, blue = (pixels[..., i].astype(np.float32) for i in range(3))
    one, two = red - green, (red + green) / 2 - blue
    spread = np.hypot(one.std(), two.std())
    return float(spread + 0.3 * np.hypot(one.mean(), two.mean()))


def colors(pixels: Image, small: Image, face: Face | None) -> ColorStatistics:
    """Measure a picture; ``small`` is the same, halved for thumbnails."""
    small = reduced(small, SIDE)
    skin = np.full(3, np.nan)
    if face is not None:
        chip = cut(pixels, to_chip(face))
        skin = np.median(lab(chip)[_still()], axis=0).astype(np.float64)
    return ColorStatistics(
        colorfulness(small), lab(small).mean(axis=(0, 1), dtype=np.float64), skin
    )


def lab(pixels: Image) -> npt.NDArray[np.float32]:
    """CIE L*a*b* (D65) of ``[…, 3]`` uint8 sRGB: L* 0 … 100 (IEC 61966-2-1; CIE 15:2004).

    Not OpenCV's: it takes 0.1 s to fill the tables that it interpolates in.
    """
    linear = cv2.LUT(np.ascontiguousarray(pixels).reshape(-1, 1, 3), _linear())
    xyz = np.asarray(cv2.transform(np.asarray(linear, np.float32), TO_XYZ), np.float32)
    root = np.asarray(cv2.pow(xyz, 1 / 3), np.float32)
    np.copyto(root, xyz * np.float32(841 / 108) + np.float32(4 / 29), where=xyz <= DARKEST)
    found = np.asarray(cv2.transform(root, FROM_ROOTS), np.float32)
    return found.reshape(pixels.shape)


@cache
def _linear() -> npt.NDArray[np.float32]:
    """``[256]``: linear light of the levels of sRGB."""
    level = np.arange(256) / 255
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )


@cache
def _still() -> npt.NDArray[np.bool_]:
    return stillness(*plane()) > 0.5


class Color(Metric):
    """Four scores from the searched frames."""

    parallel = True
    specs = (SATURATION, FADED, CAST, DRIFT)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._wanted = colors(reference.pixels, reference.halved, reference.face)
        self._seen: list[tuple[int, ColorStatistics]] = []

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> ColorStatistics | None:
        """Measure a searched frame."""
        return colors(frame.pixels, frame.halved, frame.face) if frame.searched else None

    def add(self, index: int, _: None, found: ColorStatistics | None) -> None:
        """Keep its colours."""
        if found is not None:
            self._seen.append((index, found))

    def finish(self, _: Reference) -> Sequence[Score]:
        """Four scores."""
        return (*self._saturation(), self._cast(), self._drift())

    def _saturation(self) -> tuple[Score, Score]:
        wanted = self._wanted
        if wanted.colorfulness < GREY:
            why = CannotMeasure("picture_is_grey")
            return unmeasured(SATURATION, why), unmeasured(FADED, why)
        rows = []
        for index, found in self._seen:
            ratios = [found.colorfulness / wanted.colorfulness]
            if np.isfinite(found.skin[0]) and wanted.skin_chroma > GREY:
                ratios.append(found.skin_chroma / wanted.skin_chroma)
            rows.append((index, min(ratios), max(ratios)))
        high = [(index, low) for index, low, _ in rows]
        faded = [(index, top) for index, _, top in rows]
        return (
            judged(SATURATION, self._held(high, True, 0.88), series=high, frame=_top(high)),
            judged(FADED, self._held(faded, False, 1.15), series=faded, frame=_bottom(faded)),
        )

    def _held(self, series: list[tuple[int, float]], above: bool, allowance: float) -> float:
        exact = self._reference.exact
        return against_picture(series, above=above, allowance=allowance, exact=exact)

    def _cast(self) -> Score:
        series = [(index, _apart(found, self._wanted)) for index, found in self._seen]
        value = self._held(series, True, 0.5)
        return judged(CAST, value, series=series, frame=_top(series))

    def _drift(self) -> Score:
        if len(self._seen) < 4:
            return unmeasured(DRIFT, CannotMeasure("too_short"))
        quarter = max(1, len(self._seen) // 4)
        start = _mean([found for _, found in self._seen[:quarter]])
        end = _mean([found for _, found in self._seen[-quarter:]])
        series = [(index, _apart(found, start)) for index, found in self._seen]
        return judged(DRIFT, _apart(end, start), series=series, frame=_top(series))


def _apart(one: ColorStatistics, other: ColorStatistics) -> float:
    """The milder of the frame's and the skin's colour difference (CIE 1976)."""
    whole = float(np.linalg.norm(one.mean - other.mean))
    skin = float(np.linalg.norm(one.skin - other.skin))
    return min(whole, skin) if np.isfinite(skin) else whole


def _mean(found: Sequence[ColorStatistics]) -> ColorStatistics:
    skins = [c.skin for c in found if np.isfinite(c.skin[0])]
    return ColorStatistics(
        float(np.mean([c.colorfulness for c in found])),
        np.mean([c.mean for c in found], axis=0),
        np.mean(skins, axis=0) if skins else np.full(3, np.nan),
    )


def _top(series: Sequence[tuple[int, float]]) -> int:
    return max(series, key=lambda pair: pair[1])[0]


def _bottom(series: Sequence[tuple[int, float]]) -> int:
    return min(series, key=lambda pair: pair[1])[0]
