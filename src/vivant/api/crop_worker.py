"""Looks at pictures before a clip is made: in a process of its own, one at a time.

A decoder that crashes, or takes too long on a hostile file, ends with that process.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vivant.api.isolated_process import IsolatedProcess
from vivant.api.preview_clips import example_clip, example_poster, preview_clips
from vivant.errors import VivantError
from vivant.picture.source import too_slow, unsafe
from vivant.settings import Settings
from vivant.types import Portrait, Request

if TYPE_CHECKING:
    from vivant.picture.faces import FaceReader

DECODE_SECONDS = 20.0
"""The largest pictures allowed take about 5 s."""

WAIT_SECONDS = 30.0
"""For the pictures before one."""

MOST_KEPT_VALUES = 6_000_000
"""Of a picture that is kept until the next one: 1280×1280 pixels, the most that previews get."""

MAX_REQUESTS = 8
"""Pictures that wait or are decoded; more are refused."""

PICTURES_PER_PROCESS = 100


class CropWorker:
    """The process, started when it is first needed.

    Args:
        settings: limits of pictures.
        decode_seconds: one picture may take so long.
        wait_seconds: for the pictures before it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        decode_seconds: float = DECODE_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._settings, self._decode_seconds = settings, decode_seconds
        self._process = IsolatedProcess(
            wait_seconds=wait_seconds,
            most=MAX_REQUESTS,
            tasks_per_process=PICTURES_PER_PROCESS,
            prepare=_prepare,
        )
        self._busy_at = -math.inf  # when it last had a picture of a user, monotonic seconds

    def start(self) -> None:
        """Start the process before the first picture comes: that takes 1 to 2 s."""
        self._process.start()

    async def idle(self, seconds: float) -> None:
        """Wait until no user has asked for anything for so long."""
        while (left := self._busy_at + seconds - time.monotonic()) > 0:
            await asyncio.sleep(left)

    async def crop(self, path: Path, clip: Request) -> dict[str, Any]:
        """Crop and faces of a picture file, as the clip of the request will have them.

        Raises:
            ImageError: the picture cannot be used, or takes too long.
            OptionError: crop or focus is not possible in this picture.
            BusyError: too many pictures are before it.
        """
        return await self._about_picture(_crop, path, clip)

    async def previews(self, path: Path, clip: Request) -> dict[str, Any]:
        """A short clip of low size for each preset of the living engine.

        Raises:
            ImageError: the picture cannot be used, or takes too long.
            OptionError: crop or focus is not possible in this picture.
            BusyError: too many pictures are before it.
        """
        return await self._about_picture(_previews, path, clip)

    async def example(self, picture: bytes, preset: str, width: int, height: int) -> bytes:
        """An MP4: a loop of the sample picture.

        Raises:
            BusyError: too many pictures are before it.
            TimeoutError: it takes too long.
            BrokenProcessPool: the process ended.
        """
        return await self._made(example_clip, picture, preset, width, height)

    async def example_poster(self, picture: bytes, width: int, height: int) -> bytes:
        """The first frame of :meth:`example` as JPEG; raises the same."""
        return await self._made(example_poster, picture, width, height)

    async def _made(self, work: Callable[..., bytes], *arguments: Any) -> bytes:
        found = await self._process.run(work, *arguments, seconds=self._decode_seconds)
        return bytes(found)

    async def _about_picture(
        self, work: Callable[..., Any], path: Path, clip: Request
    ) -> dict[str, Any]:
        self._busy_at = time.monotonic()
        try:
            found = await self._process.run(
                _with_picture, work, path, clip, self._settings, seconds=self._decode_seconds
            )
        except TimeoutError:
            raise too_slow("the picture", self._decode_seconds) from None
        except BrokenProcessPool:
            raise unsafe("the picture") from None
        finally:
            self._busy_at = time.monotonic()
        if isinstance(found, VivantError):
            raise found
        answer: dict[str, Any] = found
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.close()


def _prepare() -> None:
    """In a new process: the imports, and the face models."""
    import av  # noqa: F401

    from vivant.engines.living import Sketches  # noqa: F401
    from vivant.image_limits import image_limits  # noqa: F401
    from vivant.picture.intake import load_portrait  # noqa: F401

    _reader().mesh  # noqa: B018 - it is loaded at first use


@cache
def _reader() -> FaceReader:
    """Of the process; making one takes 0.1 s."""
    from vivant.picture.faces import FaceReader

    return FaceReader()


def _with_picture(
    work: Callable[[Portrait, Request], Any], path: Path, clip: Request, settings: Settings
) -> Any:
    """In the process: the answer, or the error as a value, because not all can be raised across."""
    try:
        return work(_portrait(path.read_bytes(), clip, settings), clip)
    except VivantError as error:
        return error


_last: dict[tuple[object, ...], Portrait] = {}
"""The last small picture: previews follow its crop."""


def _portrait(content: bytes, clip: Request, settings: Settings) -> Portrait:
    from vivant.image_limits import image_limits
    from vivant.picture.intake import load_portrait

    key = (hashlib.sha256(content).digest(), clip.width, clip.height, clip.framing)
    if (known := _last.get(key)) is not None:
        return known
    _last.clear()
    portrait = load_portrait(
        content,
        width=clip.width,
        height=clip.height,
        limits=image_limits(settings, timed=True),
        reader=_reader(),
        framing=clip.framing,
    )
    if portrait.pixels.size <= MOST_KEPT_VALUES:
        _last[key] = portrait
    return portrait


def _previews(portrait: Portrait, clip: Request) -> dict[str, Any]:
    return preview_clips(portrait, clip, _reader().mesh)


def _crop(portrait: Portrait, clip: Request) -> dict[str, Any]:
    rows, columns = portrait.pixels.shape[:2]

    def share(box: Any) -> dict[str, float]:
        return {
            "left": round(box.left / columns, 6),
            "top": round(box.top / rows, 6),
            "width": round(box.width / columns, 6),
            "height": round(box.height / rows, 6),
        }

    return {
        "object": "crop",
        "picture": {
            "width": portrait.source.width,
            "height": portrait.source.height,
            "format": portrait.source.format,
        },
        "crop": share(portrait.crop),
        "faces": [{**share(face.box), "score": round(face.score, 3)} for face in portrait.faces],
        "warnings": list(portrait.warnings),
        "width": clip.width,
        "height": clip.height,
        "rotate": clip.rotate,
        "suggested_rotate": portrait.suggested_rotation,
    }
