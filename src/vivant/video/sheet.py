"""Contact sheet and thumbnail of a clip.

The contact sheet shows the input, the checked frames, and their differences from the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw, ImageFont

from vivant.errors import OutputError
from vivant.grid import checked_frames
from vivant.picture.framing import mean_difference
from vivant.types import Box, Image, Request
from vivant.video.files import COMPANIONS

TILE_AREA = 480 * 270
"""Pixels of one tile; its sides follow the clip's aspect."""

GAIN = 4
"""Differences are shown this many times stronger: subtle motion is hard to see otherwise."""

THUMBNAIL_STEP = Fraction(1, 8)
"""Seconds between the frames that may become the thumbnail: a blink takes about 0.3 s."""

THUMBNAIL_SIDE = 1280
"""Longest side of the thumbnail; YouTube's size is 1280×720."""

JPEG_QUALITY = 90

_MARGIN = 16
_CAPTION = 30
_BACKGROUND = (16, 18, 22)
_TEXT = (232, 234, 238)
_FAINT = (150, 156, 168)


def tile_size(width: int, height: int) -> tuple[int, int]:
    """Size of one tile for a clip of ``width`` × ``height``."""
    scale = (TILE_AREA / (width * height)) ** 0.5
    return max(8, round(width * scale)), max(8, round(height * scale))


def shrink(image: Image, width: int, height: int) -> Image:
    """``image`` at ``width`` × ``height``, averaged over areas: small pictures without moiré."""
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)


def contact_sheet(
    reference: Image,
    frames: Mapping[int, Image],
    differences: Mapping[int, float],
    fps: Fraction,
    *,
    title: str,
) -> Image:
    """Input and frames on top, their differences from the input (×4) below.

    Args:
        reference: the input as framed, ``[h, w, 3]``, tile size.
        frames: frame index → picture of the same size.
        differences: frame index → mean difference from the input, measured at full size:
            shrinking hides some of it.
        fps: to say when each frame is shown.
        title: one line at the top, in ASCII: Pillow's own font knows little else.
    """
    height, width = reference.shape[:2]
    columns = 1 + len(frames)
    sheet = PillowImage.new(
        "RGB",
        (
            columns * (width + _MARGIN) + _MARGIN,
            2 * (height + _CAPTION) + _CAPTION + 3 * _MARGIN,
        ),
        _BACKGROUND,
    )
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(17)
    draw.text((_MARGIN, _MARGIN - 2), title, _TEXT, ImageFont.load_default(20))
    top = _MARGIN + _CAPTION
    below = top + height + _CAPTION + _MARGIN
    sheet.paste(PillowImage.fromarray(reference), (_MARGIN, top))
    draw.text((_MARGIN, top + height + 6), "input", _TEXT, font)
    draw.text((_MARGIN, below + 6), f"difference from the input, x {GAIN}", _FAINT, font)
    for column, (index, frame) in enumerate(frames.items(), start=1):
        left = _MARGIN + column * (width + _MARGIN)
        difference = cv2.absdiff(frame, reference)
        shown = np.minimum(difference.astype(np.uint16) * GAIN, 255).astype(np.uint8)
        sheet.paste(PillowImage.fromarray(frame), (left, top))
        sheet.paste(PillowImage.fromarray(shown), (left, below))
        draw.text(
            (left, top + height + 6),
            f"frame {index}   {float(index / fps):.2f} s",
            _TEXT,
            font,
        )
        draw.text((left, below + height + 6), f"mean {differences[index]:.2f}", _FAINT, font)
    return np.asarray(sheet)


