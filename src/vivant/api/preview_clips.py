"""Short clips of low size, drawn by the living engine in the process of the crop worker.

They show what each preset does to a picture before a clip of full size is made. They are never
checked or stored.
"""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from vivant.types import Frames, Portrait, Request

if TYPE_CHECKING:
    from vivant.engines.living.sketches import Sketches
    from vivant.picture.face_mesh import MeshReader

SHORT_SIDE: Final = 144
"""Pixels of a preview."""

PLANES_SIDE: Final = 144
"""Pixels of the short side that the planes are made for, unless the face needs more."""

FACE_WIDTH: Final = 64
"""Pixels of the largest face on the planes: the eyes of smaller ones are drawn badly."""

THREADS: Final = 2
"""Presets drawn and encoded at a time; more only wait for Python's lock."""

LONGEST_DRAWN: Final = 960
"""Pixels; a picture that would need more for its face has no previews."""

FPS: Final = Fraction(10)
NUM_FRAMES: Final = 20
"""A loop of 2 s: a breath and a blink."""

EXAMPLE_FPS: Final = Fraction(16)
EXAMPLE_FRAMES: Final = 64
"""A loop of 4 s."""

EXAMPLE_CRF: Final = 32
POSTER_QUALITY: Final = 50
"""Three clips and posters are half of what the page's first screen loads; they are shown small."""

PREVIEW_CRF: Final = 26


def preview_clips(portrait: Portrait, clip: Request, reader: MeshReader) -> dict[str, Any]:
    """In the process: one clip for each preset.

    Args:
        portrait: of the picture.
        clip: the one that is asked for; its size decides the shape.
        reader: finds the points of the faces.

    Raises:
        VivantError: the engine cannot draw it.
    """
    from vivant.engines.living.options import PRESETS
    from vivant.engines.living.sketches import Sketches

    size = _even(clip.width, clip.height, SHORT_SIDE)
    planes = _planes_size(portrait, clip.width, clip.height)
    sketches = Sketches(portrait, clip, planes, reader) if planes else None
    clips = _clips(sketches, size) if sketches and sketches.lives else []
    return {
        "object": "previews",
        "width": size[0],
        "height": size[1],
        "fps": int(FPS),
        "data": [
            {"preset": preset, "clip": f"data:video/mp4;base64,{base64.b64encode(mp4).decode()}"}
            for preset, mp4 in zip(PRESETS, clips, strict=bool(clips))
        ],
    }


def example_clip(picture: bytes, preset: str, width: int, height: int) -> bytes:
    """In the process: an MP4 that loops. The picture must show a face.

    Raises:
        VivantError: the picture cannot be used.
    """
    import numpy as np

    from vivant.engines.living import LivingEngine
    from vivant.picture.intake import load_portrait

    request = Request(
        image=b"",
        width=width,
        height=height,
        num_frames=EXAMPLE_FRAMES,
        fps=EXAMPLE_FPS,
        options={"preset": preset, "loop": True},
    )
    portrait = load_portrait(picture, width=width, height=height)
    clip = LivingEngine().generate(portrait, request, lambda _: None)
    return _encoded(np.concatenate(list(clip.chunks)), EXAMPLE_FPS, crf=EXAMPLE_CRF)


def example_poster(picture: bytes, width: int, height: int) -> bytes:
    """In the process: the first frame of :func:`example_clip` as JPEG.

    Raises:
        VivantError: the picture cannot be used.
    """
    import cv2

    from vivant.picture.framing import crop_pixels
    from vivant.picture.intake import load_portrait

    pixels = crop_pixels(load_portrait(picture, width=width, height=height), width, height)
    _, poster = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, POSTER_QUALITY])
    return poster.tobytes()


def _planes_size(portrait: Portrait, width: int, height: int) -> tuple[int, int] | None:
    """Where the largest face is wide enough to move; None where that needs too many pixels."""
    if not portrait.faces:
        return None
    scale = PLANES_SIDE / min(width, height)
    share = portrait.faces[0].box.width / portrait.crop.width
    scale = max(scale, FACE_WIDTH / share / width)
    if scale * max(width, height) > LONGEST_DRAWN:
        return None
    return _even(width, height, round(scale * min(width, height)))


def _even(width: int, height: int, short: int) -> tuple[int, int]:
    scale = short / min(width, height)
    return 2 * round(scale * width / 2), 2 * round(scale * height / 2)


def _clips(sketches: Sketches, size: tuple[int, int]) -> list[bytes]:
    """An MP4 for each preset."""
    from vivant.engines.living.options import PRESETS

    def clip(preset: str) -> bytes:
        return _encoded(sketches.draw(preset, size, num_frames=NUM_FRAMES, fps=FPS), FPS)

    with ThreadPoolExecutor(THREADS, "vivant-preview") as pool:
        return list(pool.map(clip, PRESETS))


def _encoded(frames: Frames, fps: Fraction, *, crf: int = PREVIEW_CRF) -> bytes:
    """A small MP4. One thread: several are encoded at a time."""
    import av

    height, width = frames.shape[1:3]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryfast", "crf": str(crf)}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()
