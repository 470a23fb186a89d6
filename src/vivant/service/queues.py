"""Names that the door and the workers agree on: application, version, queues."""

from __future__ import annotations

APPLICATION = "vivant"

APPLICATION_VERSION = "1"
"""A whole number, raised when a stage's steps or a request's meaning change: workers take only
stages of their own version, and newer ones adopt what is left when the last old one is gone."""

PREPARE_QUEUE = PUBLISH_QUEUE = "cpu"
"""For every worker."""

RENDER_PREFIX = "render-"

PREPARE_SUFFIX, PUBLISH_SUFFIX = "-prepare", "-publish"
"""Of these stages' ids; the job's own id is the clip's making."""


def render_queue(engine: str) -> str:
    """For workers that can run the engine."""
    return f"{RENDER_PREFIX}{engine}"


def older(version: str) -> list[str]:
    """Versions before this one."""
    return [str(number) for number in range(1, int(version))]