def joined(sheets: Sequence[tuple[str, Image]]) -> Image:
    """The upper halves of contact sheets, input and frames, one above the other.

    Args:
        sheets: a line of ASCII to stand above, and what :func:`contact_sheet` returned.
    """
    tops = [(title, _upper(sheet)) for title, sheet in sheets]
    width = max(top.shape[1] for _, top in tops)
    height = sum(top.shape[0] for _, top in tops)
    out = PillowImage.new("RGB", (width, height), _BACKGROUND)
    draw = ImageDraw.Draw(out)
    font = ImageFont.load_default(20)
    below = 0
    for title, top in tops:
        out.paste(PillowImage.fromarray(top), (0, below))
        draw.rectangle((0, below, width, below + _MARGIN + _CAPTION - 1), _BACKGROUND)
        draw.text((_MARGIN, below + _MARGIN - 2), title, _TEXT, font)
        below += top.shape[0]
    return np.asarray(out)


def _upper(sheet: Image) -> Image:
    """Title, pictures and their captions; the differences below are left out."""
    tile = (sheet.shape[0] - 3 * _CAPTION - 3 * _MARGIN) // 2
    return sheet[: _MARGIN + _CAPTION + tile + _CAPTION]


def thumbnail(frame: Image) -> Image:
    """``frame`` with its longest side at most :data:`THUMBNAIL_SIDE`."""
    height, width = frame.shape[:2]
    scale = min(1.0, THUMBNAIL_SIDE / max(width, height))
    return shrink(frame, round(width * scale), round(height * scale))


def write_jpeg(path: Path, image: Image) -> None:
    """Write ``[H, W, 3]`` sRGB as JPEG.

    Raises:
        OutputError: the file cannot be written.
    """
    try:
        PillowImage.fromarray(image).save(path, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    except OSError as error:
        raise OutputError(f"cannot write {path.name}: {error.strerror or error}") from error


class SheetCollector:
    """Keeps small copies of the checked frames, and writes contact sheet and thumbnail.

    Args:
        reference: the input picture at the clip's size.
        request: what is being made.
        eyes: where the eyes of the main person are, pixels of the clip; None without a face. The
            thumbnail is the frame near the middle in which they have most contrast, because they
            may be shut in the middle.
    """

    def __init__(self, reference: Image, request: Request, eyes: Box | None = None) -> None:
        self._fps = request.fps
        self._tile = tile_size(request.width, request.height)
        # shrunk as the frames are: two ways of shrinking would differ where nothing moved
        self._reference = reference
        self._wanted = set(checked_frames(request.num_frames))
        self._eyes = eyes
        middle = request.num_frames // 2
        step = max(1, round(request.fps * THUMBNAIL_STEP)) if eyes else 0
        self._candidates = {middle + step * number for number in range(-4, 5)}
        self._candidates &= set(range(request.num_frames))
        self._contrast = -1.0
        self._tiles: dict[int, Image] = {}
        self._differences: dict[int, float] = {}
        self._thumbnail: Image | None = None

    def add(self, index: int, pixels: Image) -> None:
        """Take what is needed of frame ``index``."""
        if index in self._wanted:
            self._tiles[index] = shrink(pixels, *self._tile)
            self._differences[index] = mean_difference(pixels, self._reference)
        if index in self._candidates and (contrast := self._contrast_of(pixels)) > self._contrast:
            self._contrast = contrast
            self._thumbnail = thumbnail(pixels)

    def _contrast_of(self, pixels: Image) -> float:
        """Of the eyes: the standard deviation of their brightness, levels."""
        if self._eyes is None:
            return 0.0
        left, top = max(0, round(self._eyes.left)), max(0, round(self._eyes.top))
        right = max(0, round(self._eyes.left + self._eyes.width))
        bottom = max(0, round(self._eyes.top + self._eyes.height))
        area = pixels[top:bottom, left:right]
        return float(area.mean(axis=-1).std()) if area.size else 0.0

    def write(self, folder: Path, *, title: str) -> None:
        """Write contact sheet and thumbnail."""
        sheet = contact_sheet(
            shrink(self._reference, *self._tile),
            self._tiles,
            self._differences,
            self._fps,
            title=title,
        )
        write_jpeg(folder / COMPANIONS["contact_sheet"], sheet)
        if self._thumbnail is not None:
            write_jpeg(folder / COMPANIONS["thumbnail"], self._thumbnail)
