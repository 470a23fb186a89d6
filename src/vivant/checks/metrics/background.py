"""Does the background stay what it is: no swaying like water, no sign or pattern that melts.

Every searched frame is laid onto the first one by their flow, in cells of a thumbnail, away from
the person, who is cut out of the rare frames (:mod:`vivant.checks.metrics.rough_cut`).
*Swimming*: what a camera that moves, turns and zooms leaves of the flow, and a slow drift leaves of
that, as means of neighbouring cells, root mean square over time, in percent of the height; the
score is the upper quartile of all places, so that a part that moves on its own does not count.
Depth that a travelling camera shows drifts, water goes to and fro. A drift that is large beside the
camera's own motion is no depth: the background bends. *Change*: how different the
first frame and the frame that is laid onto it still look, in the patch where they differ most, as a
share of the patch's texture. A clip with other people, who move on their own, is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.flow import CELL, Flow, cell_means, patch_of_most, places
from vivant.checks.frame import AnalyzedFrame, Luma, Reference, clipped
from vivant.checks.metric import CannotMeasure, Metric, Spec, judged, unmeasured
from vivant.checks.metrics.far_flow import far_flow
from vivant.checks.metrics.rough_cut import PERSON, rough_cut
from vivant.checks.robust_fit import robust_fit
from vivant.types import Box, Face, Score

SWIM: Final = Spec("background_swim", "quality", "% of height")
CHANGE: Final = Spec("background_change", "quality")

TEXTURE: Final = 2.0
"""Mean gradient in levels along an axis from which flow along it is seen. On an edge that runs
straight across, what moves along it is not seen, but what moves across it is."""

TOGETHER: Final = 3
"""Cells of a patch that must have texture along an axis: their mean counts, because water moves
neighbours alike, and errors of the flow do not."""

SWAYING: Final = 0.75
"""Quantile of the patches that must sway less: a quarter of the background may sway to be found."""

PARALLAX: Final = 0.3
"""Of the camera's own motion, by which parts of the background may move against each other: depth.
Where the camera moves, two clean clips come to 0.06 of it."""

BENDING: Final = 0.65
"""What a slow bend counts beside swaying: clean clips and their edits come to 0.15 % of the height,
and to 0.107 % of swaying."""

FEWEST: Final = 8
"""Cells with texture that swimming needs, and patches that change needs."""

MANY: Final = 30
"""Cells from which what all of them do together is taken for the camera's."""

CLOSE: Final = 0.75
"""Of change, what counts where only strips beside the person are seen: a hand that passes there
came to 0.435 in one clean clip."""

PATCH: Final = 3
"""Cells; side of a patch."""

ENOUGH: Final = 6 / 9
"""Share of a patch that must be background where whole patches are fewer than :data:`FEWEST`."""

USUAL: Final = 0.35
"""Of the times: what passes through a cell for less than the rest of the clip does not count."""

FAINT: Final = 3.0
"""Levels of gradient that are added to a cell's own: a plain wall cannot change its pattern."""

PATTERN: Final = 1.5
"""Mean gradient in levels from which a cell, and a patch, has a pattern: on a plainer wall only
light and an encoder's blocks change."""

TRAVELS: Final = 1.2
"""Percent of the height, root mean square, by which fewer than :data:`MANY` cells may move: more of
it may be arms before a plain wall."""

DRIFT: Final = 2
"""Degree of the polynomial in time that a cell's slow drift is taken for; of degree 1 the largest
clean value is a quarter higher, of degree 3 no lower."""

TRUSTED: Final = (0.9, 0.45)
"""Share of the times, at which a cell that is laid onto the first frame must look like it, and the
difference over the texture that it may have: where a person passes, flow is not the wall's."""

SPAN: Final = 16
"""Searched frames, about four seconds, over which one such polynomial goes."""

SWAYS: Final = 8
"""Searched frames that swimming needs, to be told from a drift."""

SAME_STRENGTH: Final = (0.5, 1.6)
"""Times the texture of the first frame, between which a patch may have become something else. A
caption that comes brings more, a strip under it less."""

COVERED: Final = (18.0, 50.0)
"""Levels by which a patch as a whole, or a cell near by, gets darker or brighter where something is
laid over the picture."""

MOVED: Final = 0.4
"""Of the largest change of a cell near by, that another one must change the other way, for ink of a
sign that has moved: what is laid over a picture makes all of it darker, or brighter."""

MOSTLY: Final = 0.9
"""Share of a cell that must lie inside the frame."""

BEYOND: Final = 3.0
"""Pixels that a place may lie outside the frame."""

