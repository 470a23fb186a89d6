"""A worker keeps its engine between jobs, and loads it once however many ask at the same time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from service_process import picture
from vivant.engines import load_engine
from vivant.errors import MissingPartError
from vivant.service.admission import Admission, Limits
from vivant.service.database import open_database
from vivant.service.engines import Engines
from vivant.service.job import SOURCE, JobSpec, key, new_id
from vivant.service.job_store import JobStore
from vivant.service.objects import open_objects
from vivant.service.worker import Worker
from vivant.settings import Settings, read_settings
from vivant.types import Engine, Request
from vivant.upscalers import load_upscaler


def test_two_jobs_and_the_warm_up_load_the_engine_once(tmp_path: Path) -> None:
    settings = read_settings(data_dir=tmp_path, engines=("fake",), default_engine="fake")
    loads: list[str] = []

    def load(name: str, settings: Settings) -> Engine:
        loads.append(name)
        return load_engine(name, settings)

    worker = Worker(settings, load_engine=load, load_upscaler=load_upscaler)
    database = open_database(settings)
    job_store, objects = JobStore(database), open_objects(settings)
    admission = Admission(database, Limits())
    stages = worker.stages
    stages.warm_up("fake")
    for seed in range(2):
        job_id = new_id()
        objects.put(key(job_id, SOURCE), picture())
        request = Request(image=b"", engine="fake", width=64, height=64, num_frames=1, seed=seed)
        admission.accept(job_id, JobSpec(request=request, picture={"name": "me.png"}), "")
        stages.prepare(job_id)
        assert stages.render(job_id)
        stages.publish(job_id)
        assert job_store.get(job_id).status == "completed"
    database.close()
    worker.close()
    assert loads == ["fake"]


def test_a_clip_that_is_just_begun_counts_as_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that drains would leave it otherwise, and another one would begin it again."""
    settings = read_settings(data_dir=tmp_path, engines=("fake",), default_engine="fake")
    worker = Worker(settings, load_engine=load_engine, load_upscaler=load_upscaler)
    database = open_database(settings)
    job_id = new_id()
    request = Request(image=b"", engine="fake", width=64, height=64, num_frames=1)
    spec = JobSpec(request=request, picture={"name": "me.png"})
    Admission(database, Limits()).accept(job_id, spec, "")
    running: list[int] = []
    monkeypatch.setattr(JobStore, "begin", lambda *_: running.append(worker.stages.running))
    assert not worker.stages.render(job_id)
    assert (running, worker.stages.running) == ([1], 0)
    database.close()
    worker.close()


def test_who_asks_while_it_is_being_loaded_waits() -> None:
    begun, go_on, loads = threading.Event(), threading.Event(), []
    made = load_engine("fake", Settings())

    def load(name: str) -> Engine:
        loads.append(name)
        begun.set()
        assert go_on.wait(30)
        return made

    engines = Engines(load)
    found: list[Engine] = []
    threads = [threading.Thread(target=lambda: found.append(engines("fake"))) for _ in range(4)]
    threads[0].start()
    assert begun.wait(30)
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert loads == ["fake"]
    assert found == [made] * 4


def test_what_could_not_be_loaded_is_tried_again() -> None:
    made = load_engine("fake", Settings())
    answers: list[Engine | MissingPartError] = [MissingPartError("no weights"), made]

    def load(name: str) -> Engine:
        del name
        answer = answers.pop(0)
        if isinstance(answer, MissingPartError):
            raise answer
        return answer

    engines = Engines(load)
    with pytest.raises(MissingPartError):
        engines("fake")
    assert engines("fake") is made
