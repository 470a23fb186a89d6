"""What a HEIF or AVIF container says of its picture: the codec, and the colours without ICC.

Boxes are those of ISO/IEC 14496-12 and 23008-12. What cannot be read is left out: the decoder
decides whether the file is damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

DECODED = {"hvc1", "av01"}
"""Item types that can be decoded here: HEVC and AV1."""

OTHER_CODECS = {
    "j2k1": "JPEG 2000",
    "jpeg": "JPEG",
    "avc1": "H.264",
    "vvc1": "VVC",
    "evc1": "EVC",
    "unci": "uncompressed pixels",
}
"""Item types that cannot, by name."""


MAX_ENTRIES = 10_000
"""Boxes in a box, and items, that are read; phones write some 100. Bounds time on hostile files."""


@dataclass(frozen=True, slots=True)
class HeifFacts:
    """What was found.

    Attributes:
        unsupported: the codec, where every coded item has one that cannot be decoded here.
        color: colour primaries and transfer (ITU-T H.273) of the primary item's ``nclx``.
    """

    unsupported: str | None = None
    color: tuple[int, int] | None = None


def read_heif(data: bytes) -> HeifFacts:
    """Read the ``meta`` box of a file."""
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError):
        return HeifFacts()


def _read(data: bytes) -> HeifFacts:
    found = next((span for kind, *span in _boxes(data, 0, len(data)) if kind == b"meta"), None)
    if found is None:
        return HeifFacts()
    meta = {kind: (start, end) for kind, start, end in _boxes(data, found[0] + 4, found[1])}
    types = _item_types(data, *meta[b"iinf"]) if b"iinf" in meta else set()
    unsupported = None
    if not types & DECODED:
        unsupported = next((OTHER_CODECS[t] for t in sorted(types) if t in OTHER_CODECS), None)
    color = None
    if b"iprp" in meta and b"pitm" in meta:
        color = _color(data, *meta[b"iprp"], item=_primary(data, meta[b"pitm"][0]))
    return HeifFacts(unsupported, color)


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of every box in a range."""
    for _ in range(MAX_ENTRIES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            size, header = struct.unpack_from(">Q", data, start + 8)[0], 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            return
        yield kind, start + header, start + size
        start += size


def _primary(data: bytes, start: int) -> int:
    form = ">H" if data[start] == 0 else ">I"
    item: int = struct.unpack_from(form, data, start + 4)[0]
    return item


def _item_types(data: bytes, start: int, end: int) -> set[str]:
    first = start + (6 if data[start] == 0 else 8)
    types = set()
    for kind, inside, _ in _boxes(data, first, end):
        if kind == b"infe" and data[inside] >= 2:
            at = inside + (8 if data[inside] == 2 else 10)
            types.add(data[at : at + 4].decode("latin-1"))
    return types


def _color(data: bytes, start: int, end: int, *, item: int) -> tuple[int, int] | None:
    """The ``nclx`` among the properties of ``item``."""
    spans = {kind: (first, last) for kind, first, last in _boxes(data, start, end)}
    if b"ipco" not in spans or b"ipma" not in spans:
        return None
    properties = list(_boxes(data, *spans[b"ipco"]))
    for index in _associated(data, spans[b"ipma"][0], item):
        if not 0 < index <= len(properties):
            continue
        kind, first, _ = properties[index - 1]
        if kind == b"colr" and data[first : first + 4] == b"nclx":
            primaries, transfer = struct.unpack_from(">HH", data, first + 4)
            return primaries, transfer
    return None


def _associated(data: bytes, start: int, item: int) -> list[int]:
    """Numbers, from 1, of the properties of ``item`` by an ``ipma`` box."""
    version, wide = data[start], data[start + 3] & 1
    entries, at = struct.unpack_from(">I", data, start + 4)[0], start + 8
    for _ in range(min(entries, MAX_ENTRIES)):
        form = ">HB" if version < 1 else ">IB"
        found, count = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        size, mask = (2, 0x7FFF) if wide else (1, 0x7F)
        if found == item:
            return [
                int.from_bytes(data[at + size * i : at + size * (i + 1)], "big") & mask
                for i in range(count)
            ]
        at += size * count
    return []
