"""What part of a picture would be shown: decoded in a process of its own, one at a time.

A decoder that crashes or hangs on a hostile file takes that process with it, not the service.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from vivant.errors import BusyError, ImageError, VivantError
from vivant.settings import Settings

MAX_WAITING = 8
SECONDS = 30.0
PICTURES_PER_PROCESS = 100


class Previewer:
    """The process, started when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: ProcessPoolExecutor | None = None
        self._waiting = 0

    async def look(self, path: Path, width: int, height: int) -> dict[str, Any]:
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
            found = await asyncio.wait_for(
                asyncio.wrap_future(
                    self._running().submit(_look, path, width, height, self._settings)
                ),
                SECONDS,
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
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list(getattr(pool, "_processes", None) or {}):
                _kill(process)
            pool.shutdown(wait=False, cancel_futures=True)

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                1,
                multiprocessing.get_context("spawn"),
                _begin,
                max_tasks_per_child=PICTURES_PER_PROCESS,
            )
        return self._pool


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except OSError:
        return


def _begin() -> None:
    """In the process: end when the service is gone, however it went."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def _look(path: Path, width: int, height: int, settings: Settings) -> Any:
    """In the process: the answer, or the error as a value, because not all can be raised across."""
    from vivant.image import load_portrait
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
