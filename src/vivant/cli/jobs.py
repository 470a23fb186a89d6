"""``vivant jobs`` and ``vivant workers``: for operators."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vivant.cli.language import say
from vivant.cli.options import DataFolder, Json
from vivant.cli.serve import data_settings
from vivant.errors import OptionError

if TYPE_CHECKING:
    from vivant.service.job import Job
    from vivant.service.operations import Operations

jobs_app = typer.Typer(no_args_is_help=True, help="Jobs of the service, for operators.")

STATUSES = ("queued", "in_progress", "completed", "failed")

Ids = Annotated[list[str], typer.Argument(help="Ids, as in `vivant jobs list`.", metavar="ID…")]
Status = Annotated[
    list[str] | None,
    typer.Option("--status", help="Only these: queued, in_progress, completed, failed."),
]


def operations(data: Path | None) -> Operations:
    """On the database and the object store of the settings."""
    from vivant.service.operations import Operations
    from vivant.settings import read_settings

    return Operations(read_settings(**data_settings(data)))


def _statuses(given: list[str] | None) -> tuple[str, ...]:
    for status in given or ():
        if status not in STATUSES:
            raise OptionError(
                f"status {status!r} is unknown: choose {', '.join(STATUSES)}", param="status"
            )
    return tuple(given or ())


def _when(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _facts(job: Job) -> dict[str, Any]:
    """What an operator may see: no prompt, no picture."""
    return {
        "id": job.id,
        "status": job.status,
        "progress": job.progress,
        "model": job.request["engine"],
        "attempt": job.token,
        "created_at": _when(job.created_at),
        "started_at": _when(job.started_at),
        "completed_at": _when(job.completed_at),
        "expires_at": _when(job.expires_at),
        "api_key": job.owner or None,
        "queue_position": job.queue_position,
        "verdict": job.verdict,
        "seconds": (job.result or {}).get("seconds"),
        "device": (job.result or {}).get("device"),
        "error": dict(job.error) if job.error else None,
    }


@jobs_app.command("list")
def list_jobs(
    status: Status = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1)] = 50,
    as_json: Json = False,
    data: DataFolder = None,
) -> None:
    """Show jobs, newest first."""
    found = list(islice(operations(data).find(_statuses(status)), limit))
    if as_json:
        typer.echo(json.dumps([_facts(job) for job in found], indent=2))
        return
    if not found:
        typer.echo(say("no_jobs" if status is None else "no_jobs_of_status"), err=True)
    for job in found:
        error = f"  {job.error['code']}" if job.error else ""
        typer.echo(
            f"{job.id}  {job.status:<11}  {job.progress:>3} %  {job.request['engine']:<7}"
            f"  {_when(job.created_at)}{error}"
        )


@jobs_app.command()
def show(
    video_id: Annotated[str, typer.Argument(metavar="ID")],
    as_json: Json = False,
    data: DataFolder = None,
) -> None:
    """Show one job, and what is stored for it."""
    service = operations(data)
    facts = {**_facts(service.get(video_id)), "objects": service.objects(video_id)}
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    for name, value in facts.items():
        if value is not None:
            typer.echo(f"{name:<15} {value}")


@jobs_app.command()
def cancel(ids: Ids, data: DataFolder = None) -> None:
    """End jobs now; finished jobs do not change."""
    service = operations(data)
    for job_id in ids:
        typer.echo(f"{job_id}  {service.cancel(job_id).status}")


@jobs_app.command()
def retry(ids: Ids, data: DataFolder = None) -> None:
    """Make failed or cancelled clips again, as new jobs; prints their ids."""
    service = operations(data)
    for job_id in ids:
        typer.echo(service.retry(job_id).id)


@jobs_app.command()
def purge(
    older_than: Annotated[
        float, typer.Option("--older-than", help="Days since their end.", metavar="DAYS", min=0)
    ],
    status: Status = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print which.")] = False,
    data: DataFolder = None,
) -> None:
    """Remove finished jobs with their files, before their retention ends."""
    statuses = _statuses(status) or ("completed", "failed")
    if set(statuses) & {"queued", "in_progress"}:
        raise OptionError("only completed and failed jobs are purged", param="status")
    service = operations(data)
    before = time.time() - 86_400 * older_than
    count = 0
    for job in service.find(statuses, before=before, newest=False):
        if dry_run:
            typer.echo(f"{job.id}  {job.status}  {_when(job.completed_at)}")
        else:
            service.purge(job.id)
        count += 1
    typer.echo(say("jobs_to_purge" if dry_run else "jobs_purged", count=count), err=True)


def workers(as_json: Json = False, data: DataFolder = None) -> None:
    """Show the workers: whether they are alive, what they can run and what they make."""
    found = operations(data).workers()
    if as_json:
        rows = [{"id": w.id, "alive": w.alive, "clip": w.clip or None, **w.facts} for w in found]
        typer.echo(json.dumps(rows, indent=2))
        return
    for worker in found:
        engines = [name for name, reason in worker.facts["engines"].items() if not reason]
        typer.echo(
            f"{worker.id}  {'alive ' if worker.alive else 'silent'}  {worker.facts['host']}"
            f"  v{worker.facts.get('vivant', '?')}  {worker.facts.get('gpu') or 'no GPU'}"
            f"  {','.join(engines) or 'no engine'}  {worker.clip or 'waiting'}"
        )
    if not found:
        typer.echo(say("no_worker"), err=True)


def mount(app: typer.Typer) -> None:
    """Add the operators' commands to the command line."""
    app.command()(workers)
    app.add_typer(jobs_app, name="jobs")
