"""The looping examples on the page's first screen, made once from the sample picture and kept.

They are made when a page first asks for them, by the living engine in the crop process, so that
the distribution carries no clips. Posters come first.
"""

from __future__ import annotations

import asyncio
import logging
import os
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from vivant.api.crop_worker import CropWorker
from vivant.errors import BusyError, VivantError
from vivant.settings import Settings
from vivant.version import __version__
from vivant.web import sample_asset

log = logging.getLogger("vivant.api")


IDLE_SECONDS: Final = 3.0
"""A user's picture goes first: crop and previews follow one another within this time."""


@dataclass(frozen=True, slots=True)
class Example:
    """What one example shows; the preset is also its name.

    Attributes:
        aspect: a key of the aspects in ``/v1/config``.
    """

    preset: str
    aspect: str
    width: int
    height: int


EXAMPLES: Final = (
    Example("calm", "16:9", 480, 270),
    Example("warm", "9:16", 270, 480),
    Example("attentive", "1:1", 320, 320),
)


class Examples:
    """The files of the examples, below the cache folder.

    Args:
        settings: names the cache folder, and the engines that are offered.
        crop_worker: draws them.
    """

    def __init__(self, settings: Settings, crop_worker: CropWorker) -> None:
        self._cache = settings.cache_dir / "examples"
        self._offered = "living" in settings.engines
        self._crop_worker = crop_worker
        self._making: asyncio.Task[None] | None = None
        self._failed = False

    @cached_property
    def _folder(self) -> Path:
        """Of this version and its sample: between releases the sample may be another picture."""
        sample = sample_asset()
        tag = sample.etag.strip('"') if sample else "none"
        return self._cache / f"{__version__}-{tag}"

    def listed(self) -> list[Example]:
        """All examples; none where the living engine is not offered or there is no sample."""
        return list(EXAMPLES) if self._offered and sample_asset() is not None else []

    def file(self, name: str) -> Path | None:
        """The finished file ``name``, for example ``calm.mp4``; None if it is not there (yet)."""
        known = {f"{one.preset}.{kind}" for one in EXAMPLES for kind in ("mp4", "jpg")}
        path = self._folder / name
        return path if name in known and path.is_file() else None

    def _write(self, name: str, content: bytes) -> None:
        """The whole file or nothing; other servers of this machine may write the same one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f".{name}.{os.getpid()}"
        partial.write_bytes(content)
        partial.replace(self._folder / name)

    def start(self) -> None:
        """Make what is missing, in the background; nothing while that runs, or after it failed."""
        if not self._failed and (self._making is None or self._making.done()):
            self._making = asyncio.create_task(self._make())

    async def close(self) -> None:
        """Stop making them."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)

    async def _make(self) -> None:
        sample = sample_asset()
        if sample is None:
            return
        worker = self._crop_worker
        try:
            for one in self.listed():
                if self.file(name := f"{one.preset}.jpg") is None:
                    poster = await worker.example_poster(sample.body, one.width, one.height)
                    self._write(name, poster)
            for one in self.listed():
                if self.file(name := f"{one.preset}.mp4") is None:
                    await worker.idle(IDLE_SECONDS)
                    clip = await worker.example(sample.body, one.preset, one.width, one.height)
                    self._write(name, clip)
        except BusyError:
            return  # the next page that asks begins again
        except (VivantError, OSError, TimeoutError, BrokenProcessPool) as error:
            self._failed = True
            log.warning("the examples of the page could not be made: %s", error)
