"""Threads of the command line share the memory that they have freed."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from vivant.cli import allocator
allocator.usable_cores = lambda: {cores}
allocator.share_freed_memory()
threads = [threading.Thread(target=lambda: bytearray(65536)) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only the GNU C library has arenas")
@pytest.mark.parametrize(("cores", "one"), [(2, True), (16, False)])
def test_threads_share_one_arena_where_there_are_few_cores(cores: int, one: bool) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(cores=cores)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ("Arena 1:" not in done.stderr) is one
