"""What the bytes of a video file tell before a demuxer reads it.

Order of ``moov`` and ``mdat`` and edit lists of MP4 and MOV (ISO/IEC 14496-12); the promised length
of Matroska, WebM (RFC 8794) and AVI.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(slots=True)
class Boxes:
    """What was found; all False where the container has no such box.

    Attributes:
        moov_first: the index stands before the frames, so playing can start while downloading.
        edit_list: an ``elst`` box does more than play the whole track from its first sample. A
            start at the first sample's composition time, as encoders with B-frames write it, does
            not skip or delay anything.
        truncated: the file is shorter than it says.
    """

    moov_first: bool = False
    edit_list: bool = False
    truncated: bool = False


_NESTED: Final = {b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"}
_OF_A_TRACK: Final = (b"elst", b"hdlr", b"ctts")
_MAX_BOXES: Final = 4096


def read_boxes(path: Path) -> Boxes:
    """Walk the box tree far enough to see the order of moov and mdat, and the edit lists."""
    found = Boxes()
    try:
        if not path.is_file():
            return found
        total = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(64)
            if (promised := _promised(head)) is not None:
                found.truncated = promised > total
                return found
            if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
                return found
            seen_mdat = False
            track = _Edits()
            todo = [(0, total, True)]
            for _ in range(_MAX_BOXES):
                if not todo:
                    break
                start, end, top = todo.pop()
                file.seek(start)
                header = file.read(16)
                if end - start < 8 or len(header) < 8:
                    continue
                size, kind = int.from_bytes(header[:4], "big"), header[4:8]
                body = 8
                if size == 1 and len(header) == 16:
                    size, body = int.from_bytes(header[8:], "big"), 16
                elif size == 0:
                    size = end - start
                if size < body:
                    continue
                if top and start + size > total:
                    found.truncated = True
                if kind == b"mdat":
                    seen_mdat = True
                elif kind == b"moov" and top:
                    found.moov_first = not seen_mdat
                elif kind in (b"trak", *_OF_A_TRACK):
                    file.seek(start + body)
                    track.see(kind, file.read(min(size - body, 4096)))
                todo.append((start + size, end, top))
                if kind in _NESTED:
                    todo.append((start + body, min(start + size, total), False))
            track.see(b"trak", b"")
            found.edit_list = track.found
    except OSError:
        return found
    return found


def _promised(start: bytes) -> int | None:
    """Bytes a Matroska or AVI file says it has; None for others, and where it does not say."""
    if start[:4] == b"RIFF":
        return 8 + int.from_bytes(start[4:8], "little")
    if start[:4] != b"\x1a\x45\xdf\xa3":
        return None
    header = _length(start, 4)  # RFC 8794: header, then one segment with everything
    if header is None or start[sum(header) : sum(header) + 4] != b"\x18\x53\x80\x67":
        return None
    segment = _length(start, sum(header) + 4)
    return None if segment is None else sum(segment)


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Where an EBML element's content begins, and its length; None where it is left open."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    if width > 8 or at + width > len(data):
        return None
    length = int.from_bytes(data[at : at + width], "big") - (1 << 7 * width)
    return None if length == (1 << 7 * width) - 1 else (at + width, length)


class _Edits:
    """The edit lists of all tracks, whose boxes come in the order of :data:`_OF_A_TRACK`.

    Attributes:
        found: one of them skips or delays something that is seen.
    """

    def __init__(self) -> None:
        self.found = False
        self._pending: tuple[int, int] | None = None

    def see(self, kind: bytes, body: bytes) -> None:
        """The next box; ``trak`` begins a track."""
        if kind == b"elst":
            self._pending = _edits(body)
        elif kind == b"trak":
            self.found |= self._pending is not None and self._pending != (1, 0)
            self._pending = None
        elif self._pending is not None:
            count = self._pending[0]
            # An audio encoder's first samples are silence, and are skipped.
            silent = kind == b"hdlr" and body[8:12] == b"soun" and count == 1
            first = int.from_bytes(body[12:16], "big", signed=True)
            if silent or (kind == b"ctts" and self._pending == (1, first)):
                self._pending = None


def _edits(body: bytes) -> tuple[int, int] | None:
    """Entries of an ``elst``, and where in the track the first one starts; None without any."""
    count = int.from_bytes(body[4:8], "big")
    if len(body) < 8 or count == 0:
        return None
    offset, length = (16, 8) if body[0] == 1 else (12, 4)
    return count, int.from_bytes(body[offset : offset + length], "big", signed=True)
