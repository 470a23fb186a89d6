"""Makes one clip: picture → generate → upscale → encode → check → report → store.

The command line, the Python API, the service's workers and Modal's containers all use
:class:`ClipJob`. Its steps overlap: the engine yields chunks of frames, and while it makes one,
the chunk before is encoded, and what the encoder wrote is decoded again and checked. Engine and
upscaler are known here only by their protocols; ``python_api``, ``runs``, workers
and containers load them by name.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Protocol

from vivant.checks import Performance
from vivant.checks.live import LiveChecks
from vivant.checks.report import write_html
from vivant.cost import PaidContainer, bill_for
from vivant.crop_area import Framing
from vivant.errors import EngineError
from vivant.grid import (
    check_fps,
    check_frames,
    check_last,
    check_seed,
    check_size,
    check_sound,
)
from vivant.image_limits import image_limits
from vivant.picture.faces import FaceReader, lend_reader
from vivant.picture.intake import load_portrait
from vivant.provenance import signing
from vivant.provenance.facts import ProvenanceFacts, facts_of
from vivant.provenance.label import Label, label_for
from vivant.provenance.label_text import check_text
from vivant.provenance.signing import Signed, Signer, Unsigned
from vivant.report import Production, describe, report_json, to_json
from vivant.settings import Settings
from vivant.types import (
    Bill,
    Clip,
    Engine,
    Frames,
    Image,
    Observer,
    Portrait,
    Progress,
    RareClip,
    Report,
    Request,
    Result,
    Sound,
    Stage,
    Upscaler,
    YuvClip,
    YuvFrames,
    YuvUpscaler,
    ignore_progress,
)
from vivant.video.cores import usable_cores
from vivant.video.files import CLIP, COMPANIONS, Target, check_target, publish, workspace
from vivant.video.sound_file import SoundFile, fitted, load_sound
from vivant.video.stage_times import StageTimes, closable
from vivant.video.writer import VideoWriter


def check_request(request: Request, settings: Settings) -> None:
    """Refuse impossible numbers before any work.

    Raises:
        OptionError: naming the field.
    """
    check_size(request.width, request.height)
    check_frames(request.num_frames, settings.max_frames)
    check_fps(request.fps)
    check_seed(request.seed)
    check_sound(request)
    check_last(request)


class FileNames(Protocol):
    """What a clip's files are called at their destination; for the report and its page."""

    @property
    def files(self) -> Mapping[str, str]:
        """Role (``clip``, ``thumbnail``, …) → file name, for the report."""

    @property
    def title(self) -> str:
        """Heading of the report page."""

    @property
    def href(self) -> str:
        """Link from the report page to the clip."""


