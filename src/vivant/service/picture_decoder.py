"""Decodes pictures in processes that can be killed, so that no picture can hold a worker.

A picture of 1 MB can keep a decoder busy for minutes, and a thread in C code cannot be stopped. A
decoder that is too slow, or crashes, ends with its process and fails that one job.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vivant.errors import OutputError, VivantError
from vivant.picture.decode import Decoded, decode
from vivant.picture.source import ImageLimits, too_slow, unsafe
from vivant.service.killable_process import START_SECONDS, KillableProcess

DECODE_SECONDS = 20.0
"""The largest pictures allowed take about 5 s."""

AT_ONCE = 2
"""Pictures decoded side by side: behind a slow one the others go on. Each may take the memory of
``max_image_decoded_bytes``."""

PICTURES_PER_PROCESS = 100
"""Then a new process takes over, so that leaks of decoders do not add up."""

CHECK_SECONDS = 0.25
"""Seconds between two calls of ``check``, which asks whether the picture is still wanted."""

PIXELS = "pixels.npy"

NAME = "the picture"
"""In sentences; uploads have no path that a user would know."""


class PictureDecoder:
    """The processes; safe to use from several threads.

    Args:
        seconds: one picture may take so long, not counting the wait for its turn.
    """

    def __init__(self, seconds: float = DECODE_SECONDS) -> None:
        self._seconds = seconds
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._guard = threading.Lock()
        self._idle: list[KillableProcess] = []

    def start(self) -> None:
        """Start a process, so that the first picture does not wait for it; does not wait."""
        with self._lent() as process:
            process.start()

    def decode(
        self,
        picture: Path,
        width: int,
        height: int,
        limits: ImageLimits,
        *,
        folder: Path,
        check: Callable[[], None],
    ) -> Decoded:
        """As :func:`vivant.picture.decode.decode` does.

        Args:
            picture: the file.
            width: of the clip, pixels.
            height: of the clip, pixels.
            limits: of pictures.
            folder: an empty one, for the pixels on their way.
            check: called every :data:`CHECK_SECONDS`; what it raises ends the decoding.

        Raises:
            ImageError: the picture cannot be used, or takes too long.
            OutOfMemoryError: this machine cannot decode it.
            OutputError: no process can be started, or the pixels cannot be written.
        """
        while not self._turns.acquire(timeout=CHECK_SECONDS):
            check()
        try:
            with self._lent() as process:
                _started(process, check)
                task = process.submit(_decode, picture, width, height, limits, folder / PIXELS)
                found = _wait(task, self._seconds, check)
        except TimeoutError:
            raise too_slow(NAME, self._seconds) from None
        except BrokenProcessPool:
            raise unsafe(NAME) from None
        finally:
            self._turns.release()
        if isinstance(found, VivantError):
            raise found
        decoded: Decoded = found
        # mapped: 36 MB need not be copied. Windows could not remove a mapped file.
        mode: Literal["c"] | None = None if os.name == "nt" else "c"
        return replace(decoded, pixels=np.asarray(np.load(folder / PIXELS, mmap_mode=mode)))

    @contextmanager
    def _lent(self) -> Iterator[KillableProcess]:
        """A process for one task; killed where that does not end well."""
        with self._guard:
            process = self._idle.pop() if self._idle else KillableProcess(_prepare)
        try:
            yield process
        except BaseException:
            process.kill()
            raise
        finally:
            if process.tasks >= PICTURES_PER_PROCESS:
                process.kill()
            with self._guard:
                self._idle.append(process)

    def close(self) -> None:
        """End the processes that are idle."""
        with self._guard:
            for process in self._idle:
                process.kill()


def _wait(future: Future[Any], seconds: float, check: Callable[[], None]) -> Any:
    until = time.monotonic() + seconds
    while True:
        left = until - time.monotonic()
        try:
            return future.result(timeout=max(0.0, min(CHECK_SECONDS, left)))
        except TimeoutError:
            if left <= 0:
                raise
        check()


def _started(process: KillableProcess, check: Callable[[], None]) -> None:
    """Wait until a new process has started. If it does not start, the picture is not to blame."""
    try:
        _wait(process.start(), START_SECONDS, check)
    except (TimeoutError, BrokenProcessPool) as error:
        raise OutputError(
            f"the process that decodes pictures did not start within {START_SECONDS:g} s: this "
            "machine may be out of memory"
        ) from error


def _prepare() -> None:
    """In a new process: its imports were made to find this function."""


def _decode(picture: Path, width: int, height: int, limits: ImageLimits, pixels: Path) -> Any:
    """In the process: all but the pixels. Errors are values, since not all can be pickled."""
    try:
        decoded = decode(picture.read_bytes(), NAME, width, height, limits)
    except VivantError as error:
        return error
    np.save(pixels, decoded.pixels)
    return replace(decoded, pixels=decoded.pixels[:0])


pictures = PictureDecoder()
"""Of this process."""
