"""What the routes share; built once when the service starts."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vivant.api.comparison_worker import ComparisonWorker
from vivant.api.crop_worker import CropWorker
from vivant.api.events import Broker
from vivant.api.uploads import Intake
from vivant.service.admission import Admission, Limits
from vivant.service.comparisons import Comparisons
from vivant.service.database import Database
from vivant.service.keys import Keyring
from vivant.service.ledger import Ledger
from vivant.service.objects import Objects, open_objects
from vivant.settings import Settings


@dataclass
class State:
    """See the module.

    Attributes:
        secret: of the access tokens.
        loopback: only this machine can reach the service, so that it may go without keys.
        ready: what ``/ready`` found last, at ``ready_at`` by the monotonic clock.
        looking: held while it looks.
    """

    settings: Settings
    database: Database
    ledger: Ledger
    objects: Objects
    admission: Admission
    keyring: Keyring
    intake: Intake
    broker: Broker
    previewer: CropWorker
    comparisons: Comparisons
    analyst: ComparisonWorker
    secret: bytes
    loopback: bool
    uploads: Path
    ready: dict[str, Any] | None = None
    ready_at: float = 0.0
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def keep_seconds(self) -> float:
        """How long finished clips stay."""
        return self.settings.result_days * 86_400


def build(settings: Settings, database: Database, *, loopback: bool) -> State:
    """Everything a running service needs; the database has been migrated."""
    ledger = Ledger(database)
    uploads = settings.service_dir / "scratch" / "uploads"
    objects = open_objects(settings)
    return State(
        settings=settings,
        database=database,
        ledger=ledger,
        objects=objects,
        admission=Admission(
            database, Limits(queue=settings.queue_limit, per_owner=settings.jobs_per_key)
        ),
        keyring=Keyring(database),
        intake=Intake(uploads, settings.max_image_bytes),
        broker=Broker(ledger),
        previewer=CropWorker(settings),
        comparisons=Comparisons(database, ledger, objects),
        analyst=ComparisonWorker(),
        secret=database.secret(),
        loopback=loopback,
        uploads=uploads,
    )


def free_bytes(settings: Settings) -> int:
    """Room on the disk of the service's folder."""
    settings.service_dir.mkdir(parents=True, exist_ok=True)
    return shutil.disk_usage(settings.service_dir).free
