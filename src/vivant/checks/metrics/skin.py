"""Is the skin still skin: does its weak texture, pores and wrinkles, survive.

Where the clip's first frame is the picture, both are compared pixel by pixel: the *gain* of a band
is the regression of the clip's detail on the picture's, so that what an encoder adds does not
count as texture. An encoder takes weak texture everywhere, a plastic look takes it from the skin:
the gain on the skin is held against the gain of equally weak texture around the person, or, where
everything is smoothed, against a wider limit by itself. Later frames, and clips that start
otherwise, are compared by the mean detail of their skin, with an allowance. Knows nothing of
sharpness or time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import LAYOUT, Layout, cut_luma, inverse, plane, skin, to_chip
from vivant.checks.frame import AnalyzedFrame, Luma, Reference, same_picture
from vivant.checks.metric import (
    CannotMeasure,
    Metric,
    Spec,
    against_picture,
    judged,
    unmeasured,
)
from vivant.checks.metrics.texture import bands
from vivant.types import Box, Face, Image, Score

PLASTIC: Final = Spec("plastic_skin", "ai_feel")

BANDS: Final = slice(1, 3)
"""Of :func:`vivant.checks.metrics.texture.bands`: about 1-3 and 3-6 px with 96 px between the
eyes. Finer detail is what encoders drop first."""

WEAK: Final = 95.0
"""Percentile of the skin's detail up to which detail counts as weak texture."""

PERSON: Final = (1.8, 2.2, 0.3)
"""Inter-ocular distances: half axes of the ellipse around a head, and how far its centre lies
below the middle of the landmarks."""

AROUND_PIXELS: Final = 2000
"""Pixels around the person that can tell what the encoder took. By hand: a square of 45."""

ALONE: Final = 1.8
"""Allowance where the gain on the skin is taken by itself: an encoder at CRF 23 takes up to half
of the weak texture."""

WEAKEST_TEXTURE: Final = 0.5
"""Levels, root mean square, of a band's weak texture below which its gain says nothing by itself:
8 bits do not hold it, and any encoder takes nearly all of it."""

ENERGY: Final = 0.85
"""Of the mean detail where the clip starts with the picture: what an encoder adds hides what is
gone, so a loss of it counts for more than the same loss of gain."""

LATER: Final = 2.0
"""Allowance of the median over the clip: a turning head and motion blur take texture as well."""


class _Seen(NamedTuple):
    """A frame: the energy of the skin's detail over the picture's, the share that is kept."""

    energy: float
    kept: float
    box: Box | None


class Skin(Metric):
    """One answer from the rare frames."""

    parallel = True
    specs = (PLASTIC,)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        face = reference.face
        # Skin is compared at 96 px between the eyes, or at what the picture really has.
        eyes = LAYOUT.interocular * 2 if face is None else face.interocular * reference.detail
        self._layout = LAYOUT.scaled(float(np.clip(eyes / LAYOUT.interocular, 0.5, 2.0)))
        self._wanted = self._energy(reference.pixels, face)
        self._seen: list[tuple[int, _Seen]] = []

    def _energy(self, pixels: Image, face: Face | None) -> float:
        """Product of the bands' mean detail on the skin; NaN without a face."""
        if face is None:
            return float("nan")
        chip = cut_luma(pixels, to_chip(face, self._layout), self._layout)
        mask = _mask(self._layout)
        return float(np.prod([np.mean(np.abs(band[mask])) for band in bands(chip)[BANDS]]))

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> _Seen | None:
        """Measure a rare frame; the first one pixel by pixel where it is the picture."""
        if not frame.rare or not np.isfinite(self._wanted):
            return None
        energy = self._energy(frame.pixels, frame.face) / max(self._wanted, 1e-6)
        kept = float("nan") if frame.index else self._kept(frame)
        return _Seen(energy, kept, None if frame.face is None else frame.face.box)

    def _kept(self, frame: AnalyzedFrame) -> float:
        """Of the first frame, where it is the picture; else NaN."""
        wanted = self._reference
        if wanted.face is None or not same_picture(frame.small_luma, wanted.small_luma):
            return float("nan")
        scale = min(1.0, self._layout.interocular / wanted.face.interocular)
        kept = texture_kept(wanted.luma, frame.luma, wanted.face, scale)
        energy = self._energy(frame.pixels, wanted.face) / max(self._wanted, 1e-6)
        return min(kept, energy * ENERGY)

    def add(self, index: int, _: None, found: _Seen | None) -> None:
        """Keep its numbers."""
        if found is not None:
            self._seen.append((index, found))

    def finish(self, _: Reference) -> Sequence[Score]:
        """One score."""
        if not np.isfinite(self._wanted):
            raise CannotMeasure("no_face_in_picture")
        series = []
        for index, seen in self._seen:
            value = seen.kept if np.isfinite(seen.kept) else seen.energy
            if np.isfinite(value):
                series.append((index, value))
        if not series:
            return (unmeasured(PLASTIC, CannotMeasure("no_face_in_clip")),)
        exact = self._reference.exact and np.isfinite(self._seen[0][1].kept)
        value = against_picture(series, above=False, allowance=LATER, exact=bool(exact))
        frame = min(series, key=lambda pair: pair[1])[0]
        region = next((seen.box for index, seen in self._seen if index == frame), None)
        return (judged(PLASTIC, value, series=series, frame=frame, region=region),)


