"""Picture files for the tests of image intake, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image as PillowImage
from skimage import data as samples

from vivant.picture.faces import FaceReader
from vivant.picture.intake import load_portrait
from vivant.types import Image, Portrait

DATA = Path(__file__).parents[1] / "data"

Colors: TypeAlias = Sequence[tuple[int, ...]]

RED, GREEN, BLUE, LIGHT = (200, 40, 40), (40, 160, 40), (40, 60, 200), (220, 220, 220)


@cache
def face_reader() -> FaceReader:
    """One for all tests: they run in one thread."""
    return FaceReader()


def quarters(width: int = 96, height: int = 64) -> Image:
    """Red, green over blue, light: every orientation looks different."""
    pixels = np.empty((height, width, 3), dtype=np.uint8)
    middle, center = height // 2, width // 2
    pixels[:middle, :center], pixels[:middle, center:] = RED, GREEN
    pixels[middle:, :center], pixels[middle:, center:] = BLUE, LIGHT
    return pixels


def corners(pixels: Image) -> list[tuple[int, ...]]:
    """Colours inside the top-left, top-right, bottom-left and bottom-right quarter."""
    height, width = pixels.shape[:2]
    places = [(y, x) for y in (height // 4, -height // 4) for x in (width // 4, -width // 4)]
    return [tuple(int(v) for v in pixels[place]) for place in places]


def near(found: Colors, wanted: Colors, levels: int = 4) -> bool:
    """Whether all colours agree within ``levels``."""
    return bool(np.abs(np.subtract(found, wanted)).max() <= levels)


def astronaut() -> Image:
    """The demonstration portrait, 512×512: face at (179, 83), 88 px."""
    return np.asarray(samples.astronaut(), dtype=np.uint8)  # type: ignore[no-untyped-call]


def saved(image: PillowImage.Image | Image, kind: str, **options: Any) -> bytes:
    """The bytes of an image file."""
    if not isinstance(image, PillowImage.Image):
        image = PillowImage.fromarray(image)
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def loaded(data: bytes | Path, width: int = 96, height: int = 64) -> Portrait:
    """A portrait for a tiny clip, so that nothing but the intake is seen."""
    return load_portrait(data, width=width, height=height, reader=face_reader())


def on_canvas(width: int, height: int, *places: tuple[int, int, float]) -> Image:
    """Astronauts' heads at ``(x, y)``, each enlarged so much, on grey."""
    canvas = PillowImage.new("RGB", (width, height), (150, 150, 150))
    for x, y, factor in places:
        head = PillowImage.fromarray(astronaut()[0:250, 100:350])
        side = round(250 * factor)
        canvas.paste(head.resize((side, side), PillowImage.Resampling.LANCZOS), (x, y))
    return np.asarray(canvas)


def slow_jpeg(scans: int) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    buffer = BytesIO()
    flat = PillowImage.new("L", (8000, 8000), 90)  # a scan of 1,000,000 blocks in few bytes
    flat.save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + b"\xff\xd9"
