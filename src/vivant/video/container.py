"""Open a video file that may be hostile, and find its video stream.

Only plain media containers are opened (no playlists, which could name other files or hosts), and
sizes are checked before a frame is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from vivant.errors import ClipError

CONTAINERS: Final = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,flv,ogg"
"""Demuxers that may be used; playlists and device inputs are not among them."""

MAX_SIDE: Final = 8192
"""Pixels; wider clips are refused before a frame is decoded (8K is 7680)."""

MIN_SIDE: Final = 64
"""Pixels; there is nothing to be seen in smaller clips."""

MAX_PIXELS: Final = 7680 * 4320
"""Pixels of one frame; 100 MB as RGB."""

_HDR_TRANSFERS: Final = {16: "PQ", 18: "HLG"}
"""ITU-T H.273 code points of transfer functions that are HDR."""

_ATTACHED_PICTURE: Final = av.stream.Disposition.attached_pic

_SQUARE: Final = Fraction(1, 100)
"""Pixels this near to square are meant to be: encoders write the rest of rounding sizes."""


@contextmanager
def open_container(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
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
    width, height = shown_size(stream)
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


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height; 1 where it is next to square, or not said."""
    found = Fraction(stream.sample_aspect_ratio or 1)
    return found if found > 0 and abs(found - 1) > _SQUARE else Fraction(1)


def shown_size(stream: VideoStream) -> tuple[int, int]:
    """Width and height before turning, with square pixels: the short side of one is stretched."""
    width, height = stream.codec_context.width, stream.codec_context.height
    aspect = pixel_aspect(stream)
    return (round(width * aspect), height) if aspect >= 1 else (width, round(height / aspect))
