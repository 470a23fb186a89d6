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
    from vivant.engines.living import LivingEngine

SHORT_SIDE: Final = 144
"""Pixels of a preview."""

DRAWN_SIDE: Final = 216
"""Pixels of the short side while it is drawn; then it is reduced to :data:`SHORT_SIDE`."""

FACE_WIDTH: Final = 64
"""Pixels of the largest face while it is drawn: the engine does not move smaller ones."""

LONGEST_DRAWN: Final = 960
"""Pixels; a picture that would need more for its face has no previews."""

FPS: Final = Fraction(10)
NUM_FRAMES: Final = 20
"""A loop of 2 s: a breath and a blink."""

EXAMPLE_FPS: Final = Fraction(16)
EXAMPLE_FRAMES: Final = 64
"""A loop of 4 s."""


def preview_clips(portrait: Portrait, clip: Request) -> dict[str, Any]:
    """In the process: one clip for each preset.

    Args:
        portrait: of the picture.
        clip: the one that is asked for; its size decides the shape.

    Raises:
        VivantError: the engine cannot draw it.
    """
    from vivant.engines.living.options import PRESETS

    width, height = clip.width, clip.height
    size = _even(width, height, SHORT_SIDE)
    drawn = _drawn_size(portrait, width, height)
    clips = _clips(portrait, PRESETS, drawn, size) if drawn else []
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
    from vivant.engines.living import LivingEngine
    from vivant.picture.intake import load_portrait

    portrait = load_portrait(picture, width=width, height=height)
    frames = _draw(LivingEngine(), portrait, preset, (width, height), EXAMPLE_FRAMES, EXAMPLE_FPS)
    assert frames is not None  # noqa: S101 - see above
    return _encoded(frames, EXAMPLE_FPS)


def example_poster(picture: bytes, width: int, height: int) -> bytes:
    """In the process: the first frame of :func:`example_clip` as JPEG.

    Raises:
        VivantError: the picture cannot be used.
    """
    import cv2

    from vivant.picture.framing import crop_pixels
    from vivant.picture.intake import load_portrait

    pixels = crop_pixels(load_portrait(picture, width=width, height=height), width, height)
    _, poster = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return poster.tobytes()


def _drawn_size(portrait: Portrait, width: int, height: int) -> tuple[int, int] | None:
    """Where the largest face is wide enough to live; None where that needs too many pixels."""
    if not portrait.faces:
        return None
    scale = DRAWN_SIDE / min(width, height)
    share = portrait.faces[0].box.width / portrait.crop.width
    scale = max(scale, FACE_WIDTH / share / width)
    if scale * max(width, height) > LONGEST_DRAWN:
        return None
    return _even(width, height, round(scale * min(width, height)))


def _even(width: int, height: int, short: int) -> tuple[int, int]:
    scale = short / min(width, height)
    return 2 * round(scale * width / 2), 2 * round(scale * height / 2)


def _clips(
    portrait: Portrait, presets: tuple[str, ...], drawn: tuple[int, int], size: tuple[int, int]
) -> list[bytes]:
    """An MP4 for each preset; none where no face can live, because then all would be the same."""
    import cv2
    import numpy as np

    from vivant.engines.living import LivingEngine

    engine = LivingEngine(sketches=True)

    def clip(preset: str) -> bytes | None:
        frames = _draw(engine, portrait, preset, drawn, NUM_FRAMES, FPS)
        if frames is None:
            return None
        small = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames]
        return _encoded(np.asarray(small, np.uint8), FPS)

    with ThreadPoolExecutor(len(presets), "vivant-preview") as pool:
        found = list(pool.map(clip, presets))
    return [one for one in found if one is not None] if all(found) else []


def _draw(
    engine: LivingEngine,
    portrait: Portrait,
    preset: str,
    size: tuple[int, int],
    num_frames: int,
    fps: Fraction,
) -> Frames | None:
    """``[T, H, W, 3]`` uint8; None where no face can live."""
    import numpy as np

    request = Request(
        image=b"",
        width=size[0],
        height=size[1],
        num_frames=num_frames,
        fps=fps,
        options={"preset": preset, "loop": True},
    )
    clip = engine.generate(portrait, request, lambda _: None)
    if engine.info.name != "living":
        return None
    return np.concatenate(list(clip.chunks))


def _encoded(frames: Frames, fps: Fraction) -> bytes:
    """A small MP4. One thread: several are encoded at a time."""
    import av

    height, width = frames.shape[1:3]
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        stream.options = {"preset": "veryfast", "crf": "26"}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()
