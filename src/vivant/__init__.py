"""Vivant: one still picture of a person in, a faithful moving 1080p clip out, with proof.

::

    import vivant

    result = vivant.animate("portrait.jpg", "clip.mp4", seed=7)
    print(result.verdict, result.report.bill.amount)

    for take in vivant.animate_many("portrait.jpg", "seeds", range(4)).takes:
        print(take.seed, take.result.verdict if take.result else take.reason)

    for score in vivant.verify("clip.mp4", "portrait.jpg").scores:
        print(score.verdict, score.name, score.reason)

Importing this package is light: engines, torch and OpenCV load when they are used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vivant.version import __version__

if TYPE_CHECKING:
    from vivant.errors import Cancelled, VivantError
    from vivant.python_api import animate, animate_many, verify
    from vivant.types import (
        Box,
        Progress,
        Report,
        Request,
        Result,
        Score,
        Series,
        Take,
        Verdict,
        Verification,
    )

_HOMES = {
    "animate": "vivant.python_api",
    "animate_many": "vivant.python_api",
    "verify": "vivant.python_api",
    "Cancelled": "vivant.errors",
    "VivantError": "vivant.errors",
    "Box": "vivant.types",
    "Progress": "vivant.types",
    "Report": "vivant.types",
    "Request": "vivant.types",
    "Result": "vivant.types",
    "Score": "vivant.types",
    "Series": "vivant.types",
    "Take": "vivant.types",
    "Verdict": "vivant.types",
    "Verification": "vivant.types",
}

__all__ = [
    "Box",
    "Cancelled",
    "Progress",
    "Report",
    "Request",
    "Result",
    "Score",
    "Series",
    "Take",
    "Verdict",
    "Verification",
    "VivantError",
    "__version__",
    "animate",
    "animate_many",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'vivant' has no attribute {name!r}")
