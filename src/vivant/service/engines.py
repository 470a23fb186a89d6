"""The engines of a worker: each is loaded once and stays.

Knows nothing of jobs.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from vivant.types import Engine


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
        """The engine; whoever asks while it is being loaded waits, or there would be two of it.

        Raises:
            VivantError: it cannot be loaded; it is tried again when asked for again.
        """
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
            return self._loaded[name]
