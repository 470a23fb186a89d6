"""Vivant's data types, and the protocols of engines and upscalers. No torch, no I/O.

Pixels are ``uint8`` sRGB, full range, channels last, ``[H, W, 3]`` for a
picture and ``[T, H, W, 3]`` for frames; boxes and landmarks are in pixels, x right, y down,
origin at the top-left corner of the top-left pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from vivant.crop_area import CropArea, FocusPoint, Framing, Rotation

Image: TypeAlias = npt.NDArray[np.uint8]
"""One picture, ``[H, W, 3]`` uint8 sRGB."""

Frames: TypeAlias = npt.NDArray[np.uint8]
"""Consecutive frames, ``[T, H, W, 3]`` uint8 sRGB, T ≥ 1."""

Verdict: TypeAlias = Literal["pass", "warn", "fail", "not_measured"]

Group: TypeAlias = Literal["fidelity", "quality", "ai_feel", "delivery", "performance"]
"""The five headings of the creator's checklist."""

Stage: TypeAlias = Literal["image", "load", "generate", "upscale", "verify", "encode", "store"]

Quality: TypeAlias = Literal["draft", "standard", "high"]

ENGINES_WITH_SOUND = frozenset({"ltx2", "fake"})
"""Engines that make sound of their own."""

DEFAULT_PROMPT = "subtle motion"
"""The user's own prompt; it is short on purpose."""

DEFAULT_NEGATIVE_PROMPT = (
    "different person, different face, morphing, warping, distortion, wobbling, melting, "
    "ripple effect, face collapse, global motion, jelly effect, unstable, inconsistent, "
    "deformed face, displaced features, changing appearance, liquid effect, wave distortion, "
    "plastic skin, cartoonish, low quality, oversaturated, blurry, artificial, fake, synthetic, "
    "CG, rendered"
)
"""The user's negative prompt."""

CHECKED_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Positions in the clip that the user checks: frames 0, 24, 48, 72 and 96 of 97."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels. ``left`` and ``top`` belong to it, ``right`` and ``bottom`` do not."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """First column to the right of the box."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """First row below the box."""
        return self.top + self.height

    @property
    def center(self) -> tuple[float, float]:
        """``(x, y)`` of the middle."""
        return self.left + self.width / 2, self.top + self.height / 2

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    def scaled(self, factor: float) -> Box:
        """The same region of a picture resized by ``factor``."""
        return Box(self.left * factor, self.top * factor, self.width * factor, self.height * factor)

    def moved(self, dx: float, dy: float) -> Box:
        """The box shifted by ``(dx, dy)`` pixels."""
        return Box(self.left + dx, self.top + dy, self.width, self.height)

    def shared_area(self, other: Box) -> float:
        """Square pixels that both boxes cover."""
        across = min(self.right, other.right) - max(self.left, other.left)
        down = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, across) * max(0.0, down)


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Attributes:
        box: tight box, brow to chin, ear to ear.
        score: the detector's confidence (dlib HOG margin; higher is surer, 0 is its threshold).
        landmarks: five ``(x, y)`` points in the order of dlib's five-point predictor: outer and
            inner corner of the eye on the picture's right side, outer and inner corner of the
            eye on its left side, base of the nose.
        covered: only the second detector found it (:mod:`vivant.picture.blaze_face`): it is partly
            covered or turned. ``score`` is 0 … 1 then. The checks measure no identity of it.
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...]
    covered: bool = False

    @property
    def interocular(self) -> float:
        """Distance between the two eye centres in pixels."""
        points = np.asarray(self.landmarks, dtype=np.float64)
        return float(np.linalg.norm(points[0:2].mean(axis=0) - points[2:4].mean(axis=0)))


@dataclass(frozen=True, slots=True)
class Source:
    """The picture's file: name, format, size in pixels and bytes, hash."""

    name: str
    format: str
    width: int
    height: int
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """A picture ready to be animated: upright sRGB, with the framing chosen.

    Attributes:
        pixels: the whole picture, ``[H, W, 3]``, never cropped and never stretched.
        crop: the part to show, at the request's aspect, inside ``pixels``; avoids cutting a face.
        faces: largest first, in coordinates of ``pixels``; empty if none was found.
        source: the file it came from.
        warnings: plain sentences for the user (several faces, too small for the target, …).
        suggested_rotation: ``Request.rotate`` by which a face is seen, where none was found
            without; the request's own otherwise.
    """

    pixels: Image
    crop: Box
    faces: tuple[Face, ...]
    source: Source
    warnings: tuple[str, ...] = ()
    suggested_rotation: Rotation = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """``done`` of ``total`` units of ``stage`` are finished."""

    stage: Stage
    done: int
    total: int
    unit: Literal["frame", "step", "chunk", "byte", "item"] = "frame"


