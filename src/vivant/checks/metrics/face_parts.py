"""Are eyes, mouth and skin those of the picture: the parts of the face, found by the face mesh.

Every searched frame is compared with the picture in the face's own frame. The worst
:data:`WINDOW` frames that follow each other count, by their median: a blink, a wink or a smile is
shorter. Frames whose head is turned away from the picture's pose are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_frame import Layout, cut
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.frame_mesh import frame_mesh, picture_mesh, pupils, turned
from vivant.checks.median import median
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.checks.metrics.color import lab
from vivant.checks.metrics.iris_shift import IrisShift
from vivant.picture.dark_glasses import wears_dark_glasses
from vivant.picture.face_mesh import LEFT_IRIS, RIGHT_IRIS, FaceMesh
from vivant.types import Box, Image, Score

MOUTH: Final = Spec("mouth_detail", "fidelity")
GAZE: Final = Spec("eye_gaze", "fidelity", "% of eye width")
LIDS: Final = Spec("eyelids", "fidelity", "% of eye width")
IRIS: Final = Spec("iris_color", "fidelity", "ΔE")
LIGHT: Final = Spec("skin_brightness", "ai_feel", "levels")
TEXTURE: Final = Spec("skin_texture_end", "ai_feel")

WINDOW: Final = 7
"""Searched frames in a row; about 1.5 s of 97 frames."""

HELD: Final = 13
"""As :data:`WINDOW`, for what people do with one eye on purpose, and for what one frame tells
badly; about 3 s of 97 frames. Chosen on 60 people: 11 leaves clean clips higher, 17 would need the
whole clip."""

TURNED: Final = 20.0
"""Degrees of yaw or pitch from the picture's pose: beyond, parts hide or foreshorten."""

FRONTAL: Final = 10.0
"""As :data:`TURNED`, for what compares one lid with the other: one foreshortens more."""

ASIDE: Final = 15.0
"""As :data:`FRONTAL`, for the irises. Chosen on 60 people: clean clips stay as low as with 10."""

SUSPECT: Final = 1.0
"""Percent of an eye's width from which ``iris_landmark`` is asked as well: nearly every frame of a
defect is above, four of ten clean ones are not."""

OPEN: Final = 0.12
"""Aperture of an eye from which gaze and iris can be seen; a closed one is below 0.1."""

WIDER: Final = 1.5
"""Times the picture's aperture up to which gaze is compared: eyes that open wider show what the
picture's lids hide of the irises. Chosen on 60 people, one of whom opens nearly shut eyes."""

LARGEST: Final = 100.0
"""Pixels between the pupils at which faces are compared at most."""

SURE: Final = 60.0
"""Pixels between the pupils from which an iris's colour counts whole. Below, it counts by its
share: an encoder at CRF 28 leaves clean irises of 46 px up to 18 off, of 54 px up to 14."""

PLACES: Final = (
    (0.0, 0.0, 0.0), (0.03, 0.0, 0.0), (-0.03, 0.0, 0.0), (0.0, 0.03, 0.04), (0.0, -0.03, -0.04),
)  # fmt: skip
"""From where the picture's face is read: right, down and larger, in its widths. As far as dlib's
boxes of one face lie apart in a clip."""

HALF: Final = 1.6
"""Half side of the compared square, in distances between the pupils."""

LEFT_RING: Final = (33, 160, 159, 158, 133, 153, 145, 144)
RIGHT_RING: Final = (263, 387, 386, 385, 362, 380, 374, 373)
"""Points of the mesh around an eye: outer corner, upper lid, inner corner (the fifth), lower."""

EYE_POINTS: Final = ((LEFT_RING, LEFT_IRIS), (RIGHT_RING, RIGHT_IRIS))

LIPS: Final = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
NOSE: Final = (168, 122, 174, 198, 48, 115, 4, 344, 278, 420, 399, 351)
CHEEKS: Final = (50, 280, 205, 425, 101, 330, 36, 266)
OVAL: Final = (10, 284, 389, 454, 361, 397, 379, 152, 150, 172, 132, 234, 162, 54)
LEFT_BROW: Final = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
RIGHT_BROW: Final = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)

INNER: Final = 0.85
"""Of the way from the middle of a face to its outline: what skin is looked at."""

