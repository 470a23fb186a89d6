"""Tell camera RAW files, which hold a small preview that a decoder would take for the picture."""

from __future__ import annotations

import struct
from typing import Final

DNG_VERSION: Final = 0xC612
NEW_SUBFILE_TYPE: Final = 0x00FE
SUB_IFDS: Final = 0x014A
"""Tags of TIFF 6.0, of its supplement 1, and of DNG 1.4."""

MAX_ENTRIES: Final = 1000
"""Of the first directory; cameras write some 50."""

_SIGNATURES: Final = (
    (b"II*\0\x10\0\0\0CR", "CR2"),
    (b"IIU\0", "RW2"),
    (b"IIRO", "ORF"),
    (b"IIRS", "ORF"),
    (b"MMOR", "ORF"),
    (b"FUJIFILMCCD-RAW", "RAF"),
    (b"FOVb", "X3F"),
)


def raw_kind(data: bytes) -> str | None:
    """Name of the RAW format, e.g. ``DNG``; None where the file is none.

    NEF, ARW, PEF and others are TIFF files whose first picture is a reduced one and whose full
    one stands in a sub-directory: they are ``RAW``.
    """
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[4:12] == b"ftypcrx ":
        return "CR3"
    tags = _first_directory(data)
    if DNG_VERSION in tags:
        return "DNG"
    return "RAW" if SUB_IFDS in tags and tags.get(NEW_SUBFILE_TYPE, 0) & 1 else None


def _first_directory(data: bytes) -> dict[int, int]:
    """Tag → first 4 bytes of its value, of a TIFF file's first directory; empty for others."""
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return {}
    order = "<" if data[:2] == b"II" else ">"
    try:
        at = struct.unpack_from(f"{order}I", data, 4)[0]
        count = min(struct.unpack_from(f"{order}H", data, at)[0], MAX_ENTRIES)
        entries = (struct.unpack_from(f"{order}HHII", data, at + 2 + 12 * i) for i in range(count))
        return {tag: value for tag, _, _, value in entries}
    except struct.error:
        return {}
