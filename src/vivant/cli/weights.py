"""``vivant weights``: pull, list, verify, quantize."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from vivant.cli.language import localized, say
from vivant.errors import MissingPartError
from vivant.types import Observer, Progress

if TYPE_CHECKING:
    from vivant.weights import Library

app = typer.Typer(
    name="weights",
    help="Fetch, check and shrink the weights of the ltx2 engine.",
    no_args_is_help=True,
)

Name = Annotated[
    str,
    typer.Argument(
        help="Model, as in `vivant weights list`; or an adapter's owner/repository.",
        metavar="MODEL",
    ),
]


def library() -> Library:
    """Weights where the settings say, with the Hub unless offline."""
    from vivant.settings import default_settings
    from vivant.weights import Hub, Library

    settings = default_settings()
    hub = None if settings.offline else Hub(settings.hub_url, settings.hub_token)
    return Library(settings.weights_path, hub)


@contextmanager
def _bar(title: str) -> Iterator[Observer]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def observe(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)

        yield observe


@app.command("list")
def list_models() -> None:
    """Models, and what of them is on disk."""
    from rich.console import Console
    from rich.table import Table

    from vivant.errors import WeightsError
    from vivant.weights import MODELS, find_model

    books = library()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("model", "on_disk", "GB", "fp8", "from", "commit"):
        table.add_column(title if title in ("GB", "fp8") else say(f"weights_{title}"))
    for name in (*MODELS, *books.adapters()):
        model = find_model(name)
        repos = ", ".join(dict.fromkeys(part.repo for part in model.parts))
        try:
            state = books.state(name)
        except WeightsError as error:
            table.add_row(name, say("weights_broken"), "", "", repos, localized(error.message))
            continue
        size = state.size if state.status != "absent" else model.size
        table.add_row(
            name,
            say(f"weights_{state.status}"),
            f"{size / 1e9:.1f}" if size else "",
            say("weights_yes") if state.fp8 else "",
            repos,
            ", ".join(
                commit[:10]
                for commit in state.commits
                or (part.revision for part in model.parts if len(part.revision) == 40)
            )
            or say("weights_first_pull"),
        )
    Console().print(table)
    typer.echo(say("weights_in", folder=books.root))


@app.command()
def pull(name: Name = "ltx-2-19b-distilled") -> None:
    """Fetch a model; resumes an interrupted download."""
    from vivant.weights import find_model

    typer.echo(say("weights_licence", name=find_model(name).licence), err=True)
    with _bar(name) as observe:
        state = library().pull(name, observe)
    size = f"{state.size / 1e9:.1f}"
    typer.echo(say("weights_pulled", name=name, size=size, folder=state.folder))


@app.command()
def verify(name: Name = "ltx-2-19b-distilled") -> None:
    """Hash every file of a model against what was pulled."""
    with _bar(name) as observe:
        count = library().verify(name, observe)
    typer.echo(say("weights_verified", name=name, count=count))


@app.command()
def quantize(name: Name = "ltx-2-19b-distilled") -> None:
    """Write the fp8 transformer once: later starts read 19 GB instead of 38."""
    from vivant.weights import find_model

    model = find_model(name)
    folder = library().need(name)
    try:
        from vivant.engines.ltx2.fp8_checkpoint import quantize_folder
    except ImportError as error:
        raise MissingPartError(f"quantizing needs {error.name}: uv sync --extra ltx2") from None
    with _bar(name) as observe:
        target, size = quantize_folder(model, folder, observe)
    typer.echo(f"{target}: {size / 1e9:.1f} GB")


def mount(parent: typer.Typer) -> None:
    """Add the group to the command line."""
    parent.add_typer(app)