BEYOND: Final = 1.3
"""As :data:`INNER`, for an eye with its brow: what is left out."""

SKIN: Final = (
    (116, 117, 118, 119, 100, 142, 203, 206, 205, 187, 147, 123),
    (345, 346, 347, 348, 329, 371, 423, 426, 425, 411, 376, 352),
    (109, 10, 338, 337, 9, 108),
)
"""Points around both cheeks and the middle of the forehead."""

WEAK: Final = 0.97
"""What a loss of the skin's weakest texture counts beside that of the whole face's detail. Of 64
people clean clips keep 0.90 of it and more, filters that keep edges 0.75 and less: with this
factor one limit serves both."""

LEAST_STEPS: Final = 0.02
"""Levels a pixel added to both steps, so that nothing is divided by zero."""

LEAST_WEAK: Final = 0.2
"""Levels of the skin's weak texture below which an encoder leaves none to compare. By hand."""

LEAST_DETAIL: Final = 0.4
"""Levels of detail that a nose has at least, as the lips' is divided by it: less is what an encoder
leaves of smooth skin. By hand."""

Floats = npt.NDArray[np.float64]


class _Parts(NamedTuple):
    """What one frame shows; NaN where it cannot be seen.

    ``mouth`` is the detail of the lips over the nose's, ``across`` that of the steps from left to
    right: lips smeared sideways lose these and keep their outline. ``texture`` is the detail of the
    whole face but eyes and brows, in levels: cheeks alone have little to lose. ``weak`` is the
    median of what cheeks and forehead show: a filter that keeps edges takes that alone. ``tones``
    are the L* of eight places on the cheeks, ``around`` that of the surroundings. ``gaze`` is how
    far the irises have moved towards each other since the picture, in percent of an eye's width.
    ``lids`` is how much further the left eye is open than the right one: of the picture in eye
    widths, of a frame in percent since the picture. ``irises`` are four numbers: a* and b* of both
    irises beside the skin's.
    """

    mouth: float
    across: float
    gaze: float
    lids: float
    irises: tuple[float, ...]
    tones: tuple[float, ...]
    around: float
    texture: float
    weak: float
    mouth_box: Box
    eyes_box: Box


