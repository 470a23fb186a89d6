"""Read a finished clip's frames as RGB, lazily or by number.

The same conversion (:func:`to_rgb`) serves the pipeline, which decodes what it has just
encoded, so that a report's numbers and ``vivant verify``'s are equal to the digit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
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
from vivant.video.container import open_container, shown_size
from vivant.video.probe import probe

SEEKING_THREADS: Final = 4
"""That decode single frames: each holds a frame back, which half a second's few soon outweigh."""

CHUNK_BYTES: Final = 6_300_000
"""Frames are handed over in chunks of at most this size: one at 1080p, so that none is copied."""

_SWSCALE_MATRIX: Final = {
    1: Colorspace.ITU709, 4: Colorspace.FCC, 5: Colorspace.ITU601, 6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M, 9: Colorspace.BT2020, 10: Colorspace.BT2020,
}  # fmt: skip
_HD_HEIGHT: Final = 720


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


def open_clip(
    path: Path, *, matrix: Colorspace | None = None, facts: ClipFacts | None = None
) -> Clip:
    """The clip's frames, decoded lazily.

    Args:
        path: a file that :func:`probe` accepts.
        matrix: for untagged clips, see :func:`to_rgb`.
        facts: what :func:`probe` says of the file, where that is known.

    Raises:
        ClipError: as :func:`probe`; and, while the chunks are consumed, where decoding fails.
    """
    facts = facts or probe(path)
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
    with open_container(Path(path)) as (container, stream):
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
    size = shown_size(stream)
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
            found[index] = to_rgb(frame, size=shown_size(stream))
        if len(found) == len(wanted):
            break
    return found


def _decode(path: Path, facts: ClipFacts, matrix: Colorspace | None) -> Iterator[Frames]:
    size = max(1, CHUNK_BYTES // (facts.width * facts.height * 3))
    chunk: list[Image] = []
    done = 0
    with open_container(path) as (container, stream):
        stream.thread_type = "AUTO"
        stored = (stream.codec_context.width, stream.codec_context.height)
        shown = shown_size(stream)
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
                    yield _together(chunk)
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
            yield _together(chunk)
        if done == 0:
            raise ClipError(f"{path.name} holds no video frames: export it again", param="clip")


def _together(images: list[Image]) -> Frames:
    """``[T, H, W, 3]``; a single frame is not copied."""
    return images[0][None] if len(images) == 1 else np.stack(images)
