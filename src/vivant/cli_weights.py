"""``vivant weights``: pull, list, verify, quantize. Thin: it reads options and calls ``weights``.

Mounted by ``vivant.cli``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from vivant.errors import MissingPartError, VivantError
from vivant.settings import Settings, default_settings
from vivant.types import Observer, Progress
from vivant.weights import MODELS, Hub, Library, find_model

app = typer.Typer(
    name="weights",
    help="Fetch, check and shrink the weights of the ltx2 engine.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="Model, as in `vivant weights list`.", metavar="MODEL")]

console = Console()
errors = Console(stderr=True)


def library(settings: Settings) -> Library:
    """Weights where the settings say, with the Hub unless offline."""
    hub = None if settings.offline else Hub(settings.hub_url, settings.hub_token)
    return Library(settings.weights_path, hub)


@contextmanager
def _bar(title: str) -> Iterator[Observer]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def observe(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)

        yield observe


@contextmanager
def _plainly() -> Iterator[None]:
    """One sentence and an exit code instead of a traceback."""
    try:
        yield
    except VivantError as error:
        errors.print(f"vivant: {error.message}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        errors.print("vivant: stopped; what was fetched is kept, and a pull goes on from there")
        raise typer.Exit(130) from None


@app.command("list")
def list_models() -> None:
    """Models, and what of them is on disk."""
    with _plainly():
        books = library(default_settings())
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for title in ("model", "on disk", "GB", "fp8", "from", "commit"):
            table.add_column(title)
        for name, model in MODELS.items():
            state = books.state(name)
            size = state.size if state.status != "absent" else model.size
            table.add_row(
                name,
                state.status,
                f"{size / 1e9:.1f}",
                "yes" if state.fp8 else "",
                ", ".join(dict.fromkeys(part.repo for part in model.parts)),
                ", ".join(commit[:10] for commit in state.commits) or "at first pull",
            )
        console.print(table)
        console.print(f"in {books.root}", soft_wrap=True, highlight=False)


@app.command()
def pull(name: Name = "ltx-2-19b-distilled") -> None:
    """Fetch a model; goes on where it stopped."""
    with _plainly():
        model = find_model(name)
        errors.print(f"licence: {model.licence}", soft_wrap=True, highlight=False)
        with _bar(name) as observe:
            state = library(default_settings()).pull(name, observe)
        console.print(
            f"{name}: {state.size / 1e9:.1f} GB in {state.folder}", soft_wrap=True, highlight=False
        )


@app.command()
def verify(name: Name = "ltx-2-19b-distilled") -> None:
    """Hash every file of a model against what was pulled."""
    with _plainly():
        with _bar(name) as observe:
            count = library(default_settings()).verify(name, observe)
        console.print(f"{name}: {count} files are what was pulled", highlight=False)


@app.command()
def quantize(name: Name = "ltx-2-19b-distilled") -> None:
    """Write the fp8 transformer once: later starts read 19 GB instead of 38."""
    with _plainly():
        model = find_model(name)
        folder = library(default_settings()).need(name)
        try:
            from vivant.engine.ltx2.components import quantize_folder
        except ImportError as error:
            raise MissingPartError(f"quantizing needs {error.name}: uv sync --extra ltx2") from None
        with _bar(name) as observe:
            target, size = quantize_folder(model, folder, observe)
        console.print(f"{target}: {size / 1e9:.1f} GB", soft_wrap=True, highlight=False)
