from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vivant.errors import OutputError
from vivant.types import Box, Request
from vivant.video.files import COMPANIONS
from vivant.video.sheet import SheetCollector, contact_sheet, thumbnail, tile_size, write_jpeg


def test_tiles_follow_the_aspect() -> None:
    assert tile_size(1920, 1080) == (480, 270)
    width, height = tile_size(1080, 1920)
    assert (width, height) == (270, 480)


def test_the_sheet_shows_input_frames_and_differences() -> None:
    reference = np.full((27, 48, 3), 100, np.uint8)
    frames = {0: reference, 24: reference + np.uint8(10)}
    sheet = contact_sheet(reference, frames, {0: 0.0, 24: 10.0}, Fraction(24), title="t")
    assert sheet.shape[1] == 3 * (48 + 16) + 16
    colours = {tuple(int(v) for v in pixel) for pixel in sheet.reshape(-1, 3)}
    assert (100, 100, 100) in colours
    assert (110, 110, 110) in colours
    assert (40, 40, 40) in colours  # a difference of ten, four times stronger


def test_thumbnails_are_never_enlarged() -> None:
    assert thumbnail(np.zeros((1080, 1920, 3), np.uint8)).shape == (720, 1280, 3)
    assert thumbnail(np.zeros((90, 160, 3), np.uint8)).shape == (90, 160, 3)


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a\.jpg"):
        write_jpeg(tmp_path / "no" / "a.jpg", np.zeros((9, 9, 3), np.uint8))


def test_the_thumbnail_shows_open_eyes(tmp_path: Path) -> None:
    open_eyes = np.full((90, 160, 3), 150, np.uint8)
    open_eyes[30:36, 60:100] = 20
    shut = np.full((90, 160, 3), 150, np.uint8)
    request = Request(image=b"", width=160, height=90, num_frames=25)
    for eyes, frame in ((Box(50, 20, 60, 30), open_eyes), (None, shut)):
        collector = SheetCollector(open_eyes, request, eyes)
        for index in range(25):  # a blink in the middle
            collector.add(index, shut if 10 <= index <= 14 else open_eyes)
        collector.write(tmp_path, title="t")
        with Image.open(tmp_path / COMPANIONS["thumbnail"]) as picture:
            written = np.asarray(picture).astype(int)
        assert abs(written - frame).mean() < 2
