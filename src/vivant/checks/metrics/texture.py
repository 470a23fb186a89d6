"""Is the picture sharp, and not falsely so: detail, noise, halos and drawn looks.

All relative to the input picture at the clip's size, so that a soft or stylised input is not
punished; where the picture has fewer pixels than the clip, both are compared at the picture's
resolution. First frame and median are weighed by :func:`vivant.checks.metric.against_picture`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.frame import AnalyzedFrame, Luma, Reference, clipped, luma_of
from vivant.checks.limits import limits
from vivant.checks.metric import (
    CannotMeasure,
    Metric,
    Spec,
    against_picture,
    judged,
    unmeasured,
)
from vivant.types import Box, Face, Score
from vivant.video.encoder import to_yuv
from vivant.video.reader import to_rgb

SHARPNESS: Final = Spec("sharpness", "quality")
FACE_SHARPNESS: Final = Spec("face_sharpness", "quality")
DETAIL: Final = Spec("detail", "quality")
NOISE: Final = Spec("noise", "quality", "levels")
RINGING: Final = Spec("ringing", "quality")
BANDING: Final = Spec("banding", "quality", "% of pixels")
FADING: Final = Spec("sharpness_end", "quality")
CARTOON: Final = Spec("cartoon", "ai_feel")

NOISE_KERNEL: Final = np.asarray([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
"""Immerkær (1996): blind to edges' slope; its gain for white noise is 6."""

STRONGEST: Final = 8 * 255 + 1
"""Its strongest response to 8 bits, and one."""

SIGMAS: Final = (0.8, 1.6, 3.2)
"""Pixels; the Gaussians whose differences are the bands, finest first."""

ENLARGED: Final = 0.5
"""Where the clip is larger than the picture, both are compared at this share of the picture's
resolution: finer detail is up to the enlarging filter (bilinear takes 60 % of it at Nyquist)."""

FILTERED: Final = 0.93
"""Of the detail that is left there, what enlarging is granted to keep: bilinear filters, the
softest in use, keep 0.87 (their response is ``sinc²``: 0.81 at a quarter of the picture's sampling
rate, nearer to one below), sharp ones all of it; this is between the two."""

UNSCALED: Final = 0.95
"""Scale from which pictures are compared as they are."""

COMB_SIGMA: Final = 3.0
"""Levels; wider than the gaps of a posterised picture that was encoded."""

GRANTED: Final = 13.9
"""Percent of the pixels; banding that encoding added to the worst clean clip of the calibration,
which the limit already allows for. What it adds beyond that to a picture is not held against a
clip: limited range has 220 levels of luma, so a black-and-white picture loses every seventh."""

EDGE_SHARE: Final = 95.0
"""Percentile of the coarse band above which a pixel counts as at an edge."""

ALLOWANCES: Final = {
    SHARPNESS.name: 1.33,
    FACE_SHARPNESS.name: 1.33,
    DETAIL.name: 1.33,
    NOISE.name: 0.5,
    RINGING.name: 0.85,
    BANDING.name: 0.7,
    CARTOON.name: 1.25,
}
"""See :func:`vivant.checks.metric.against_picture`; about twice what the clean clips of the
calibration need, because a turning head and motion blur change these numbers without any defect."""

FINE_KEPT: Final = 0.45
"""Share of the picture's finest detail in the first frame, from which on the clip has the picture's
resolution: 64 people, blurred by 1.2 px or enlarged from half the size, keep up to 0.45, at CRF 28
0.28 to 0.9, 0.53 and more where sharpness is lost."""

ENCODED: Final = 1.12
"""By which sharpness and detail of its first frame are then raised: an encoder that saves bits
takes faint grain from between the edges. At CRF 28 0.81 and more is left; below 0.75 it is soft all
the same, which is the margin of 1.07 of the other limits."""

CAPTION: Final = 0.25
"""Of the height; letters that come later than the first frame lie in this at the bottom or the
top."""

TEXTURED: Final = (55, 75, 99)
"""Percentiles of the middle band: weak texture, stronger texture, and the strongest edges. A drawn
look lowers what texture is beside edges."""

