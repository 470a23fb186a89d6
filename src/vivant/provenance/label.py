"""A small text in the pictures themselves: "Made with AI", at a corner that covers no face.

Off by default. The checks do not judge it: they see each frame with the label's pixels replaced by
those that it covers (:meth:`Label.lifted`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vivant.errors import OptionError
from vivant.picture.framing import face_in_frame
from vivant.provenance.facts import GENERATED, SOURCE_TYPES
from vivant.provenance.label_text import LANGUAGES, check_text
from vivant.settings import Settings
from vivant.types import Box, Clip, Frames, Image, Portrait, Request

if TYPE_CHECKING:
    from collections.abc import Generator

TEXT_HEIGHT = 0.028
"""Of a line of the label, as a part of the frame's shorter side; at least :data:`MIN_HEIGHT`."""

MIN_HEIGHT = 10
"""Pixels; smaller letters cannot be read."""

MARGIN = 0.02
"""Distance from the edges, as a part of the frame's shorter side."""

MAX_WIDTH = 0.9
"""Of the frame; a longer text is refused."""

BACKGROUND = 0.55
"""How much darker the frame is behind the text."""

FACE_REACH = 0.4
"""Of a face's box, on every side, that the label keeps away from: hair, chin, movement."""

Mask = npt.NDArray[np.float32]
"""How much of the text's colour each pixel gets, ``[h, w]``, 0 … 1."""


class Label:
    """The label of one clip.

    Args:
        mask: of the text.
        box: where it stands, whole pixels of the frame.
        num_frames: that carry it, from the first on.

    Attributes:
        text: what it says.
    """

    def __init__(self, text: str, mask: Mask, box: Box, num_frames: int) -> None:
        self.text = text
        left, top = int(box.left), int(box.top)
        self._rows = slice(top, top + int(box.height))
        self._columns = slice(left, left + int(box.width))
        padded = np.zeros((int(box.height), int(box.width)), np.float32)
        height, width = mask.shape
        y, x = (padded.shape[0] - height) // 2, (padded.shape[1] - width) // 2
        padded[y : y + height, x : x + width] = mask
        self._mask = padded[..., None]
        self._num_frames, self._drawn, self._seen = num_frames, 0, 0
        self._covered: deque[Image] = deque()

    def on(self, clip: Clip) -> Clip:
        """``clip`` with the label in its frames."""
        return replace(clip, chunks=self._labelled(clip.chunks))

    def lifted(self, pixels: Image) -> Image:
        """The next frame as the encoder gave it back, without the label.

        Frames come in order, as they were drawn; another thread may call this.
        """
        self._seen += 1
        if self._seen > self._num_frames:
            return pixels
        out = pixels.copy()
        out[self._rows, self._columns] = self._covered.popleft()
        return out

    def _labelled(self, chunks: Iterator[Frames]) -> Generator[Frames, None, None]:
        with closing(_closable(chunks)) as source:
            for chunk in source:
                count = min(len(chunk), self._num_frames - self._drawn)
                if count <= 0:
                    yield chunk
                    continue
                frames = chunk.copy()
                for frame in frames[:count]:
                    part = frame[self._rows, self._columns]
                    self._covered.append(part.copy())
                    part[:] = self._blended(part)
                self._drawn += count
                yield frames

    def _blended(self, part: Image) -> Image:
        dark = part * np.float32(1 - BACKGROUND)
        mixed: Image = np.rint(dark + (255 - dark) * self._mask).astype(np.uint8)
        return mixed


def label_for(request: Request, portrait: Portrait, settings: Settings) -> Label | None:
    """The label of a clip; None where neither the request nor the operator wants one.

    Raises:
        OptionError: it cannot be drawn, see :func:`vivant.provenance.label_text.check_text`.
    """
    chosen = request.label or settings.label
    if not chosen:
        return None
    width, height = request.width, request.height
    check_text(chosen, font=settings.label_font is not None)
    text, mask = _mask(chosen, request, settings)
    short = min(width, height)
    padding, margin = round(mask.shape[0] * 0.35), round(short * MARGIN)
    size = (
        mask.shape[1] + 2 * padding,
        mask.shape[0] + padding,
    )
    faces = [_reach(face_in_frame(f, portrait.crop, width, height).box) for f in portrait.faces]
    box = corner(size, (width, height), margin, faces)
    count = request.num_frames
    if request.label_seconds is not None:
        count = min(count, max(1, round(request.label_seconds * request.fps)))
    return Label(text, mask, box, count)


