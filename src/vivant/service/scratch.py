"""A place for files on their way, which a worker's threads share.

Knows nothing of jobs.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vivant.errors import OutputError


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
