"""One picture, several seeds: a clip per seed, and an index of all.

The picture is read once. An engine that can (:class:`vivant.types.EngineOfMany`) starts all clips
together. Each is then drawn, encoded and checked one after another, so that the pixels of no more
than one clip are in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vivant.checks import keep_workers
from vivant.errors import (
    Cancelled,
    InputError,
    MachineError,
    OptionError,
    OutputError,
    OutputExistsError,
    VivantError,
)
from vivant.grid import check_seeds
from vivant.picture.faces import lend_reader
from vivant.pipeline import check_request
from vivant.runs.run import Runner
from vivant.runs.seeds_page import CONTACT_SHEET, PAGE, is_ours, write_index
from vivant.runs.shared_engine import SharedEngine
from vivant.types import Request, Series, Take
from vivant.video.files import check_target


@keep_workers()
def run_series(
    request: Request,
    seeds: tuple[int, ...],
    folder: Path,
    runner: Runner,
    *,
    watch: Callable[[Take, int], None] = lambda *_: None,
    force: bool = False,
) -> Series:
    """Make a clip per seed, ``folder/NAME-seed-N.mp4``, and an index of all in the folder.

    A clip that cannot be made is noted, and the others are made; where this machine is to blame (a
    full disk) the rest is not begun. What is finished stays, whatever happens after it.

    Time that all have in common (reading the picture and, of an engine that starts them together,
    loading and everything until its first frames) is divided among them evenly, and so is its
    cost; the rest of a clip is its own.

    Args:
        request: what to make; its own seed is not used.
        seeds: 1 … 8, none twice.
        folder: where to; made if need be. Clips of other seeds may be there already.
        runner: makes the clips.
        watch: called after every clip with what became of it and how many are done.
        force: replace existing clips.

    Raises:
        InputError: picture, options, seeds or folder cannot be used; nothing was written.
        MachineError: this machine cannot do it, and no clip was finished.
        EngineError: no clip could be generated.
        Cancelled: the observer said so; finished clips stay, with their index.
    """
    check_seeds(seeds)
    for seed in seeds:
        check_request(replace(request, seed=seed), runner.settings)
    series = runner.job(request)
    series.bill(0.0)  # an unknown currency is refused before any work
    takes: list[Take] = []
    errors: list[VivantError] = []
    with _usable(folder):
        _check_targets(request, seeds, folder, force=force)
        with lend_reader() as reader:
            portrait = series.read_picture(reader)
        shared = SharedEngine(series.engine, seeds, portrait, series.seconds)

        def make(seed: int) -> Take:
            if any(isinstance(error, MachineError) for error in errors):
                return Take(seed=seed, result=None, seconds=0.0, reason="not begun")
            output = folder / clip_name(request, seed)
            outcome = runner.run(
                replace(request, seed=seed), output, force=force, prepare=shared.join
            )
            error = outcome.error
            if error is not None:
                if not _made(takes) and (isinstance(error, InputError) or shared.failed):
                    raise error  # the other clips would fail for the same reason
                errors.append(error)
            return Take(
                seed=seed, result=outcome.result, seconds=outcome.seconds, reason=outcome.reason
            )

        try:
            for seed in seeds:
                takes.append(make(seed))
                watch(takes[-1], len(takes))
        except (Cancelled, KeyboardInterrupt):
            if not _made(takes):
                raise
            write_index(folder, takes)
            raise Cancelled(_kept(takes, seeds, folder)) from None
        if errors and not _made(takes):
            raise errors[-1]
        write_index(folder, takes)
    seconds = series.seconds
    return Series(
        takes=tuple(takes),
        page=folder / PAGE,
        contact_sheet=folder / CONTACT_SHEET,
        seconds=seconds,
        bill=series.bill(seconds),
    )


def _made(takes: list[Take]) -> int:
    return sum(take.result is not None for take in takes)


def clip_name(request: Request, seed: int) -> str:
    """File name of a clip: ``portrait-seed-3.mp4``."""
    stem = request.image.stem if isinstance(request.image, Path) else "clip"
    return f"{stem}-seed-{seed}.mp4"


def _check_targets(request: Request, seeds: tuple[int, ...], folder: Path, *, force: bool) -> None:
    """Refuse to replace clips, and an index that Vivant did not write.

    Raises:
        OutputExistsError: a clip is there, or an index that is not Vivant's.
    """
    for seed in seeds:
        check_target(folder / clip_name(request, seed), force=force)
    for name in (PAGE, CONTACT_SHEET):
        if (folder / name).exists() and not force and not is_ours(folder):
            raise OutputExistsError(
                f"{folder / name} exists and is not an index of clips: choose another folder "
                "with -o, or add --force to replace it",
                param="output",
            )


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """Make the folder; remove it again if it was made here and nothing was put into it."""
    if folder.suffix.lower() == ".mp4" and not folder.is_dir():
        raise OptionError(
            f"output {folder} is a file's name: several seeds go into a folder, e.g. "
            f"{folder.with_suffix('')}",
            param="output",
        )
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OptionError(
            f"output {folder} is a file: several seeds go into a folder", param="output"
        ) from None
    except OSError as error:
        raise OutputError(
            f"cannot make folder {folder}: {error.strerror}; choose another with -o"
        ) from error
    try:
        yield
    except BaseException:
        for path in made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()
        raise


def _kept(takes: list[Take], seeds: tuple[int, ...], folder: Path) -> str:
    there = {take.seed for take in takes if take.result}
    missing = ",".join(str(seed) for seed in seeds if seed not in there)
    return (
        f"cancelled after {len(there)} of {len(seeds)} clips, which are kept in {folder}; "
        f"--seeds {missing} with the same folder makes the others"
    )
