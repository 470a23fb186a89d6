"""A job as clients and workers see it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from vivant.crop_area import parse_crop, parse_focus
from vivant.errors import DatabaseError, OutputError, StorageError, VivantError
from vivant.report import framing_fields
from vivant.service.objects import Objects
from vivant.types import Request

Status: TypeAlias = Literal["queued", "in_progress", "completed", "failed"]

Event: TypeAlias = Literal[
    "queued", "started", "progress", "completed", "failed", "cancelled", "deleted"
]

ACTIVE: frozenset[str] = frozenset({"queued", "in_progress"})

PRIORITIES: Mapping[str, int] = {"high": 1, "normal": 2, "low": 3}
"""Class → its number; lower numbers go first."""


def new_id() -> str:
    """An id of 128 random bits, so that nobody can guess another client's job."""
    return f"video_{secrets.token_hex(16)}"


def key(job_id: str, name: str) -> str:
    """Where an object of a job is: the same for every attempt."""
    return f"jobs/{job_id}/{name}"


ATTEMPTS = "attempts"


def attempt_key(job_id: str, attempt: int | str, name: str) -> str:
    """Where a run puts what it made, until the newest run's is published under :func:`key`.

    A run that was taken for dead and wakes up in mid-upload overwrites nothing but its own.
    """
    return f"jobs/{job_id}/{ATTEMPTS}/{attempt}/{name}"


SOURCE, PORTRAIT, REFERENCE = "source", "portrait.npz", "reference.jpg"
CLIP, THUMBNAIL, CONTACT_SHEET = "clip.mp4", "thumbnail.jpg", "contact_sheet.jpg"
REPORT, REPORT_HTML = "report.json", "report.html"
CALL = "call"
"""Id of the call of a container that makes the clip elsewhere."""


def remove_unfinished(objects: Objects, job_id: str) -> None:
    """Remove what only an active job needs: its decoded picture and its attempts.

    Its call stays: only who stops the call forgets it.
    """
    objects.delete(key(job_id, PORTRAIT))
    objects.delete_folder(key(job_id, ATTEMPTS))


VARIANTS: Mapping[str, str] = {
    "video": CLIP,
    "thumbnail": THUMBNAIL,
    "contact_sheet": CONTACT_SHEET,
    "spritesheet": CONTACT_SHEET,
    "report": REPORT,
    "report_html": REPORT_HTML,
    "source": SOURCE,
    "reference": REFERENCE,
}
"""What ``/content`` calls it → the object's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What a client asked for: a request whose picture lies in the object store.

    Attributes:
        request: its ``image`` is empty; see ``picture``.
        picture: ``name``, ``size``, ``sha256`` of the upload.
        currency: of the bill; the operator's where None.
        priority: a key of :data:`PRIORITIES`.
        budget: try again until it passes, within this (see :mod:`vivant.runs.budget`); one clip
            where None.
        webhook_url: is told when the job is over; None: nobody is.
        batch: the client's name of what it belongs to; None where it stands alone.
    """

    request: Request
    picture: Mapping[str, Any]
    currency: str | None = None
    priority: str = "normal"
    budget: str | None = None
    batch: str | None = None
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of the job store.

    Attributes:
        owner: id of the API key; empty where there are no keys.
        token: number of the newest run; only that one may write.
        seq: of the newest event.
        snapshot: the newest event's data.
        queue_position: jobs to be started before this one; None unless queued.
    """

    id: str
    owner: str
    status: Status
    created_at: float
    started_at: float | None
    completed_at: float | None
    expires_at: float | None
    swept_at: float | None
    request: Mapping[str, Any]
    picture: Mapping[str, Any]
    priority: int
    request_hash: str
    prepare_starts: int
    render_starts: int
    token: int
    seq: int
    progress: int
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    prepared: Mapping[str, Any] | None = None
    verdict: str | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    queue_position: int | None = None

    @property
    def active(self) -> bool:
        """Whether the job is still waiting or running."""
        return self.status in ACTIVE


def request_json(spec: JobSpec) -> dict[str, Any]:
    """A job's request without the picture, as the job store keeps it."""
    request = spec.request
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "num_frames": request.num_frames,
        "fps": str(request.fps),
        "width": request.width,
        "height": request.height,
        "seed": request.seed,
        "engine": request.engine,
        "upscaler": request.upscaler,
        "quality": request.quality,
        "options": dict(request.options),
        "currency": spec.currency,
        **({"label": request.label} if request.label else {}),
        **({} if request.label_seconds is None else {"label_seconds": request.label_seconds}),
        **({"sound": True} if request.sound else {}),
        **framing_fields(request.framing),
        # absent where there is none: jobs from before hash to what they did
        **({} if spec.budget is None else {"budget": spec.budget}),
        **({} if spec.batch is None else {"batch": spec.batch}),
        **({} if spec.webhook_url is None else {"webhook_url": spec.webhook_url}),
    }


def request_from_json(data: Mapping[str, Any]) -> Request:
    """The inverse of :func:`request_json`, without the picture.

    A field that a later version adds is read with ``get`` and its default: jobs that were
    stored before an upgrade do not have it.
    """
    return Request(
        image=b"",
        prompt=data["prompt"],
        negative_prompt=data["negative_prompt"],
        num_frames=data["num_frames"],
        fps=Fraction(data["fps"]),
        width=data["width"],
        height=data["height"],
        seed=data["seed"],
        engine=data["engine"],
        upscaler=data["upscaler"],
        quality=data["quality"],
        options=data["options"],
        label=data.get("label", ""),
        label_seconds=data.get("label_seconds"),
        sound=data.get("sound", False),
        crop=parse_crop(data["crop"]) if data.get("crop") else None,
        focus=parse_focus(data["focus"]) if data.get("focus") else None,
        rotate=data.get("rotate", 0),
    )


TRANSIENT = (StorageError, OutputError, DatabaseError)
"""Errors of the surroundings, after which a stage is tried again."""


def error_json(error: BaseException) -> dict[str, Any]:
    """What a client is told: the message of our own errors; of others only that the job failed."""
    if isinstance(error, VivantError):
        return {"code": error.error_code, "message": error.message, "param": error.param}
    if isinstance(error, MemoryError):
        message = "the worker's memory is not enough: use smaller settings"
        return {"code": "out_of_memory", "message": message, "param": None}
    return {
        "code": "internal",
        "message": "the worker failed in a way that nobody foresaw; its log tells more",
        "param": None,
    }
