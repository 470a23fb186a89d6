"""One estimate of the time until a clip is finished, from all its stages."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from vivant.service.progress import ProgressMeter
from vivant.types import Progress


def time_left(
    usual_seconds: Mapping[str, float], expected: float | None = None
) -> Callable[[Progress], float | None]:
    """Takes every progress, and gives the seconds left; None where nobody can tell.

    Args:
        usual_seconds: stage → seconds it usually is busy; only their proportions count.
        expected: seconds it takes in all, where such clips were made before.
    """
    meter = ProgressMeter(dict(usual_seconds))
    started = time.monotonic()

    def left(progress: Progress) -> float | None:
        meter.take(progress)
        return meter.eta(time.monotonic() - started, expected)

    return left
