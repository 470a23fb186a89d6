"""The service's stages in the test's own process, and orders for them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vivant.engines.fake import FakeEngine
from vivant.service.admission import Admission, Limits
from vivant.service.database import open_database
from vivant.service.job import REPORT, SOURCE, Job, JobSpec, key, new_id
from vivant.service.job_store import JobStore
from vivant.service.objects import open_objects
from vivant.service.stages import JobStages
from vivant.service.worker import Worker
from vivant.settings import read_settings
from vivant.types import Clip, Observer, Portrait, Request
from vivant.upscalers import load_upscaler


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def job_spec(seed: int = 0, priority: str = "normal") -> JobSpec:
    return JobSpec(
        request=Request(image=b"", engine="fake", seed=seed),
        picture={"name": "x", "size": 1, "sha256": "0"},
        priority=priority,
    )


class Engine(FakeEngine):
    """The fake, with what it was asked for and what happens at which attempt."""

    def __init__(self) -> None:
        self.seeds: list[int] = []
        self.events: dict[int, BaseException] = {}

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        self.seeds.append(request.seed)
        if len(self.seeds) in self.events:
            raise self.events[len(self.seeds)]
        return super().generate(portrait, request, observe)


class InlineService:
    """A worker's stages without processes or queues."""

    def __init__(self, folder: Path, image: bytes) -> None:
        settings = read_settings(data_dir=folder, engines=("fake",), default_engine="fake")
        self.engine = Engine()
        self.worker = Worker(
            settings, load_engine=lambda *_: self.engine, load_upscaler=load_upscaler
        )
        self.stages: JobStages = self.worker.stages
        self.database = open_database(settings)
        self.job_store, self.objects = JobStore(self.database), open_objects(settings)
        self._admission, self._image = Admission(self.database, Limits()), image

    def submit(
        self,
        budget: str | None,
        *,
        size: tuple[int, int] = (480, 270),
        batch: str | None = None,
        image: bytes = b"",
        owner: str = "",
        prepare: bool = True,
        **options: Any,
    ) -> str:
        job_id = new_id()
        self.objects.put(key(job_id, SOURCE), image or self._image)
        request = Request(
            image=b"", engine="fake", width=size[0], height=size[1], num_frames=7, seed=2,
            options={"chunk": 9, **options},
        )  # fmt: skip
        spec = JobSpec(request=request, picture={"name": "me.png"}, budget=budget, batch=batch)
        self._admission.accept(job_id, spec, owner)
        if prepare:
            self.stages.prepare(job_id)
        return job_id

    def close(self) -> None:
        self.database.close()
        self.worker.close()

    def finish(self, job_id: str) -> Job:
        if self.stages.render(job_id):
            self.stages.publish(job_id)
        return self.job_store.get(job_id)

    def report(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.objects.get(key(job_id, REPORT)))
        return found
