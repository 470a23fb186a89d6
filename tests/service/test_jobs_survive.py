"""Killed, frozen and poisoned: every accepted job ends, once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from service_process import Service

SLOW: dict[str, Any] = {"options[steps]": 12, "options[step_seconds]": 0.15}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(tmp_path_factory.mktemp("survive") / "data", worker_timeout=6.0) as running:
        yield running


def restarts(service: Service) -> int:
    """Workers that have ended. On a busy machine the supervisor may take a slow one for frozen."""
    return service.log.read_text("utf-8").count("worker ended")


def objects(service: Service) -> set[str]:
    folder = service.folder / "service" / "objects" / "jobs"
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def whole(video_id: str) -> set[str]:
    names = (
        "source", "reference.jpg", "clip.mp4", "thumbnail.jpg", "contact_sheet.jpg", "report.json",
        "report.html",
    )  # fmt: skip
    return {f"{video_id}/{name}" for name in names}


def test_a_killed_worker_is_replaced_and_the_job_goes_on(service: Service) -> None:
    before = restarts(service)
    video_id = service.submit(**SLOW)
    service.running(video_id)
    (pid,) = service.workers()
    os.kill(pid, signal.SIGKILL)
    video = service.finished(video_id)
    assert video["status"] == "completed"
    assert 2 <= video["attempt"] <= 1 + restarts(service) - before
    starts = [
        e for e in service.events(video_id, {"Last-Event-ID": "0"}) if e["event"] == "started"
    ]
    assert [event["attempt"] for event in starts] == list(range(1, video["attempt"] + 1))
    assert {name for name in objects(service) if name.startswith(video_id)} == whole(video_id)


def test_a_killed_server_takes_its_worker_along_and_goes_on(service: Service) -> None:
    ids = [service.submit(seed=seed, **SLOW) for seed in range(3)]
    service.running(ids[0])
    (pid,) = service.workers()
    service.kill()
    service.wait(lambda: not Path(f"/proc/{pid}").exists(), "the end of its worker", seconds=60)
    service.start()
    for video_id in ids:
        video = service.finished(video_id)
        assert video["status"] == "completed"
        events = [e["event"] for e in service.events(video_id, {"Last-Event-ID": "0"})]
        assert events.count("completed") == 1
        assert {name for name in objects(service) if name.startswith(video_id)} == whole(video_id)


def test_a_server_that_is_stopped_gives_its_job_back(service: Service) -> None:
    video_id = service.submit(**{"options[steps]": 40, "options[step_seconds]": 0.1})
    service.running(video_id)
    service.stop()
    assert service.process is not None
    assert service.process.returncode == 0, "it did not end by itself"
    service.start()
    assert service.finished(video_id)["status"] == "completed"
    log = service.log.read_text("utf-8")
    assert "given back" in log


def test_a_frozen_worker_is_killed_and_cannot_disturb(service: Service) -> None:
    video_id = service.submit(**SLOW)
    service.running(video_id)
    (pid,) = service.workers()
    os.kill(pid, signal.SIGSTOP)
    video = service.finished(video_id)
    assert video["status"] == "completed"
    assert service.workers() != [pid]


def test_a_poison_job_is_set_aside_and_others_go_on(service: Service) -> None:
    poison = service.submit(**{"options[die_at_step]": 1})
    good = service.submit()
    video = service.finished(poison)
    assert (video["status"], video["error"]["code"]) == ("failed", "poison_job")
    starts = [e for e in service.events(poison, {"Last-Event-ID": "0"}) if e["event"] == "started"]
    assert len(starts) == 3
    assert service.finished(good)["status"] == "completed"


def test_expired_files_go_and_the_job_says_so(service: Service) -> None:
    from vivant.service.database import open_database
    from vivant.service.job_store import JobStore
    from vivant.service.objects import open_objects
    from vivant.service.queue import JobQueue
    from vivant.service.sweeper import Sweeper
    from vivant.settings import read_settings

    video_id = service.submit()
    service.finished(video_id)
    settings = read_settings(data_dir=service.folder)
    database = open_database(settings)
    store = open_objects(settings)
    store.put("jobs/video_nobody/clip.mp4", b"orphan")
    sweeper = Sweeper(JobStore(database), store, JobQueue(database), settings, orphan_seconds=-1)
    sweeper._wall += 8 * 86_400
    assert sweeper.expire() >= 1
    assert sweeper.collect_orphans() == 1
    database.close()
    answer = service.get(f"/v1/videos/{video_id}/content")
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "expired")
    assert service.video(video_id)["variants"] == []
    assert objects(service) == set()
