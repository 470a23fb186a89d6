"""Has the person a rim: a halo, a second contour, the edge of a bad cut.

Around the outline the background of a rare frame is held against the picture's, where both show
background. What is measured is the difference of brightness just beside the outline, in levels,
less what the whole background has changed by: the median in each sector around the face, as a
median over the frames; the score is what three in ten of the sectors exceed. Hair that moves
changes few sectors, a rim goes around. A camera that moves changes the background itself: then
nothing is said, and neither where the clip does not start with the picture.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Luma, Reference, luma_of, reduced, same_picture
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged
from vivant.checks.metrics.rough_cut import PERSON, picture_cut, rough_cut
from vivant.picture.matte import Matte
from vivant.types import Box, Score

RIM: Final = Spec("edge_rim", "quality", "levels")

SIDE: Final = 384
"""Pixels; longest side of the frames that are compared."""

BANDS: Final = ((1.0, 3.0, 1.0), (3.0, 6.0, 1.5))
"""Pixels from the outline, from … to …, and what a level there counts: of 64 people, clean clips
come to 8.9 levels in the first and to 5.4 in the second, where no hair is left."""

SECTORS: Final = 16
"""Around the middle of the face."""

SEEN: Final = 8
"""Sectors that must show background beside the person."""

PIXELS: Final = 15
"""Of a band in a sector, from which its median counts."""

AROUND: Final = 0.7
"""Quantile of the sectors: a rim is at three in ten of them at least."""

FAR: Final = (30.0, 12.0)
"""Pixels from the person from which the background tells what light and camera do: the second
where too little is as far as the first."""

FEWEST: Final = 200
"""Pixels that are needed for it."""

STILL: Final = 3.0
"""Levels of mean difference far from the person, from which the camera moves: 57 of 64 clean
clips stay below."""

Floats = npt.NDArray[np.float32]


class _Pictured(NamedTuple):
    """The picture: levels, pixels from the person, and the sector of every pixel."""

    levels: Floats
    distance: Floats
    sector: npt.NDArray[np.uint8]


class _Seen(NamedTuple):
    """A frame: levels by band and sector, NaN where too little is seen; levels far away."""

    apart: npt.NDArray[np.float16]
    far: float


class _Start(NamedTuple):
    """Whether the first frame is the picture; where the picture's person is, in pixels of it."""

    same: bool
    person: Box


class Rim(Metric):
    """One answer from the rare frames."""

    parallel = True
    specs = (RIM,)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._seen: list[tuple[int, _Seen]] = []
        self._start: _Start | None = None

    @cached_property
    def _pictured(self) -> _Pictured:
        luma = luma_of(reduced(self._reference.halved, SIDE))
        height, width = luma.shape
        middle = np.full(2, np.nan)
        if self._reference.face is not None:
            middle = np.asarray(self._reference.face.box.center)
        middle *= width / self._reference.pixels.shape[1]
        rows, columns = np.mgrid[0:height, 0:width]
        turn = np.arctan2(columns - middle[0], middle[1] - rows) / (2 * np.pi) + 0.5
        return _Pictured(
            luma.astype(np.float32), _distance(picture_cut(self._reference), luma),
            np.minimum(turn * SECTORS, SECTORS - 1).astype(np.uint8),
        )  # fmt: skip

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> _Seen | _Start | None:
        """A rare frame against the picture; the first one as a whole."""
        wanted = self._reference
        if wanted.face is None or wanted.others or not frame.rare:
            return None
        if not frame.index:
            same = same_picture(frame.small_luma, wanted.small_luma)
            return _Start(same, self._person())
        pictured = self._pictured
        luma = luma_of(reduced(frame.halved, SIDE))
        distance = np.minimum(pictured.distance, _distance(rough_cut(frame), luma))
        apart = luma.astype(np.float32) - pictured.levels
        far = next((apart[distance > far] for far in FAR if (distance > far).sum() > FEWEST), None)
        if far is None:  # a close-up: light cannot be told from a rim
            return None
        light = float(np.median(far))
        found = np.full((len(BANDS), SECTORS), np.nan, np.float16)
        for values, (low, high, weight) in zip(found, BANDS, strict=True):
            inside = (distance > low) & (distance <= high)
            levels, sectors = apart[inside] - light, pictured.sector[inside]
            for sector in range(SECTORS):
                own = levels[sectors == sector]
                if own.size >= PIXELS:
                    values[sector] = weight * np.median(own)
        return _Seen(found, float(np.abs(far - light).mean()))

    def add(self, index: int, _: None, found: _Seen | _Start | None) -> None:
        """Keep it."""
        if isinstance(found, _Seen):
            self._seen.append((index, found))
        elif found is not None:
            self._start = found

    def finish(self, reference: Reference) -> Sequence[Score]:
        """One score."""
        if reference.face is None:
            raise CannotMeasure("no_face_in_picture")
        if reference.others:
            raise CannotMeasure("other_people")
        if self._start is None:
            raise CannotMeasure("too_short")
        if not self._start.same:
            raise CannotMeasure("rim_starts_elsewhere")
        if len(self._seen) < 2:
            raise CannotMeasure("background_too_plain")
        if np.median([seen.far for _, seen in self._seen]) > STILL:
            raise CannotMeasure("rim_camera_moves")
        apart = np.abs(np.stack([seen.apart for _, seen in self._seen]).astype(np.float32))
        with warnings.catch_warnings():  # sectors without background
            warnings.simplefilter("ignore", RuntimeWarning)
            usual = np.nanmedian(apart, axis=0)
            each = np.nanquantile(apart, AROUND, axis=2)
        enough = np.isfinite(usual).sum(axis=1) >= SEEN
        if not enough.any():
            raise CannotMeasure("background_too_plain")
        values = [float(np.nanquantile(band, AROUND)) for band in usual[enough]]
        band = int(np.flatnonzero(enough)[int(np.argmax(values))])
        series = [
            (index, float(value))
            for (index, _), value in zip(self._seen, each[:, band], strict=True)
            if np.isfinite(value)
        ]
        frame = max(series, key=lambda pair: pair[1])[0]
        return (judged(RIM, max(values), series=series, frame=frame, region=self._start.person),)

    def _person(self) -> Box:
        """Around the person of the picture, in pixels of the clip."""
        distance = self._pictured.distance
        rows, columns = np.nonzero(distance <= BANDS[-1][1])
        if not len(rows):  # no person was cut out
            return Box(0, 0, self._reference.pixels.shape[1], self._reference.pixels.shape[0])
        scale = self._reference.pixels.shape[1] / distance.shape[1]
        left, top = float(columns.min()), float(rows.min())
        right, bottom = float(columns.max() + 1), float(rows.max() + 1)
        return Box(left, top, right - left, bottom - top).scaled(scale)


def _distance(matte: Matte, luma: Luma) -> Floats:
    """Pixels of ``luma`` from the person, 0 inside."""
    height, width = luma.shape
    whole = cv2.resize(matte, (width, height), interpolation=cv2.INTER_LINEAR)
    away = (whole < PERSON).astype(np.uint8)
    return cv2.distanceTransform(away, cv2.DIST_L2, 3).astype(np.float32, copy=False)