BESIDE: Final = 8
"""Pixels around the person that count as the person: in between two cuts people move, and flow
bends beside an outline. At 4 more clean clips come near, at 12 an eighth of the signs is lost."""

FACE_SEEN: Final = 0.5
"""Of the face's box, that the matte must cover. If not, it has missed the person."""

SHADE: Final = 0.5
"""Of a cell's change of brightness, that is taken off: a shadow that passes over a wall changes no
pattern. Taking off all of it loses a quarter of the signs."""

HEAD: Final = (2.3, 3.2)
BODY: Final = (2.05, 1.65, 2.4)
"""The person, in eye distances, where the matte has missed them: half axes of the head; half width
below the head, its growth for every eye distance further down, and how far down it grows."""

Floats = npt.NDArray[np.float32]
Cells = npt.NDArray[np.bool_]


class _Seen(NamedTuple):
    """A frame against the first.

    Attributes:
        flow: ``[h, w, 2]`` percent of the height.
        apart: ``[h, w]`` levels that remain between the two.
        lighter: ``[h, w]`` levels by which the cells' means differ.
        slope: ``[h, w]`` gradient of the frame laid onto the first, in levels.
        inside: ``[h, w]`` cells that are inside the frame in both.
        person: ``[h, w]`` cells that may show the person; None where this was not looked for.
    """

    flow: npt.NDArray[np.float16]
    apart: npt.NDArray[np.float16]
    lighter: npt.NDArray[np.float16]
    slope: npt.NDArray[np.float16]
    inside: Cells
    person: Cells | None


class _First(NamedTuple):
    """The first frame, and the cells that may show the person in it."""

    luma: Luma
    person: Cells


