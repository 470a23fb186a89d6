"""Read a finished clip: what the file says of itself, and its frames as RGB.

The same conversion (:func:`to_rgb`) serves the pipeline, which decodes what it has just
encoded, so that a report's numbers and ``vivant verify``'s are equal to the digit. Knows
nothing of pictures, checks or encoders' settings. Files are treated as hostile: only plain
media containers are opened (no playlists, which could name other files or hosts), sizes are
bounded before a frame is decoded, and decoding is lazy.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from vivant.errors import ClipError
from vivant.types import Clip, ClipFacts, Frames, Image

CONTAINERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv,ogg"
"""Demuxers that may be used; playlists and device inputs are not among them."""

MAX_SIDE: Final = 8192
"""Pixels; wider clips are refused before a frame is decoded (8K is 7680)."""

MIN_SIDE: Final = 64
"""Pixels; there is nothing to be seen in smaller clips."""

MAX_PIXELS: Final = 7680 * 4320
"""Pixels of one frame; 100 MB as RGB."""

SEEKING_THREADS: Final = 4
"""That decode single frames: each holds a frame back, which half a second's few soon outweigh."""

CHUNK_BYTES: Final = 24_000_000
"""Frames are handed over in chunks of about this size: four at 1080p."""

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

_SWSCALE_MATRIX: Final = {
    1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020,
}  # fmt: skip
_HDR_TRANSFERS: Final = {16: "PQ", 18: "HLG"}
_HD_HEIGHT: Final = 720
_SQUARE: Final = Fraction(1, 100)
"""Pixels this near to square are meant to be: encoders write the rest of rounding sizes."""


def to_rgb(
    frame: av.VideoFrame,
    *,
    matrix: Colorspace | None = None,
    size: tuple[int, int] | None = None,
) -> Image:
    """One decoded frame as full-range sRGB, upright.

    The matrix and range are those the frame is tagged with; an untagged frame is read as
    players do: BT.709 from 720 lines up, BT.601 below, limited range.

    Args:
        frame: as it comes out of the decoder, 8 or more bits, any subsampling.
        matrix: read an *untagged* frame with this one instead.
        size: width and height to stretch it to before it is turned; its own where None.

    Returns:
        ``[H, W, 3]`` uint8, turned by the file's display rotation.
    """
    source = _SWSCALE_MATRIX.get(int(frame.colorspace))
    if source is None:
        source = matrix or default_matrix(frame.height)
    full = int(frame.color_range) == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    width, height = size or (frame.width, frame.height)
    converted = frame.reformat(
        width=width,
        height=height,
        format="rgb24",
        src_colorspace=source,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    pixels: Image = converted.to_ndarray().astype(np.uint8, copy=False)
    if frame.rotation % 360:
        turns = round(frame.rotation / 90) % 4
        pixels = np.ascontiguousarray(np.rot90(pixels, turns))
    return pixels


def default_matrix(height: int) -> Colorspace:
    """What players take for an untagged frame of ``height`` lines."""
    return Colorspace.ITU709 if height >= _HD_HEIGHT else Colorspace.ITU601


def probe(path: Path) -> ClipFacts:
    """Read what the file says of itself, without decoding its frames.

    Raises:
        ClipError: missing, a directory, empty, not a video, audio only, no frames, broken off,
            HDR, or larger than 8K.
    """
    path = Path(path)
    boxes = _walk_boxes(path)
    with _opened(path) as (container, stream):
        packets = _read_packets(container, stream, path)
        codec = stream.codec_context
        count = len(packets.times)
        if count == 0:
            raise ClipError(f"{path.name} holds no video frames: export it again", param="clip")
        if boxes.truncated or (0 < count < stream.frames and not boxes.edit_list):
            promised = f" of {stream.frames}" if stream.frames > count else ""
            raise ClipError(
                f"{path.name} breaks off after {count}{promised} frames: "
                "the file is truncated, copy or export it again",
                param="clip",
            )
        fps, constant = _rate(packets.times, stream)
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
            pixel_aspect=_pixel_aspect(stream),
            interlaced=packets.interlaced,
        )


