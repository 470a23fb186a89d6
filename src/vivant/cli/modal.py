"""``vivant modal``: commands for the operator's machine, before and beside ``modal deploy``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="modal", help="Prepare and rehearse a deployment on Modal.", no_args_is_help=True
)


@app.command()
def key() -> None:
    """Print a new API key for the Modal Secret. It is not stored anywhere."""
    from vivant.modal.api_key import new_key

    typer.echo(new_key())


@app.command()
def check() -> None:
    """Check the options, and print what clips and waiting containers cost."""
    from vivant.cost import EXCHANGE, container_rate, money, usd_per_clip
    from vivant.modal.options import (
        COLD_START_SECONDS,
        START_SECONDS,
        DeploymentOptions,
        gpu_rates,
    )
    from vivant.settings import default_settings

    settings = default_settings()
    options = DeploymentOptions.read(settings)
    won_per_usd = {**EXCHANGE, **settings.exchange}["KRW"]
    typer.echo(f"app {options.app}, secret {options.secret}, state: {options.state}")
    for name, gpu_rate in gpu_rates(options, settings.rates).items():
        rate = container_rate(gpu_rate, cores=options.cores, memory_gib=options.memory_gib)
        idle = options.scaledown_window
        typer.echo(
            f"{name}: ${gpu_rate:.6f} a second, with {options.cores:g} cores and "
            f"{options.memory_gib} GiB ${rate:.6f}"
        )
        for what, usd in (
            ("a clip of 10 s", usd_per_clip(10, rate)),
            (f"a start of {START_SECONDS:.0f} s, files cached", START_SECONDS * rate),
            (f"a start of {COLD_START_SECONDS:.0f} s, cold files", COLD_START_SECONDS * rate),
            (f"{idle} s of waiting after a clip", idle * rate),
            *(
                (
                    f"one rare clip, {start:.0f} s of start and the waiting included",
                    usd_per_clip(10, rate, start_seconds=start, idle_seconds=idle),
                )
                for start in (START_SECONDS, COLD_START_SECONDS)
            ),
        ):
            typer.echo(f"  {what}: {money(usd * won_per_usd, 'KRW')} (${usd:.4f})")
    typer.echo(
        f"waiting (scaledown_window) pays if the next clip usually comes in less than the "
        f"{START_SECONDS:.0f} to {COLD_START_SECONDS:.0f} s of a start"
    )


@app.command()
def rehearse(
    port: Annotated[int, typer.Option(help="0 picks a free one.", min=0, max=65535)] = 8000,
    data: Annotated[
        Path, typer.Option("--data", help="Folder for jobs and clips.", metavar="DIR")
    ] = Path("vivant-rehearsal"),
) -> None:
    """Run the web app on this machine with a fake Modal. No Modal account is needed.

    Render containers are threads of the worker; only the camera engine is offered.
    """
    import uvicorn

    from vivant.api.server import listen, url
    from vivant.modal.api_key import new_key
    from vivant.modal.options import DeploymentOptions
    from vivant.modal.web_app import WebApp
    from vivant.settings import read_settings

    data = data.expanduser().absolute()
    settings = read_settings(data_dir=data, api_key=new_key())
    options = DeploymentOptions.read(settings).model_copy(
        update={"backend": "fake", "engines": ("camera",), "state": "single-container"}
    )
    listener = listen("127.0.0.1", port)
    web_app = WebApp(settings, options, volume=data / "volume")
    application = web_app.start()
    try:
        typer.echo(f"Vivant is at {url(listener)} with the key {settings.api_key}")
        config = uvicorn.Config(application, log_config=None, access_log=False)
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        web_app.stop()


def mount(parent: typer.Typer) -> None:
    """Add the group to the command line."""
    parent.add_typer(app)
