"""How far one or several clips are, and the seconds that are left: one figure for all stages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vivant.service.progress import ProgressMeter
from vivant.types import Progress

if TYPE_CHECKING:
    from vivant.settings import Settings
    from vivant.types import Request


class ClipMeter:
    """Takes the progress of clips that are made one after another.

    Args:
        usual_seconds: stage → seconds it usually is busy; only their proportions count.
        expected: seconds a clip takes, where such clips were made before.
        clips: how many there will be.
    """

    def __init__(
        self, usual_seconds: Mapping[str, float], expected: float | None = None, clips: int = 1
    ) -> None:
        self._usual, self._expected, self._clips = usual_seconds, expected, clips
        self._done = 0
        self._meter = ProgressMeter(dict(usual_seconds))
        self._started = self._began = time.monotonic()

    def take(self, progress: Progress) -> None:
        """Note that more is done."""
        self._meter.take(progress)

    def next_clip(self) -> None:
        """One clip is finished."""
        self._done += 1
        self._meter = ProgressMeter(dict(self._usual))
        self._began = time.monotonic()

    @property
    def fraction(self) -> float:
        """0 … 1, never falling."""
        return min(1.0, (self._done + self._meter.fraction) / max(self._clips, self._done + 1))

    @property
    def seconds_left(self) -> float | None:
        """Until all clips are finished; None where nobody can tell.

        Clips that were finished tell how long the others take.
        """
        now = time.monotonic()
        each = (self._began - self._started) / self._done if self._done else self._expected
        left = self._meter.eta(now - self._began, each)
        waiting = self._clips - self._done - 1
        if waiting <= 0:
            return left
        if left is None or (each is None and self._meter.fraction < 0.5):
            return None
        return left + waiting * (each if each is not None else now - self._began + left)


def clip_meter(request: Request, settings: Settings, clips: int = 1) -> ClipMeter:
    """For clips of a request, by what such clips took on this machine."""
    from vivant.runs.timing_history import expected
    from vivant.service.progress import usual_seconds

    return ClipMeter(usual_seconds([], request), expected(request, settings), clips)
