"""What travels between the front and a studio: plain data, so that either side may be newer.

Knows nothing of how it travels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

STUDIOS = ("distilled", "lora", "camera")
"""Kinds of container. Each keeps one model loaded."""


class Work(TypedDict):
    """One clip to be made.

    Attributes:
        request: as :func:`vivant.service.job.request_json` writes it.
        picture: facts of the upload: ``name``, ``size``, ``sha256``.
        source: the upload itself.
    """

    job_id: str
    request: dict[str, Any]
    picture: dict[str, Any]
    source: bytes


class Trouble(TypedDict):
    """Why there is no clip, as clients are told."""

    code: str
    message: str
    param: str | None


class Made(TypedDict):
    """What came of it: ``result`` and ``files``, or ``error``.

    Attributes:
        result: as the render stage keeps it in the ledger.
        files: object name → content.
        gpu: what it was made on.
        studio_seconds: from the moment the studio took it to the moment it was handed back.
    """

    result: NotRequired[dict[str, Any]]
    files: NotRequired[dict[str, bytes]]
    error: NotRequired[Trouble]
    gpu: str | None
    studio_seconds: float


def studio_for(request: Mapping[str, Any]) -> str:
    """Which kind of studio a request goes to.

    Recipes with the distilled LoRA load another model than the others: apart, neither has to be
    loaded anew when the other one is asked for.
    """
    if request["engine"] != "ltx2":
        return "camera"
    return "lora" if "lora" in str(request["options"].get("recipe", "")) else "distilled"
