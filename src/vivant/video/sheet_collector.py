"""The frames of a clip that people look at: contact sheet and thumbnail, taken as frames pass.

Knows nothing of verdicts.
"""

from __future__ import annotations

from pathlib import Path

from vivant.grid import checked_frames
from vivant.picture.framing import mean_difference
from vivant.types import Image, Request
from vivant.video.files import COMPANIONS
from vivant.video.sheet import contact_sheet, shrink, thumbnail, tile_size, write_jpeg


class SheetCollector:
    """Keeps small copies of the frames people look at, and writes them as pictures.

    Args:
        reference: the input picture at the clip's size.
        request: what is being made.
    """

    def __init__(self, reference: Image, request: Request) -> None:
        self._fps = request.fps
        self._tile = tile_size(request.width, request.height)
        # shrunk as the frames are: two ways of shrinking would differ where nothing moved
        self._reference = reference
        self._wanted = set(checked_frames(request.num_frames))
        self._middle = request.num_frames // 2
        self._tiles: dict[int, Image] = {}
        self._differences: dict[int, float] = {}
        self._thumbnail: Image | None = None

    def look(self, index: int, pixels: Image) -> None:
        """Take what is needed of frame ``index``."""
        if index in self._wanted:
            self._tiles[index] = shrink(pixels, *self._tile)
            self._differences[index] = mean_difference(pixels, self._reference)
        if index == self._middle:
            self._thumbnail = thumbnail(pixels)

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
