"""The public functions: ``animate``, ``animate_many`` and ``verify``.

Engines and upscalers are loaded by name when a function is called, not when this is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vivant.crop_area import CropArea, FocusPoint
from vivant.errors import ClipError
from vivant.settings import Settings, default_settings
from vivant.types import (
    Observer,
    Request,
    Result,
    Series,
    Take,
    Verification,
    ignore_progress,
)


def animate(
    image: Path | str | bytes | Request,
    output: Path | str,
    *,
    observe: Observer = ignore_progress,
    settings: Settings | None = None,
    currency: str | None = None,
    force: bool = False,
    **changes: Any,
) -> Result:
    """Turn one picture into a verified clip.

    Args:
        image: a path, the bytes of an image file, or a whole :class:`Request`.
        output: path of the MP4; its companions go beside it.
        observe: called with a :class:`Progress` after every unit of work, from several threads;
            raise :class:`vivant.errors.Cancelled` in it to stop.
        settings: limits and prices; the environment's where None.
        currency: of the bill, e.g. ``"KRW"``.
        force: replace existing files.
        **changes: any other field of :class:`Request`, e.g. ``seed=7``, ``sound="music.mp3"`` or
            ``crop="10%,0%,80%,80%"``.

    Returns:
        Where the files are, and the report. A clip that fails a check is still a result.

    Raises:
        VivantError: see :mod:`vivant.errors`; nothing is left behind.
    """
    from vivant.engines import load_engine, start_engine

    request = _request(image, changes)
    chosen = settings or default_settings()
    start_engine(request.engine, chosen)  # before the imports, which take seconds
    from vivant.pipeline import ClipJob, check_request
    from vivant.upscalers import load_upscaler

    check_request(request, chosen)
    engine, upscaler = load_engine(request.engine, chosen), load_upscaler(request.upscaler)
    job = ClipJob(request, engine, upscaler, chosen, observe, currency)
    return job.run(Path(output), force=force)


def animate_many(
    image: Path | str | bytes | Request,
    folder: Path | str,
    seeds: Sequence[int],
    *,
    observe: Observer = ignore_progress,
    watch: Callable[[Take, int], None] = lambda *_: None,
    settings: Settings | None = None,
    currency: str | None = None,
    force: bool = False,
    **changes: Any,
) -> Series:
    """Turn one picture into several verified clips that differ by their seed, in one call.

    A seed's clip does not depend on its companions; where the engine can, they share work.

    Args:
        image: a path, the bytes of an image file, or a whole :class:`Request`.
        folder: where the clips go, as ``NAME-seed-N.mp4`` with their companions, and an index of
            all (``index.html``, ``contact_sheet.jpg``). Made if need be.
        seeds: 1 … 8, none twice.
        observe: as of :func:`animate`, for each clip in turn.
        watch: called after every clip with what became of it and how many are done.
        settings: limits and prices; the environment's where None.
        currency: of the bills, e.g. ``"KRW"``.
        force: replace existing clips of these seeds.
        **changes: any other field of :class:`Request`.

    Returns:
        What became of every seed. Where one could not be made its ``result`` is None, and the
        others are there.

    Raises:
        VivantError: see :mod:`vivant.errors`; no clip was finished, and nothing is left behind.
            ``Cancelled`` leaves the clips that were.
    """
    from vivant.runs.run import Runner
    from vivant.runs.seeds import run_series

    runner = Runner(settings or default_settings(), observe, currency)
    return run_series(
        _request(image, changes), tuple(seeds), Path(folder), runner, watch=watch, force=force
    )


def _request(image: Path | str | bytes | Request, given: Mapping[str, Any]) -> Request:
    changes = {**given, **_framing(given)}
    for name in ("sound", "last"):
        if isinstance(changes.get(name), str):
            changes[name] = Path(changes[name])
    if isinstance(changes.get("fps"), int | float):
        changes["fps"] = Fraction(changes["fps"]).limit_denominator(1001)
    if isinstance(image, Request):
        return replace(image, **changes) if changes else image
    return Request(image=Path(image) if isinstance(image, str) else image, **changes)


def _framing(given: Mapping[str, Any]) -> dict[str, Any]:
    """crop, focus and rotate as :class:`Request` has them; they may be given as text."""
    texts = {name: given[name] for name in ("crop", "focus", "rotate") if name in given}
    if all(value in (None, 0) for value in texts.values()):
        return {}
    from vivant.request_fields import CommandFields  # 0.1 s

    fields = CommandFields.read(texts)
    return {name: getattr(fields, name) for name in texts}


def verify(
    clip: Path | str,
    image: Path | str | bytes,
    *,
    page: Path | str | None = None,
    crop: CropArea | str | None = None,
    focus: FocusPoint | str | None = None,
    rotate: int = 0,
    observe: Observer = ignore_progress,
    settings: Settings | None = None,
) -> Verification:
    """Is it still the same person, and a good clip? Measured from the finished file.

    Args:
        clip: a video file; Vivant's own or anybody's.
        image: the picture it was made from.
        page: write the answers as one HTML page for people here.
        crop: the crop that the clip was made with, if it was chosen by hand.
        focus: likewise.
        rotate: likewise.
        observe: called after every frame; raise ``Cancelled`` in it to stop.
        settings: limits; the environment's where None.

    Raises:
        ClipError: the clip cannot be read.
        ImageError: the picture cannot be read.
        OptionError: the page's name does not end in ``.html``, or crop, focus or rotate is not
            possible.
        OutputError: the page cannot be written.
    """
    from vivant.image_limits import image_limits
    from vivant.picture.faces import lend_reader
    from vivant.picture.intake import load_portrait
    from vivant.video.cores import usable_cores
    from vivant.video.probe import probe

    request = _request(image, {"crop": crop, "focus": focus, "rotate": rotate})
    path = Path(clip)
    if page is not None:  # the page's libraries take 0.1 s to load
        from vivant.checks.report import check_page

        check_page(Path(page))
    facts = probe(path)
    if not facts.num_frames:
        raise ClipError(f"{path.name} has no frames: nothing can be verified", param="clip")
    with lend_reader() as reader, ThreadPoolExecutor(2, "vivant-load") as other_threads:
        loading = other_threads.submit(
            load_portrait,
            Path(image) if isinstance(image, str) else image,
            width=facts.width,
            height=facts.height,
            limits=image_limits(settings or default_settings()),
            reader=reader,
            framing=request.framing,
        )
        other_threads.submit(reader.warm)
        from vivant.checks.verify import verify_file  # 0.2 s, while the picture is read

        portrait = loading.result()
        verification = verify_file(
            path, portrait, observe=observe, reader=reader, cores=usable_cores(), facts=facts
        )
    if page is not None:
        from vivant.checks.report import write_html

        write_html(verification, portrait, path, Path(page))
    return verification