def open_clip(path: Path, *, matrix: Colorspace | None = None) -> Clip:
    """The clip's frames, decoded lazily.

    Args:
        path: a file that :func:`probe` accepts.
        matrix: for untagged clips, see :func:`to_rgb`.

    Raises:
        ClipError: as :func:`probe`; and, while the chunks are consumed, where decoding fails.
    """
    facts = probe(path)
    return Clip(
        num_frames=facts.num_frames,
        fps=facts.fps,
        width=facts.width,
        height=facts.height,
        chunks=_decode(Path(path), facts, matrix),
    )


def frames_at(path: Path, wanted: Collection[int]) -> dict[int, Image]:
    """Some frames of a clip by their number, as :func:`open_clip` would give them.

    Only what leads to them is decoded, and only they are converted; numbers beyond the end are
    left out.

    Raises:
        ClipError: as :func:`probe`, or decoding fails.
    """
    if not wanted:
        return {}
    with _opened(Path(path)) as (container, stream):
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = SEEKING_THREADS
        try:
            return _sought(container, stream, wanted) or _passed(container, stream, wanted)
        except FFmpegError as error:
            raise ClipError(
                f"{path.name} cannot be decoded: the file is damaged, export it again "
                f"({error.strerror})",
                param="clip",
            ) from error


def _sought(
    container: InputContainer, stream: VideoStream, wanted: Collection[int]
) -> dict[int, Image] | None:
    """From the last keyframe before each; None where the file's times do not tell frames apart."""
    times: list[int] = []
    keys: list[int] = []
    for packet in container.demux(stream):
        if not packet.size or packet.is_discard:
            continue
        if packet.pts is None:
            return None
        times.append(packet.pts)
        if packet.is_keyframe:
            keys.append(packet.pts)
    times.sort()
    keys.sort()
    if not times or not keys or keys[0] != times[0] or len(set(times)) != len(times):
        return None
    size = _shown(stream)
    left = {times[index]: index for index in wanted if 0 <= index < len(times)}
    found: dict[int, Image] = {}
    for time in sorted(left):
        if left[time] in found:
            continue
        container.seek(keys[bisect_right(keys, time) - 1], stream=stream)
        for frame in container.decode(stream):
            if frame.pts in left:
                found[left[frame.pts]] = to_rgb(frame, size=size)
            if frame.pts is None or frame.pts >= time:
                break
    return found if len(found) == len(left) else None


def _passed(
    container: InputContainer, stream: VideoStream, wanted: Collection[int]
) -> dict[int, Image]:
    """By counting all frames from the start."""
    container.seek(0)
    found: dict[int, Image] = {}
    for index, frame in enumerate(container.decode(stream)):
        if index in wanted:
            found[index] = to_rgb(frame, size=_shown(stream))
        if len(found) == len(wanted):
            break
    return found


