"""``vivant modal``: prepares a deployment on Modal, and rehearses it on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="modal", help="Prepare and rehearse a deployment on Modal.", no_args_is_help=True
)


@app.command()
def key() -> None:
    """Print a new API key, for the Modal Secret; it is kept nowhere else."""
    from vivant.modal.first_key import new_key

    typer.echo(new_key())


@app.command()
def check() -> None:
    """Check the options, and say what a second and a waiting container would cost."""
    from vivant.cost import EXCHANGE, money
    from vivant.modal.options import Options, besides, gpu_rates
    from vivant.settings import default_settings

    settings = default_settings()
    options = Options.read(settings)
    won = {**EXCHANGE, **settings.exchange}["KRW"]
    typer.echo(f"app {options.app}, secret {options.secret}, state: {options.state}")
    extra = besides(options)
    for name, rate in gpu_rates(options, settings.rates).items():
        whole = rate + extra
        waiting = whole * options.scaledown_window
        typer.echo(
            f"{name}: ${rate:.6f} a second, with {options.cores:g} cores and "
            f"{options.memory_gib} GiB ${whole:.6f}"
        )
        for what, usd in (
            ("a clip of 10 s", 10 * whole),
            (f"{options.scaledown_window} s of waiting after it", waiting),
        ):
            typer.echo(f"  {what}: {money(usd * won, 'KRW')} (${usd:.4f})")


@app.command()
def rehearse(
    port: Annotated[int, typer.Option(help="0 picks a free one.", min=0, max=65535)] = 8000,
    data: Annotated[
        Path, typer.Option("--data", help="Where jobs and clips are kept.", metavar="DIR")
    ] = Path("vivant-rehearsal"),
) -> None:
    """Run the web app here, with a fake Modal whose containers are threads: needs no account."""
    import uvicorn

    from vivant.api.server import listen, url
    from vivant.modal.first_key import new_key
    from vivant.modal.options import Options
    from vivant.modal.web_app import WebApp
    from vivant.settings import read_settings

    data = data.expanduser().absolute()
    settings = read_settings(data_dir=data, api_key=new_key())
    options = Options.read(settings).model_copy(
        update={"backend": "fake", "engines": ("camera",), "state": "single-container"}
    )
    listener = listen("127.0.0.1", port)
    web_app = WebApp(settings, options, kept=data / "volume")
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
