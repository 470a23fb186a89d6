"""Make a clip per seed. Knows of how one is made only :mod:`vivant.pipeline`.

The picture is read once. An engine that can (:class:`vivant.types.EngineOfMany`) starts all clips
together; each is then drawn, encoded and verified like any other, one after another, so that no
more than one is held in pixels.
"""

from __future__ import annotations

import time
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
from vivant.pipeline import Making, check_request, make_clip, read_picture
from vivant.runs.seeds_page import CONTACT_SHEET, PAGE, is_ours, write_index
from vivant.runs.shared_engine import SharedEngine
from vivant.settings import Settings
from vivant.types import Engine, Observer, Progress, Request, Series, Take, Upscaler
from vivant.video.files import Target, check_target
from vivant.video.stage_times import StageTimes


@keep_workers()
def run_series(
    request: Request,
    seeds: tuple[int, ...],
    folder: Path,
    *,
    engine: Engine,
    upscaler: Upscaler,
    settings: Settings,
    observe: Observer,
    watch: Callable[[Take, int], None] = lambda *_: None,
    currency: str | None = None,
    force: bool = False,
) -> Series:
    """Make a clip per seed, ``folder/NAME-seed-N.mp4``, and an index of all in the folder.

    A clip that cannot be made is noted and the others go on; where this machine is to blame (a
    full disk) the rest is not begun. What is finished stays, whatever happens after it.

    Time that all have in common (reading the picture and, of an engine that starts them together,
    loading and everything until its first frames) is divided among them evenly, and so is its
    cost; the rest of a clip is its own.

    Args:
        request: what to make; its own seed is not used.
        seeds: 1 … 8, none twice.
        folder: where to; made if need be. Clips of other seeds may be there already.
        engine: makes the frames.
        upscaler: enlarges them where the engine's are smaller.
        settings: limits and prices.
        observe: called after every unit of work; may raise ``Cancelled``.
        watch: called after every clip with what became of it and how many are done.
        currency: of the bills.
        force: replace existing clips.

    Raises:
        InputError: picture, options, seeds or folder cannot be used; nothing was written.
        MachineError: this machine cannot do it, and no clip was finished.
        EngineError: no clip could be generated.
        Cancelled: the observer said so; finished clips stay, with their index.
    """
    started = time.perf_counter()
    check_seeds(seeds)
    for seed in seeds:
        check_request(replace(request, seed=seed), settings)
    whole = Making(engine, upscaler, settings, currency, observe, started)
    whole.spent()  # an unknown currency is refused before any work
    takes: list[Take] = []
    trouble: VivantError | None = None
    with _usable(folder), lend_reader() as reader:
        targets = _targets(request, seeds, folder, force=force)
        portrait = read_picture(request, settings, reader)
        observe(Progress("image", 1, 1, "item"))
        shared = SharedEngine(engine, seeds, image_seconds=whole.seconds)

        def make(seed: int, target: Target) -> Take:
            nonlocal trouble
            if isinstance(trouble, MachineError):
                return Take(seed=seed, result=None, seconds=0.0, reason="not begun")
            making = replace(whole, engine=shared, started=time.perf_counter())
            shared.share(making)
            wanted = replace(request, seed=seed)
            try:
                result = make_clip(portrait, wanted, target, making, reader, StageTimes())
            except Cancelled:
                raise
            except VivantError as error:
                if _made(takes) == 0 and (isinstance(error, InputError) or shared.failed):
                    raise  # the others would meet the same
                trouble = error
                return Take(seed=seed, result=None, seconds=making.seconds, reason=error.message)
            return Take(seed=seed, result=result, seconds=result.report.seconds)

        try:
            for seed, target in zip(seeds, targets, strict=True):
                takes.append(make(seed, target))
                watch(takes[-1], len(takes))
        except (Cancelled, KeyboardInterrupt):
            if not _made(takes):
                raise
            write_index(folder, takes)
            raise Cancelled(_kept(takes, seeds, folder)) from None
        if trouble is not None and not _made(takes):
            raise trouble
        write_index(folder, takes)
    spent = whole.spent()
    return Series(
        takes=tuple(takes),
        page=folder / PAGE,
        contact_sheet=folder / CONTACT_SHEET,
        seconds=spent.seconds,
        bill=spent.bill,
    )


def _made(takes: list[Take]) -> int:
    return sum(take.result is not None for take in takes)


def clip_name(request: Request, seed: int) -> str:
    """File name of a clip: ``portrait-seed-3.mp4``."""
    stem = request.image.stem if isinstance(request.image, Path) else "clip"
    return f"{stem}-seed-{seed}.mp4"


def _targets(
    request: Request, seeds: tuple[int, ...], folder: Path, *, force: bool
) -> list[Target]:
    """Where every clip goes; nothing that is there is lost by mistake.

    Raises:
        OutputExistsError: a clip, or an index that is not Vivant's.
    """
    targets = [check_target(folder / clip_name(request, seed), force=force) for seed in seeds]
    for name in (PAGE, CONTACT_SHEET):
        if (folder / name).exists() and not force and not is_ours(folder):
            raise OutputExistsError(
                f"{folder / name} exists and is not an index of clips: choose another folder "
                "with -o, or add --force to replace it",
                param="output",
            )
    return targets


@contextmanager
def _usable(folder: Path) -> Iterator[None]:
    """The folder, there; away again if it was made for work of which nothing came."""
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
