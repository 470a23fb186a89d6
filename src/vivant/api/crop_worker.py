"""What part of a picture would be shown: decoded in a process of its own, one at a time.

A decoder that crashes or hangs on a hostile file takes that process with it, not the service.
"""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from vivant.api.isolated_process import IsolatedProcess
from vivant.errors import BusyError, ImageError, VivantError
from vivant.settings import Settings

MAX_WAITING = 8
SECONDS = 30.0
PICTURES_PER_PROCESS = 100


class CropWorker:
    """The process, started when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process = IsolatedProcess(PICTURES_PER_PROCESS)
        self._waiting = 0

    async def crop(self, path: Path, width: int, height: int) -> dict[str, Any]:
        """Crop and faces of a picture file.

        Raises:
            VivantError: the picture cannot be used; too many wait.
        """
        if self._waiting >= MAX_WAITING:
            raise BusyError(
                f"{self._waiting} pictures wait to be looked at: try again", retry_after=2.0
            )
        self._waiting += 1
        try:
            found = await self._process.run(
                _crop, path, width, height, self._settings, seconds=SECONDS
            )
        except (BrokenProcessPool, TimeoutError):
            self.close()
            raise ImageError(
                "the picture cannot be decoded safely: save it again as PNG",
                code="image_damaged",
                param="image",
            ) from None
        finally:
            self._waiting -= 1
        if isinstance(found, VivantError):
            raise found
        answer: dict[str, Any] = found
        return answer

    def close(self) -> None:
        """End the process."""
        self._process.close()


def _crop(path: Path, width: int, height: int, settings: Settings) -> Any:
    """In the process: the answer, or the error as a value, because not all can be raised across."""
    from vivant.picture.intake import load_portrait
    from vivant.pipeline import image_limits

    try:
        portrait = load_portrait(
            path.read_bytes(), width=width, height=height, limits=image_limits(settings)
        )
    except VivantError as error:
        return error
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
        "width": width,
        "height": height,
    }
