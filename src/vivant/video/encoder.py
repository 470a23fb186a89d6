"""Frames → an H.264 MP4 that YouTube and browsers take as it is; and back, to be verified.

The three parts (:func:`to_yuv`, :class:`Encoder`, :class:`PacketDecoder`) each run in threads of
their own, so the checks see the frames as a viewer will, while the clip is still being made.
"""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.error
import numpy as np
from av.video.reformatter import (
    ColorPrimaries,
    ColorRange,
    Colorspace,
    ColorTrc,
    Interpolation,
    VideoReformatter,
)

from vivant.errors import OutputError
from vivant.types import Image, Quality, Sound
from vivant.video.cores import FEW_CORES
from vivant.video.sound_track import SoundTrack

# PyAV forwards FFmpeg's log to Python's; x264's summary is of no use to users.
logging.getLogger("libav").setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class Encoding:
    """x264's two main dials: ``preset`` (time) and ``crf`` (bits; lower is better, 18 is
    visually lossless by x264's own rule of thumb), and further parameters.
    """  # noqa: D205

    preset: str
    crf: float
    more: str = ""


QUICK = ":b-adapt=0:partitions=i8x8,i4x4:subme=1"
"""B-frames at fixed places, motion of whole macroblocks alone, and one pass by absolute differences
for motion below a pixel: half the processor time for 0.4 dB and 5 % more bytes; of the standard
quality 0.3 of the constant rate factor give some of it back."""

ENCODINGS: dict[Quality, Encoding] = {
    "draft": Encoding("veryfast", 23, QUICK),
    "standard": Encoding("veryfast", 16.7, QUICK),
    "high": Encoding("slow", 16),
}

B_FRAMES = 2
"""YouTube's recommended upload encoding: two consecutive B-frames, closed GOP of half a second."""


MOST_THREADS = 16
"""Frames that x264 encodes in parallel; more threads make nothing faster."""


def encoder_threads(cores: int) -> int:
    """Frames that x264 should encode side by side.

    With few cores x264 works in one thread, and plans in it as well: drawing and checks use the
    others. The pictures are the same (only the number of threads, which x264 writes into the file,
    differs), and 55 MB of frames at 1080p are not there.
    """
    return 1 if cores <= FEW_CORES else min(MOST_THREADS, cores)


EVEN_ROWS = 8 * 16
"""Pixels; see :func:`_steady`."""


def _steady(width: int) -> str:
    """x264 parameters without which the same frames sometimes give different bytes.

    Where a row of macroblocks is no multiple of eight, its macroblock tree reads memory that
    nobody has written (x264 core 165, seen at 320, 720 and 1080 pixels; not with ``asm=0``). So
    those widths do without the tree, for about a third more bytes.
    """
    return "" if -(-width // 16) * 16 % EVEN_ROWS == 0 else ":mbtree=0"


def gop_length(fps: Fraction) -> int:
    """Frames between random-access points: half a second, as YouTube recommends."""
    return max(1, round(fps / 2))


_local = threading.local()


def to_yuv(pixels: Image) -> av.VideoFrame:
    """``[H, W, 3]`` uint8 sRGB → limited-range BT.709, 4:2:0. Threads may do this side by side."""
    if not hasattr(_local, "reformatter"):
        _local.reformatter = VideoReformatter()
    frame: av.VideoFrame = _local.reformatter.reformat(
        av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(pixels), format="rgb24"),
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_color_range=ColorRange.MPEG,
        dst_colorspace=Colorspace.ITU709,
        dst_color_trc=ColorTrc.BT709,
        dst_color_primaries=ColorPrimaries.BT709,
        interpolation=Interpolation.BICUBIC
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INP,
        threads=1,
    )
    return frame


def planar(planes: Image) -> av.VideoFrame:
    """One frame of :class:`vivant.types.YuvFrames`, ``[3/2·H, W]``, for the encoder; not copied."""
    frame: av.VideoFrame = av.VideoFrame.from_numpy_buffer(planes, format="yuv420p")
    frame.color_range = ColorRange.MPEG
    frame.colorspace = Colorspace.ITU709
    frame.color_trc = ColorTrc.BT709
    frame.color_primaries = ColorPrimaries.BT709
    return frame


