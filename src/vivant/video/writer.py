"""Frames → a finished MP4, and what a viewer will see of it, as it gets ready.

Colour conversion, x264, the decoder and whoever watches each have threads of their own, as many
as the machine has cores for; queues between them are short, so memory does not grow with the
clip. Knows nothing of where frames come from, nor of what is looked for in them.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av

from vivant.types import Frames, Image, Quality
from vivant.video.encoder import MOST_THREADS, Encoder, Player, to_yuv
from vivant.video.reader import to_rgb
from vivant.video.stages import Fan, Lane


class VideoWriter:
    """A clip being made. A context manager: leaving it early drops what is under way.

    Args:
        path: of the MP4 to write.
        width: pixels, even.
        height: pixels, even.
        fps: constant frame rate.
        quality: of the encoding.
        comment: goes into the file.
        cores: that may be used.
        written: called with the number of frames that went to the encoder, in one thread.
        watch: called with every frame as a viewer sees it, in order, in one thread; where None,
            nothing is decoded again.
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
        written: Callable[[int], None],
        watch: Callable[[Image], None] | None,
    ) -> None:
        self._encoder = Encoder(
            path,
            width=width,
            height=height,
            fps=fps,
            quality=quality,
            comment=comment,
            threads=max(2, min(MOST_THREADS, cores)),
        )
        threads = max(1, min(6, cores // 3))
        depth = max(3, min(32, 2 * cores))
        self._player = Player(self._encoder, threads=threads)
        self._written = written
        self._watched = watch is not None
        self._count = 0
        self._seeing: Fan[av.VideoFrame, Image] = Fan(
            "vivant-see", to_rgb, watch or _nobody, threads=threads, depth=depth
        )
        self._playing: Lane[bytes | None] = Lane("vivant-play", self._play, depth=depth)
        self._encoding: Fan[Image, av.VideoFrame] = Fan(
            "vivant-encode", to_yuv, self._encode, threads=threads, depth=depth
        )

    @property
    def encoding(self) -> float:
        """Seconds that its threads were busy with encoding and decoding."""
        return self._encoding.busy + self._playing.busy

    @property
    def watching(self) -> float:
        """Seconds that its threads were busy with what a viewer sees."""
        return self._seeing.busy

    def put(self, frames: Frames) -> None:
        """Append ``[T, H, W, 3]`` uint8 sRGB; waits while too many frames are under way.

        Raises:
            OutputError: the file cannot be written.
            BaseException: whatever ``written`` or ``watch`` raised.
        """
        for pixels in frames:
            self._encoding.put(pixels)

    def close(self) -> None:
        """Wait until the file is complete; its last frames are still to be watched.

        Raises:
            OutputError: the file cannot be written.
            BaseException: whatever ``written`` or ``watch`` raised.
        """
        self._encoding.finish()
        for packet in self._encoder.flush():
            self._playing.put(packet)
        self._playing.put(None)  # its last frames are on their way while the index is written
        self._encoder.close()

    def finish(self) -> None:
        """Wait until every frame of the closed file has been watched.

        Raises:
            BaseException: whatever ``watch`` raised.
        """
        self._playing.finish()
        self._seeing.finish()

    def _encode(self, picture: av.VideoFrame) -> None:
        for packet in self._encoder.write(picture):
            self._playing.put(packet)
        self._count += 1
        self._written(self._count)

    def _play(self, packet: bytes | None) -> None:
        """Decode a packet; None comes after the last one."""
        if not self._watched:
            return
        for frame in self._player.finish() if packet is None else self._player.play(packet):
            self._seeing.put(frame)

    def __enter__(self) -> Self:
        self._encoder.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for stage in (self._encoding, self._playing, self._seeing):
            stage.abort()
        self._encoder.__exit__(kind, error, trace)


def _nobody(_: Image) -> None:
    """Looks at nothing."""
