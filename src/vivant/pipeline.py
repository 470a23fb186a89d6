"""image → engine → upscale → encode → verify → store, in that order.

The stages run side by side: frames leave the engine in chunks, and while one is being made the
last one is encoded, and what the encoder wrote is decoded again and verified. Knows the engine
and the upscaler only by their protocols; names are turned into parts elsewhere (``compose``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import av
import psutil

from vivant.checks import Expectation, Inspector, Performance
from vivant.checks.report import write_html
from vivant.cost import bill, no_rate
from vivant.encode import Encoder
from vivant.errors import EngineError
from vivant.faces import FaceReader
from vivant.framing import crop_pixels
from vivant.grid import check_fps, check_frames, check_seed, check_size, checked_frames
from vivant.image import ImageLimits, load_portrait
from vivant.lanes import Lane
from vivant.media import probe, to_rgb
from vivant.report import SCHEMA_VERSION, report_json, to_json
from vivant.settings import Settings
from vivant.sheet import contact_sheet, shrink, thumbnail, tile_size, write_jpeg
from vivant.store import COMPANIONS, Target, check_target, publish, workspace
from vivant.types import (
    Bill,
    Clip,
    Engine,
    Frames,
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
    times = Times()

    def charge() -> Bill | None:
        """What the job has cost until now."""
        return bill(
            settings.device or engine.info.device,
            time.perf_counter() - started,
            currency=currency or settings.currency,
            rates=settings.rates,
            exchange=settings.exchange,
        )

    charge()  # an unknown currency is refused before any work
    with times.measure("image"):
        reader = FaceReader()
        portrait = load_portrait(
            request.image,
            width=request.width,
            height=request.height,
            limits=image_limits(settings),
            reader=reader,
        )
    observe(Progress("image", 1, 1, "item"))
    with workspace(target) as folder:
        made = render(
            portrait,
            request,
            folder,
            engine,
            upscaler,
            reader,
            observe,
            times,
            lambda: performance(time.perf_counter() - started, charge(), settings),
        )
        with times.measure("store"):
            seconds = time.perf_counter() - started
            report = describe(
                request, portrait, made, engine, times, seconds, charge(), settings, target
            )
            write_html(
                made.verification,
                portrait,
                folder / "clip.mp4",
                folder / COMPANIONS["page"],
                name=target.clip.stem,
                href=target.clip.name,
            )
            (folder / COMPANIONS["report"]).write_text(to_json(report_json(report)), "utf-8")
            publish(folder, target)
    observe(Progress("store", 1, 1, "item"))
    return Result(
        clip=target.clip,
        thumbnail=target.companion(COMPANIONS["thumbnail"]),
        contact_sheet=target.companion(COMPANIONS["contact_sheet"]),
        page=target.companion(COMPANIONS["page"]),
        report_file=target.companion(COMPANIONS["report"]),
        report=report,
    )


def performance(seconds: float, costs: Bill | None, settings: Settings) -> Performance:
    """The job's time and cost beside the user's targets."""
    if costs is None:
        return Performance(seconds=seconds, target_seconds=settings.target_seconds)
    return Performance(
        seconds=seconds,
        target_seconds=settings.target_seconds,
        cost=costs.amount,
        target_cost=settings.target_usd * costs.exchange_rate,
        currency=costs.currency,
    )


@dataclass
class Times:
    """Busy seconds by stage."""

    seconds: dict[Stage, float] = field(default_factory=dict)

    def add(self, stage: Stage, seconds: float) -> None:
        """Count ``seconds`` more for ``stage``."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def measure(self, stage: Stage) -> _Measure:
        """Context manager that counts what happens inside for ``stage``."""
        return _Measure(self, stage)

    def watch(self, stage: Stage, chunks: Iterator[Frames]) -> Iterator[Frames]:
        """``chunks``, counting the time spent waiting for each."""
        with closing(_closable(chunks)) as source:
            while True:
                with self.measure(stage):
                    chunk = next(source, None)
                if chunk is None:
                    return
                yield chunk


class _Measure:
    def __init__(self, times: Times, stage: Stage) -> None:
        self._times, self._stage = times, stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._times.add(self._stage, time.perf_counter() - self._started)


@dataclass(frozen=True)
class Made:
    """What :func:`render` leaves in the folder, and what it found out."""

    verification: Verification
    upscaler: str


