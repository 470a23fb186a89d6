"""A comparison as clients see it; see docs/api.md."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vivant.api.state import State
from vivant.api.video_answer import bill_json
from vivant.report import plain
from vivant.service.comparisons import ComparisonClips, StoredComparison
from vivant.service.job import CLIP, Job, key
from vivant.service.keys import access_token


def presets_json(shared: State, workers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Ready comparisons that the engines of this service can run; whether a worker can now."""
    from vivant.compare import plan_file

    def reason(engine: str) -> str:
        reasons = [facts["engines"].get(engine, "unknown to the worker") for facts in workers]
        return "" if "" in reasons else next(iter(reasons), "no worker is running")

    found = []
    for name in plan_file.PRESETS:
        plan = plan_file.preset(name)
        engines = list(dict.fromkeys(variant.engine for variant in plan.variants))
        if not set(engines) <= set(shared.settings.engines):
            continue
        why = next(filter(None, map(reason, engines)), "")
        found.append(
            {
                "id": name,
                "object": "comparison.preset",
                "title": plan.title,
                "note": plan.note or None,
                "engines": engines,
                "available": not why,
                "reason": why,
                "variants": [{"name": v.name, "title": v.words} for v in plan.variants],
                "seeds": len(plan.seeds),
                **{name: plain(getattr(plan, name)) for name in ("num_frames", "fps")},
                "size": f"{plan.width}x{plan.height}",
            }
        )
    return found


async def comparison_json(shared: State, kept: StoredComparison) -> dict[str, Any]:
    """The comparison object."""
    kept, gathered = await asyncio.to_thread(gather, shared, kept)
    findings = None
    if gathered.clips:
        given = await asyncio.to_thread(findings_input, shared, kept, gathered)
        findings = await shared.comparison_worker.findings(given)
    return {
        **summary_json(shared, kept, gathered),
        "plan": kept.plan,
        "failures": gathered.failures,
        "data": _data(kept, gathered),
        "findings": findings,
    }


def gather(shared: State, kept: StoredComparison) -> tuple[StoredComparison, ComparisonClips]:
    """Its jobs and clips; its results are sealed here where its last job has just ended."""
    gathered = shared.comparisons.gather(kept)
    if gathered.over and kept.sealed is None:
        kept = shared.comparisons.seal(kept, gathered)
        gathered = shared.comparisons.gather(kept)
    return kept, gathered


def gather_for_list(shared: State, kept: StoredComparison) -> ComparisonClips:
    """As :func:`gather`, but for a list: only the job store is read."""
    jobs = shared.job_store.some(kept.jobs)
    if kept.sealed is not None:
        return ComparisonClips(kept.sealed["clips"], kept.sealed["failures"], jobs, over=True)
    done = [cell for cell in kept.cells if _status(cell, jobs) == "completed"]
    over = not any(job.active for job in jobs.values())
    return ComparisonClips(done, (), jobs, over)


def findings_input(
    shared: State, kept: StoredComparison, gathered: ComparisonClips
) -> dict[str, Any]:
    """What :mod:`vivant.compare.from_json` takes."""
    clips = []
    for clip in gathered.clips:
        job = gathered.jobs.get(clip["job"])
        there = job is not None and job.swept_at is None
        query = f"access={access_token(shared.secret, clip['job'])}"
        link = f"../../videos/{clip['job']}/content?{query}"
        clips.append({**clip, "there": there, "link": link})
    return {
        "plan": kept.plan,
        "pictures": list(kept.pictures),
        "clips": clips,
        "failures": list(gathered.failures),
        "earlier": shared.comparisons.earlier(kept),
        "final": gathered.over,
    }


def summary_json(
    shared: State, kept: StoredComparison, gathered: ComparisonClips
) -> dict[str, Any]:
    """The comparison without its clips and findings."""
    jobs = gathered.jobs
    counts = Counter(_status(cell, jobs, gathered) for cell in kept.cells)
    progress = sum(
        jobs[job_id].progress if job_id in jobs and jobs[job_id].active else 100
        for job_id in kept.jobs
    ) // len(kept.cells)
    ends = [job.expires_at for job in jobs.values() if job.expires_at and job.swept_at is None]
    started = [job.started_at for job in jobs.values() if job.started_at]
    completed = [job.completed_at for job in jobs.values() if job.completed_at]
    status, error = "completed", None
    if not gathered.over:
        status = "in_progress" if started or completed else "queued"
    elif not gathered.clips:
        status = "failed"
        first = gathered.failures[0] if gathered.failures else None
        why = f": {first['picture']}: {first['reason']}" if first else ""
        error = {"code": "nothing_made", "message": f"no clip could be made{why}", "param": None}
    eta = None
    if not gathered.over and started and progress >= 5:
        eta = round((time.time() - min(started)) * (100 - progress) / progress, 1)
    return {
        "id": kept.id,
        "object": "comparison",
        "batch": kept.id,
        "status": status,
        "progress": progress,
        "title": kept.plan["title"],
        "created_at": int(kept.created_at),
        "completed_at": int(max(completed)) if gathered.over and completed else None,
        "clips_expire_at": int(min(ends)) if ends else None,
        "clips_kept": sum(
            clip["job"] in jobs and jobs[clip["job"]].swept_at is None for clip in gathered.clips
        ),
        "clips": len(kept.cells),
        "counts": dict(counts),
        "eta_seconds": eta,
        **bill_json(list(jobs.values())),
        "pictures": list(kept.pictures),
        "access": access_token(shared.secret, kept.id),
        "error": error,
    }


def _data(kept: StoredComparison, gathered: ComparisonClips) -> list[dict[str, Any]]:
    """Every clip: what it is, and how far."""
    reports = {clip["job"]: clip["report"] for clip in gathered.clips}
    return [
        {
            "video": cell["job"],
            "variant": cell["variant"],
            "picture": cell["picture"],
            "seed": cell["seed"],
            "status": _status(cell, gathered.jobs, gathered),
            "verdict": reports[cell["job"]]["verdict"] if cell["job"] in reports else None,
        }
        for cell in kept.cells
    ]


def _status(
    cell: Mapping[str, Any], jobs: Mapping[str, Job], gathered: ComparisonClips | None = None
) -> str:
    """A job's own, and what is left to say of one that is gone."""
    job = jobs.get(cell["job"])
    if job is not None:
        return job.status
    made = gathered is not None and any(clip["job"] == cell["job"] for clip in gathered.clips)
    return "completed" if made else "failed"


def page_with_clips(
    shared: State, text: str, mark: str, jobs: Mapping[str, str]
) -> Iterator[bytes]:
    """The page with the clips put in as it is sent, so that none is held in memory."""
    for number, part in enumerate(re.split(re.escape(mark), text)):
        if number % 2 == 0:
            yield part.encode()
            continue
        name = key(jobs[part], CLIP)
        stored = shared.objects.head(name)
        left = b""
        for chunk in shared.objects.read(name, 0, stored.size) if stored else ():
            data = left + chunk
            whole = len(data) // 3 * 3
            left = data[whole:]
            yield base64.b64encode(data[:whole])
        yield base64.b64encode(left)
