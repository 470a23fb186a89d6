"""How many scans a JPEG has, without decoding it.

A decoder walks over the whole picture at each scan. Cameras and editors write one scan, or about
ten if the JPEG is progressive; thousands of empty ones fit into 1 MB and take minutes.
"""

from __future__ import annotations

import re

_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9

_MARKER = re.compile(rb"\xff+([^\x00\xff\xd0-\xd7])", re.DOTALL)
"""ITU-T T.81, B.1.1.2: in entropy-coded data 0xFF is followed by 0 or a restart marker."""


def count_scans(data: bytes, most: int = 0) -> int:
    """Scans of the first picture in a JPEG file.

    Args:
        data: the file.
        most: up to so many need not be counted exactly; that takes much less time.
    """
    quick = data.count(bytes((0xFF, _START_OF_SCAN)))  # also in metadata and thumbnails
    if quick <= most:
        return quick
    at, found = 2, 0
    while (marker := _MARKER.search(data, at)) is not None:
        kind, at = marker[1][0], marker.end()
        if kind == _END_OF_IMAGE:
            break
        found += kind == _START_OF_SCAN
        at += int.from_bytes(data[at : at + 2], "big")  # the segment's length
    return found