def corner(size: tuple[int, int], frame: tuple[int, int], margin: int, faces: list[Box]) -> Box:
    """The corner where the label covers least of the faces; of equals the first, bottom right.

    Args:
        size: width and height of the label, pixels.
        frame: width and height of the frame.
        margin: distance from the edges.
        faces: what should stay free.
    """
    right, bottom = frame[0] - margin - size[0], frame[1] - margin - size[1]
    corners = ((right, bottom), (margin, bottom), (right, margin), (margin, margin))
    boxes = [Box(x, y, *size) for x, y in corners]
    return min(boxes, key=lambda box: sum(box.shared_area(face) for face in faces))


def _reach(face: Box) -> Box:
    dx, dy = face.width * FACE_REACH, face.height * FACE_REACH
    return Box(face.left - dx, face.top - dy, face.width + 2 * dx, face.height + 2 * dy)


def _mask(chosen: str, request: Request, settings: Settings) -> tuple[str, Mask]:
    """The text and its mask at the size of the frame."""
    height = max(MIN_HEIGHT, round(min(request.width, request.height) * TEXT_HEIGHT))
    generated = SOURCE_TYPES.get(request.engine, GENERATED) == GENERATED
    if chosen in LANGUAGES:
        text, mask = _ready_made(chosen, generated=generated)
    else:
        text, mask = chosen, _drawn(chosen, settings.label_font)
    from PIL import Image as PillowImage

    width = max(1, round(mask.shape[1] * height / mask.shape[0]))
    if width > request.width * MAX_WIDTH:
        raise OptionError(
            f"label of {len(text)} characters is wider than the clip: use a shorter one",
            param="label",
        )
    small = PillowImage.fromarray(mask).resize((width, height), PillowImage.Resampling.BOX)
    return text, np.asarray(small, np.float32) / np.float32(255)


def _ready_made(language: str, *, generated: bool) -> tuple[str, npt.NDArray[np.uint8]]:
    from PIL import Image as PillowImage

    name = f"{language}_{'generated' if generated else 'altered'}"
    with (files(__package__) / "label_texts" / f"{name}.png").open("rb") as file:
        return TEXTS[name], np.asarray(PillowImage.open(file).convert("L"))


TEXTS = {
    "ko_generated": "AI로 만든 영상",
    "en_generated": "Made with AI",
    "ko_altered": "사진을 움직인 영상",
    "en_altered": "Animated from a photo",
}
"""Pictures of these texts are in ``label_texts/``, drawn with Noto Sans CJK Bold (SIL OFL 1.1)."""


def _drawn(text: str, font_file: Path | None) -> npt.NDArray[np.uint8]:
    """A text of the user's own."""
    from PIL import Image as PillowImage
    from PIL import ImageDraw, ImageFont

    font: Any
    if font_file is None:
        font = ImageFont.load_default(84)
    else:
        try:
            font = ImageFont.truetype(str(font_file.expanduser()), 84)
        except OSError as error:
            raise OptionError(
                f"the font that VIVANT_LABEL_FONT names cannot be read ({error})", param="label"
            ) from None
    box = font.getbbox(text)
    line = font.getbbox("AÅgjy영")
    top, bottom = min(box[1], line[1]), max(box[3], line[3])
    picture = PillowImage.new("L", (int(box[2] - box[0]) + 4, int(bottom - top) + 4), 0)
    ImageDraw.Draw(picture).text((2 - box[0], 2 - top), text, 255, font)
    return np.asarray(picture)


def _closable(chunks: Iterator[Frames]) -> Generator[Frames, None, None]:
    yield from chunks
