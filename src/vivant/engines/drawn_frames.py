"""The frames of engines that draw each one on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from vivant.picture.framing import crop_pixels
from vivant.types import Frames, Image, Observer, Portrait, Progress, Request


def drawn_frames(
    portrait: Portrait,
    request: Request,
    draw: Callable[[Image, int], None],
    observe: Observer,
    *,
    chunk: int,
) -> Iterator[Frames]:
    """Chunks of frames, ``[T, height, width, 3]`` uint8; frame 0 is the portrait's crop itself.

    Args:
        portrait: the picture.
        request: size and number of the frames.
        draw: fills ``[height, width, 3]`` uint8 with the frame of this number, from 1 on.
        observe: called after every frame.
        chunk: frames in a chunk, at most.
    """
    for start in range(0, request.num_frames, chunk):
        count = min(chunk, request.num_frames - start)
        frames = np.empty((count, request.height, request.width, 3), dtype=np.uint8)
        for index in range(count):
            if start + index == 0:
                frames[0] = crop_pixels(portrait, request.width, request.height)
            else:
                draw(frames[index], start + index)
            observe(Progress("generate", start + index + 1, request.num_frames))
        yield frames