def _decode(path: Path, facts: ClipFacts, matrix: Colorspace | None) -> Iterator[Frames]:
    size = max(1, CHUNK_BYTES // (facts.width * facts.height * 3))
    chunk: list[Image] = []
    done = 0
    with _opened(path) as (container, stream):
        stream.thread_type = "AUTO"
        stored = (stream.codec_context.width, stream.codec_context.height)
        shown = _shown(stream)
        try:
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise ClipError(
                        f"{path.name} is damaged at frame {done + len(chunk)}: export it again",
                        param="clip",
                    )
                if (frame.width, frame.height) != stored:
                    raise ClipError(
                        f"{path.name} changes its size to {frame.width}x{frame.height} "
                        f"at frame {done + len(chunk)}: export it at one size",
                        param="clip",
                    )
                chunk.append(to_rgb(frame, matrix=matrix, size=shown))
                if len(chunk) == size:
                    yield np.stack(chunk)
                    done += len(chunk)
                    chunk.clear()
        except FFmpegError as error:
            raise ClipError(
                f"{path.name} cannot be decoded after frame {done + len(chunk)}: "
                f"the file is damaged, export it again ({error.strerror})",
                param="clip",
            ) from error
        if chunk:
            done += len(chunk)
            yield np.stack(chunk)
        if done == 0:
            raise ClipError(f"{path.name} holds no video frames: export it again", param="clip")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first real video stream, both checked."""
    if not path.exists():
        raise ClipError(f"{path} does not exist: check the path of the clip", param="clip")
    if path.is_dir():
        raise ClipError(f"{path} is a directory: name one video file", param="clip")
    if not path.is_file():
        raise ClipError(f"{path} is not a regular file: name one video file", param="clip")
    if path.stat().st_size == 0:
        raise ClipError(f"{path.name} is empty (0 bytes): export it again", param="clip")
    try:
        file = path.open("rb")
    except OSError as error:
        raise ClipError(
            f"{path} cannot be read: {error.strerror}; check its permissions", param="clip"
        ) from error
    with file:
        try:
            # A file object, not a name: nothing else can be opened from inside the demuxer.
            container = av.open(
                file, "r", options={"format_whitelist": CONTAINERS, "protocol_whitelist": ""}
            )
        except (FFmpegError, ValueError) as error:
            raise ClipError(
                f"{path.name} is not a video that can be read (MP4, MOV, WebM, MKV and AVI can), "
                "or it is broken: export it again as MP4",
                param="clip",
            ) from error
        with container:
            yield container, _video_stream(container, path)


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    streams = [s for s in container.streams.video if not s.disposition & _ATTACHED_PICTURE]
    if not streams:
        what = "only sound" if container.streams.audio else "no video stream"
        raise ClipError(f"{path.name} has {what}: a clip with pictures is needed", param="clip")
    stream = streams[0]
    codec = stream.codec_context
    if not codec.is_decoder or codec.pix_fmt is None or codec.width == 0:
        raise ClipError(
            f"{path.name} holds video that cannot be decoded here: export it as H.264", param="clip"
        )
    width, height = _shown(stream)
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ClipError(
            f"{path.name} is {width}x{height}, above 7680x4320: export it smaller", param="clip"
        )
    if min(width, height) < MIN_SIDE:
        raise ClipError(
            f"{path.name} is {width}x{height}, and at least {MIN_SIDE} on each side are needed: "
            "export it larger",
            param="clip",
        )
    if (hdr := _HDR_TRANSFERS.get(int(codec.color_trc or 2))) is not None:
        raise ClipError(
            f"{path.name} is HDR ({hdr}), and the checks compare with an SDR picture: "
            "convert it to SDR BT.709 first",
            param="clip",
        )
    return stream


_ATTACHED_PICTURE: Final = av.stream.Disposition.attached_pic


@dataclass(slots=True)
class _Packets:
    """What walking the packets told."""

    times: list[int]
    size: int
    closed: bool
    max_gop: int
    rotation: int
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
        container.seek(0, stream=stream)
        for frame in container.decode(stream):
            return int(frame.rotation), bool(frame.interlaced_frame)
    except FFmpegError:
        return 0, False
    return 0, False


def _pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height; 1 where it is next to square, or not said."""
    found = Fraction(stream.sample_aspect_ratio or 1)
    return found if found > 0 and abs(found - 1) > _SQUARE else Fraction(1)


def _shown(stream: VideoStream) -> tuple[int, int]:
    """Width and height before turning, with square pixels: the short side of one is stretched."""
    width, height = stream.codec_context.width, stream.codec_context.height
    aspect = _pixel_aspect(stream)
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))


def _upright(stream: VideoStream, rotation: int) -> tuple[int, int]:
    width, height = _shown(stream)
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


@dataclass(slots=True)
class _Boxes:
    """What the ISO base media boxes (ISO/IEC 14496-12) told; all False for other containers."""

    moov_first: bool = False
    edit_list: bool = False
    truncated: bool = False


_NESTED: Final = {b"moov", b"trak", b"edts"}
_MAX_BOXES: Final = 4096


def _walk_boxes(path: Path) -> _Boxes:
    """Walk the box tree far enough to see the order of moov and mdat, and the edit lists."""
    found = _Boxes()
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
                elif kind == b"elst":
                    file.seek(start + body)
                    found.edit_list |= _edits(file.read(min(size - body, 4096)))
                todo.append((start + size, end, top))
                if kind in _NESTED:
                    todo.append((start + body, min(start + size, total), False))
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


def _edits(body: bytes) -> bool:
    """Whether an ``elst`` does more than play the whole track from its first sample."""
    if len(body) < 8:
        return False
    wide = body[0] == 1
    count = int.from_bytes(body[4:8], "big")
    if count != 1:
        return count > 1
    offset = 16 if wide else 12
    length = 8 if wide else 4
    return int.from_bytes(body[offset : offset + length], "big", signed=True) != 0
