"""What all routes share, built once when the service starts."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from typing import Any

from vivant.api.comparison.worker import ComparisonWorker
from vivant.api.crop_worker import CropWorker
from vivant.api.events import EventBroker
from vivant.api.examples import Examples
from vivant.api.uploads.reader import UploadReader
from vivant.cost import PaidContainer
from vivant.service.admission import Admission, Limits
from vivant.service.comparisons import Comparisons
from vivant.service.database import Database
from vivant.service.job_store import JobStore
from vivant.service.keys import Keyring
from vivant.service.objects import Objects, open_objects
from vivant.settings import Settings


@dataclass
class State:
    """See the module.

    Attributes:
        secret: signs the access tokens.
        loopback: only this machine can reach the service, so that it needs no API key.
        container: what clips are made in, where it is started for them and charged until it stops.
        readiness: the last answer of ``/ready``, from ``readiness_at`` by the monotonic clock.
        readiness_lock: held while a new one is made.
    """

    settings: Settings
    database: Database
    job_store: JobStore
    objects: Objects
    admission: Admission
    keyring: Keyring
    uploads: UploadReader
    events: EventBroker
    crop_worker: CropWorker
    examples: Examples
    comparisons: Comparisons
    comparison_worker: ComparisonWorker
    secret: bytes
    loopback: bool
    container: PaidContainer | None = None
    readiness: dict[str, Any] | None = None
    readiness_at: float = 0.0
    readiness_lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def keep_seconds(self) -> float:
        """How long finished clips stay."""
        return self.settings.result_days * 86_400


def build(settings: Settings, database: Database, *, loopback: bool) -> State:
    """Everything a running service needs; the database has been migrated."""
    job_store = JobStore(database)
    objects = open_objects(settings)
    crop_worker = CropWorker(settings)
    return State(
        settings=settings,
        database=database,
        job_store=job_store,
        objects=objects,
        admission=Admission(
            database, Limits(queue=settings.queue_limit, per_owner=settings.jobs_per_key)
        ),
        keyring=Keyring(database),
        uploads=UploadReader(settings.service_dir / "scratch" / "uploads", settings),
        events=EventBroker(job_store),
        crop_worker=crop_worker,
        examples=Examples(settings, crop_worker),
        comparisons=Comparisons(database, job_store, objects),
        comparison_worker=ComparisonWorker(),
        secret=database.secret(),
        loopback=loopback,
    )


def free_bytes(settings: Settings) -> int:
    """Room on the disk of the service's folder."""
    settings.service_dir.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(settings.service_dir).free
