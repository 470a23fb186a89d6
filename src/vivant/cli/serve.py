"""``vivant serve``, ``vivant worker`` and ``vivant keys``: they start the service."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from vivant.cli import USUAL_THRESHOLDS
from vivant.cli.browser import open_page
from vivant.cli.language import say
from vivant.cli.options import DataFolder

keys_app = typer.Typer(no_args_is_help=True, help="API keys: who may use the service.")

EMBEDDED_NICENESS = 5
"""A worker beside the API leaves the cores to it when it has a request to answer."""


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; any address but loopback needs a key.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 picks a free one.", min=0, max=65535)] = 8000,
    workers: Annotated[
        int, typer.Option(help="Workers here; 0 if they run on other machines.", min=0, max=16)
    ] = 1,
    file_pages: Annotated[
        bool,
        typer.Option(
            help="Accept pages opened from files. Any page in that browser can then use the server."
        ),
    ] = False,
    browser: Annotated[
        bool | None,
        typer.Option(
            help="Open the page in the browser.  [default: if a terminal and a screen are there]"
        ),
    ] = None,
    data: DataFolder = None,
) -> None:
    """Serve the page and the API, with a worker: everything in one command."""
    from vivant.api.server import run
    from vivant.settings import read_settings

    gc.set_threshold(*USUAL_THRESHOLDS)
    settings = read_settings(**data_settings(data))
    if file_pages:  # browsers send "null" as the origin of a file
        origins = (*settings.cors_origins, "null")
        settings = settings.model_copy(update={"cors_origins": origins})

    def ready(address: str) -> None:
        # alone on its line, so that a terminal makes a link of it
        sys.stdout.write(f"{say('serve_ready')}\n{address}\n")
        sys.stdout.flush()
        open_page(address, browser)

    run(settings, host=host, port=port, workers=workers, ready=ready)


def worker(
    data: DataFolder = None,
    embedded: Annotated[
        bool, typer.Option(hidden=True, help="End when standard input closes.")
    ] = False,
) -> None:
    """Run one more worker on the jobs of a service."""
    from vivant.engines import load_engine
    from vivant.service import logs
    from vivant.service.worker import Worker
    from vivant.settings import read_settings
    from vivant.upscalers import load_upscaler

    gc.set_threshold(*USUAL_THRESHOLDS)
    if embedded and hasattr(os, "nice"):
        os.nice(EMBEDDED_NICENESS)
    settings = read_settings(**data_settings(data))
    logs.configure(settings.log_format)
    Worker(settings, load_engine=load_engine, load_upscaler=load_upscaler).run(
        parent=sys.stdin if embedded else None
    )


def data_settings(data: Path | None) -> dict[str, Any]:
    """The settings that ``--data`` overrides."""
    return {} if data is None else {"data_dir": data.expanduser().absolute()}


def _keyring(data: Path | None) -> Any:
    from vivant.service.database import open_database
    from vivant.service.keys import Keyring
    from vivant.settings import read_settings

    database = open_database(read_settings(**data_settings(data)))
    database.migrate(stages=False)
    return Keyring(database)


@keys_app.command("add")
def add_key(
    name: Annotated[str, typer.Argument(help="Name of the owner.")], data: DataFolder = None
) -> None:
    """Make a key and print it; it is not shown again."""
    key = _keyring(data).add(name)
    sys.stdout.write(f"{key}\n")
    sys.stderr.write("Keep it: it is stored as a hash and cannot be shown again.\n")


@keys_app.command("list")
def list_keys(data: DataFolder = None) -> None:
    """List the keys and their owners."""
    from datetime import UTC, datetime

    for key in _keyring(data).all():
        made = datetime.fromtimestamp(key.created_at, UTC).strftime("%Y-%m-%d")
        state = "revoked" if key.revoked_at else "active"
        sys.stdout.write(f"{key.id}  {state:<8}  {made}  {key.name}\n")


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="Its id, from the list.")], data: DataFolder = None
) -> None:
    """Revoke a key: within seconds it is refused."""
    _keyring(data).revoke(key_id)


def mount(app: typer.Typer) -> None:
    """Add the service's commands to the command line."""
    app.command()(serve)
    app.command()(worker)
    app.add_typer(keys_app, name="keys")
