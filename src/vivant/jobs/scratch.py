"""What a worker's threads share: a place for files on their way, and face readers.

Knows nothing of jobs.
"""

from __future__ import annotations

import queue
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vivant.errors import OutputError
from vivant.faces import FaceReader


class Scratch:
    """Folders that are gone after use.

    Args:
        root: of this process alone; made where it is missing.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """A new folder.

        Raises:
            OutputError: the disk does not take it, or what is written into it.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self._root))
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield folder
        except OSError as error:
            raise self._unwritable(error) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(f"cannot write in {self._root}: {error.strerror}")


class FaceReaders:
    """Readers for one thread at a time each; making one takes half a second, so they are kept."""

    def __init__(self) -> None:
        self._idle: queue.SimpleQueue[FaceReader] = queue.SimpleQueue()

    @contextmanager
    def lend(self) -> Iterator[FaceReader]:
        """One that nobody else uses meanwhile."""
        try:
            reader = self._idle.get_nowait()
        except queue.Empty:
            reader = FaceReader()
        try:
            yield reader
        finally:
            self._idle.put(reader)
