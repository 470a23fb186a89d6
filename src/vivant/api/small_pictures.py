"""Small copies of a clip's pictures, for lists of clips.

A copy is made when it is first asked for, also of a clip that was made by an older version, and
kept beside its original. It goes with the other files of the clip. The originals are Vivant's own
JPEGs, never an upload, so that they are decoded in this process.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Final

from vivant.errors import StorageError
from vivant.service.job import REFERENCE, THUMBNAIL, key
from vivant.service.objects import Objects

LONGEST: Final = 256
"""Pixels of the longer side: a card of the gallery is about 180 wide."""

JPEG_QUALITY: Final = 62

SMALL: Final[Mapping[str, str]] = {
    THUMBNAIL: f"thumbnail-{LONGEST}.jpg",
    REFERENCE: f"reference-{LONGEST}.jpg",
}
"""Object that has a small copy → name of the copy."""


def small_copy(objects: Objects, job_id: str, name: str) -> str:
    """Name of the small copy of an object, made now if it is missing.

    Args:
        name: a key of :data:`SMALL`.

    Returns:
        ``name`` itself if no copy can be made: the original is missing, damaged, or there is no
        room for the copy. The caller then answers as it does for the original.
    """
    small = SMALL[name]
    try:
        if objects.head(key(job_id, small)) is None:
            objects.put(key(job_id, small), _reduced(objects.get(key(job_id, name))))
    except (StorageError, OSError):  # OSError: of Pillow, for a damaged picture
        return name
    return small


def _reduced(jpeg: bytes) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as picture:
        picture.thumbnail((LONGEST, LONGEST))  # decodes only as many pixels as this needs
        picture.save(file, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return file.getvalue()