def texture_kept(picture: Luma, frame: Luma, face: Face, scale: float) -> float:
    """Share of the energy of the skin's weak texture that a frame keeps of the same picture.

    Args:
        picture: ``[H, W]`` uint8.
        frame: ``[H, W]`` uint8, the same scene at the same place.
        face: in their pixels.
        scale: at which they are compared, at most 1.

    Returns:
        1 where everything is kept, 0 where nothing is.
    """
    if scale < 1:
        size = (max(16, round(picture.shape[1] * scale)), max(16, round(picture.shape[0] * scale)))
        picture, frame = (
            cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
            for luma in (picture, frame)
        )
        face = face.scaled(scale)
    inside, outside = _regions(picture.shape, face)
    alone, beside = 1.0, 1.0
    for one, other in zip(bands(picture)[BANDS], bands(frame)[BANDS], strict=True):
        size_of = np.abs(one)
        weak = size_of <= np.percentile(size_of[inside], WEAK) if inside.any() else inside
        here = _gain(one, other, inside & weak)
        around = outside & weak
        there = _gain(one, other, around) if around.sum() >= AROUND_PIXELS else 1.0
        if _size(one, inside & weak) >= WEAKEST_TEXTURE:
            alone *= here
        beside *= here / max(there, 0.05)
    return float(min(beside, alone * ALONE))


def _gain(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32], where: _Mask) -> float:
    """Regression of ``other`` on ``one``; 1 where there is nothing to see."""
    x, y = one[where].astype(np.float64), other[where].astype(np.float64)
    energy = float((x * x).sum())
    return 1.0 if energy < 1e-9 else max(0.0, float((x * y).sum()) / energy)


def _size(band: npt.NDArray[np.float32], where: _Mask) -> float:
    """Root mean square; 0 of nothing."""
    return float(np.sqrt(np.mean(np.square(band[where])))) if where.any() else 0.0


_Mask = npt.NDArray[np.bool_]


def _regions(shape: tuple[int, ...], face: Face) -> tuple[_Mask, _Mask]:
    """The skin of the face; everything around the person."""
    height, width = shape[:2]
    back = inverse(to_chip(face))
    drawn = cv2.warpAffine(
        _mask(LAYOUT).astype(np.uint8), back, (width, height), flags=cv2.INTER_NEAREST
    )
    x, y = np.asarray(face.landmarks).mean(axis=0)
    eyes = face.interocular
    across, down, below = PERSON
    u = (np.arange(width)[None] - x) / (across * eyes)
    v = (np.arange(height)[:, None] - y - below * eyes) / (down * eyes)
    return drawn > 0, u**2 + v**2 > 1


@cache
def _mask(layout: Layout) -> _Mask:
    return skin(*plane(layout))
