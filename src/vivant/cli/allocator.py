"""How this process keeps the memory that it has freed."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

from vivant.video.cores import FEW_CORES, usable_cores

M_ARENA_MAX: Final = -8
"""Of ``malloc.h`` of the GNU C library."""


def share_freed_memory() -> None:
    """Let all threads take freed memory from one place, where there are few cores.

    The GNU C library keeps freed blocks for up to eight times as many groups of threads as there
    are cores. Frames are allocated by one thread and freed by another, so that a clip at 1080p held
    120 MB that no thread used. With few cores, threads hardly ever wait for each other's
    allocations. Nothing changes with another C library. Call it before threads are started.
    """
    if sys.platform != "linux" or usable_cores() > FEW_CORES:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
