"""image → engine → upscale → encode → verify → store, in that order.

The stages run side by side: frames leave the engine in chunks, and while one is being made the
last one is encoded, and what the encoder wrote is decoded again and verified. Knows the engine
and the upscaler only by their protocols; names are turned into parts elsewhere (``compose``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from vivant.checks import Expectation, Inspector, Performance, worker_count
from vivant.checks.report import write_html
from vivant.cost import bill, no_rate
from vivant.errors import EngineError
from vivant.grid import check_fps, check_frames, check_seed, check_size
from vivant.picture.faces import FaceReader, lend_reader
from vivant.picture.framing import crop_pixels
from vivant.picture.intake import ImageLimits, load_portrait
from vivant.report import SCHEMA_VERSION, report_json, to_json
from vivant.settings import Settings
from vivant.types import (
    Bill,
    Engine,
    Image,
    Observer,
    Portrait,
    Progress,
    Report,
    Request,
    Result,
    Stage,
    StageTime,
    Upscaler,
    Verification,
)
from vivant.version import __version__
from vivant.video.cores import usable_cores
from vivant.video.files import COMPANIONS, Target, check_target, publish, workspace
from vivant.video.probe import probe
from vivant.video.sheet import SheetCollector
from vivant.video.stage_times import StageTimes, closable
from vivant.video.stages import Deferred
from vivant.video.writer import VideoWriter

LIBRARIES = ("av", "opencv-contrib-python-headless", "dlib-bin", "numpy", "torch", "diffusers")
"""Packages whose versions decide what the frames look like."""


def check_request(request: Request, settings: Settings) -> None:
    """Refuse impossible numbers before any work.

    Raises:
        OptionError: naming the field.
    """
    check_size(request.width, request.height)
    check_frames(request.num_frames, settings.max_frames)
    check_fps(request.fps)
    check_seed(request.seed)


def image_limits(settings: Settings) -> ImageLimits:
    """The settings that guard image decoding."""
    return ImageLimits(
        max_bytes=settings.max_image_bytes,
        max_pixels=settings.max_image_pixels,
        max_side=settings.max_image_side,
        max_decoded_bytes=settings.max_image_decoded_bytes,
    )


def read_picture(request: Request, settings: Settings, reader: FaceReader) -> Portrait:
    """The request's picture, framed for its clip.

    Raises:
        ImageError: it cannot be used.
    """
    return load_portrait(
        request.image,
        width=request.width,
        height=request.height,
        limits=image_limits(settings),
        reader=reader,
    )


def run(
    request: Request,
    output: Path,
    *,
    engine: Engine,
    upscaler: Upscaler,
    settings: Settings,
    observe: Observer,
    currency: str | None = None,
    force: bool = False,
) -> Result:
    """Make one clip: ``output`` and its companions appear whole, or not at all.

    Args:
        request: what to make.
        output: path of the MP4 to write.
        engine: makes the frames.
        upscaler: enlarges them where the engine's are smaller.
        settings: limits and prices.
        observe: called after every unit of work; may raise ``Cancelled``.
        currency: of the bill; the settings' own where None.
        force: replace existing files.

    Raises:
        InputError: picture, options or output cannot be used.
        MachineError: disk, memory or parts are missing.
        EngineError: generation failed half-way.
        Cancelled: raised by ``observe``.
    """
    started = time.perf_counter()
    check_request(request, settings)
    target = check_target(output, force=force)
    times = StageTimes()
    making = Making(engine, upscaler, settings, currency, observe, started)
    making.spent()  # an unknown currency is refused before any work
    with lend_reader() as reader:
        with times.measure("image"):
            portrait = read_picture(request, settings, reader)
        observe(Progress("image", 1, 1, "item"))
        return make_clip(portrait, request, target, making, reader, times)


@dataclass
class Making:
    """What makes one clip, and what it has taken.

    Attributes:
        started: ``time.perf_counter()`` when it began.
        shares: seconds by stage that were spent on it elsewhere, for several clips at once; below
            0 what was spent here on others.
    """

    engine: Engine
    upscaler: Upscaler
    settings: Settings
    currency: str | None
    observe: Observer
    started: float
    shares: Mapping[Stage, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Until now."""
        return time.perf_counter() - self.started + sum(self.shares.values())

    def spent(self) -> Spent:
        """Until now."""
        settings, seconds = self.settings, self.seconds
        costs = bill(
            settings.device or self.engine.info.device,
            seconds,
            currency=self.currency or settings.currency,
            rates=settings.rates,
            exchange=settings.exchange,
        )
        return Spent(seconds, costs)