Observer: TypeAlias = Callable[[Progress], None]
"""Called after every unit of work, from any stage's thread.

Raising :class:`vivant.errors.Cancelled` inside it is how work is stopped.
"""


def ignore_progress(_: Progress) -> None:
    """An observer that does nothing."""


Samples: TypeAlias = npt.NDArray[np.float32]
"""Sound, ``[channels, samples]`` float32, −1 … 1; one or two channels."""


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """Sound that begins with the first frame. ``rate`` is in samples per second."""

    samples: Samples
    rate: int

    @property
    def channels(self) -> int:
        """1 or 2."""
        return len(self.samples)

    @property
    def seconds(self) -> float:
        """Length."""
        return self.samples.shape[1] / self.rate


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A stream of frames whose shape is known before the first one.

    Attributes:
        chunks: yields :data:`Frames` of ``[T, height, width, 3]``; T may differ from chunk to
            chunk and adds up to ``num_frames``. Consumed once, in order. Closing it (generators'
            ``close``) stops the producer.
        sound: gives the clip's sound once the first chunk was taken; its length may differ from
            the frames' a little. None: there is none.
    """

    num_frames: int
    fps: Fraction
    width: int
    height: int
    chunks: Iterator[Frames]
    sound: Callable[[], Sound] | None = None


@dataclass(frozen=True, slots=True)
class YuvFrames:
    """Frames as the encoder takes them: limited-range BT.709, 4:2:0.

    Attributes:
        planes: ``[T, 3/2·height, width]`` uint8: of each frame all of Y, then of U, then of V.
    """

    planes: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        """Frames."""
        return len(self.planes)


@dataclass(frozen=True, slots=True)
class YuvClip:
    """A :class:`Clip` whose chunks are :class:`YuvFrames`."""

    num_frames: int
    fps: Fraction
    width: int
    height: int
    chunks: Iterator[YuvFrames]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The clip to make. The defaults are the user's own settings.

    Attributes:
        image: a path, or the bytes of an image file.
        prompt: what should happen; ``living`` only chooses a preset from it, and ``camera``
            does not use it.
        negative_prompt: what must not happen.
        num_frames: 1 … ``settings.max_frames``; LTX-2 needs 8k + 1.
        fps: frames per second, 1 … 120.
        width: of the finished clip, pixels, even.
        height: of the finished clip, pixels, even.
        seed: 0 … 2**63−1; the same seed gives the same frames.
        engine: ``living`` or ``camera`` (embedded), or ``ltx2``.
        upscaler: name of a pixel upscaler, or ``auto``.
        quality: sets the encoder's bit rate and speed.
        label: visible label: ``ko``, ``en`` or a text; empty: the settings' own, usually none.
        label_seconds: shown for the first seconds only; None: for the whole clip.
        sound: True: the engine's own (``ltx2`` alone has one); a music or voice file: that one,
            from its beginning.
        options: of one engine only (recipe, nag_scale, …); that engine checks them.
        crop: the part of the picture to show; chosen by the faces where None.
        focus: what should be in the middle of the largest crop, instead of ``crop``.
        rotate: degrees clockwise by which the picture is turned first.
    """

    image: Path | bytes
    prompt: str = DEFAULT_PROMPT
    negative_prompt: str = DEFAULT_NEGATIVE_PROMPT
    num_frames: int = 97
    fps: Fraction = Fraction(24)
    width: int = 1920
    height: int = 1080
    seed: int = 0
    engine: str = "living"
    upscaler: str = "auto"
    quality: Quality = "standard"
    label: str = ""
    label_seconds: float | None = None
    sound: bool | Path = False
    options: Mapping[str, Any] = field(default_factory=dict)
    crop: CropArea | None = None
    focus: FocusPoint | None = None
    rotate: Rotation = 0

    @property
    def framing(self) -> Framing:
        """What was decided about the picture."""
        return Framing(self.crop, self.focus, self.rotate)

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return float(self.num_frames / self.fps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One result of the checklist.

    Attributes:
        name: stable snake_case identifier, e.g. ``identity_min``.
        group: its heading in the checklist.
        value: what was measured; None if nothing was.
        limit: what ``value`` was compared with; None if ``value`` is for information only.
        unit: of value and limit; empty for ratios.
        verdict: pass, warn, fail or not_measured.
        reason: one plain sentence, in English, that stands by itself.
        frame: index of the worst frame, if a single one is the cause.
        region: the part of that frame to look at, in pixels of the clip.
        series: ``(frame index, value)`` over the clip, for plots; may be empty.
        facts: the numbers inside ``reason``, so that other languages can be written from them.
    """

    name: str
    group: Group
    value: float | str | None
    limit: float | str | None
    unit: str
    verdict: Verdict
    reason: str
    frame: int | None = None
    region: Box | None = None
    series: tuple[tuple[int, float], ...] = ()
    facts: Mapping[str, float | str] = field(default_factory=dict)


def overall(scores: tuple[Score, ...]) -> Verdict:
    """The worst verdict: one fail fails, one warn warns; nothing measured is ``not_measured``."""
    verdicts = {score.verdict for score in scores}
    for verdict in ("fail", "warn", "pass"):
        if verdict in verdicts:
            return verdict
    return "not_measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFacts:
    """Properties of a finished clip's first sound track, which was decoded for them.

    Attributes:
        codec: ``aac``, ….
        rate: samples per second.
        start: seconds from the first frame to the first sample that is heard.
        seconds: length of what is heard.
        loudness: integrated, LUFS (ITU-R BS.1770-4); None where nothing is above its gate.
        true_peak: dBTP; None for digital silence.
        broken: it could not be decoded to its end.
    """

    codec: str
    rate: int
    channels: int
    start: float
    seconds: float
    loudness: float | None
    true_peak: float | None
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """Properties of a finished clip, read from its file.

    Attributes:
        constant_rate: every frame lasts exactly ``1 / fps``.
        closed_gop: every random-access point is an IDR picture.
        moov_first: the index is before the media data (``faststart``).
        edit_list: a player is told to skip or delay something.
        max_gop: longest distance between random-access points, frames.
        width: as shown: upright, and with square pixels.
        height: as ``width``.
        pixel_aspect: width of a stored pixel over its height.
        interlaced: a frame holds two fields of different times.
        sound: None where there is none.
    """

    size_bytes: int
    container: str
    codec: str
    profile: str
    pixel_format: str
    width: int
    height: int
    fps: Fraction
    num_frames: int
    seconds: float
    bit_rate: int
    color_primaries: str
    color_transfer: str
    color_space: str
    color_range: str
    constant_rate: bool
    closed_gop: bool
    max_gop: int
    moov_first: bool
    edit_list: bool
    audio: bool
    pixel_aspect: Fraction = Fraction(1)
    interlaced: bool = False
    sound: SoundFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All scores of one clip against one picture, with the verdict over them.

    ``not_measured`` scores are ignored, except identity: a clip whose face could not be compared
    with the picture's is never called good.
    """

    scores: tuple[Score, ...]
    facts: ClipFacts
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """See :func:`overall`; at best ``warn`` if the face was not compared with the picture's."""
        found = overall(self.scores)
        return "warn" if found == "pass" and not self.knows_person else found

    @property
    def knows_person(self) -> bool:
        """Whether the face was compared with the picture's."""
        return all(s.verdict != "not_measured" for s in self.scores if s.name == "identity_mean")


def several(count: int, device: str) -> str:
    """What ``count`` devices of a kind are called: ``4 × NVIDIA H200``; one has no number."""
    return device if count == 1 else f"{count} × {device}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """The engine, for the report.

    Attributes:
        moves: what moves in the picture; the ``camera`` engine moves the camera, not the person.
        device: e.g. ``cpu`` or ``NVIDIA H200``; picks the rate of the bill.
        notes: sentences that the user must read (the negative prompt had no effect, …).
        provenance: revisions, sigmas, scales: what is needed to make the same frames again.
    """

    name: str
    moves: Literal["camera", "person"]
    device: str
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """A generator: picture in, frames out.

    The constructor is cheap; :meth:`generate` loads the weights, after it has checked the options.
    """

    @property
    def info(self) -> EngineInfo:
        """The engine; after :meth:`generate`, with notes and provenance of that clip."""
        ...

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        """Start a clip.

        The work is done while the clip's chunks are read. ``observe`` is called with stage
        ``generate`` after every denoising step, decoded chunk or drawn frame. The clip may have
        another size than the request: it is scaled, and its centre is cut to the request's aspect.

        Raises:
            OptionError: an option this engine does not have or cannot take.
            EngineError: generation failed.
        """
        ...


@runtime_checkable
class EngineOfMany(Engine, Protocol):
    """An engine that makes several clips of one picture in one call and shares work among them.

    Optional: without it, the clips are generated one after another.
    """

    def generate_many(
        self, portrait: Portrait, request: Request, seeds: tuple[int, ...], observe: Observer
    ) -> list[Clip]:
        """Start clips that differ only by their seed, in the order of ``seeds``.

        Each clip equals the one that :meth:`generate` makes with its seed, except for rounding.
        The shared work is done when the first chunk of any clip is read; the rest of a clip when
        its own chunks are read, so that only one clip is held as pixels.
        ``request.seed`` is not used.

        Raises:
            OptionError: no seed, more than eight, or one twice; and as of :meth:`generate`.
            EngineError: generation failed.
        """
        ...


class Upscaler(Protocol):
    """Enlarges decoded frames; an *upsampler* enlarges latents, inside the engine."""

    @property
    def name(self) -> str:
        """Its name in the report, e.g. ``lanczos``."""
        ...

    def upscale(self, clip: Clip, *, width: int, height: int, observe: Observer) -> Clip:
        """The same frames at ``width`` × ``height``, centre-cropped to that aspect, lazily."""
        ...


@runtime_checkable
class YuvUpscaler(Upscaler, Protocol):
    """An upscaler that can also convert for the encoder."""

    @property
    def yuv(self) -> bool:
        """Whether that is faster than the encoder's own conversion: on a GPU."""
        ...

    def upscale_to_yuv(self, clip: Clip, *, width: int, height: int, observe: Observer) -> YuvClip:
        """As :meth:`upscale`; each frame equals what the encoder makes of the RGB one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """Wall seconds that a clip spent on a stage; those of all stages add up to its total.

    Stages overlap. What overlaps is counted once, for the stage that the clip waited for.
    """

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The cost of a clip at the rate of the device that made it.

    Attributes:
        rate: US dollars per second of ``device``.
        exchange_rate: units of ``currency`` per US dollar.
    """

    device: str
    seconds: float
    rate: float
    usd: float
    currency: str
    exchange_rate: float
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything known about one finished clip. ``report.json`` holds it as JSON.

    Attributes:
        schema_version: raised whenever a field changes meaning or goes away.
        created_at: ISO 8601, UTC.
        settings: the request without the picture.
        crop: what was shown, in pixels of the upright picture file.
        seconds: wall time of the whole job.
        peak_memory_mb: largest resident memory of this process, MB (10**6 bytes).
        bill: None if the device has no rate; a warning then says how to set one.
        files: role (``clip``, ``thumbnail``, ``contact_sheet``, …) → file name beside the report.
        credentials: ``signed``; ``reason`` why not; ``content_sha256``, that of the clip without
            its signature, the same for the same seed; ``signer`` and more of a signed clip.
    """

    schema_version: int
    vivant_version: str
    created_at: str
    settings: Mapping[str, Any]
    source: Source
    crop: Box
    faces: int
    engine: EngineInfo
    upscaler: str
    verification: Verification
    stages: tuple[StageTime, ...]
    seconds: float
    peak_memory_mb: float
    bill: Bill | None
    files: Mapping[str, str]
    warnings: tuple[str, ...]
    versions: Mapping[str, str]
    credentials: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished clip: its files and its report. ``page`` is the report as HTML."""

    clip: Path
    thumbnail: Path
    contact_sheet: Path
    page: Path
    report_file: Path
    report: Report

    @property
    def verdict(self) -> Verdict:
        """The clip's overall verdict."""
        return self.report.verification.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One of several clips of one picture.

    Attributes:
        result: None if the clip could not be made; ``reason`` says why.
        seconds: its own time and its share of the common work.
    """

    seed: int
    result: Result | None
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Clips of one picture that differ by their seed.

    Attributes:
        takes: in the order of the seeds.
        page: all clips of the folder side by side, for people.
        contact_sheet: frames of all of them.
        seconds: wall time of the whole call.
        bill: of these seconds; None if the device has no rate.
    """

    takes: tuple[Take, ...]
    page: Path
    contact_sheet: Path
    seconds: float
    bill: Bill | None
