"""The bytes of a picture → upright 8-bit sRGB pixels, within limits of size and memory.

Each format's decoder is named here and called directly, so that no other of Pillow's sixty can
ever be reached by hostile bytes. One picture is decoded at a time in a process. Knows nothing
of faces or crops.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pi_heif import options as heif_options
from pi_heif.as_plugin import HeifImageFile
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from vivant.errors import ImageError, OutOfMemoryError
from vivant.picture.code_points import SourceColor
from vivant.picture.color import ToSrgb, UnsupportedModeError
from vivant.picture.heif_boxes import read_heif
from vivant.picture.jpeg_scans import count_scans
from vivant.picture.png_color import png_color
from vivant.picture.source import ImageLimits, damaged, refuse, sniff, truncated, webp_size
from vivant.types import Image

OVERSAMPLING = 2.5
"""Source pixels per pixel of the clip, along one side, beyond which more cannot be seen."""

ORIENTATION = 0x0112
"""EXIF 2.32, 4.6.4: 1 … 8, where the stored picture's first row and column belong."""

STRIP_PIXELS = 1 << 21
"""Converted at a time: what comes after the decoder adds no more than some 30 MB."""


@dataclass(frozen=True)
class Decoder:
    """A Pillow plugin class, and bytes per pixel it takes at its peak (bench/image_memory.py)."""

    plugin: type[ImageFile.ImageFile]
    bytes_per_pixel: float


DECODERS: dict[str, Decoder] = {
    "JPEG": Decoder(JpegImagePlugin.JpegImageFile, 6),
    "PNG": Decoder(PngImagePlugin.PngImageFile, 6),
    "WebP": Decoder(WebPImagePlugin.WebPImageFile, 18),
    "AVIF": Decoder(AvifImagePlugin.AvifImageFile, 12),
    "HEIC": Decoder(HeifImageFile, 10),
    "GIF": Decoder(GifImagePlugin.GifImageFile, 4),
    "BMP": Decoder(BmpImagePlugin.BmpImageFile, 8.5),
    "TIFF": Decoder(TiffImagePlugin.TiffImageFile, 11),
}

_TURNS = {3: 2, 4: 2, 5: 1, 6: -1, 7: -1, 8: 1}
"""Orientation → quarter turns anticlockwise, after the mirroring of 2, 4, 5 and 7."""

# Only the picture is wanted; what is not parsed cannot be attacked.
heif_options.THUMBNAILS = heif_options.DEPTH_IMAGES = heif_options.AUX_IMAGES = False

_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, eq=False)
class Decoded:
    """``pixels`` may be fewer than the file's ``width`` × ``height``, both upright."""

    pixels: Image
    format: str
    width: int
    height: int
    warnings: tuple[str, ...]


Decode: TypeAlias = Callable[[bytes, str, int, int, ImageLimits], Decoded]
"""What :func:`decode` takes and gives."""


