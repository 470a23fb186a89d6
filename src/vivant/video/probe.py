"""What a finished clip says of itself: size, rate, colour, structure, sound.

Frames are not decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vivant.errors import ClipError
from vivant.types import ClipFacts
from vivant.video.boxes import read_boxes
from vivant.video.container import open_container, pixel_aspect, shown_size
from vivant.video.sound_facts import sound_facts

# Numbers are those of ITU-T H.273 (coding-independent code points).
_PRIMARIES: Final = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
    9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213",
}  # fmt: skip
_TRANSFERS: Final = {
    1: "bt709", 4: "gamma22", 5: "gamma28", 6: "smpte170m", 7: "smpte240m", 8: "linear",
    9: "log", 10: "log_sqrt", 11: "iec61966-2-4", 12: "bt1361", 13: "iec61966-2-1",
    14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084", 17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
_MATRICES: Final = {
    0: "rgb", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco",
    9: "bt2020nc", 10: "bt2020c",
}  # fmt: skip
_RANGES: Final = {1: "tv", 2: "pc"}
UNKNOWN: Final = "unknown"


def probe(path: Path) -> ClipFacts:
    """Read what the file says of itself, without decoding its frames.

    Raises:
        ClipError: missing, a directory, empty, not a video, audio only, no frames, broken off,
            HDR, or larger than 8K.
    """
    path = Path(path)
    boxes = read_boxes(path)
    with open_container(path) as (container, stream):
        packets = _read_packets(container, stream, path)
        codec = stream.codec_context
        count = len(packets.times)
        if count == 0:
            raise ClipError(f"{path.name} holds no video frames: export it again", param="clip")
        lost = count + packets.cut < stream.frames and not boxes.edit_list
        if boxes.truncated or lost:
            promised = f" of {stream.frames}" if stream.frames > count else ""
            raise ClipError(
                f"{path.name} breaks off after {count}{promised} frames: "
                "the file is truncated, copy or export it again",
                param="clip",
            )
        fps, constant = _rate(packets.times, stream)
        first = min(packets.times) * Fraction(stream.time_base or 1)
        width, height = _upright(stream, packets.rotation)
        return ClipFacts(
            size_bytes=path.stat().st_size,
            container=container.format.name,
            codec=codec.codec.canonical_name,  # not libdav1d, which reads av1
            profile=codec.profile or UNKNOWN,
            pixel_format=codec.pix_fmt or UNKNOWN,
            width=width,
            height=height,
            fps=fps,
            num_frames=count,
            seconds=float(count / fps),
            bit_rate=round(packets.size * 8 * fps / count),
            color_primaries=_PRIMARIES.get(int(codec.color_primaries or 2), UNKNOWN),
            color_transfer=_TRANSFERS.get(int(codec.color_trc or 2), UNKNOWN),
            color_space=_MATRICES.get(int(codec.colorspace or 2), UNKNOWN),
            color_range=_RANGES.get(int(codec.color_range or 0), UNKNOWN),
            constant_rate=constant,
            closed_gop=packets.closed,
            max_gop=packets.max_gop,
            moov_first=boxes.moov_first,
            edit_list=boxes.edit_list,
            audio=bool(container.streams.audio),
            pixel_aspect=pixel_aspect(stream),
            interlaced=packets.interlaced,
            sound=sound_facts(path, first) if container.streams.audio else None,
        )


@dataclass(slots=True)
class _Packets:
    """What the packets tell; ``cut``: frames that an edit list leaves out, as phones write it."""

    times: list[int]
    size: int
    closed: bool
    max_gop: int
    rotation: int
    cut: int = 0
    interlaced: bool = False


def _read_packets(container: InputContainer, stream: VideoStream, path: Path) -> _Packets:
    found = _Packets(times=[], size=0, closed=True, max_gop=0, rotation=0)
    since_key = 0
    seen_key = False
    try:
        for packet in container.demux(stream):
            if packet.size == 0 or packet.pts is None:
                if packet.size:
                    found.times.append(len(found.times) if packet.dts is None else packet.dts)
                    found.size += packet.size
                continue
            if packet.is_discard:
                found.cut += 1
                continue
            if packet.is_keyframe:
                found.max_gop = max(found.max_gop, since_key)
                since_key = 0
                seen_key = True
                found.closed = found.closed and _starts_closed(bytes(packet), stream)
            since_key += 1
            found.times.append(packet.pts)
            found.size += packet.size
    except FFmpegError as error:
        raise ClipError(
            f"{path.name} breaks off after {len(found.times)} frames: the file is damaged, "
            f"export it again ({error.strerror})",
            param="clip",
        ) from error
    found.max_gop = max(found.max_gop, since_key)
    found.closed = found.closed and seen_key
    if found.times:
        found.rotation, found.interlaced = _of_a_frame(container, stream)
    return found


def _of_a_frame(container: InputContainer, stream: VideoStream) -> tuple[int, bool]:
    """Display rotation in degrees, and whether frames are interlaced: only a decoded one tells."""
    try:
        frame = _first_alone(container, stream)
        if frame is None:
            container.seek(0, stream=stream)
            frame = next(container.decode(stream), None)
    except FFmpegError:
        return 0, False
    return (0, False) if frame is None else (int(frame.rotation), bool(frame.interlaced_frame))


def _first_alone(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """The first frame, without decoding those that the decoder would wait for."""
    container.seek(0, stream=stream)
    for packet in container.demux(stream):
        decoder = stream.codec_context
        try:
            return next(iter([*decoder.decode(packet), *decoder.decode(None)]), None)
        except FFmpegError:
            return None
        finally:
            decoder.flush_buffers()
    return None


def _upright(stream: VideoStream, rotation: int) -> tuple[int, int]:
    width, height = shown_size(stream)
    return (height, width) if round(rotation / 90) % 2 else (width, height)


def _rate(times: list[int], stream: VideoStream) -> tuple[Fraction, bool]:
    """Frames per second, and whether every frame lasts equally long (to the time base's tick)."""
    rate = Fraction(stream.average_rate or stream.guessed_rate or 25)
    if len(times) < 2 or stream.time_base is None:
        return rate, True
    ordered = np.sort(np.asarray(times, dtype=np.int64))
    steps = np.diff(ordered)
    if steps.max() - steps.min() <= 1 and steps.min() > 0:
        measured = Fraction(len(steps)) / (int(ordered[-1] - ordered[0]) * stream.time_base)
        # The time base may be too coarse to tell 24 from 24.01: trust the header where close.
        return (rate if abs(measured / rate - 1) < Fraction(1, 100) else measured), True
    return rate, False


def _starts_closed(data: bytes, stream: VideoStream) -> bool:
    """Whether a random-access packet starts with an IDR picture (H.264 type 5, HEVC 19 and 20).

    Other codecs' key frames always are.
    """
    name = stream.codec_context.name
    if name not in ("h264", "hevc"):
        return True
    wanted = {5} if name == "h264" else {19, 20}
    for first in _nal_headers(data, stream.codec_context.extradata):
        kind = first & 0x1F if name == "h264" else (first >> 1) & 0x3F
        if kind in wanted:
            return True
    return False


def _nal_headers(data: bytes, extradata: bytes | None) -> Iterator[int]:
    """First byte of every NAL unit: length-prefixed (ISO/IEC 14496-15) or Annex B."""
    if extradata and extradata[0] == 1:
        # lengthSizeMinusOne: byte 4 of avcC, byte 21 of hvcC.
        at = 21 if len(extradata) > 22 and extradata[4] & 0x03 != 3 else 4
        prefix = (extradata[at] & 0x03) + 1
        position = 0
        while position + prefix < len(data):
            length = int.from_bytes(data[position : position + prefix], "big")
            yield data[position + prefix]
            position += prefix + max(1, length)
        return
    position = data.find(b"\x00\x00\x01")
    while 0 <= position < len(data) - 3:
        yield data[position + 3]
        position = data.find(b"\x00\x00\x01", position + 3)