@dataclass
class ClipJob:
    """One clip, from the request to its files.

    ``run`` puts the clip on this machine's disk. To store it elsewhere, call ``read_picture`` (or
    set ``portrait``), then ``render``, and store the files of its folder.

    Attributes:
        request: what to make.
        engine: makes the frames.
        upscaler: enlarges them where the engine's are smaller than the request.
        settings: limits and prices.
        observe: called after every unit of work, from several threads; may raise ``Cancelled``.
        currency: of the bill; the settings' own where None.
        portrait: the picture, once it was read.
        times: busy seconds of every stage.
        started: ``time.perf_counter()`` when the job began.
        shares: seconds by stage that were spent on this clip before it began, or elsewhere;
            negative where seconds spent here belong to other clips.
        container: in which this runs, if it was started for clips and is paid until it stops.
    """

    request: Request
    engine: Engine
    upscaler: Upscaler
    settings: Settings
    observe: Observer = ignore_progress
    currency: str | None = None
    portrait: Portrait | None = field(default=None, kw_only=True)
    times: StageTimes = field(default_factory=StageTimes, kw_only=True)
    started: float = field(default_factory=time.perf_counter, kw_only=True)
    shares: Mapping[Stage, float] = field(default_factory=dict, kw_only=True)
    container: PaidContainer | None = field(default=None, kw_only=True)
    _label: Label | None = field(default=None, init=False)
    _history: bytes = field(default=b"", init=False)
    _sound_file: SoundFile | None = field(default=None, init=False)

    def run(self, output: Path, *, force: bool = False) -> Result:
        """Make the clip: ``output`` and its companions appear whole, or not at all.

        Args:
            output: path of the MP4 to write.
            force: replace existing files.

        Raises:
            InputError: picture, options or output cannot be used.
            MachineError: disk, memory or parts are missing.
            EngineError: generation failed half-way.
            Cancelled: raised by ``observe``.
        """
        self.check()
        target = check_target(output, force=force)
        with lend_reader() as reader:
            self.read_picture(reader)
            with workspace(target) as folder:
                report = self.render(folder, target, reader)
                publish(folder, target)
        self.observe(Progress("store", 1, 1, "item"))
        return result_at(target, report)

    def check(self) -> None:
        """Refuse an impossible request or an unknown currency before any work.

        Raises:
            OptionError: naming the field.
        """
        check_request(self.request, self.settings)
        self.bill(0.0)
        check_text(
            self.request.label or self.settings.label, font=self.settings.label_font is not None
        )
        signing.prepare(self.settings)
        self._read_sound()

    def read_picture(self, reader: FaceReader) -> Portrait:
        """Read the picture and frame it for the clip, unless ``portrait`` is there already.

        Raises:
            ImageError: it cannot be used.
        """
        if self.portrait is None:
            with self.times.measure("image"):
                self.portrait = self._load_picture(self.request.image, reader, self.request.framing)
                if self.request.last is not None:
                    last = self._load_picture(self.request.last, reader, Framing())
                    warnings = (f"last picture: {warning}" for warning in last.warnings)
                    self.portrait = replace(
                        self.portrait, last=last, warnings=(*self.portrait.warnings, *warnings)
                    )
            self.observe(Progress("image", 1, 1, "item"))
        return self.portrait

    def _load_picture(self, image: Path | bytes, reader: FaceReader, framing: Framing) -> Portrait:
        return load_portrait(
            image,
            width=self.request.width,
            height=self.request.height,
            limits=image_limits(self.settings),
            reader=reader,
            framing=framing,
        )

    def _read_sound(self) -> tuple[str, ...]:
        """Read the sound's file, if there is one; returns notes for the report.

        Raises:
            OptionError: it cannot be used.
        """
        path = self.request.sound
        if isinstance(path, Path) and self._sound_file is None:
            self._sound_file = load_sound(path, self.request.seconds)
        return self._sound_file.notes if self._sound_file else ()

    def render(self, folder: Path, names: FileNames, reader: FaceReader) -> Report:
        """Write the clip and its companions into ``folder``: :data:`CLIP`, :data:`COMPANIONS`.

        Args:
            folder: an empty one.
            names: what the files will be called.
            reader: used by one thread at a time.

        Raises:
            VivantError: as :meth:`run`.
        """
        portrait, path = self.read_picture(reader), folder / CLIP
        # these may refuse, before the engine works
        sound_notes = self._read_sound()
        signer = signing.signer_for(self.settings)
        self._history = signing.with_credentials(self.request.image)
        self._label = label_for(self.request, portrait, self.settings)
        with LiveChecks(
            portrait,
            self.request,
            folder,
            reader,
            cores=usable_cores(),
            observe=self.observe,
            on_picture=partial(self._sign_picture, signer),
        ) as checks:
            generated = self._generate(portrait, checks)
            clip = self._upscale(generated)
            signed = self._encode(clip, generated.sound, path, checks, signer)
            seconds = self.seconds
            costs = self.bill(seconds)
            rare = self.container.rare_bill(seconds, costs) if self.container and costs else None
            with self.times.measure("verify"):
                verification = checks.finish(self._performance(seconds, costs, rare))
            self.times.add("verify", checks.busy)
        upscaled = clip is not generated
        if upscaled:  # waiting for the upscaler includes waiting for the engine
            self.times.add("upscale", -self.times.seconds["generate"])
        for stage, share in self.shares.items():
            self.times.add(stage, share)
        production = Production(
            engine=self.engine.info,
            upscaler=self.upscaler.name if upscaled else "none",
            device=self.device,
            seconds=seconds,
            bill=costs,
            stages=self.times.shares(seconds),
            credentials=signing.credentials_json(signer, signed),
            notes=(*sound_notes, *signer.notes),
            rare_clip=rare,
        )
        report = describe(self.request, portrait, verification, production, names.files)
        self._write_report(report, portrait, folder, names, checks)
        return report

    def _write_report(
        self,
        report: Report,
        portrait: Portrait,
        folder: Path,
        names: FileNames,
        checks: LiveChecks,
    ) -> None:
        """The report as JSON and as a page, beside the clip."""
        write_html(
            report.verification,
            portrait,
            folder / CLIP,
            folder / COMPANIONS["page"],
            name=names.title,
            href=names.href,
            reference=checks.reference,
            # a label is not in the frames that are checked
            frame=checks.kept_frame if self._label is None else None,
        )
        (folder / COMPANIONS["report"]).write_text(to_json(report_json(report)), "utf-8")

    @property
    def seconds(self) -> float:
        """Seconds that the clip has taken until now."""
        return time.perf_counter() - self.started + sum(self.shares.values())

    @property
    def device(self) -> str:
        """What is billed; an engine may know it only once it was loaded."""
        return self.settings.device or self.engine.info.device

    def bill(self, seconds: float) -> Bill | None:
        """The bill of ``seconds``; None where the device has no rate."""
        return bill_for(self.device, seconds, self.settings, self.currency)

    def _generate(self, portrait: Portrait, checks: LiveChecks) -> Clip:
        def observe(progress: Progress) -> None:
            if progress.stage == "generate":
                # not earlier: starting the check workers slows an engine's first step
                checks.start()
            self.observe(progress)

        request, engine = self.request, self.engine
        with self.times.measure("load"):
            clip = engine.generate(portrait, request, observe)
        if clip.num_frames != request.num_frames:
            raise EngineError(
                f"engine {engine.info.name} offers {clip.num_frames} frames where "
                f"{request.num_frames} were asked for"
            )
        return self.times.timed("generate", clip)

    def _upscale(self, clip: Clip) -> Clip | YuvClip:
        width, height = self.request.width, self.request.height
        if (clip.width, clip.height) == (width, height):
            return clip
        upscaler = self.upscaler
        # a label is drawn on RGB
        if isinstance(upscaler, YuvUpscaler) and upscaler.yuv and self._label is None:
            converted = upscaler.upscale_to_yuv(
                clip, width=width, height=height, observe=self.observe
            )
            return self.times.timed("upscale", converted)
        larger = self.upscaler.upscale(clip, width=width, height=height, observe=self.observe)
        return self.times.timed("upscale", larger)

    @property
    def _facts(self) -> ProvenanceFacts:
        """What the credentials say about the making; complete once the engine has started."""
        if self.portrait is None:
            raise AssertionError("the picture is read first")
        consent = self.settings.credentials_prompt
        facts = facts_of(self.request, self.portrait, self.engine.info, prompt=consent)
        return replace(facts, label=self._label.text) if self._label else facts

    def _sign_picture(self, signer: Signer | Unsigned, path: Path) -> None:
        signer.sign(path, self._facts, self._history)

    def _sound(self, engine_sound: Callable[[], Sound] | None) -> Sound | None:
        """The clip's sound, as long as the clip; the engine has given its first frames."""
        if self._sound_file is not None:
            return self._sound_file.sound
        if not self.request.sound or engine_sound is None:
            return None
        return fitted(engine_sound(), self.request.seconds)

    def _encode(
        self,
        clip: Clip | YuvClip,
        engine_sound: Callable[[], Sound] | None,
        path: Path,
        checks: LiveChecks,
        signer: Signer | Unsigned,
    ) -> Signed:
        """Write and sign the MP4, with the label if there is one; ``checks`` sees its frames."""
        request, label = self.request, self._label
        if label is not None and isinstance(clip, Clip):
            clip = label.on(clip)

        def inspect(pixels: Image) -> None:
            checks.inspect(pixels if label is None else label.lifted(pixels), shown=pixels)

        source: Iterator[Frames | YuvFrames] = clip.chunks
        with closing(closable(source)) as chunks:
            first: list[Frames | YuvFrames] = []
            if self.request.sound and engine_sound is not None and self._sound_file is None:
                first = list(islice(chunks, 1))  # then the engine knows its sound
            writer = VideoWriter(
                path,
                width=request.width,
                height=request.height,
                fps=request.fps,
                quality=request.quality,
                comment=self._facts.comment,
                cores=usable_cores(),
                on_written=lambda done: self.observe(Progress("encode", done, request.num_frames)),
                on_decoded=inspect,
                sound=self._sound(engine_sound),
            )
            with writer:
                for chunk in chain(first, chunks):
                    checks.start()  # an engine may give frames without reporting a step first
                    writer.put(chunk)
                writer.close()
                signed = signer.sign(path, self._facts, self._history)
                checks.probe(path)
                writer.finish()
        self.times.add("encode", writer.encoding_seconds)
        self.times.add("verify", writer.readback_seconds)
        return signed

    def _performance(
        self, seconds: float, costs: Bill | None, rare: RareClip | None
    ) -> Performance:
        """Time and cost beside the user's targets."""
        settings = self.settings
        return Performance(
            seconds=seconds,
            target_seconds=settings.target_seconds,
            cost=costs.amount if costs else None,
            target_cost=settings.target_usd * costs.exchange_rate if costs else None,
            currency=costs.currency if costs else settings.currency,
            rare_clip=rare,
        )


def result_at(target: Target, report: Report) -> Result:
    """The result of a clip whose files are at ``target``."""
    return Result(
        clip=target.clip,
        thumbnail=target.companion(COMPANIONS["thumbnail"]),
        contact_sheet=target.companion(COMPANIONS["contact_sheet"]),
        page=target.companion(COMPANIONS["page"]),
        report_file=target.companion(COMPANIONS["report"]),
        report=report,
    )
