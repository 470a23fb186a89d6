"""Which part of a finished clip shows which part of the picture.

A clip may be cropped to another shape, have bars, or carry captions and logos. The first frame is
laid onto the picture, and only the part of the clip that shows the picture is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.frame import Luma, clipped, halved, luma_of, reduced
from vivant.checks.median import median
from vivant.picture.framing import crop_pixels, face_in_frame, framed
from vivant.types import Box, Image, Portrait

SIDE: Final = 640
"""Pixels; longest side of the pictures that are matched."""

MIN_INLIERS: Final = 30
"""Matched points that agree, at least."""

LOWE_RATIO: Final = 0.75
"""Lowe's ratio test (2004)."""

INLIER_PIXELS: Final = 2.5
"""Pixels that a matched point may be off."""

MAX_ROTATION: Final = 0.02
"""Radians; a clip is not turned against its picture."""

MOST_SEARCHED: Final = 4.0
"""Times the area of the expected crop in which it is searched."""

ALIKE: Final = 0.9
"""Correlation with a part of the picture from which on the frame shows that part."""

ASIDE: Final = 0.3
"""Pixels of the clip up to which a crop lies where it was expected."""

BLOCK: Final = 16
"""Pixels at :data:`SIDE` of the blocks in which overlays are looked for."""

SAME_PICTURE_LEVELS: Final = 6.0
"""Levels of median difference up to which a frame is the picture, but for overlays."""

OVERLAY_LEVELS: Final = 14.0
"""Levels of mean difference in a block from which something lies over the picture. Of 52 people the
first frame differs by 3 at most, at CRF 28 by 5, filtered or blended by 7, at half resolution by
14; subtitles, logos and strips come to 15 (on a wall of their own colour) and more."""

MIN_KEPT_AREA: Final = 0.5
"""Share of the clip's area that must be left; else the whole clip is judged."""


FACE_MARGINS: Final = (0.15, 0.0, -0.15)
"""Widths of the face that are kept around it; the next one where something lies over it: a strip
over the chin of a face that fills the frame is cut off with the chin."""


@dataclass(frozen=True, slots=True, eq=False)
class Registration:
    """Where a clip shows its picture.

    Attributes:
        portrait: the picture, its crop being what the clip shows inside ``window``.
        window: ``left, top, right, bottom`` in whole, even pixels of the clip.
        pixels: the picture as ``window`` should show it.
        whole: ``window`` is the whole frame.
    """

    portrait: Portrait
    window: tuple[int, int, int, int]
    pixels: Image
    whole: bool


def register(portrait: Portrait, first: Image) -> Registration:
    """Lay the first frame, ``[H, W, 3]``, onto the picture; the framed picture where that fails."""
    height, width = first.shape[:2]
    expected = crop_pixels(portrait, width, height)
    found = whole = Registration(portrait, (0, 0, width, height), expected, True)
    slid = _slid(portrait, first)
    if slid is not None:
        found = _registration_of(portrait, slid, whole.window, first)
    one, other = (reduced(halved(image, SIDE), SIDE) for image in (found.pixels, first))
    apart = median(cv2.absdiff(one, other))
    if not _overlays(one, other).any() and apart <= SAME_PICTURE_LEVELS:
        return found
    if apart > SAME_PICTURE_LEVELS or _has_bars(other):
        crop = _match_features(portrait.pixels, first)
        if crop is None:
            return found
        found = _inside_picture(portrait, crop, first)
    return _without_overlays(found, first)


def _slid(portrait: Portrait, first: Image) -> Box | None:
    """The part of the picture that the frame shows, where that is as large as expected but aside.

    Somebody who crops a clip does so around the face, not in the middle. None where the frame shows
    what was expected, or nothing of the picture.
    """
    height, width = first.shape[:2]
    rows, columns = portrait.pixels.shape[:2]
    crop = framed(portrait.crop, width, height)
    scale = min(1.0, min(SIDE, max(width, height)) / max(crop.width, crop.height))
    wide, high = round(crop.width * scale), round(crop.height * scale)
    size = (round(columns * wide / crop.width), round(rows * high / crop.height))
    if not wide * high < size[0] * size[1] <= MOST_SEARCHED * wide * high:
        return None
    if size[0] < wide or size[1] < high:
        return None
    there, here = (
        cv2.resize(luma_of(halved(image, max(to))), to, interpolation=cv2.INTER_AREA)
        for image, to in ((portrait.pixels, size), (first, (wide, high)))
    )
    match = cv2.matchTemplate(there, here, cv2.TM_CCOEFF_NORMED).astype(np.float32, copy=False)
    alike = np.nan_to_num(match, posinf=0.0)
    y, x = (int(i) for i in np.unravel_index(int(alike.argmax()), alike.shape))
    if alike[y, x] < ALIKE:
        return None
    left = (x + _peak(alike[y], x)) * columns / size[0]
    top = (y + _peak(alike[:, x], y)) * rows / size[1]
    aside = max(abs(left - crop.left), abs(top - crop.top)) * width / crop.width
    return Box(left, top, crop.width, crop.height) if aside > ASIDE else None


