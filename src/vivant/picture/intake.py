"""A picture file → a :class:`vivant.types.Portrait`: upright sRGB with the framing chosen.

::

    source.py   bytes, bounded; which format they are
    decode.py   pixels, upright, within limits
    color.py    any mode and profile → sRGB
    crop.py     the part to show, by the faces
    crop_by_hand.py  the part that a person chose
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from vivant.crop_area import ROTATIONS, Framing, Rotation
from vivant.errors import OptionError
from vivant.picture.crop import choose_crop
from vivant.picture.crop_by_hand import chosen_crop, crop_around, shown_faces
from vivant.picture.decode import Decode, Decoded, decode
from vivant.picture.face_mesh import PRESENT
from vivant.picture.faces import FaceReader
from vivant.picture.matte import SOFT_SIDE, head_place
from vivant.picture.source import SUPPORTED, ImageLimits, read_bytes, short_printable
from vivant.types import Box, Face, Image, Portrait, Source

__all__ = ["SUPPORTED", "ImageLimits", "find_faces", "load_portrait"]

SEARCH_SIDES = (640, 1280, 2560)
"""Longer side, pixels, at which faces are searched, until some are found."""


TURNS: dict[Rotation, str] = {
    180: "be upside down",
    270: "lie on its side, its top on the right",
    90: "lie on its side, its top on the left",
}
"""Degrees clockwise that bring a picture upright → what is wrong with it."""

HAND_CROP_OVERSAMPLING = 2
"""How many times more pixels of a picture are decoded, along a side, where the crop was chosen by
hand: one of a fifth of the picture's width still has all that the clip can show."""

SURE = 0.4
"""HOG margin from which a face counts beside others. Folds of a suit, larger than the face, were
found at 0.06 … 0.26 in one portrait, according to how it was compressed; second people of two
pictures at 0.5 and 1.6."""


_NO_FACE_IN_PART = (
    "the part chosen shows no face, so identity cannot be measured: choose a part with one"
)

AUTOMATIC = Framing()
"""Nothing was decided: the faces choose the crop."""


