"""A picture file → a :class:`vivant.types.Portrait`: upright sRGB with the framing chosen.

::

    source.py   bytes, bounded; which format they are
    decode.py   pixels, upright, within limits
    color.py    any mode and profile → sRGB
    crop.py     the part to show
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import cv2
import numpy as np

from vivant.errors import OptionError
from vivant.picture.crop import choose_crop
from vivant.picture.decode import Decode, decode
from vivant.picture.face_mesh import PRESENT
from vivant.picture.faces import FaceReader
from vivant.picture.source import SUPPORTED, ImageLimits, read_bytes, shown
from vivant.types import Box, Face, Image, Portrait, Source

__all__ = ["SUPPORTED", "ImageLimits", "find_faces", "load_portrait"]

SEARCH_SIDES = (640, 1280, 2560)
"""Longer side, pixels, at which faces are searched, until some are found."""


TURNS = {
    2: "be upside down",
    1: "lie on its side, its top on the right",
    3: "lie on its side, its top on the left",
}
"""Quarter turns anticlockwise that bring a picture upright → what is wrong with it."""

SURE = 0.4
"""HOG margin from which a face counts beside others. Folds of a suit, larger than the face, were
found at 0.06 … 0.26 in one portrait, according to how it was compressed; second people of two
pictures at 0.5 and 1.6."""


def load_portrait(
    image: Path | bytes,
    *,
    width: int,
    height: int,
    limits: ImageLimits | None = None,
    reader: FaceReader | None = None,
    decoder: Decode = decode,
) -> Portrait:
    """Read, decode, turn upright, convert to sRGB, find the faces, choose the crop.

    A picture of far more pixels than a clip of ``width`` × ``height`` can show is reduced while
    it is decoded (:data:`vivant.picture.decode.OVERSAMPLING`); ``source`` keeps its true size.

    Args:
        image: a path, or the bytes of a picture file.
        width: of the finished clip, pixels.
        height: of the finished clip, pixels.
        limits: what is accepted; the defaults of :class:`ImageLimits` where not given.
        reader: reused where given; making one takes half a second.
        decoder: bytes, name, width, height, limits → pixels; the service's runs in a process that
            can be killed.

    Raises:
        ImageError: the picture cannot be used; ``error_code`` says why.
        OutOfMemoryError: this machine cannot decode it.
    """
    if width < 1 or height < 1:
        raise OptionError(f"size {width}x{height} is not possible: use 1920x1080", param="size")
    limits = limits or ImageLimits()
    data = read_bytes(image, limits)
    name = shown(image.name) if isinstance(image, Path) else "the picture"
    decoded = decoder(data, name, width, height, limits)
    reader = reader or FaceReader()
    faces = find_faces(reader, decoded.pixels)
    position = None if faces else _about_position(reader, decoded.pixels)
    if not faces and position is None:
        faces = reader.detect_covered(decoded.pixels)
    rows, columns = decoded.pixels.shape[:2]
    crop, cut = choose_crop(columns, rows, faces, width / height)
    notes = [
        *decoded.warnings,
        _about_faces(faces, tall=rows > columns and crop.height < rows),
        cut,
        position,
        _about_size(decoded.width, decoded.height, crop, width, height),
    ]
    return Portrait(
        pixels=decoded.pixels,
        crop=crop,
        faces=faces,
        source=Source(
            name=name,
            format=decoded.format,
            width=decoded.width,
            height=decoded.height,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        ),
        warnings=tuple(note for note in notes if note),
    )


def find_faces(reader: FaceReader, pixels: Image) -> tuple[Face, ...]:
    """Faces, largest first, by the coarsest search that finds any.

    The detector knows faces of 80 px and more. A face an eighth of the picture's side is found
    at once, one of a thirty-second in the last of the searches (0.09, 0.2 and 0.6 s of a 13 Mpx
    picture); small pictures are enlarged up to twice for those.
    """
    longer = max(pixels.shape[:2])
    searched = 0
    for side in SEARCH_SIDES:
        enlargement = 2.0 if searched else 1.0
        reachable = min(side, round(longer * enlargement))
        if reachable <= searched:
            break
        searched = reachable
        faces = reader.detect(pixels, max_side=side, max_enlargement=enlargement)
        found = tuple(face for face in faces if face.score >= SURE)
        found = found or tuple(face for face in faces if _has_points(reader, pixels, face))
        if found:
            return found
    return ()


def _has_points(reader: FaceReader, pixels: Image, face: Face) -> bool:
    """Whether the mesh sees a face where the detector is unsure of one (a badge, a fold)."""
    mesh = reader.mesh.read(pixels, face)
    (x, y), (left, top) = mesh.box.center, face.box.center
    return mesh.presence >= PRESENT and math.hypot(x - left, y - top) < face.box.width / 2


def _about_faces(faces: tuple[Face, ...], *, tall: bool) -> str | None:
    if not faces:
        return (
            f"no face was found, so the {'top' if tall else 'middle'} of the picture is shown and "
            "identity cannot be measured: use a picture with a sharp face seen from the front"
        )
    if faces[0].covered:
        return (
            "the face is partly covered or turned away, so identity cannot be measured: use a "
            "picture with the whole face seen from the front"
        )
    if len(faces) > 1:
        return f"{len(faces)} faces were found: the clip is about the largest one"
    return None


def _about_position(reader: FaceReader, pixels: Image) -> str | None:
    """A sentence where a face is seen once the picture is turned; asked where none was found."""
    small = _reduced(pixels, SEARCH_SIDES[0])
    for turns, how in TURNS.items():
        turned = np.ascontiguousarray(np.rot90(small, turns))
        faces = reader.detect(turned, max_side=SEARCH_SIDES[0], max_enlargement=2.0)
        if any(face.score >= SURE for face in faces):
            return f"the picture seems to {how}: turn it and try again"
    return None


def _reduced(pixels: Image, side: int) -> Image:
    """At most ``side`` pixels long."""
    factor = side / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _about_size(across: int, down: int, crop: Box, width: int, height: int) -> str | None:
    """A sentence where the source is smaller than the clip."""
    scale = width / crop.width
    if scale <= 1.005:
        return None
    return (
        f"the picture gives {round(crop.width)}×{round(crop.height)} for a {width}×{height} clip: "
        f"it will be enlarged {scale:.1f}× and look soft; use one of at least "
        f"{math.ceil(across * scale - 0.01)}×{math.ceil(down * scale - 0.01)}"
    )
