"""Proof: every line of the creator's checklist, measured.

``Inspector`` looks at frames as they come, ``verify_file`` at a finished file. The package is
not called ``verify`` because ``vivant.verify`` is the function. Imports nothing of engines
or of how pictures are loaded.
"""

from vivant.checks.inspector import Inspector
from vivant.checks.metrics.delivery import Expectation
from vivant.checks.metrics.performance import Performance
from vivant.checks.verify import verify_file
from vivant.checks.worker_pool import keep_workers, worker_count

__all__ = [
    "Expectation",
    "Inspector",
    "Performance",
    "keep_workers",
    "verify_file",
    "worker_count",
]