class FaceParts(Metric):
    """Six answers from the searched frames."""

    specs = (MOUTH, GAZE, LIDS, IRIS, LIGHT, TEXTURE)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._picture: _Parts | None = None
        self._eyes: IrisShift | None = None
        self._aperture = 0.0
        self._seen: list[tuple[int, _Parts]] = []

    def measure_frame(self, frame: AnalyzedFrame, _: None) -> tuple[_Parts, _Parts] | None:
        """The parts in the picture and in a searched frame."""
        mesh = picture_mesh(self._reference)
        if not frame.searched or frame.face is None or mesh is None:
            return None
        scale = min(pupils(mesh) * self._reference.detail, LARGEST)
        if self._picture is None:
            pixels = self._reference.pixels
            meshes = [frame.reader.mesh.follow(pixels, near) for near in _beside(mesh)]
            dark = wears_dark_glasses(mesh, pixels)
            self._picture = _parts_of_picture(pixels, meshes, scale, dark=dark)
            if min(meshes[0].apertures) >= OPEN:
                self._aperture = sum(meshes[0].apertures)
            if not dark:
                self._eyes = IrisShift(pixels, meshes, EYE_POINTS)
        found = frame_mesh(frame, self._reference)
        away = 0.0 if found is None else turned(found, mesh)
        if found is None or away > TURNED:
            return None
        parts = _parts(frame.pixels, found, scale)
        gaze, lids = self._compared(frame, found, parts, away)
        return self._picture, parts._replace(gaze=gaze, lids=lids)

    def _compared(
        self, frame: AnalyzedFrame, mesh: FaceMesh, parts: _Parts, away: float
    ) -> tuple[float, float]:
        """Gaze and lids since the picture, each by two ways to look where one of them suspects."""
        picture, eyes = self._picture, self._eyes
        gaze = lids = float("nan")
        if picture is None or eyes is None:
            return gaze, lids
        if away <= FRONTAL:
            lids = 100 * (parts.lids - picture.lids)
        alike = min(mesh.apertures) >= OPEN and sum(mesh.apertures) <= WIDER * self._aperture
        if away <= ASIDE and alike:
            gaze = eyes.towards(frame.pixels, mesh)
        if abs(gaze) > SUSPECT or abs(lids) > SUSPECT:
            found = eyes.told(frame.pixels, mesh, frame.reader.iris)
            gaze, lids = (gaze + float(found[0])) / 2, (lids + float(found[1])) / 2
        return gaze, lids

    def add(self, index: int, _: None, found: tuple[_Parts, _Parts] | None) -> None:
        """Keep a frame's parts."""
        if found is not None:
            self._picture = found[0]
            self._seen.append((index, found[1]))

    def finish(self, reference: Reference) -> Sequence[Score]:
        """Six scores."""
        if reference.face is None:
            raise CannotMeasure("no_face_in_picture")
        picture = self._picture
        if picture is None or len(self._seen) < 3:
            raise CannotMeasure("parts_not_seen")
        return (
            self._mouth(picture),
            self._worst(GAZE, lambda p: p.gaze, _largest, _eyes, HELD),
            self._worst(LIDS, lambda p: p.lids, _largest, _eyes, HELD),
            self._worst(IRIS, lambda p: _apart(p.irises, picture.irises), np.max, _eyes),
            self._worst(LIGHT, lambda p: _lighter(p, picture), np.max, None),
            self._texture(),
        )

    def _mouth(self, picture: _Parts) -> Score:
        """The lower of what lips keep of their detail, and of that from left to right.

        Of the latter the best frame of a window counts: shut lips have few such steps. Of 64 people
        clean clips keep 0.50 of it and more, lips smeared along a line 0.23 to 0.53.
        """
        one = self._worst(MOUTH, lambda p: p.mouth / picture.mouth, np.min, _lips)
        other = self._worst(MOUTH, lambda p: p.across / picture.across, np.min, _lips, of=np.max)
        known = [score for score in (one, other) if isinstance(score.value, float)]
        return min(known, key=lambda score: float(score.value or 0.0)) if known else one

    def _worst(
        self,
        spec: Spec,
        value: Callable[[_Parts], float],
        pick: Callable[[Floats], float],
        box: Callable[[_Parts], Box] | None,
        window: int = WINDOW,
        of: Callable[[Floats], Any] = np.median,
    ) -> Score:
        """The worst median, or other ``of``, of frames that follow each other.

        ``pick`` says what is worse.
        """
        series = [(index, value(parts)) for index, parts in self._seen]
        known = [(i, v) for i, v in series if np.isfinite(v)]
        if len(known) < 3:
            return unmeasured(spec, CannotMeasure(self._why_unseen(spec)))
        values = np.asarray([v for _, v in known])
        length = min(window, len(values))
        medians = np.asarray([of(values[i : i + length]) for i in range(len(values) - length + 1)])
        worst = float(pick(medians))
        at = int(np.abs(medians - worst).argmin())
        middle = known[at + length // 2][0]
        region = None if box is None else box(dict(self._seen)[middle])
        size = abs(worst) if pick is _largest else worst
        return judged(spec, size, series=known, frame=middle, region=region)

    def _why_unseen(self, spec: Spec) -> str:
        """Key of the sentence that tells why a part could not be compared."""
        if self._picture is None or spec not in (GAZE, LIDS, IRIS):
            return "parts_not_seen"
        return "eyes_not_seen" if np.isnan(self._picture.irises[0]) else "parts_not_seen"

    def _texture(self) -> Score:
        """The detail of the face, or of its skin, at the end over that at the start.

        Of the end the sharpest frame counts: what moves is blurred in some, a filter smooths all.
        """
        series = self._since_start(lambda parts: parts.texture)
        if not series:
            return unmeasured(TEXTURE, CannotMeasure("parts_not_seen"))
        kept = max(v for _, v in series[-(len(series) // 4) :])
        weak = self._since_start(lambda parts: parts.weak, LEAST_WEAK)
        if weak:
            kept = min(kept, WEAK * max(v for _, v in weak[-(len(weak) // 4) :]))
        return judged(TEXTURE, kept, series=series, frame=series[-1][0])

    def _since_start(
        self, value: Callable[[_Parts], float], least: float = 1e-6
    ) -> list[tuple[int, float]]:
        """A number over its median in the first quarter; nothing where that is below ``least``."""
        known = [(i, value(parts)) for i, parts in self._seen if np.isfinite(value(parts))]
        start = float(np.median([v for _, v in known[: len(known) // 4]])) if len(known) >= 8 else 0
        return [(i, v / start) for i, v in known] if start >= least else []


def _largest(values: Floats) -> float:
    """The value that is furthest from zero, with its sign."""
    return float(values[np.abs(values).argmax()])


def _lighter(parts: _Parts, picture: _Parts) -> float:
    """L* by which the skin got lighter, by itself or beside its surroundings: the lower of both.

    Each place of the cheeks against itself: where half of them lie in a shadow or under a beard,
    their common median would jump from one half to the other.
    """
    lighter = float(np.median(np.subtract(parts.tones, picture.tones)))
    return min(lighter - (parts.around - picture.around), lighter)


def _lips(parts: _Parts) -> Box:
    return parts.mouth_box


def _eyes(parts: _Parts) -> Box:
    return parts.eyes_box


def _apart(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """Colour difference of the eye that differs more."""
    apart = np.hypot(*(np.asarray(one) - np.asarray(other)).reshape(2, 2).T)
    return float(apart.max())


def _parts(pixels: npt.NDArray[np.uint8], mesh: FaceMesh, scale: float) -> _Parts:
    """Measure the parts of one face, ``scale`` pixels between its pupils; all but the gaze."""
    flat = mesh.points[:, :2]
    zoom = scale / max(pupils(mesh), 1e-6)
    side = round(2 * HALF * scale)
    center = flat[list(NOSE)].mean(axis=0)
    matrix = np.column_stack([np.eye(2) * zoom, side / 2 - zoom * center])
    chip = cut(pixels, matrix, Layout(scale, side, side, (side / 2, side / 2)))
    points = flat * zoom + matrix[:, 2]
    luma = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine = cv2.GaussianBlur(luma, (0, 0), 1.0) - cv2.GaussianBlur(luma, (0, 0), 2.5)

    steps = cv2.Sobel(fine, cv2.CV_32F, 1, 0, scale=1 / 8)
    lips, nose = (_inside(luma.shape, points[list(part)]) for part in (LIPS, NOSE))

    def size(values: npt.NDArray[np.generic], inside: npt.NDArray[np.bool_]) -> float:
        return float(np.sqrt(np.mean(np.square(values[inside])))) if inside.any() else 0.0

    finer = cv2.GaussianBlur(luma, (0, 0), 0.7) - cv2.GaussianBlur(luma, (0, 0), 1.6)
    reach = max(2, round(0.07 * scale))
    cheeks = [_colors(chip[_around(points[i], reach, side)]) for i in CHEEKS]
    skin = np.median(np.concatenate(cheeks), axis=0)
    left, right = mesh.apertures
    seen = min(left, right) >= OPEN
    share = min(1.0, scale / SURE)
    irises = [share * (_iris(chip, points, iris) - skin[1:]) for iris in (LEFT_IRIS, RIGHT_IRIS)]
    face = _face(luma.shape, points)
    texture = float("nan")
    if face.any():  # the geometric mean of both bands
        texture = float(np.prod([np.mean(np.square(band[face])) for band in (finer, fine)]) ** 0.25)
    skin_there = np.logical_or.reduce([_inside(luma.shape, points[list(area)]) for area in SKIN])
    weak = float("nan")
    if skin_there.any():
        bands = (finer[skin_there], fine[skin_there])
        weak = float(np.prod([median(np.abs(band)) for band in bands]) ** 0.5)
    return _Parts(
        mouth=size(fine, lips) / max(size(fine, nose), LEAST_DETAIL),
        across=(size(steps, lips) + LEAST_STEPS) / (size(steps, nose) + LEAST_STEPS),
        gaze=float("nan"),
        lids=left - right,
        irises=tuple(float(v) if seen else float("nan") for v in np.concatenate(irises)),
        tones=tuple(float(np.median(place[:, 0])) for place in cheeks),
        around=_outside(pixels, mesh.box),
        texture=texture,
        weak=weak,
        mouth_box=_box(flat[list(LIPS)], 1.3),
        eyes_box=_box(flat[[*LEFT_RING, *RIGHT_RING]], 1.2),
    )


def _parts_of_picture(
    pixels: Image, meshes: Sequence[FaceMesh], scale: float, *, dark: bool
) -> _Parts:
    """Measure the picture as frames are measured, with each mesh; the median of each number.

    Every frame is held against it, so that its error would be in all of them. Where the network is
    led to a face from differs from frame to frame, and what it finds differs with that: lids by
    0.7 % of the eye's width, the irises by 1 %, more behind glasses (standard deviations).
    ``dark``: behind dark glasses, so that the eyes say nothing.
    """
    found = [_parts(pixels, mesh, scale) for mesh in meshes]

    def middle(name: str) -> Any:
        value = np.median([getattr(parts, name) for parts in found], axis=0)
        return tuple(map(float, value)) if value.ndim else float(value)

    numbers = [name for name in _Parts._fields if not name.endswith("_box")]
    picture = found[0]._replace(**{name: middle(name) for name in numbers})
    if dark:
        unseen = float("nan")
        return picture._replace(lids=unseen, irises=(unseen,) * 4)
    return picture


def _beside(mesh: FaceMesh) -> Iterator[FaceMesh]:
    """The mesh where it is, and a little beside it, larger and smaller."""
    flat = mesh.points[:, :2]
    middle, width = flat.mean(axis=0), mesh.box.width
    for right, down, larger in PLACES:
        points = mesh.points.copy()
        points[:, :2] = middle + (1 + larger) * (flat - middle) + (right * width, down * width)
        yield FaceMesh(points, mesh.presence)


def _inside(shape: tuple[int, ...], points: Floats) -> npt.NDArray[np.bool_]:
    drawn = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(drawn, cv2.convexHull(np.round(points).astype(np.int32)), (1,))
    return drawn > 0


def _face(shape: tuple[int, ...], points: Floats) -> npt.NDArray[np.bool_]:
    """The face inside its outline, without eyes and brows."""

    def grown(indices: tuple[int, ...], share: float) -> npt.NDArray[np.bool_]:
        part = points[list(indices)]
        middle = (part.min(axis=0) + part.max(axis=0)) / 2
        return _inside(shape, middle + share * (part - middle))

    eyes = ((*LEFT_RING, *LEFT_BROW), (*RIGHT_RING, *RIGHT_BROW))
    left, right = (grown(indices, BEYOND) for indices in eyes)
    return grown(OVAL, INNER) & ~left & ~right


def _around(point: Floats, reach: int, side: int) -> tuple[slice, slice]:
    x, y = (int(np.clip(round(float(v)), reach, side - reach - 1)) for v in point)
    return slice(y - reach, y + reach + 1), slice(x - reach, x + reach + 1)


def _colors(part: Image) -> Floats:
    """``[N, 3]`` L*, a*, b* of a part of a picture."""
    return np.asarray(lab(part), np.float64).reshape(-1, 3)


def _iris(chip: Image, points: Floats, iris: slice) -> Floats:
    """``[2]`` median a* and b* inside the iris."""
    center, rim = points[iris.start], points[iris.start + 1 : iris.stop]
    radius = float(np.linalg.norm(rim - center, axis=1).mean())
    part = _around(center, max(1, round(0.75 * radius)), chip.shape[0])
    return np.asarray(np.median(_colors(chip[part]), axis=0)[1:], np.float64)


def _outside(pixels: npt.NDArray[np.uint8], box: Box) -> float:
    """Median L* around the face."""
    step = max(1, min(pixels.shape[:2]) // 90)
    small = np.ascontiguousarray(pixels[::step, ::step])
    level = lab(small)[..., 0]
    y, x = np.mgrid[0 : level.shape[0], 0 : level.shape[1]] * step
    side = 0.3 * box.width
    inside = (
        (x > box.left - side) & (x < box.right + side)
        & (y > box.top - side) & (y < box.bottom + side)
    )  # fmt: skip
    return float(np.median(level[~inside])) if (~inside).sum() > 50 else float("nan")


def _box(points: Floats, share: float) -> Box:
    low, high = points.min(axis=0), points.max(axis=0)
    (x, y), (width, height) = (low + high) / 2, (high - low) * share
    return Box(float(x - width / 2), float(y - height / 2), float(width), float(height))
