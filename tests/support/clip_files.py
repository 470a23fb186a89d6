"""Clips as other people's encoders write them."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av

from vivant.types import Frames


def write_clip(
    path: Path,
    frames: Frames,
    *,
    fps: Fraction = Fraction(24),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    tags: Sequence[int] | None = (1, 1, 1, 1),
    times: Sequence[int] | None = None,
    rotate: int = 0,
    pixel_aspect: Fraction | None = None,
    movflags: str = "faststart",
) -> Path:
    """A clip as somebody's encoder would write it."""
    flags = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", options=flags) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {"crf": "16", "bf": "0"})
        assert isinstance(stream, av.VideoStream)
        height, width = frames.shape[1:3]
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if tags:
            context = stream.codec_context
            context.color_primaries, context.color_trc = tags[0], tags[1]
            context.colorspace, context.color_range = tags[2], tags[3]
        if pixel_aspect:
            stream.sample_aspect_ratio = pixel_aspect
        if rotate:
            stream.set_display_rotation(rotate)
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                format=pixel_format,
                dst_colorspace=(tags or (5, 5, 5, 1))[2],
                dst_color_range=(tags or (1, 1, 1, 1))[3],
            )
            frame.pts = index if times is None else times[index]
            frame.time_base = 1 / fps
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
