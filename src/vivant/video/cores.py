"""How many processor cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Linux's control group, version 2: microseconds of processor time, and in how many."""

FEW_CORES = 2
"""Up to so many cores, fewer threads run side by side."""


def usable_cores(quota: Path = _QUOTA) -> int:
    """Cores of the machine that this process may run on, and that its container pays for."""
    found = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        found = len(os.sched_getaffinity(0))
    try:
        granted, period = quota.read_text("ascii").split()
        return max(1, min(found, math.ceil(int(granted) / int(period))))
    except (OSError, ValueError):  # no such file, or "max"
        return found
