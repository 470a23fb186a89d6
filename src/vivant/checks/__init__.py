"""Proof: every line of the creator's checklist, measured.

``Inspector`` checks frames as they come, ``checks.live`` uses it while a clip is made, and
``checks.verify`` for a finished file. The package is not called ``verify`` because
``vivant.verify`` is the function. It imports no engine.
"""

from vivant.checks.inspector import Inspector
from vivant.checks.metrics.delivery import Expectation
from vivant.checks.metrics.performance import Performance
from vivant.checks.worker_pool import keep_workers, worker_count

__all__ = [
    "Expectation",
    "Inspector",
    "Performance",
    "keep_workers",
    "worker_count",
]
