"""Which engines this machine can run, and the engines of a worker, each loaded once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from threading import Lock

from vivant.types import Engine, several

LTX2_PACKAGES = ("torch", "diffusers", "transformers")


@cache
def gpu_names() -> tuple[str, ...]:
    """NVIDIA GPUs by their index, by their driver's own tool."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ()
    try:
        found = subprocess.run(
            [tool, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(name.strip() for name in found)


def gpu_name(number: int = 0, count: int = 1) -> str | None:
    """Of a worker's GPU; where there are more workers than GPUs they share.

    Args:
        number: of the worker on this machine, from 0.
        count: GPUs of each worker.
    """
    names = gpu_names()
    return several(count, names[number * count % len(names)]) if names else None


def why_not(engine: str) -> str:
    """Why an engine cannot run here; empty where it can."""
    if engine != "ltx2":
        return ""
    missing = [name for name in LTX2_PACKAGES if find_spec(name) is None]
    if missing:
        return f"{', '.join(missing)}: not installed on this server; uv sync --extra ltx2 does"
    if gpu_name() is None and sys.platform != "darwin":
        return "no GPU was found: vivant doctor tells more"
    return ""


class Engines:
    """Name → loaded engine.

    Args:
        load: what makes one; takes a minute and tens of gigabytes where it is LTX-2.
    """

    def __init__(self, load: Callable[[str], Engine]) -> None:
        self._load = load
        self._loaded: dict[str, Engine] = {}
        self._lock = Lock()

    def __call__(self, name: str) -> Engine:
        """The engine. Other callers wait while it is loaded, so that it is not loaded twice.

        Raises:
            VivantError: it cannot be loaded; it is tried again when asked for again.
        """
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            return self._loaded[name]
