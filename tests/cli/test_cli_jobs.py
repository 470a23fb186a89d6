"""``vivant jobs`` and ``vivant workers`` on a real database and object store."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vivant.cli.main import app
from vivant.errors import ConflictError, JobNotFoundError, OptionError, StorageError
from vivant.service.admission import Admission, Limits
from vivant.service.database import open_database
from vivant.service.heartbeat import Heartbeat
from vivant.service.job import CLIP, SOURCE, JobSpec, key, new_id
from vivant.service.job_store import JobStore
from vivant.service.objects import open_objects
from vivant.settings import Settings, read_settings
from vivant.types import Request


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(data_dir=tmp_path)


@pytest.fixture
def ids(settings: Settings) -> dict[str, str]:
    """A job of every status."""
    database = open_database(settings)
    database.migrate()
    admission, job_store = Admission(database, Limits()), JobStore(database)
    objects = open_objects(settings)
    found = {}
    for number, status in enumerate(("queued", "in_progress", "completed", "failed")):
        spec = JobSpec(
            request=Request(image=b"", engine="fake", seed=number, prompt="secret words"),
            picture={"name": "me.png", "size": 3, "sha256": "0"},
            priority="high",
        )
        job, _ = admission.accept(new_id(), spec, "ann")
        objects.put(key(job.id, SOURCE), b"png")
        found[status] = job.id
        if status == "queued":
            continue
        lease = job_store.begin(job.id)
        assert lease is not None
        if status == "completed":
            objects.put(key(job.id, CLIP), b"mp4")
            result: dict[str, Any] = {
                "verdict": "pass",
                "cost": None,
                "stages": [],
                "device": "cpu",
                "seconds": 1.5,
                "labels": {},
            }
            job_store.rendered(lease, result)
            job_store.complete(job.id, keep_seconds=60, result=result)
        elif status == "failed":
            error = {"code": "engine_failed", "message": "it broke", "param": None}
            job_store.fail(job.id, error, keep_seconds=60)
    database.close()
    return found


def run(settings: Settings, *arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments, "--data", str(settings.data_dir)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_and_show(settings: Settings, ids: dict[str, str]) -> None:
    lines = run(settings, "jobs", "list").splitlines()
    assert [line.split()[0] for line in lines] == list(reversed(ids.values()))
    assert "engine_failed" in lines[0]
    assert "secret" not in "".join(lines)
    only = run(settings, "jobs", "list", "--status", "failed", "--status", "queued", "--limit", "1")
    assert only.split()[:2] == [ids["failed"], "failed"]
    shown: dict[str, Any] = json.loads(run(settings, "jobs", "show", ids["completed"], "--json"))
    assert (shown["verdict"], shown["seconds"], shown["api_key"]) == ("pass", 1.5, "ann")
    assert shown["objects"] == {"source": 3, "clip.mp4": 3}
    assert "completed" in run(settings, "jobs", "show", ids["completed"])
    with pytest.raises(JobNotFoundError):
        run(settings, "jobs", "show", "video_no")
    with pytest.raises(OptionError, match="unknown"):
        run(settings, "jobs", "list", "--status", "lost")


def test_an_empty_list_is_told(settings: Settings, ids: dict[str, str]) -> None:
    run(settings, "jobs", "cancel", ids["queued"])
    arguments = ["jobs", "list", "--status", "queued", "--data", str(settings.data_dir)]
    result = CliRunner().invoke(app, arguments)
    assert (result.stdout, result.stderr) == ("", "no jobs with this status\n")


def test_cancel_and_retry(settings: Settings, ids: dict[str, str]) -> None:
    with pytest.raises(ConflictError, match="queued"):
        run(settings, "jobs", "retry", ids["queued"])
    out = run(settings, "jobs", "cancel", ids["queued"], ids["completed"])
    assert [line.split()[1] for line in out.splitlines()] == ["failed", "completed"]
    again = run(settings, "jobs", "retry", ids["queued"], ids["failed"]).split()
    assert len(set(again)) == 2
    database = open_database(settings)
    job = JobStore(database).get(again[1])
    assert (job.status, job.owner, job.request["seed"]) == ("queued", "ann", 3)
    assert job.priority // 1_000_000 == 1
    database.close()
    objects = open_objects(settings)
    assert objects.get(key(again[1], SOURCE)) == b"png"
    objects.delete(key(ids["failed"], SOURCE))
    with pytest.raises(StorageError, match="not kept"):
        run(settings, "jobs", "retry", ids["failed"])


def test_purge_takes_what_is_over_and_old(settings: Settings, ids: dict[str, str]) -> None:
    def left() -> set[str]:
        return {line.split()[0] for line in run(settings, "jobs", "list").splitlines()}

    assert run(settings, "jobs", "purge", "--older-than", "1") == ""
    told = run(settings, "jobs", "purge", "--older-than", "0", "--dry-run").splitlines()
    assert [line.split()[0] for line in told] == [ids["completed"], ids["failed"]]
    assert left() == set(ids.values())
    run(settings, "jobs", "purge", "--older-than", "0", "--status", "failed")
    assert left() == set(ids.values()) - {ids["failed"]}
    run(settings, "jobs", "purge", "--older-than", "0")
    assert left() == {ids["queued"], ids["in_progress"]}
    stored = {path.parent.name for path in settings.service_dir.glob("objects/jobs/*/*")}
    assert stored == {ids["queued"], ids["in_progress"]}
    with pytest.raises(OptionError, match="only completed and failed"):
        run(settings, "jobs", "purge", "--older-than", "0", "--status", "queued")


def test_workers_that_beat_are_alive(settings: Settings, ids: dict[str, str]) -> None:
    assert run(settings, "workers") == ""
    database = open_database(settings)
    facts = {"host": "h", "pid": 1, "engines": {"camera": "", "ltx2": "no GPU"}, "gpu": None}
    beating = [Heartbeat(database, name, name, 30, facts) for name in ("living", "silent")]
    for worker in beating:
        worker.begin()
    over = threading.Event()

    def beat() -> None:
        while not over.wait(0.2):
            beating[0].beat()

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        started = time.monotonic()
        rows = {row["id"]: row for row in json.loads(run(settings, "workers", "--json"))}
        assert time.monotonic() - started < 10
        lines = run(settings, "workers").splitlines()
    finally:
        over.set()
        thread.join()
        database.close()
    assert {name: row["alive"] for name, row in rows.items()} == {"living": True, "silent": False}
    assert lines[0].split()[:2] == ["living", "alive"]
    assert lines[0].split()[-2:] == ["camera", "waiting"]