def decode(data: bytes, name: str, width: int, height: int, limits: ImageLimits) -> Decoded:
    """Decode for a clip of ``width`` × ``height``; see :data:`OVERSAMPLING`.

    Raises:
        ImageError: not a picture, not supported, damaged, or beyond ``limits``.
        OutOfMemoryError: this machine has less memory than the limits allow for.
    """
    kind = sniff(data, name)
    if kind == "WebP":
        # Its decoder allocates two canvases before it tells how large they are.
        size = webp_size(data)
        if size is None:
            raise damaged(name)
        _check_size(size, kind, name, limits)
    with _guarded(name):
        image = DECODERS[kind].plugin(BytesIO(data))
        _check_size(image.size, kind, name, limits)
        notes = []
        if getattr(image, "is_animated", False):
            notes.append(f"{name} has several pictures ({kind}): only the first one is used")
        true_size = image.size
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            _check_scans(data, image.size, name, limits)
            factor = _reduction(image.size, _orientation(image), width, height)
            if factor > 1:
                image.draft(None, (image.width // factor, image.height // factor))
        image.load()
        if kind != "JPEG":
            true_size = image.size  # a HEIC or TIFF may turn only now
            _check_size(true_size, kind, name, limits)
        orientation = _orientation(image)
        convert = ToSrgb(image, _color(data, kind, image))
        factor = _reduction(image.size, orientation, width, height)
        pixels = _upright(_convert(image, convert, factor), orientation)
    notes += convert.warnings
    if convert.transparent:
        notes.append("the picture has transparent parts: they are shown as neutral grey")
    if orientation >= 5:
        true_size = true_size[1], true_size[0]
    return Decoded(pixels, kind, *true_size, tuple(notes))


def _color(data: bytes, kind: str, image: ImageFile.ImageFile) -> SourceColor | None:
    """Colours that the file tells without an ICC profile."""
    if kind == "PNG":
        return png_color(data, image.info)
    if kind in ("HEIC", "AVIF") and (points := read_heif(data).color) is not None:
        return SourceColor.from_code_points(*points)
    return None


@contextmanager
def _guarded(name: str) -> Iterator[None]:
    """Whatever a decoder does to itself on hostile bytes becomes one :class:`ImageError`.

    Decoders warn of oddities that are no concern of the user's. The interpreter's warning
    filters belong to the whole process (before Python 3.14), hence the lock.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except ImageError:
            raise
        except MemoryError:
            raise OutOfMemoryError(
                f"{name} needs more memory to decode than this machine has: save it smaller",
                param="image",
            ) from None
        except UnsupportedModeError as error:
            raise refuse(
                f"{name} has {_MODE_NAMES.get(str(error), str(error))} pixels: "
                "export it as 8- or 16-bit sRGB",
                "image_mode_not_supported",
            ) from None
        except Exception as error:  # C libraries and their wrappers raise anything
            text = str(error).lower()
            short = any(word in text for word in ("truncat", "end of file", "end-of-file", "eof"))
            raise (truncated(name) if short else damaged(name)) from error


_MODE_NAMES = {"F": "floating-point", "I": "32-bit integer", "LAB": "Lab"}


def _check_size(size: tuple[int, int], kind: str, name: str, limits: ImageLimits) -> None:
    """Refuse what is too small to animate or too large to decode."""
    width, height = size
    if min(size) < limits.min_side:
        raise refuse(
            f"{name} has {width}×{height} pixels, and at least {limits.min_side} on each side "
            "are needed: use a larger picture",
            "image_too_small",
        )
    if max(size) > limits.max_side:
        raise refuse(
            f"{name} has {width}×{height} pixels, and no side may exceed {limits.max_side}: "
            "save it smaller",
            "image_side_too_long",
        )
    if width * height > limits.max_pixels:
        raise refuse(
            f"{name} has {width}×{height} = {width * height / 1e6:.1f} million pixels, more than "
            f"the {limits.max_pixels / 1e6:g} million allowed: save it smaller",
            "image_too_many_pixels",
        )
    needed = width * height * DECODERS[kind].bytes_per_pixel
    if needed > limits.max_decoded_bytes:
        raise refuse(
            f"{name} has {width * height / 1e6:.1f} million pixels, and decoding them from {kind} "
            f"takes {needed / 1e6:.0f} MB of the {limits.max_decoded_bytes / 1e6:g} MB allowed: "
            "save it as JPEG or smaller",
            "image_too_many_pixels",
        )


def _check_scans(data: bytes, size: tuple[int, int], name: str, limits: ImageLimits) -> None:
    """Refuse a JPEG whose scans take too long."""
    if limits.max_scan_pixels is None:
        return
    most = limits.max_scan_pixels // (size[0] * size[1])
    scans = count_scans(data, most)
    if scans > most:
        raise refuse(
            f"{name} has {scans} scans of {size[0]}×{size[1]} pixels, more than the {most} allowed "
            "at that size, and would take too long to decode: save it again as PNG or as a plain "
            "JPEG",
            "image_too_slow",
        )


def _orientation(image: ImageFile.ImageFile) -> int:
    """1 … 8; 1 where the metadata is missing or makes no sense."""
    try:
        value = image.getexif().get(ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged metadata does not make a damaged picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _reduction(size: tuple[int, int], orientation: int, width: int, height: int) -> int:
    """The whole factor by which the picture may shrink and still show all a clip can."""
    across, down = size if orientation < 5 else (size[1], size[0])
    return max(1, math.ceil(min(across / width, down / height) / OVERSAMPLING))


def _convert(image: ImageFile.ImageFile, convert: ToSrgb, factor: int) -> Image:
    """All of ``image`` as sRGB, each ``factor``² pixels averaged into one."""
    width, height = image.size
    pixels = np.empty((-(-height // factor), -(-width // factor), 3), dtype=np.uint8)
    rows = factor * max(1, STRIP_PIXELS // (width * factor))
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = convert(image.crop((0, top, width, bottom)))
        if factor > 1:
            strip = strip.reduce(factor)
        first = top // factor
        pixels[first : first + strip.height] = np.asarray(strip)
    return pixels


def _upright(pixels: npt.NDArray[np.uint8], orientation: int) -> Image:
    """Undo the camera's position."""
    if orientation in (2, 4, 5, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(np.rot90(pixels, _TURNS.get(orientation, 0)))