def _peak(values: npt.NDArray[np.float32], at: int) -> float:
    """How far beside ``at`` the parabola through it and its neighbours has its top."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = (float(v) for v in values[at - 1 : at + 2])
    bent = before - 2 * here + after
    return 0.0 if bent >= 0 else float(np.clip((before - after) / (2 * bent), -0.5, 0.5))


def _median_difference(one: Image, other: Image) -> float:
    return median(cv2.absdiff(reduced(one, SIDE), reduced(other, SIDE)))


def _has_bars(first: Image) -> bool:
    """Whether rows or columns at the border are black throughout."""
    luma = reduced(first, SIDE)
    return any(int(part.max()) < 24 for part in (luma[:4], luma[-4:], luma[:, :4], luma[:, -4:]))


def _match_features(picture: Image, first: Image) -> Box | None:
    """The box of the picture that a frame of this size covers; it may reach out of the picture."""
    one, other = (luma_of(reduced(image, SIDE)) for image in (picture, first))
    sift = cv2.SIFT.create(1500)
    there_points, there_described = sift.detectAndCompute(one, None)
    here_points, here_described = sift.detectAndCompute(other, None)
    if min(len(there_points), len(here_points)) < MIN_INLIERS:
        return None
    pairs = cv2.BFMatcher().knnMatch(here_described, there_described, k=2)
    good = [a for a, *b in pairs if b and a.distance < LOWE_RATIO * b[0].distance]
    if len(good) < MIN_INLIERS:
        return None
    here = np.asarray([here_points[m.queryIdx].pt for m in good], np.float64)
    there = np.asarray([there_points[m.trainIdx].pt for m in good], np.float64)
    matrix, inliers = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=INLIER_PIXELS)
    if int(np.count_nonzero(inliers)) < MIN_INLIERS:
        return None
    if abs(float(np.arctan2(matrix[1, 0], matrix[0, 0]))) > MAX_ROTATION:
        return None
    shrunk = max(picture.shape) / max(one.shape)
    corners = np.asarray([[0, 0, 1], [other.shape[1], other.shape[0], 1]], np.float64)
    (left, top), (right, bottom) = corners @ matrix.T * shrunk
    return Box(float(left), float(top), float(right - left), float(bottom - top))


def _inside_picture(portrait: Portrait, crop: Box, first: Image) -> Registration:
    """The part of the frame that lies inside the picture, and inside its bars."""
    height, width = first.shape[:2]
    rows, columns = portrait.pixels.shape[:2]
    scale = width / crop.width
    inside = Box(-crop.left * scale, -crop.top * scale, columns * scale, rows * scale)
    left, top, right, bottom = clipped(inside, width, height)
    luma = luma_of(first)[top:bottom, left:right]
    lit_rows, lit_columns = (np.flatnonzero(luma.max(axis=axis) >= 24) for axis in (1, 0))
    if len(lit_rows) and len(lit_columns):
        top, bottom = top + int(lit_rows[0]), top + int(lit_rows[-1]) + 1
        left, right = left + int(lit_columns[0]), left + int(lit_columns[-1]) + 1
    return _registration_of(portrait, crop, (left, top, right, bottom), first)


def _registration_of(
    portrait: Portrait, crop: Box, window: tuple[int, int, int, int], first: Image
) -> Registration:
    """Registration of a window, made even, where the whole frame covers ``crop``."""
    height, width = first.shape[:2]
    left, top = (-(-edge // 2) * 2 for edge in window[:2])
    right, bottom = (edge // 2 * 2 for edge in window[2:])
    if (right - left) * (bottom - top) < MIN_KEPT_AREA * 0.5 * width * height:
        return Registration(
            portrait, (0, 0, width, height), crop_pixels(portrait, width, height), True
        )
    scale = crop.width / width
    part = Box(
        crop.left + left * scale, crop.top + top * scale,
        (right - left) * scale, (bottom - top) * scale,
    )  # fmt: skip
    shown = replace(portrait, crop=part)
    pixels = crop_pixels(shown, right - left, bottom - top)
    whole = (left, top, right, bottom) == (0, 0, width, height)
    return Registration(shown, (left, top, right, bottom), pixels, whole)


def _overlays(expected: Image, first: Image) -> npt.NDArray[np.bool_]:
    """``[rows, columns]`` blocks over which something lies that the picture does not have."""
    one, other = (luma_of(reduced(image, SIDE)) for image in (expected, first))
    apart = cv2.absdiff(_blurred(one), _blurred(other)).astype(np.float32)
    size = (max(1, one.shape[1] // BLOCK), max(1, one.shape[0] // BLOCK))
    blocks = cv2.resize(apart, size, interpolation=cv2.INTER_AREA)
    return np.asarray(blocks > max(OVERLAY_LEVELS, 4 * float(np.median(blocks))))


def _blurred(luma: Luma) -> Luma:
    """Without what half a pixel of misplacement makes."""
    return cv2.blur(luma, (3, 3)).astype(np.uint8, copy=False)


def _without_overlays(found: Registration, first: Image) -> Registration:
    """The window without captions, logos and strips, as long as the face stays inside."""
    left, top, right, bottom = found.window
    part = first[top:bottom, left:right]
    if _median_difference(found.pixels, part) > SAME_PICTURE_LEVELS:
        return found
    over = _overlays(found.pixels, part)
    if not over.any():
        return found
    rows, columns = over.shape
    high, wide = (bottom - top) / rows, (right - left) / columns
    kept = (_blocks_of_face(found, rows, columns, room) for room in FACE_MARGINS)
    keep = next(
        (k for k in kept if k and not over[k[1] : k[3], k[0] : k[2]].any()),
        None,
    )
    if keep is None:
        return found
    x0, y0, x1, y1 = _clear(over, keep)
    # what lies over the picture may reach a little into the next block
    x0, y0 = x0 and min(x0 + 1, keep[0]), y0 and min(y0 + 1, keep[1])
    x1 = x1 if x1 == columns else max(x1 - 1, keep[2])
    y1 = y1 if y1 == rows else max(y1 - 1, keep[3])
    if (x1 - x0) * (y1 - y0) < MIN_KEPT_AREA * rows * columns:
        return found
    window = (
        left + round(x0 * wide), top + round(y0 * high),
        left + round(x1 * wide), top + round(y1 * high),
    )  # fmt: skip
    scale = found.portrait.crop.width / (right - left)
    crop = found.portrait.crop
    height, width = first.shape[:2]
    frame = Box(crop.left - left * scale, crop.top - top * scale, width * scale, height * scale)
    return _registration_of(found.portrait, frame, window, first)


def _clear(
    over: npt.NDArray[np.bool_], keep: tuple[int, int, int, int]
) -> tuple[int, int, int, int]:
    """The largest window of blocks around ``keep`` over none of which something lies."""
    rows, columns = over.shape
    left, top, right, bottom = keep
    covered = np.flatnonzero(over.any(axis=1)).tolist()
    windows = []
    for y0 in (0, *(y + 1 for y in covered if y < top)):
        for y1 in (rows, *(y for y in covered if y >= bottom)):
            across = np.flatnonzero(over[y0:y1].any(axis=0)).tolist()
            x0 = max((x + 1 for x in across if x < left), default=0)
            x1 = min((x for x in across if x >= right), default=columns)
            if not any(left <= x < right for x in across):
                windows.append((x0, y0, x1, y1))
    return max(windows, key=lambda w: (w[2] - w[0]) * (w[3] - w[1]))


def _blocks_of_face(
    found: Registration, rows: int, columns: int, share: float
) -> tuple[int, int, int, int] | None:
    """Blocks that must stay: the largest face, ``share`` of its width around; None without one."""
    if not found.portrait.faces:
        return None
    height, width = found.pixels.shape[:2]
    box = face_in_frame(found.portrait.faces[0], found.portrait.crop, width, height).box
    room = share * box.width
    left, top, right, bottom = clipped(
        Box(box.left - room, box.top - room, box.width + 2 * room, box.height + 2 * room),
        width, height,
    )  # fmt: skip
    return (
        left * columns // width, top * rows // height,
        -(-right * columns // width), -(-bottom * rows // height),
    )  # fmt: skip
