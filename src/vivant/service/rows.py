"""Rows of jobs: read as :class:`Job`, and changed together with the event that tells of it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa

from vivant.errors import JobNotFoundError, printable
from vivant.service.job import ACTIVE, Event, Job
from vivant.service.tables import events, jobs

MAX_STARTS = 3
"""A job that was running this many times when its worker died is failed as ``poison_job``."""

Row: TypeAlias = Mapping[str, Any] | sa.RowMapping


def not_found(job_id: str) -> JobNotFoundError:
    """The error for an id that does not exist or belongs to another owner."""
    shown = printable(job_id[:60])
    return JobNotFoundError(
        f"there is no video {shown!r}: list the videos to see which there are", param="video_id"
    )


def poison(when: str) -> dict[str, Any]:
    """The error of a job that kills its workers."""
    return {
        "code": "poison_job",
        "message": f"the worker died {MAX_STARTS} times while {when}, so the job is set aside: "
        "try another picture or smaller settings",
        "param": None,
    }


def from_row(row: Row, queue_position: int | None = None) -> Job:
    """A table row as a :class:`Job`."""
    known = Job.__dataclass_fields__
    values = {name: row[name] for name in known if name in row and name != "queue_position"}
    values["snapshot"] = values.get("snapshot") or {}
    return Job(**values, queue_position=queue_position)


def queue_position(connection: sa.Connection, row: Row) -> int:
    """Jobs that are queued before this one."""
    here = sa.tuple_(
        sa.literal(row["priority"]), sa.literal(row["created_at"]), sa.literal(row["id"])
    )
    query = sa.select(sa.func.count()).where(
        jobs.c.status == "queued",
        sa.tuple_(jobs.c.priority, jobs.c.created_at, jobs.c.id) < here,
    )
    return int(connection.execute(query).scalar_one())


def queue_positions(connection: sa.Connection, job_ids: Sequence[str]) -> dict[str, int]:
    """Queued jobs' :func:`queue_position`, of all in one pass over the queue."""
    order = (jobs.c.priority, jobs.c.created_at, jobs.c.id)
    queue = (
        sa.select(jobs.c.id, (sa.func.row_number().over(order_by=order) - 1).label("ahead"))
        .where(jobs.c.status == "queued")
        .subquery()
    )
    query = sa.select(queue.c.id, queue.c.ahead).where(queue.c.id.in_(job_ids))
    return {row.id: row.ahead for row in connection.execute(query)}


def locked(connection: sa.Connection, job_id: str) -> dict[str, Any] | None:
    """The row, locked until the transaction ends (SQLite locks the file)."""
    query = sa.select(jobs).where(jobs.c.id == job_id).with_for_update()
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def end_job(
    connection: sa.Connection,
    row: Mapping[str, Any],
    status: Literal["completed", "failed"],
    *,
    error: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
    keep_seconds: float = 7 * 86_400.0,
) -> None:
    """Write down that a job is over, and tell."""
    now = time.time()
    changes: dict[str, Any] = {
        "status": status,
        "completed_at": now,
        "expires_at": now + keep_seconds,
        "error": None if error is None else dict(error),
    }
    name: Event = status
    data: dict[str, Any] = {"attempt": row["token"]}
    if error is not None:
        name = "cancelled" if error["code"] == "cancelled" else "failed"
    if result is not None:
        changes |= {"result": dict(result), "verdict": result["verdict"], "progress": 100}
        data |= {"cost": result["cost"], "stages": result["stages"], "eta_seconds": 0.0}
    write_event(connection, {**row, **changes}, name, data, changes)


def write_event(
    connection: sa.Connection,
    row: Mapping[str, Any],
    name: Event,
    data: Mapping[str, Any],
    changes: Mapping[str, Any],
) -> None:
    """Update the row with ``changes`` and append the event that tells of it."""
    for statement in event_statements(row, name, data, changes):
        connection.execute(statement)


def event_statements(
    row: Mapping[str, Any], name: Event, data: Mapping[str, Any], changes: Mapping[str, Any]
) -> tuple[sa.Update, sa.Insert]:
    """What :func:`write_event` executes."""
    seq = row["seq"] + 1
    snapshot = event_data(row, name, seq, {**(row.get("snapshot") or {}), **data})
    return (
        jobs.update().where(jobs.c.id == row["id"]).values(**changes, seq=seq, snapshot=snapshot),
        events.insert().values(job_id=row["id"], seq=seq, data=snapshot),
    )


def event_data(
    row: Mapping[str, Any], name: Event, seq: int, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """The data of an event; every event has the same fields, see docs/api.md."""
    now = time.time()
    started = row.get("started_at")
    elapsed = extra.get("elapsed_seconds")
    if name == "started":
        # attempts made before the worker died stay in the event
        extra = {"attempt": extra.get("attempt", 1), "gate": extra.get("gate")}
        elapsed = 0.0
    elif elapsed is None and started is not None:
        elapsed = max(0.0, now - started)
    final = row["status"] not in ACTIVE
    return {
        "id": row["id"],
        "seq": seq,
        "event": name,
        "status": row["status"],
        "progress": row["progress"],
        "attempt": extra.get("attempt", 0),
        "stage": None if final else extra.get("stage"),
        "done": extra.get("done"),
        "total": extra.get("total"),
        "unit": extra.get("unit"),
        "step": extra.get("step"),
        "frame": extra.get("frame"),
        "stages": extra.get("stages", []),
        "queue_position": extra.get("queue_position"),
        "elapsed_seconds": None if elapsed is None else round(elapsed, 3),
        "eta_seconds": None if final and row["status"] != "completed" else extra.get("eta_seconds"),
        "cost": extra.get("cost"),
        "gate": extra.get("gate"),
        "verdict": row.get("verdict"),
        "error": row.get("error"),
        "at": round(now, 3),
    }