def load_portrait(
    image: Path | bytes,
    *,
    width: int,
    height: int,
    limits: ImageLimits | None = None,
    reader: FaceReader | None = None,
    decoder: Decode = decode,
    framing: Framing = AUTOMATIC,
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
        framing: what a person decided: crop, focus, rotation. Faces outside of a crop that was
            chosen by hand are left out of the portrait.

    Raises:
        ImageError: the picture cannot be used; ``error_code`` says why.
        OptionError: ``framing`` is not possible in this picture.
        OutOfMemoryError: this machine cannot decode it.
    """
    if width < 1 or height < 1:
        raise OptionError(f"size {width}x{height} is not possible: use 1920x1080", param="size")
    limits = limits or ImageLimits()
    data = read_bytes(image, limits)
    name = short_printable(image.name) if isinstance(image, Path) else "the picture"
    decoded = _decode_upright(decoder, data, name, width, height, limits, framing)
    reader = reader or FaceReader()
    faces = find_faces(reader, decoded.pixels)
    turn = 0 if faces else upright_rotation(reader, decoded.pixels)
    if not faces and not turn:
        faces = reader.detect_covered(decoded.pixels)
    by_hand = framing.crop is not None or framing.focus is not None
    head_at = None if faces or by_hand else _head_at(decoded.pixels)
    crop, cut = _crop(decoded, faces, framing, width / height, head_at)
    shown_here = shown_faces(faces, crop) if by_hand else faces
    rows, columns = decoded.pixels.shape[:2]
    notes = [
        *decoded.warnings,
        _NO_FACE_IN_PART
        if by_hand and not shown_here
        else _about_faces(shown_here, _place(columns, rows, crop, head_at)),
        cut,
        _about_position(turn, framing),
        _about_size(decoded, crop, width, height),
    ]
    return Portrait(
        pixels=decoded.pixels,
        crop=crop,
        faces=shown_here,
        source=Source(
            name=name,
            format=decoded.format,
            width=decoded.width,
            height=decoded.height,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        ),
        warnings=tuple(note for note in notes if note),
        suggested_rotation=_turned(framing, turn) if turn else framing.rotate,
    )


def _decode_upright(
    decoder: Decode,
    data: bytes,
    name: str,
    width: int,
    height: int,
    limits: ImageLimits,
    framing: Framing,
) -> Decoded:
    """The picture, turned as the person said."""
    factor = 1 if framing.crop is None else HAND_CROP_OVERSAMPLING
    target = width * factor, height * factor
    if framing.rotate in (90, 270):
        target = target[1], target[0]
    decoded = decoder(data, name, *target, limits)
    if not framing.rotate:
        return decoded
    pixels = np.ascontiguousarray(np.rot90(decoded.pixels, -framing.rotate // 90))
    size = decoded.width, decoded.height
    across, down = size if framing.rotate == 180 else size[::-1]
    return replace(decoded, pixels=pixels, width=across, height=down)


def _crop(
    decoded: Decoded,
    faces: tuple[Face, ...],
    framing: Framing,
    aspect: float,
    head_at: tuple[float, float] | None,
) -> tuple[Box, str | None]:
    """The part to show in pixels of ``decoded.pixels``, and a sentence about it."""
    rows, columns = decoded.pixels.shape[:2]
    reduced = columns / decoded.width
    if framing.crop is not None:
        crop, note = chosen_crop(framing.crop, decoded.width, decoded.height, aspect)
        return crop.scaled(reduced), note
    if framing.focus is not None:
        around = crop_around(framing.focus, decoded.width, decoded.height, aspect)
        return around.scaled(reduced), None
    return choose_crop(columns, rows, faces, aspect, head_at)


def _head_at(pixels: Image) -> tuple[float, float] | None:
    """The head of a person whose face was not found, in pixels of ``pixels``."""
    small = _reduced(pixels, SOFT_SIDE)
    place = head_place(small)
    if place is None:
        return None
    factor = pixels.shape[1] / small.shape[1]
    return place[0] * factor, place[1] * factor


def _place(columns: int, rows: int, crop: Box, head_at: tuple[float, float] | None) -> str:
    """What of a picture without a face is shown, in words."""
    if head_at is not None:
        return "person's part"
    return "top" if rows > columns and crop.height < rows else "middle"


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


def _about_faces(faces: tuple[Face, ...], place: str) -> str | None:
    if not faces:
        return (
            f"no face was found, so the {place} of the picture is shown and "
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


def upright_rotation(reader: FaceReader, pixels: Image) -> Rotation:
    """Degrees clockwise by which a face is seen, where none was found; 0 if there is none."""
    small = _reduced(pixels, SEARCH_SIDES[0])
    for degrees in TURNS:
        turned = np.ascontiguousarray(np.rot90(small, -degrees // 90))
        faces = reader.detect(turned, max_side=SEARCH_SIDES[0], max_enlargement=2.0)
        if any(face.score >= SURE for face in faces):
            return degrees
    return 0


def _about_position(degrees: Rotation, framing: Framing) -> str | None:
    """A sentence where the picture has to be turned."""
    if not degrees:
        return None
    rotate = _turned(framing, degrees)
    return f"the picture seems to {TURNS[degrees]}: turn it and try again (rotate {rotate})"


def _turned(framing: Framing, degrees: Rotation) -> Rotation:
    """The rotation of ``framing``, and ``degrees`` more."""
    return ROTATIONS[(framing.rotate + degrees) // 90 % 4]


def _reduced(pixels: Image, side: int) -> Image:
    """At most ``side`` pixels long."""
    factor = side / max(pixels.shape[:2])
    if factor >= 1:
        return pixels
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


def _about_size(decoded: Decoded, crop: Box, width: int, height: int) -> str | None:
    """A sentence where the source is smaller than the clip."""
    scale = width / crop.width
    if scale <= 1.005:
        return None
    return (
        f"the picture gives {round(crop.width)}×{round(crop.height)} for a {width}×{height} clip: "
        f"it will be enlarged {scale:.1f}× and look soft; use one of at least "
        f"{math.ceil(decoded.width * scale - 0.01)}×{math.ceil(decoded.height * scale - 0.01)}"
    )