class Background(Metric):
    """Two answers from the searched frames."""

    parallel = True
    specs = (SWIM, CHANGE)

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._flow = Flow("fast")
        self._first: _First | None = None
        self._seen: list[tuple[int, _Seen]] = []

    def anchor(self, frame: AnalyzedFrame) -> Luma:
        """The first frame."""
        return frame.small_luma

    def measure_frame(self, frame: AnalyzedFrame, first: Luma) -> _Seen | _First | None:
        """The first frame itself; a searched frame laid onto it."""
        face = self._reference.face
        if not frame.searched or face is None or self._reference.others:
            return None
        if not frame.index:
            return _First(first, _person(frame, face))
        field = far_flow(self._flow, first, frame)
        height, width = first.shape
        moved = places(height, width) + field
        laid = cv2.remap(
            frame.small_luma, moved, np.empty(0, np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        back: Luma = laid.astype(np.uint8, copy=False)
        apart = np.asarray(cv2.absdiff(back, first), np.float32)
        last = np.asarray([width - 1, height - 1], np.float32)
        near = (moved >= -BEYOND) & (moved <= last + BEYOND)
        inside = np.asarray(near.all(axis=-1), np.float32)
        flow = cell_means(field) * (100 / height)
        lighter = cell_means(back) - cell_means(first)
        slope: Floats = _slopes(back).max(axis=-1)
        return _Seen(
            flow.astype(np.float16), cell_means(apart).astype(np.float16),
            lighter.astype(np.float16), slope.astype(np.float16), cell_means(inside) > MOSTLY,
            _person(frame, frame.face or face) if frame.rare else None,
        )  # fmt: skip

    def add(self, index: int, _: None, found: _Seen | _First | None) -> None:
        """Keep it."""
        if isinstance(found, _Seen):
            self._seen.append((index, found))
        elif found is not None:
            self._first = found

    def finish(self, reference: Reference) -> Sequence[Score]:
        """Two scores."""
        if reference.face is None:
            raise CannotMeasure("no_face_in_picture")
        if reference.others:
            raise CannotMeasure("other_people")
        if self._first is None or len(self._seen) < 4:
            raise CannotMeasure("too_short")
        people = [seen.person for _, seen in self._seen if seen.person is not None]
        free = np.logical_and.reduce([seen.inside for _, seen in self._seen])
        free &= ~np.logical_or.reduce([self._first.person, *people])
        slopes = _slopes(self._first.luma)
        return self._swim(free, slopes), self._change(free, slopes.max(axis=-1))

    def _swim(self, free: Cells, slopes: Floats) -> Score:
        apart = np.stack([seen.apart for _, seen in self._seen]).astype(np.float32)
        unlike = np.quantile(apart, TRUSTED[0], axis=0) / (slopes.max(axis=-1) + FAINT)
        along = (free & (unlike < TRUSTED[1]))[..., None] & (slopes > TEXTURE)
        where = along.any(axis=-1)
        count = _sums(along.astype(np.float32))
        together = where & (count >= TOGETHER).any(axis=-1)
        if together.sum() < FEWEST:
            return unmeasured(SWIM, CannotMeasure("background_too_plain"))
        if len(self._seen) < SWAYS:
            return unmeasured(SWIM, CannotMeasure("too_short"))
        seen_along = np.concatenate(list(along[where].T)).astype(np.float64)
        model = _camera(where) * seen_along[:, None]
        left, carried = [], []
        for _, seen in self._seen:
            flow = np.concatenate(list(seen.flow[where].astype(np.float64).T)) * seen_along
            _, residual = robust_fit(
                flow, model, np.ones(len(flow) // 2), rounds=4,
                scale=lambda length: float(np.median(length)) + 0.02,
            )  # fmt: skip
            left.append(residual)
            carried.append(float(np.sqrt(((flow - residual) ** 2).sum() * 2 / len(flow))))
        if where.sum() < MANY and float(np.median(carried)) > TRAVELS:
            return unmeasured(SWIM, CannotMeasure("background_moves"))
        whole = np.stack(left)
        swaying = _together(_without_drift(whole), along, count)
        bending = _together(whole, along, count) - PARALLAX * float(np.median(carried))
        lengths = np.maximum(swaying, BENDING * bending) * together
        usual = np.maximum(_rms(swaying), BENDING * _rms(np.maximum(bending, 0))) * together
        series = [
            (index, float(np.quantile(length[together], SWAYING)))
            for (index, _), length in zip(self._seen, lengths, strict=True)
        ]
        return judged(
            SWIM, float(np.quantile(usual[together], SWAYING)), series=series,
            frame=max(series, key=lambda pair: pair[1])[0], region=self._region(usual),
        )  # fmt: skip

    def _change(self, free: Cells, slope: Floats) -> Score:
        shown = _means(free.astype(np.float32))
        patches, share = shown > 0.99, 1.0
        if patches.sum() < FEWEST:
            patches, share = free & (shown > ENOUGH - 0.01), CLOSE
        patterned = patches & (_free_means(slope, free) > PATTERN)
        if patches.sum() < FEWEST or not patterned.any():
            return unmeasured(CHANGE, CannotMeasure("background_too_plain"))
        apart, lighter, later = (
            np.stack(parts).astype(np.float32)
            for parts in zip(*((s.apart, s.lighter, s.slope) for _, s in self._seen), strict=True)
        )
        shade = lighter - np.median(lighter[:, free], axis=1)[:, None, None]
        apart = np.maximum(apart - np.float32(SHADE) * np.abs(shade), 0)
        strength = _free_means(np.median(later, axis=0), free)
        strength /= np.maximum(_free_means(slope, free), 1e-3)
        same = (strength > SAME_STRENGTH[0]) & (strength < SAME_STRENGTH[1])
        light = np.median(lighter, axis=0)
        light -= float(np.median(light[free]))
        kernel = np.ones((PATCH + 2, PATCH + 2))
        brighter, darker = cv2.dilate(light, kernel), cv2.dilate(-light, kernel)
        near = np.maximum(brighter, darker)
        moved = np.minimum(brighter, darker) > MOVED * near
        same &= (np.abs(_free_means(light, free)) < COVERED[0]) & (moved | (near < COVERED[1]))
        usual = share * _shares(np.quantile(apart, USUAL, axis=0), free, slope)
        usual *= patterned & same
        row, column = (int(i) for i in np.unravel_index(int(usual.argmax()), usual.shape))
        series = [
            (index, float(_shares(one, free, slope)[row, column]))
            for (index, _), one in zip(self._seen, apart, strict=True)
        ]
        return judged(
            CHANGE, float(usual.max()), series=series,
            frame=max(series, key=lambda pair: pair[1])[0], region=self._region(usual),
        )  # fmt: skip

    def _region(self, values: Floats) -> Box:
        """The patch with the highest value, in pixels of the frame."""
        return patch_of_most(values, PATCH, self._reference.pixels.shape[:2])


def _means(values: Floats) -> Floats:
    """Means over the patch around every cell; what is beyond the border counts as zero."""
    return cv2.blur(values, (PATCH, PATCH), borderType=cv2.BORDER_CONSTANT).astype(
        np.float32, copy=False
    )


def _together(rows: npt.NDArray[np.float64], along: Cells, count: Floats) -> Floats:
    """``[T, h, w]``: how far the patch around every cell moves as one.

    Args:
        rows: ``[T, 2 N]``, of the cells that have texture.
        along: ``[h, w, 2]``, the axes along which they have it.
        count: ``[h, w, 2]``, how many of a patch have it.
    """
    where = along.any(axis=-1)
    out = np.zeros((len(rows), *where.shape), np.float32)
    for length, row in zip(out, rows, strict=True):
        field = np.zeros(along.shape, np.float32)
        field[where] = row.reshape(2, -1).T
        mean = np.where(count >= TOGETHER, _sums(field) / np.maximum(count, 1), 0)
        np.hypot(mean[..., 0], mean[..., 1], out=length)
    return out


def _rms(values: Floats) -> Floats:
    """Over time."""
    return np.asarray(np.sqrt(np.mean(np.square(values), axis=0)), np.float32)


def _sums(values: Floats) -> Floats:
    """``[h, w, 2]``: sums over the patch around every cell."""
    return cv2.boxFilter(
        values, -1, (PATCH, PATCH), normalize=False, borderType=cv2.BORDER_CONSTANT
    ).astype(np.float32, copy=False)


def _free_means(values: Floats, free: Cells) -> Floats:
    """Means over the free cells of the patch around every cell."""
    count = np.maximum(_means(free.astype(np.float32)), 1e-3)
    return np.asarray(_means(np.where(free, values, 0).astype(np.float32)) / count, np.float32)


def _slopes(first: Luma) -> Floats:
    """``[h, w, 2]``: mean gradient of the cells across and down, in levels."""
    x = cv2.Sobel(first, cv2.CV_32F, 1, 0)
    y = cv2.Sobel(first, cv2.CV_32F, 0, 1)
    return cell_means(np.stack([np.abs(x), np.abs(y)], axis=-1) / 4)


def _shares(apart: Floats, free: Cells, slope: Floats) -> Floats:
    """What is left between two frames over the texture, in every patch of the background.

    What is left everywhere is the encoder's, or a change of light; cells without a pattern count
    as zero.
    """
    common = float(np.median(apart[free])) if free.any() else 0.0
    over = np.maximum(apart - common, 0) / (slope + FAINT)
    return _free_means(np.where(slope > PATTERN, over, 0).astype(np.float32), free)


def _camera(where: Cells) -> npt.NDArray[np.float64]:
    """``[2 N, 4]``: shifts, zoom and turn of the cells, x then y."""
    rows, columns = where.shape
    v, u = np.mgrid[0:rows, 0:columns].astype(np.float64)
    u, v = ((u - (columns - 1) / 2) / rows)[where], ((v - (rows - 1) / 2) / rows)[where]
    one, none = np.ones_like(u), np.zeros_like(u)
    pairs = ((one, none), (none, one), (u, v), (-v, u))
    return np.stack([np.concatenate(pair) for pair in pairs], axis=1)


def _without_drift(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``[T, N]`` less the polynomial in time that fits each column best, in equal parts."""
    parts = []
    for part in np.array_split(values, max(1, round(len(values) / SPAN))):
        powers = np.vander(np.linspace(-1, 1, len(part)), DRIFT + 1)
        parts.append(part - powers @ np.linalg.lstsq(powers, part, rcond=None)[0])
    return np.concatenate(parts)


def _person(frame: AnalyzedFrame, face: Face) -> Cells:
    """Cells that may show the person in this frame; ``face``: theirs, as far as it is known."""
    height, width = frame.small_luma.shape
    matte = cv2.resize(rough_cut(frame), (width, height), interpolation=cv2.INTER_AREA)
    scale = width / frame.pixels.shape[1]
    left, top, right, bottom = clipped(face.box.scaled(scale), width, height)
    person = matte > PERSON
    if person[top:bottom, left:right].mean() < FACE_SEEN:
        return ~_around(face, scale, height, width)
    side = 2 * BESIDE + 1
    grown = cv2.dilate(person.astype(np.uint8), np.ones((side, side), np.uint8))
    return np.asarray(cell_means(grown) > 1 - MOSTLY)


def _around(face: Face, scale: float, height: int, width: int) -> Cells:
    """Cells away from head, shoulders and body; ``scale``: of the face to this size."""
    rows, columns = max(2, height // CELL), max(2, width // CELL)
    high, wide = height / rows, width / columns
    across, down = (float(v) * scale for v in np.asarray(face.landmarks).mean(axis=0))
    eyes, half = face.interocular * scale, CELL / 2
    x = np.abs((np.arange(columns) + 0.5) * wide - across)[None]
    y = ((np.arange(rows) + 0.5) * high - down)[:, None]
    head = np.hypot(x / (HEAD[0] * eyes + half), y / (HEAD[1] * eyes + half)) > 1
    below = np.clip(y - eyes, 0, BODY[2] * eyes)
    body = x > BODY[0] * eyes + BODY[1] * below + half
    return np.asarray(head & (body | (y <= eyes - half)))