def make_clip(
    portrait: Portrait,
    request: Request,
    target: Target,
    making: Making,
    reader: FaceReader,
    times: StageTimes,
) -> Result:
    """From a picture that is read to files that are published; see :func:`run`."""
    engine, settings = making.engine, making.settings
    with workspace(target) as folder:
        made = render(
            portrait,
            request,
            folder,
            engine,
            making.upscaler,
            reader,
            making.observe,
            times,
            making.spent,
            settings,
        )
        for stage, seconds in making.shares.items():
            times.add(stage, seconds)
        with times.measure("store"):
            report = describe(request, portrait, made, engine, times, settings, target)
            write_html(
                made.verification,
                portrait,
                folder / "clip.mp4",
                folder / COMPANIONS["page"],
                name=target.clip.stem,
                href=target.clip.name,
                reference=made.reference,
            )
            (folder / COMPANIONS["report"]).write_text(to_json(report_json(report)), "utf-8")
            publish(folder, target)
    making.observe(Progress("store", 1, 1, "item"))
    return Result(
        clip=target.clip,
        thumbnail=target.companion(COMPANIONS["thumbnail"]),
        contact_sheet=target.companion(COMPANIONS["contact_sheet"]),
        page=target.companion(COMPANIONS["page"]),
        report_file=target.companion(COMPANIONS["report"]),
        report=report,
    )


@dataclass(frozen=True, slots=True)
class Spent:
    """What a job has taken, told once so that report and checklist cannot differ.

    Attributes:
        seconds: from its start until its clip was written and looked at.
        bill: None where the device has no rate.
    """

    seconds: float
    bill: Bill | None


def performance(spent: Spent, settings: Settings) -> Performance:
    """The job's time and cost beside the user's targets."""
    costs = spent.bill
    if costs is None:
        return Performance(seconds=spent.seconds, target_seconds=settings.target_seconds)
    return Performance(
        seconds=spent.seconds,
        target_seconds=settings.target_seconds,
        cost=costs.amount,
        target_cost=settings.target_usd * costs.exchange_rate,
        currency=costs.currency,
    )


@dataclass(frozen=True)
class Made:
    """What :func:`render` leaves in the folder, and what it found out."""

    verification: Verification
    upscaler: str
    spent: Spent
    reference: Image


