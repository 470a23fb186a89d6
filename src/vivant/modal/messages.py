"""What is sent to a render container and what comes back.

Plain data without Vivant's classes: the web app and the container may run different versions
while a new one is deployed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict

CONTAINER_KINDS = ("distilled", "lora", "camera")
"""Kinds of render container. Each keeps one model loaded."""


class RenderRequest(TypedDict):
    """One clip to render.

    Attributes:
        request: as :func:`vivant.service.job.request_json` writes it.
        picture: facts of the upload: ``name``, ``size`` in bytes, ``sha256``.
        source: bytes of the uploaded file.
    """

    job_id: str
    request: dict[str, Any]
    picture: dict[str, Any]
    source: bytes


class RenderError(TypedDict):
    """Why there is no clip, as the API tells its clients."""

    code: str
    message: str
    param: str | None


class RenderResult(TypedDict):
    """Either ``result`` and ``files``, or ``error``.

    Attributes:
        result: what the render stage stores in the job store.
        files: object name → content.
        gpu: the GPU's name as its driver gives it; None without one.
        container_seconds: from the call's start in the container to its return.
    """

    result: NotRequired[dict[str, Any]]
    files: NotRequired[dict[str, bytes]]
    error: NotRequired[RenderError]
    gpu: str | None
    container_seconds: float


def container_kind(request: Mapping[str, Any]) -> str:
    """Which kind of container renders this request.

    Recipes with the distilled LoRA need another model than the others. They have containers of
    their own, so that no container has to swap models.
    """
    if request["engine"] != "ltx2":
        return "camera"
    return "lora" if "lora" in str(request["options"].get("recipe", "")) else "distilled"