GRAIN: Final = 1.0
"""Levels that the picture must have at the first of them for it to count, else the second does: an
encoder at CRF 28 takes weaker grain as a drawing filter does. By hand."""

STRONGER: Final = 1.04
"""What stronger texture keeps counts, so that one limit serves both: encoded clips keep 0.73 of it
and more, a bilateral filter leaves 0.70 and less in 31 of 32."""

EVERY: Final = 2
"""Percentiles are taken over every so many pixels of the halved bands in both directions: they need
no more."""

Floats = npt.NDArray[np.float32]
_Reading = Callable[["TextureStatistics"], float]


def bands(luma: npt.NDArray[np.generic]) -> tuple[Floats, ...]:
    """Finest to coarser detail: differences of Gaussians."""
    previous = luma.astype(np.float32)
    out: list[Floats] = []
    for sigma in SIGMAS:
        blurred = cv2.GaussianBlur(previous, (0, 0), sigma).astype(np.float32, copy=False)
        out.append(previous - blurred)
        previous = blurred
    return tuple(out)


def _bands_halved(luma: Luma) -> tuple[Floats, Floats, Floats]:
    """As :func:`bands`, the second one at every other pixel and the third one at half the size.

    What the first two Gaussians leave has no detail that half the size does not hold, and the
    third one takes half of the time at full size.
    """
    levels = luma.astype(np.float32)
    one, two = SIGMAS[0], SIGMAS[1]
    fine = cv2.GaussianBlur(levels, (0, 0), one).astype(np.float32, copy=False)
    blurred = cv2.GaussianBlur(fine, (0, 0), two).astype(np.float32, copy=False)
    size = (max(1, luma.shape[1] // 2), max(1, luma.shape[0] // 2))
    small = cv2.resize(
        blurred[: 2 * size[1], : 2 * size[0]], size, interpolation=cv2.INTER_AREA
    ).astype(np.float32, copy=False)
    coarse = small - cv2.GaussianBlur(small, (0, 0), SIGMAS[2] / 2).astype(np.float32, copy=False)
    places = slice(0, 2 * size[1], 2), slice(0, 2 * size[0], 2)
    return levels - fine, fine[places] - blurred[places], coarse


def noise_level(luma: Luma) -> float:
    """Standard deviation of white noise in levels: 1.4826 MAD of Immerkær's operator, over 6.

    Integer pixels make the median a whole number: it is interpolated inside its bin.
    """
    response = np.abs(cv2.filter2D(luma, cv2.CV_16S, NOISE_KERNEL)[::2, ::2]).view(np.uint16)
    counts = cv2.calcHist([response], [0], None, [STRONGEST], [0, STRONGEST]).ravel()
    total = np.cumsum(counts, dtype=np.float64)
    half = total[-1] / 2
    at = int(np.searchsorted(total, half))
    before = float(total[at - 1]) if at else 0.0
    median = at + (half - before) / max(float(counts[at]), 1.0) - 0.5
    return float(1.4826 * max(0.0, median) / 6)


@dataclass(frozen=True, slots=True)
class TextureStatistics:
    """Numbers of one picture; those of the face are NaN where there is none.

    ``grain`` is the weak texture in levels, ``weak`` and ``strong`` what weak and stronger texture
    are beside the strongest edges, see :data:`TEXTURED`.
    """

    sharpness: float
    face_sharpness: float
    detail: float
    noise: float
    ringing: float
    banding: float
    grain: float
    weak: float
    strong: float


def texture(luma: Luma, face: Face | None, scale: float) -> TextureStatistics:
    """Measure a picture, reduced by ``scale`` where that is below one."""
    luma = reduced_by(luma, scale)
    box_scale = scale if scale < UNSCALED else 1.0
    laplace = cv2.Laplacian(luma, cv2.CV_16S)
    fine, middle, coarse = _bands_halved(luma)
    weight = np.abs(coarse)
    strong = (weight > np.percentile(weight[::EVERY, ::EVERY], EDGE_SHARE)).view(np.uint8)
    grain, stronger, edges = np.percentile(np.abs(middle[::EVERY, ::EVERY]), TEXTURED)
    face_sharpness = float("nan")
    if face is not None:
        left, top, right, bottom = clipped(face.box.scaled(box_scale), luma.shape[1], luma.shape[0])
        face_sharpness = _spread(laplace[top:bottom, left:right])
    return TextureStatistics(
        sharpness=_spread(laplace),
        face_sharpness=face_sharpness,
        detail=_spread(fine) / max(_spread(coarse), 1e-3),
        noise=noise_level(luma),
        ringing=max(_spread(middle, strong), 1e-6) / max(_spread(coarse, strong), 1e-3),
        banding=banding(luma),
        grain=float(grain),
        weak=max(float(grain), 1e-6) / max(float(edges), 1e-3),
        strong=max(float(stronger), 1e-6) / max(float(edges), 1e-3),
    )


def reduced_by(luma: Luma, scale: float) -> Luma:
    """The picture at this scale; itself where that is nearly one."""
    if scale >= UNSCALED:
        return luma
    size = (max(16, round(luma.shape[1] * scale)), max(16, round(luma.shape[0] * scale)))
    return cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def banding(luma: Luma) -> float:
    """Percent of the pixels whose levels stick out of a smooth histogram.

    Missing levels leave a comb; a picture's own flat areas do too, hence relative to the input.
    """
    counts = cv2.calcHist([luma], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    share = counts / counts.sum()
    offsets = np.arange(-8, 9)
    kernel = np.exp(-(offsets**2) / (2 * COMB_SIGMA**2))
    smooth = np.convolve(share, kernel / kernel.sum(), mode="same")
    return float(np.abs(share - smooth).sum() * 100)


def _parts(luma: Luma) -> tuple[Luma, Luma]:
    """The picture without :data:`CAPTION` of its height at the bottom, and at the top."""
    rows = round(CAPTION * luma.shape[0])
    return luma[: luma.shape[0] - rows], luma[rows:]


def _spread(values: npt.NDArray[np.integer | np.floating], where: Luma | None = None) -> float:
    """Root mean square; of the places where ``where`` is not zero."""
    count = values.size if where is None else cv2.countNonZero(where)
    return float(cv2.norm(values, cv2.NORM_L2, where) / np.sqrt(count)) if count else 0.0


class Texture(Metric):
    """Eight scores from the rare frames."""

    parallel = True
    specs = (
        SHARPNESS,
        FACE_SHARPNESS,
        DETAIL,
        FADING,
        NOISE,
        RINGING,
        BANDING,
        CARTOON,
    )

    def __init__(
        self, reference: Reference, fine_kept: Callable[[], float | None] = lambda: None
    ) -> None:
        """``fine_kept`` says at the end how much of the finest detail the first frame has."""
        self._reference = reference
        self._fine_kept = fine_kept
        enlarged = reference.detail < UNSCALED
        self._scale = reference.detail * ENLARGED if enlarged else 1.0
        self._kept = FILTERED if enlarged else 1.0
        self._seen: list[tuple[int, TextureStatistics, Box | None]] = []

    @cached_property
    def _wanted(self) -> TextureStatistics:
        reference = self._reference
        measured = texture(reference.luma, reference.face, self._scale)
        encoded = banding(reduced_by(luma_of(to_rgb(to_yuv(reference.pixels))), self._scale))
        return replace(measured, banding=max(measured.banding, encoded - GRANTED))

    @cached_property
    def _wanted_parts(self) -> list[TextureStatistics]:
        return [texture(part, None, self._scale) for part in _parts(self._reference.luma)]

    def prepare(self) -> None:
        """Measure the picture."""
        _ = self._wanted

    def measure_frame(
        self, frame: AnalyzedFrame, _: None
    ) -> tuple[TextureStatistics, Box | None] | None:
        """Measure a rare frame."""
        if not frame.rare:
            return None
        found = texture(frame.luma, frame.face, self._scale)
        return self._without_caption(frame.luma, found), (
            None if frame.face is None else frame.face.box
        )

    def _without_caption(self, luma: Luma, found: TextureStatistics) -> TextureStatistics:
        """Halos and drawn looks of the whole frame, or of a part of it where that is milder.

        The parts are looked at only where the whole frame would not pass: both defects lie over
        the whole picture, letters over one side of it.
        """
        wanted = self._wanted
        ringing, cartoon = found.ringing / wanted.ringing, self._drawn(found, wanted)
        known = limits()
        if (known[RINGING.name].judge(ringing), known[CARTOON.name].judge(cartoon)) == (
            "pass",
            "pass",
        ):
            return found
        for part, own in zip(_parts(luma), self._wanted_parts, strict=True):
            seen = texture(part, None, self._scale)
            ringing = min(ringing, seen.ringing / own.ringing)
            cartoon = max(cartoon, self._drawn(seen, own))
        return replace(
            found,
            ringing=ringing * wanted.ringing,
            weak=cartoon * wanted.weak,
            strong=cartoon * wanted.strong / STRONGER,
        )

    def _drawn(self, found: TextureStatistics, wanted: TextureStatistics) -> float:
        """What is kept of what a drawn look lowers, as far as the picture has it."""
        if self._wanted.grain >= GRAIN:
            return found.weak / wanted.weak
        return STRONGER * found.strong / wanted.strong

    def add(self, index: int, _: None, found: tuple[TextureStatistics, Box | None] | None) -> None:
        """Keep its numbers."""
        if found is not None:
            self._seen.append((index, *found))

    def finish(self, _: Reference) -> Sequence[Score]:
        """Eight scores; that of the face may be not measured."""
        wanted = self._wanted
        if wanted.sharpness < 0.5:
            raise CannotMeasure("picture_without_detail")
        return (
            self._ratio(SHARPNESS, lambda t: t.sharpness, self._kept),
            self._face(FACE_SHARPNESS, lambda t: t.face_sharpness, self._kept),
            self._ratio(DETAIL, lambda t: t.detail, self._kept),
            self._fading(),
            self._held(NOISE, [(i, t.noise - wanted.noise) for i, t, _ in self._seen]),
            self._ratio(RINGING, lambda t: t.ringing),
            self._held(BANDING, [(i, t.banding - wanted.banding) for i, t, _ in self._seen]),
            self._held(CARTOON, [(i, self._drawn(t, wanted)) for i, t, _ in self._seen]),
        )

    def _ratio(self, spec: Spec, of: _Reading, share: float = 1.0) -> Score:
        wanted = max(of(self._wanted) * share, 1e-6)
        return self._held(spec, [(i, of(t) / wanted) for i, t, _ in self._seen])

    def _face(self, spec: Spec, of: _Reading, share: float) -> Score:
        wanted = of(self._wanted) * share
        if not np.isfinite(wanted):
            return unmeasured(spec, CannotMeasure("no_face_in_picture"))
        series = [(i, of(t) / max(wanted, 1e-6)) for i, t, _ in self._seen if np.isfinite(of(t))]
        if not series:
            return unmeasured(spec, CannotMeasure("no_face_in_clip"))
        return self._held(spec, series)

    def _fading(self) -> Score:
        values = [(i, t.sharpness) for i, t, _ in self._seen]
        if len(values) < 4:
            return unmeasured(FADING, CannotMeasure("too_short"))
        quarter = max(1, len(values) // 4)
        start = float(np.mean([v for _, v in values[:quarter]]))
        series = [(i, v / max(start, 1e-6)) for i, v in values]
        return judged(FADING, float(np.median([v for _, v in series[-quarter:]])), series=series)

    def _held(self, spec: Spec, series: list[tuple[int, float]]) -> Score:
        above = limits()[spec.name].side == "above"
        values = [v for _, v in series]
        (first, start), *later = series
        kept = self._fine_kept() if spec in (SHARPNESS, DETAIL) else None
        if kept is not None and kept >= FINE_KEPT:
            start *= ENCODED
        value = against_picture(
            [(first, start), *later],
            above=above,
            allowance=ALLOWANCES[spec.name],
            exact=self._reference.exact,
        )
        frame = series[int((np.argmax if above else np.argmin)(values))][0]
        region = next((box for i, _, box in self._seen if i == frame), None)
        return judged(
            spec,
            value,
            series=series,
            frame=frame,
            region=region if spec is FACE_SHARPNESS else None,
        )