def render(
    portrait: Portrait,
    request: Request,
    folder: Path,
    engine: Engine,
    upscaler: Upscaler,
    reader: FaceReader,
    observe: Observer,
    times: StageTimes,
    took: Callable[[], Spent],
    settings: Settings,
) -> Made:
    """Write ``clip.mp4`` and its pictures into ``folder``, verified while it is being made.

    ``reader`` is used by one thread at a time; ``took`` is asked at the end what the job has
    taken until then.
    """
    path = folder / "clip.mp4"
    width, height = request.width, request.height
    cores = usable_cores()
    reference = crop_pixels(portrait, width, height)
    gallery = SheetCollector(reference, request)

    def show() -> None:
        gallery.write(
            folder, title=f"Vivant {__version__}, engine {engine.info.name}, seed {request.seed}"
        )

    with ExitStack() as stack:
        aside = stack.enter_context(ThreadPoolExecutor(1, "vivant-aside"))
        crew = worker_count(cores, request.num_frames, width, height)
        inspecting = Deferred(
            lambda: Inspector(
                portrait,
                num_frames=request.num_frames,
                fps=request.fps,
                width=width,
                height=height,
                reader=reader,
                workers=crew,
                pixels=reference,
            ),
            aside,
        )
        stack.callback(lambda: inspecting.result().close() if inspecting.started else None)
        if not crew:
            inspecting.result()

        def told(progress: Progress) -> None:
            if progress.stage == "generate":
                # not before: eight processes at their start hold up an engine's first step
                inspecting.start()
            observe(progress)

        with times.measure("load"):
            clip = engine.generate(portrait, request, told)
        if clip.num_frames != request.num_frames:
            raise EngineError(
                f"engine {engine.info.name} offers {clip.num_frames} frames where "
                f"{request.num_frames} were asked for"
            )
        clip = times.timed("generate", clip)
        scaled = (clip.width, clip.height) != (width, height)
        if scaled:
            clip = times.timed(
                "upscale", upscaler.upscale(clip, width=width, height=height, observe=observe)
            )
        film = stack.enter_context(
            VideoWriter(
                path,
                width=width,
                height=height,
                fps=request.fps,
                quality=request.quality,
                comment=f"Made with Vivant {__version__}; engine {engine.info.name}; "
                "machine-generated",
                cores=cores,
                on_written=lambda count: observe(Progress("encode", count, request.num_frames)),
                on_decoded=_watcher(gallery, show, inspecting, request.num_frames, observe),
            )
        )
        for chunk in stack.enter_context(closing(closable(clip.chunks))):
            inspecting.start()
            film.put(chunk)
        film.close()
        probing = aside.submit(probe, path)
        film.finish()
        inspector, facts = inspecting.result(), probing.result()
        spent = took()
        with times.measure("verify"):
            verification = inspector.finish(
                facts,
                expected=Expectation(
                    width=width, height=height, fps=request.fps, num_frames=request.num_frames
                ),
                performance=performance(spent, settings),
            )
        times.add("encode", film.encoding_seconds)
        times.add("verify", film.readback_seconds + inspector.busy)
    if scaled:  # pulling through the upscaler includes pulling from the engine
        times.add("upscale", -times.seconds["generate"])
    return Made(verification, upscaler.name if scaled else "none", spent, reference)


def _watcher(
    gallery: SheetCollector,
    show: Callable[[], None],
    inspecting: Deferred[Inspector],
    num_frames: int,
    observe: Observer,
) -> Callable[[Image], None]:
    """Shows every frame of the film to both, and tells how many have been verified.

    ``show`` is called after the last one: the gallery is ready while workers still look.
    """
    shown = told = 0

    def watch(pixels: Image) -> None:
        nonlocal shown, told
        inspector = inspecting.result()
        inspector.inspect(pixels[None])
        gallery.add(shown, pixels)
        shown += 1
        if shown == num_frames:
            show()
            inspector.wait()
        while told < inspector.done:
            told += 1
            observe(Progress("verify", told, num_frames))

    return watch


def describe(
    request: Request,
    portrait: Portrait,
    made: Made,
    engine: Engine,
    times: StageTimes,
    settings: Settings,
    target: Target,
) -> Report:
    """The report of a finished clip."""
    info = engine.info
    spent = made.spent
    unpriced = (no_rate(settings.device or info.device),) if spent.bill is None else ()
    shown: Mapping[str, object] = {
        name: getattr(request, name) for name in request.__dataclass_fields__ if name != "image"
    }
    return Report(
        schema_version=SCHEMA_VERSION,
        vivant_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=shown,
        source=portrait.source,
        crop=portrait.crop,
        faces=len(portrait.faces),
        engine=info,
        upscaler=made.upscaler,
        verification=made.verification,
        stages=tuple(StageTime(stage=s, seconds=t) for s, t in times.seconds.items()),
        seconds=spent.seconds,
        peak_memory_mb=peak_memory_mb(),
        bill=spent.bill,
        files={
            "clip": target.clip.name,
            **{role: target.companion(suffix).name for role, suffix in COMPANIONS.items()},
        },
        warnings=tuple(dict.fromkeys((*portrait.warnings, *info.notes, *unpriced))),
        versions=library_versions(),
    )


def peak_memory_mb() -> float:
    """Largest resident memory this process has had, MB (10**6 bytes)."""
    if sys.platform == "win32":
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def library_versions() -> dict[str, str]:
    """Installed versions of :data:`LIBRARIES`, and Python's."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
