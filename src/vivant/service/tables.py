"""The tables of the database. Portable between SQLite and Postgres; no pictures in them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0001"
"""Of the newest migration in ``migrations/versions``; these tables are what it leaves."""

METADATA = MetaData()

jobs = Table(
    "vivant_jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),  # id of the API key; empty without keys
    Column("status", Text, nullable=False),  # queued, in_progress, completed, failed
    Column("created_at", Float, nullable=False),  # all times: seconds since 1970, UTC
    Column("started_at", Float),
    Column("completed_at", Float),
    Column("expires_at", Float),
    Column("swept_at", Float),  # its files are gone
    Column("request", JSON, nullable=False),
    Column("picture", JSON, nullable=False),  # name, size, sha256; never the bytes
    Column("priority", Integer, nullable=False),
    Column("idempotency_key", Text),
    Column("request_hash", Text, nullable=False),
    Column("prepare_starts", Integer, nullable=False, default=0),
    Column("render_starts", Integer, nullable=False, default=0),
    Column("token", Integer, nullable=False, default=0),  # of the run that may write
    Column("seq", Integer, nullable=False, default=0),  # of the newest event
    Column("progress", Integer, nullable=False, default=0),
    Column("snapshot", JSON),  # the newest event's stages, eta, cost
    Column("prepared", JSON),  # what the prepare stage found out
    Column("verdict", Text),
    Column("result", JSON),
    Column("error", JSON),  # code, message, param
    UniqueConstraint("owner", "idempotency_key"),
)
Index("vivant_jobs_by_owner", jobs.c.owner, jobs.c.created_at, jobs.c.id)
Index("vivant_jobs_waiting", jobs.c.status, jobs.c.priority, jobs.c.created_at, jobs.c.id)
Index("vivant_jobs_of_owner", jobs.c.owner, jobs.c.status)
Index("vivant_jobs_by_expiry", jobs.c.swept_at, jobs.c.expires_at)

events = Table(
    "vivant_events",
    METADATA,
    Column("job_id", Text, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("data", JSON, nullable=False),
)

workers = Table(
    "vivant_workers",
    METADATA,
    Column("id", Text, primary_key=True),  # one process, never used again
    Column("slot", Text, nullable=False),  # the lock file that one process holds at a time
    Column("beats", Integer, nullable=False),  # compared, not subtracted: clocks may move
    Column("at", Float, nullable=False),
    Column("facts", JSON, nullable=False),
)

comparisons = Table(
    "vivant_comparisons",
    METADATA,
    Column("id", Text, primary_key=True),  # its jobs have it as their batch
    Column("owner", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("plan", JSON, nullable=False),
    Column("question", Text, nullable=False),  # hash of what is compared, by which scores
    Column("pictures", JSON, nullable=False),  # name, sha256; never the bytes
    Column("cells", JSON, nullable=False),  # job, variant, picture, seed
    Column("idempotency_key", Text),
    Column("request_hash", Text, nullable=False),
    Column("sealed_at", Float),  # no clip is on its way any more
    Column("sealed", JSON),  # what is left when the clips are gone: their scores
    Column("evidence", Text),  # hash of what the findings rest on
    UniqueConstraint("owner", "idempotency_key"),
)
Index("vivant_comparisons_by_owner", comparisons.c.owner, comparisons.c.created_at)

keys = Table(
    "vivant_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("revoked_at", Float),
)

timings = Table(
    "vivant_timings",
    METADATA,
    Column("job_id", Text, primary_key=True),
    Column("at", Float, nullable=False),
    Column("model", Text, nullable=False),
    Column("recipe", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("num_frames", Integer, nullable=False),
    Column("pixels", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("stages", JSON, nullable=False),  # stage → busy seconds
)
Index("vivant_timings_by_model", timings.c.model, timings.c.at)

meta = Table(
    "vivant_meta",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
)
