"""The API and the page on Modal, with their courier. Loads no torch.

Knows nothing of Modal's client.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import sqlalchemy as sa
from fastapi import FastAPI

from vivant.api.app import create_app
from vivant.api.server import give_memory_back
from vivant.api.state import build
from vivant.errors import OptionError
from vivant.modal import first_key as mint
from vivant.modal.options import Options, offering
from vivant.modal.sqlite_backup import SqliteBackup
from vivant.service import logs
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database, database_url, open_database
from vivant.service.job import Job, Order
from vivant.service.supervisor import Supervisor
from vivant.settings import Settings


class Kept(Admission):
    """Accepts a job once it is saved where it outlives the container, its picture too."""

    def __init__(self, database: Database, limits: Limits, keeper: SqliteBackup) -> None:
        super().__init__(database, limits)
        self._keeper = keeper

    def accept(
        self, job_id: str, order: Order, owner: str, *, idempotency_key: str | None = None
    ) -> tuple[Job, bool]:
        """See :meth:`vivant.service.admission.Admission.accept`."""
        accepted = super().accept(job_id, order, owner, idempotency_key=idempotency_key)
        self._keeper.save()
        return accepted

    def accept_all(
        self,
        orders: Sequence[tuple[str, Order]],
        owner: str,
        *,
        before: Callable[[sa.Connection], bool] = lambda _: True,
    ) -> bool:
        """See :meth:`vivant.service.admission.Admission.accept_all`."""
        accepted = super().accept_all(orders, owner, before=before)
        self._keeper.save()
        return accepted


class WebApp:
    """See the module.

    Args:
        settings: of the service.
        options: of the deployment.
        kept: folder that outlives the container, for the single-container mode.
        commit: makes what was written there last.
    """

    def __init__(
        self,
        settings: Settings,
        options: Options,
        *,
        kept: Path | None = None,
        commit: Callable[[], None] = lambda: None,
    ) -> None:
        check_places(settings, options)
        settings = offering(settings, options)
        logs.configure(settings.log_format)
        give_memory_back()
        database = open_database(settings)
        self._keeper: SqliteBackup | None = None
        if options.state == "single-container" and kept is not None:
            file = Path(database_url(settings).removeprefix("sqlite:///"))
            self._keeper = SqliteBackup(file, kept / "vivant.db", commit)
            self._keeper.restore()
        database.migrate()
        mint.adopt(database, settings.api_key)
        courier = ("vivant.modal.runner", "--options", options.model_dump_json())
        self._supervisor = Supervisor(
            database, settings.data_dir, timeout=settings.worker_timeout, module=courier
        )
        self._state = build(settings, database, loopback=False)
        if self._keeper is not None:
            limits = Limits(queue=settings.queue_limit, per_owner=settings.jobs_per_key)
            self._state.admission = Kept(database, limits, self._keeper)

    def start(self) -> FastAPI:
        """Start the courier; the application."""
        self._supervisor.start()
        if self._keeper is not None:
            self._keeper.start()
        return create_app(self._state)

    def stop(self) -> None:
        """Let the courier hand its jobs on, and save."""
        self._supervisor.stop()
        if self._keeper is not None:
            self._keeper.stop()


def check_places(settings: Settings, options: Options) -> None:
    """See that state is kept where the options say.

    Raises:
        OptionError: it is not.
    """
    if options.state == "single-container":
        if settings.database_url:
            raise OptionError(
                "VIVANT_DATABASE_URL is given, and modal.state is single-container: set "
                "modal.state to postgres, or take the variable out of the secret",
                param="modal.state",
            )
        return
    if not (settings.database_url or "").startswith("postgres"):
        raise OptionError(
            "modal.state is postgres, and the secret has no VIVANT_DATABASE_URL of a Postgres",
            param="modal.state",
        )
    if not (settings.objects_url or "").startswith("s3://"):
        raise OptionError(
            "modal.state is postgres, and the secret has no VIVANT_OBJECTS_URL of a bucket "
            "(s3://bucket/prefix): fronts do not see each other's disks",
            param="modal.state",
        )
