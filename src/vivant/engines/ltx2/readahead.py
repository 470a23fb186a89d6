"""Bring a checkpoint into the page cache while Python imports torch: both take long when cold.

No torch.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from threading import Thread
from typing import Final

import psutil

READERS: Final = 8
"""One reader does not fill a fast disk."""

BLOCK: Final = 16 << 20
"""Bytes read at once."""

PIECE: Final = 256 << 20
"""Bytes of a file that one reader takes."""

GPU: Final = Path("/dev/nvidia0")
"""There where there is an NVIDIA GPU, and checked without a library."""


def read_ahead(folders: list[Path], *, gpu: Path = GPU) -> list[Thread]:
    """Read every safetensors file in ``folders`` in the background, where that can help.

    Not where there is no GPU, nothing to read, or less than twice the memory free.

    Returns:
        The threads that do so, ended when all is read; none where nothing is.
    """
    files = sorted(path for folder in folders for path in folder.glob("*.safetensors"))
    size = sum(path.stat().st_size for path in files)
    if not files or not gpu.exists() or psutil.virtual_memory().available < 2 * size:
        return []
    pieces = deque(
        (path, start, start + PIECE)
        for path in files
        for start in range(0, path.stat().st_size, PIECE)
    )
    # daemons, and no pool: a process that gives up must not wait for them
    threads = [
        Thread(target=_read, args=(pieces,), name="vivant-read-ahead", daemon=True)
        for _ in range(READERS)
    ]
    for thread in threads:
        thread.start()
    return threads


def _read(pieces: deque[tuple[Path, int, int]]) -> None:
    while True:
        try:
            piece = pieces.popleft()
        except IndexError:
            return
        _touch(*piece)


def _touch(path: Path, start: int, end: int) -> None:
    buffer = bytearray(BLOCK)
    try:
        with path.open("rb", buffering=0) as file:
            while start < end:
                if not _is_cached(file.fileno(), start):
                    file.seek(start)
                    if not file.readinto(buffer):
                        return
                start += BLOCK
    except OSError:
        return  # whoever needs the file will say so


def _is_cached(descriptor: int, offset: int) -> bool:
    """Whether a block seems to be in the page cache: its first page is, and costs no waiting."""
    if not hasattr(os, "RWF_NOWAIT"):
        return False
    try:
        return bool(os.preadv(descriptor, [bytearray(1)], offset, os.RWF_NOWAIT))
    except OSError:  # it would wait, or the file system cannot tell
        return False