def render(
    portrait: Portrait,
    request: Request,
    folder: Path,
    engine: Engine,
    upscaler: Upscaler,
    reader: FaceReader,
    observe: Observer,
    times: Times,
    took: Callable[[], Performance],
) -> Made:
    """Write ``clip.mp4`` and its pictures into ``folder``, verified while it is being made.

    ``reader`` is used by one thread at a time; ``took`` is asked at the end what the job has
    taken until then.
    """
    with times.measure("load"):
        generated = engine.generate(portrait, request, observe)
    if generated.num_frames != request.num_frames:
        raise EngineError(
            f"engine {engine.info.name} offers {generated.num_frames} frames where "
            f"{request.num_frames} were asked for"
        )
    clip = _watched(generated, "generate", times)
    scaled = (clip.width, clip.height) != (request.width, request.height)
    if scaled:
        inner = clip
        clip = _watched(
            upscaler.upscale(inner, width=request.width, height=request.height, observe=observe),
            "upscale",
            times,
        )

    gallery = Gallery(portrait, request)
    inspector = Inspector(
        portrait,
        num_frames=request.num_frames,
        fps=request.fps,
        width=request.width,
        height=request.height,
        reader=reader,
    )
    verified = encoded = 0

    def verify(frame: av.VideoFrame) -> None:
        nonlocal verified
        pixels = to_rgb(frame)
        gallery.look(verified, pixels)
        inspector.look(pixels[None])
        verified += 1
        observe(Progress("verify", verified, request.num_frames))

    def encode(chunk: Frames) -> None:
        nonlocal encoded
        for frame in encoder.write(chunk):
            verifying.put(frame)
        encoded += len(chunk)
        observe(Progress("encode", encoded, request.num_frames))

    path = folder / "clip.mp4"
    comment = f"Made with Vivant {__version__}; engine {engine.info.name}; machine-generated"
    with ExitStack() as stack:
        encoder = stack.enter_context(
            Encoder(
                path,
                width=request.width,
                height=request.height,
                fps=request.fps,
                quality=request.quality,
                comment=comment,
            )
        )
        verifying: Lane[av.VideoFrame] = Lane("vivant-verify", verify)
        stack.callback(verifying.abort)
        encoding: Lane[Frames] = Lane("vivant-encode", encode)
        stack.callback(encoding.abort)
        chunks = stack.enter_context(closing(_closable(clip.chunks)))
        for chunk in chunks:
            encoding.put(chunk)
        encoding.finish()
        for frame in encoder.finish():
            verifying.put(frame)
        verifying.finish()
    with times.measure("verify"):
        expected = Expectation(
            width=request.width,
            height=request.height,
            fps=request.fps,
            num_frames=request.num_frames,
        )
        verification = inspector.finish(probe(path), expected=expected, performance=took())
    times.add("encode", encoding.busy)
    times.add("verify", verifying.busy)
    if scaled:  # pulling through the upscaler includes pulling from the engine
        times.add("upscale", -times.seconds["generate"])
    gallery.write(
        folder, title=f"Vivant {__version__}, engine {engine.info.name}, seed {request.seed}"
    )
    return Made(verification=verification, upscaler=upscaler.name if scaled else "none")


def _closable(chunks: Iterator[Frames]) -> Generator[Frames, None, None]:
    """``chunks``, to be closed whatever kind of iterator it is."""
    yield from chunks


def _watched(clip: Clip, stage: Stage, times: Times) -> Clip:
    return Clip(
        num_frames=clip.num_frames,
        fps=clip.fps,
        width=clip.width,
        height=clip.height,
        chunks=times.watch(stage, clip.chunks),
    )


class Gallery:
    """Keeps small copies of the frames people look at, and writes them as pictures."""

    def __init__(self, portrait: Portrait, request: Request) -> None:
        self._fps = request.fps
        self._tile = tile_size(request.width, request.height)
        self._reference = crop_pixels(portrait, *self._tile)
        self._wanted = set(checked_frames(request.num_frames))
        self._middle = request.num_frames // 2
        self._tiles: dict[int, Image] = {}
        self._thumbnail: Image | None = None

    def look(self, index: int, pixels: Image) -> None:
        """Take what is needed of frame ``index``."""
        if index in self._wanted:
            self._tiles[index] = shrink(pixels, *self._tile)
        if index == self._middle:
            self._thumbnail = thumbnail(pixels)

    def write(self, folder: Path, *, title: str) -> None:
        """Write contact sheet and thumbnail."""
        sheet = contact_sheet(self._reference, self._tiles, self._fps, title=title)
        write_jpeg(folder / COMPANIONS["contact_sheet"], sheet)
        if self._thumbnail is not None:
            write_jpeg(folder / COMPANIONS["thumbnail"], self._thumbnail)


def describe(
    request: Request,
    portrait: Portrait,
    made: Made,
    engine: Engine,
    times: Times,
    seconds: float,
    costs: Bill | None,
    settings: Settings,
    target: Target,
) -> Report:
    """The report of a finished clip."""
    info = engine.info
    unpriced = (no_rate(settings.device or info.device),) if costs is None else ()
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
        seconds=seconds,
        peak_memory_mb=peak_memory_mb(),
        bill=costs,
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
