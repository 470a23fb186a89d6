"""Jobs and batches of them as clients see them; see docs/api.md."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from fractions import Fraction
from typing import Any

from vivant.api.file_names import file_stem
from vivant.service.job import REPORT_HTML, VARIANTS, Job
from vivant.service.keys import access_token


def list_json(data: Sequence[Mapping[str, Any]], *, more: bool) -> dict[str, Any]:
    """A list object: a page of things that have an ``id``."""
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }


def video_json(job: Job, secret: bytes) -> dict[str, Any]:
    """The video object."""
    request, result, snapshot = job.request, job.result or {}, job.snapshot
    fps = Fraction(request["fps"])
    warnings = result.get("warnings") or (job.prepared or {}).get("warnings", [])
    done = job.status == "completed"
    elapsed = snapshot.get("elapsed_seconds")
    if job.status == "in_progress" and job.started_at is not None:
        elapsed = round(max(0.0, time.time() - job.started_at), 3)
    return {
        "id": job.id,
        "object": "video",
        "model": request["engine"],
        "status": job.status,
        "progress": job.progress,
        "created_at": int(job.created_at),
        "started_at": _second(job.started_at),
        "completed_at": _second(job.completed_at),
        "expires_at": _second(job.expires_at),
        "prompt": request["prompt"],
        "negative_prompt": request["negative_prompt"],
        "seconds": f"{float(request['num_frames'] / fps):.4f}".rstrip("0").rstrip("."),
        "size": f"{request['width']}x{request['height']}",
        "width": request["width"],
        "height": request["height"],
        "num_frames": request["num_frames"],
        "fps": fps.numerator if fps.denominator == 1 else str(fps),
        "seed": request["seed"],
        "quality": request["quality"],
        "upscaler": request["upscaler"],
        "label": request.get("label", ""),
        "label_seconds": request.get("label_seconds"),
        "generate_audio": request.get("sound", False),
        "options": request["options"],
        "crop": request.get("crop"),
        "focus": request.get("focus"),
        "rotate": request.get("rotate", 0),
        "remixed_from_video_id": None,
        "stage": snapshot.get("stage") if job.active else None,
        "stages": snapshot.get("stages", []),
        "attempt": job.token,
        "queue_position": job.queue_position,
        "elapsed_seconds": elapsed,
        "eta_seconds": snapshot.get("eta_seconds") if job.active else None,
        "cost": cost_of(job),
        "batch": request.get("batch"),
        "webhook_url": request.get("webhook_url"),
        "picture_name": job.picture.get("name") or None,
        "file_name": file_stem(job),
        "until_pass": request.get("budget") is not None,
        "budget": request.get("budget"),
        "gate": result.get("gate") or snapshot.get("gate"),
        "verdict": job.verdict,
        "inference_time_s": seconds_of(job),
        "stage_durations": result.get("durations") if done else None,
        "peak_memory_mb": result.get("peak_memory_mb") if done else None,
        "warnings": warnings,
        "credentials": result.get("credentials") if done else None,
        "variants": variants_of(job),
        "access": access_token(secret, job.id),
        "error": job.error,
    }


def batch_json(batch: str, jobs: list[Job], secret: bytes) -> dict[str, Any]:
    """The batch object."""
    return {
        "id": batch,
        "object": "batch",
        "counts": dict(Counter(job.status for job in jobs)),
        "verdicts": dict(Counter(job.verdict for job in jobs if job.verdict)),
        "progress": sum(100 if not j.active else j.progress for j in jobs) // len(jobs),
        **bill_json(jobs),
        "data": [video_json(job, secret) for job in jobs],
    }


def bill_json(jobs: Collection[Job]) -> dict[str, Any]:
    """Time and cost of jobs so far."""
    costs = [cost for job in jobs if (cost := cost_of(job))]
    currencies = {cost["currency"] for cost in costs}
    return {
        "inference_time_s": round(sum(seconds_of(job) or 0.0 for job in jobs), 3),
        "cost": {
            # jobs may be billed in different currencies; all have a price in dollars
            "usd": round(sum(cost["usd"] for cost in costs), 7),
            **(
                {"currency": currencies.pop(), "amount": round(sum(c["amount"] for c in costs), 4)}
                if len(currencies) == 1
                else {"currency": None, "amount": None}
            ),
        },
    }


def cost_of(job: Job) -> dict[str, Any] | None:
    """What it has cost so far; final where it is done."""
    if job.status == "completed":
        return (job.result or {}).get("cost")
    return job.snapshot.get("cost")


def seconds_of(job: Job) -> float | None:
    """How long it took; None unless it is done."""
    return (job.result or {}).get("seconds") if job.status == "completed" else None


def variants_of(job: Job) -> list[str]:
    """What ``/content`` has of it now."""
    if job.swept_at is not None:
        return []
    found = ["source"] if job.prepared is None else ["source", "reference"]
    if job.status == "completed":
        sizes = (job.result or {}).get("sizes", {})
        found = [name for name in VARIANTS if name not in ("source", "reference")] + found
        if REPORT_HTML not in sizes:
            found.remove("report_html")
    return found


def _second(at: float | None) -> int | None:
    return None if at is None else int(at)
