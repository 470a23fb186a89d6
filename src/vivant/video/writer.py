"""Frames → a finished MP4, decoded again while it is written.

Colour conversion, x264, the decoder and the consumer of decoded frames run in threads of their
own, more of them on more cores, up to a limit. The queues between them are short, so memory does
not grow with the clip.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import av

from vivant.types import Frames, Image, Quality, Sound, YuvFrames
from vivant.video.encoder import Encoder, PacketDecoder, encoder_threads, planar, to_yuv
from vivant.video.reader import to_rgb
from vivant.video.stages import ParallelStage, StageThread


class VideoWriter:
    """A clip being made. A context manager: leaving it early drops the frames in flight.

    Args:
        path: of the MP4 to write.
        width: pixels, even.
        height: pixels, even.
        fps: constant frame rate.
        quality: of the encoding.
        comment: goes into the file.
        cores: that may be used.
        on_written: called from one thread with the number of frames encoded so far.
        on_decoded: called from one thread with every frame, ``[H, W, 3]`` uint8, decoded again
            from the encoder's packets, in order; None: nothing is decoded.
        sound: of the clip; None: there is no sound track.
    """

    def __init__(
        self,
        path: Path,
        *,
        width: int,
        height: int,
        fps: Fraction,
        quality: Quality,
        comment: str,
        cores: int,
        on_written: Callable[[int], None],
        on_decoded: Callable[[Image], None] | None,
        sound: Sound | None = None,
    ) -> None:
        self._encoder = Encoder(
            path,
            width=width,
            height=height,
            fps=fps,
            quality=quality,
            comment=comment,
            threads=encoder_threads(cores),
            sound=sound,
        )
        threads = max(1, min(6, cores // 3))
        depth = max(2, min(32, 2 * cores - 2))
        self._decoder = PacketDecoder(self._encoder, threads=threads)
        self._on_written = on_written
        self._decodes = on_decoded is not None
        self._count = 0
        self._readback: ParallelStage[av.VideoFrame, Image] = ParallelStage(
            "vivant-readback", to_rgb, on_decoded or _ignore, threads=threads, depth=depth
        )
        self._decoding: StageThread[bytes | None] = StageThread(
            "vivant-decode", self._decode, depth=depth
        )
        self._encoding: ParallelStage[Callable[[], av.VideoFrame], av.VideoFrame] = ParallelStage(
            "vivant-encode", lambda convert: convert(), self._encode, threads=threads, depth=depth
        )

    @property
    def encoding_seconds(self) -> float:
        """Seconds spent encoding and decoding, summed over threads."""
        return self._encoding.busy + self._decoding.busy

    @property
    def readback_seconds(self) -> float:
        """Seconds spent converting decoded frames and in ``on_decoded``, summed over threads."""
        return self._readback.busy

    def put(self, frames: Frames | YuvFrames) -> None:
        """Append ``[T, H, W, 3]`` uint8 sRGB, or frames that are converted already.

        Waits while too many frames are under way.

        Raises:
            OutputError: the file cannot be written.
            BaseException: whatever ``on_written`` or ``on_decoded`` raised.
        """
        convert, pictures = (
            (planar, frames.planes) if isinstance(frames, YuvFrames) else (to_yuv, frames)
        )
        for pixels in pictures:
            self._encoding.put(partial(convert, pixels))

    def close(self) -> None:
        """Wait until the file is complete. Its last frames may not have been decoded yet.

        Raises:
            OutputError: the file cannot be written.
            BaseException: whatever ``on_written`` or ``on_decoded`` raised.
        """
        self._encoding.finish()
        for packet in self._encoder.flush():
            self._decoding.put(packet)
        self._decoding.put(None)  # the last frames are decoded while the index is written
        self._encoder.close()

    def finish(self) -> None:
        """Wait until every frame of the closed file has been decoded and handed on.

        Raises:
            BaseException: whatever ``on_decoded`` raised.
        """
        self._decoding.finish()
        self._readback.finish()

    def _encode(self, picture: av.VideoFrame) -> None:
        for packet in self._encoder.write(picture):
            self._decoding.put(packet)
        self._count += 1
        self._on_written(self._count)

    def _decode(self, packet: bytes | None) -> None:
        """Decode a packet; None comes after the last one."""
        if not self._decodes:
            return
        for frame in self._decoder.flush() if packet is None else self._decoder.decode(packet):
            self._readback.put(frame)

    def __enter__(self) -> Self:
        self._encoder.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stage in (self._encoding, self._decoding, self._readback):
            stage.abort()
        self._encoder.__exit__(kind, error, trace)


def _ignore(_: Image) -> None:
    """Used where nothing is decoded."""
