"""The page and the API on Modal, with a ModalRunner process beside them. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import sqlalchemy as sa
from fastapi import FastAPI

from vivant.api.app import create_app
from vivant.api.server import give_memory_back
from vivant.api.state import build
from vivant.errors import OptionError
from vivant.modal.api_key import install_key
from vivant.modal.options import DeploymentOptions, gpu_container, with_engines
from vivant.modal.sqlite_backup import SqliteBackup
from vivant.service import logs
from vivant.service.admission import Admission, Limits
from vivant.service.database import Database, database_url, open_database
from vivant.service.job import Job, JobSpec
from vivant.service.supervisor import Supervisor
from vivant.settings import Settings


class BackedUpAdmission(Admission):
    """Accepts jobs, and copies the database to the Volume before the client is answered."""

    def __init__(self, database: Database, limits: Limits, backup: SqliteBackup) -> None:
        super().__init__(database, limits)
        self._backup = backup

    def accept(
        self, job_id: str, spec: JobSpec, owner: str, *, idempotency_key: str | None = None
    ) -> tuple[Job, bool]:
        """See :meth:`vivant.service.admission.Admission.accept`."""
        accepted = super().accept(job_id, spec, owner, idempotency_key=idempotency_key)
        self._backup.save()
        return accepted

    def accept_all(
        self,
        specs: Sequence[tuple[str, JobSpec]],
        owner: str,
        *,
        before: Callable[[sa.Connection], bool] = lambda _: True,
    ) -> bool:
        """See :meth:`vivant.service.admission.Admission.accept_all`."""
        accepted = super().accept_all(specs, owner, before=before)
        self._backup.save()
        return accepted


class WebApp:
    """One container of the web app.

    Args:
        settings: of the service.
        options: of the deployment.
        volume: folder that outlives the container; used with ``state = "single-container"``.
        commit: makes what was written there permanent, e.g. ``Volume.commit``.

    Raises:
        OptionError: settings and options do not fit together, or there is no usable API key.
    """

    def __init__(
        self,
        settings: Settings,
        options: DeploymentOptions,
        *,
        volume: Path | None = None,
        commit: Callable[[], None] = lambda: None,
    ) -> None:
        check_state(settings, options)
        settings = with_engines(settings, options)
        logs.configure(settings.log_format)
        give_memory_back()
        database = open_database(settings)
        self._backup: SqliteBackup | None = None
        if options.state == "single-container" and volume is not None:
            file = Path(database_url(settings).removeprefix("sqlite:///"))
            self._backup = SqliteBackup(file, volume / "vivant.db", commit)
            self._backup.restore()
        database.migrate()
        install_key(database, settings.api_key)
        runner = ("vivant.modal.runner", "--options", options.model_dump_json())
        self._supervisor = Supervisor(
            database, settings.data_dir, timeout=settings.frozen_seconds, module=runner
        )
        self._state = build(settings, database, loopback=False)
        self._state.container = gpu_container(options, settings.rates)
        if self._backup is not None:
            limits = Limits(queue=settings.queue_limit, per_owner=settings.jobs_per_key)
            self._state.admission = BackedUpAdmission(database, limits, self._backup)

    def start(self) -> FastAPI:
        """Start the runner's process and the backup; returns the application."""
        self._supervisor.start()
        if self._backup is not None:
            self._backup.start()
        return create_app(self._state)

    def stop(self) -> None:
        """Stop the runner, which gives its jobs back to the queue, and save the database."""
        self._supervisor.stop()
        if self._backup is not None:
            self._backup.stop()


def check_state(settings: Settings, options: DeploymentOptions) -> None:
    """Check that the database and the object store are those that ``modal.state`` names.

    Raises:
        OptionError: they are not.
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
            "(s3://bucket/prefix): containers do not see each other's disks",
            param="modal.state",
        )