class Encoder:
    """A file being written. Use it as a context manager: leaving by an exception closes the file.

    Args:
        path: where to write; the directory exists and the name ends in ``.mp4``.
        width: pixels, even.
        height: pixels, even.
        fps: constant frame rate.
        quality: key of :data:`ENCODINGS`.
        comment: goes into the file's metadata.
        threads: frames that are encoded side by side; the bytes depend on it a little.
        sound: of the clip, from its first frame to its last; None: there is no sound track.

    Nothing is written before the first packet: :meth:`write` is where a bad place shows.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: Fraction,
        quality: Quality = "standard",
        comment: str = "",
        threads: int = 4,
        sound: Sound | None = None,
    ) -> None:
        self._path = path
        self._fps = fps
        self._count = 0
        chosen = ENCODINGS[quality]
        gop = gop_length(fps)
        # negative_cts_offsets + no edit list: B-frames without a start delay, and frame 0 at 0 s.
        # With sound there is one: its track skips the silence that AAC begins with.
        edits = {"use_editlist": "0"} if sound is None else {}
        self._container = av.open(
            str(path),
            "w",
            format="mp4",
            options={"movflags": "+faststart+negative_cts_offsets", **edits},
        )
        if comment:
            self._container.metadata["comment"] = comment
        stream = self._container.add_stream("libx264", rate=fps)
        stream.width, stream.height = width, height
        stream.pix_fmt = "yuv420p"
        stream.time_base = 1 / fps
        context = stream.codec_context
        context.profile = "High"
        context.thread_type = "FRAME"  # PyAV's own choice is slices: more bytes, half as fast
        context.thread_count = threads
        context.gop_size = gop
        context.max_b_frames = B_FRAMES
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        context.colorspace = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        context.options = {
            "preset": chosen.preset,
            "crf": str(chosen.crf),
            # closed GOPs of fixed length (no extra IDR at cuts), so that the same
            # frames give the same bytes and every half second can be sought to
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0"
            f":bframes={B_FRAMES}{_steady(width)}{chosen.more}"
            # with one thread there is none beside it that plans and holds frames for that
            f"{':sync-lookahead=0' if threads == 1 else ''}",
        }
        self._stream = stream
        self._sound = None if sound is None else SoundTrack(self._container, sound)
        # now: x264 starts its threads and takes its memory, for which the first frame would wait
        context.open(strict=False)

    @property
    def extradata(self) -> bytes | None:
        """Of the codec: what a decoder must know; there once a packet is."""
        data: bytes | None = self._stream.codec_context.extradata
        return data

    def write(self, picture: av.VideoFrame) -> Iterator[bytes]:
        """Append a frame of :func:`to_yuv` or :func:`planar`; yield packets, as in the file.

        Must be consumed to the end.

        Raises:
            OutputError: the disk is full or gone.
        """
        picture.pts = self._count
        picture.time_base = 1 / self._fps
        self._count += 1
        yield from self._send(picture)

    def flush(self) -> Iterator[bytes]:
        """Yield the last packets; nothing can be appended any more."""
        yield from self._send(None)

    def close(self) -> None:
        """Write the index, close the file.

        Raises:
            OutputError: the disk is full or gone.
        """
        try:
            self._container.close()
        except OSError as error:
            raise _output_error(self._path, error) from error

    def _send(self, picture: av.VideoFrame | None) -> Iterator[bytes]:
        if self._sound is not None:
            # before the first frame: the muxer then holds little sound, and no pictures
            for sound in self._sound.packets():
                self._mux(sound)
            self._sound = None
        # one by one: the first delayed frames are decoded while the last ones are still encoded
        for packet in self._stream.encode_lazy(picture):
            data = bytes(packet)
            self._mux(packet)
            yield data

    def _mux(self, packet: av.Packet[Any]) -> None:
        try:
            self._container.mux(packet)
        except OSError as error:
            raise _output_error(self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            # The index of an unfinished file may not fit on a full disk either.
            try:
                self._container.close()
            except OSError:
                logging.getLogger(__name__).debug("closing an abandoned file", exc_info=True)


class PacketDecoder:
    """Decodes an encoder's packets again, in order: what a viewer will see.

    Args:
        encoder: must have yielded a packet before the first call.
        threads: that decode frames side by side; each holds a few frames.
    """

    def __init__(self, encoder: Encoder, *, threads: int = 1) -> None:
        self._encoder = encoder
        self._threads = threads
        self._decoder: av.VideoCodecContext | None = None

    def decode(self, packet: bytes) -> Sequence[av.VideoFrame]:
        """The frames that are ready after ``packet``."""
        if self._decoder is None:
            self._decoder = av.CodecContext.create("h264", "r")
            self._decoder.extradata = self._encoder.extradata
            self._decoder.thread_type = "FRAME"
            self._decoder.thread_count = self._threads
        return self._decoder.decode(av.Packet(packet))

    def flush(self) -> Sequence[av.VideoFrame]:
        """The last frames."""
        return [] if self._decoder is None else self._decoder.decode(None)


def _output_error(path: Path, error: OSError) -> OutputError:
    """The sentence for a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"no space left to write {path.name} in {path.parent}: free about 50 MB or choose "
            "another place with -o",
            code="disk_full",
        )
    return OutputError(
        f"cannot write {path}: {error.strerror or error}; choose another place with -o"
    )
