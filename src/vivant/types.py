"""The nouns of Vivant: frozen, typed, free of torch and of any I/O.

This module knows nothing of how a picture is decoded, a frame is drawn, a check is computed
or a file is written. Pixels are ``uint8`` sRGB, full range, channels last, ``[H, W, 3]`` for a
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

Image: TypeAlias = npt.NDArray[np.uint8]
"""One picture, ``[H, W, 3]`` uint8 sRGB."""

Frames: TypeAlias = npt.NDArray[np.uint8]
"""Consecutive frames, ``[T, H, W, 3]`` uint8 sRGB, T ≥ 1."""

Verdict: TypeAlias = Literal["pass", "warn", "fail", "not_measured"]

Group: TypeAlias = Literal["fidelity", "quality", "ai_feel", "delivery", "performance"]
"""The five headings of the creator's checklist."""

Stage: TypeAlias = Literal["image", "load", "generate", "upscale", "verify", "encode", "store"]

Quality: TypeAlias = Literal["draft", "standard", "high"]

DEFAULT_PROMPT = "subtle motion"
"""Two words, on purpose: the user's prompt."""

DEFAULT_NEGATIVE_PROMPT = (
    "different person, different face, morphing, warping, distortion, wobbling, melting, "
    "ripple effect, face collapse, global motion, jelly effect, unstable, inconsistent, "
    "deformed face, displaced features, changing appearance, liquid effect, wave distortion, "
    "plastic skin, cartoonish, low quality, oversaturated, blurry, artificial, fake, synthetic, "
    "CG, rendered"
)
"""The user's negative prompt."""

CHECKED_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where the user's frame check looks: frames 0, 24, 48, 72 and 96 of 97."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels: ``left``/``top`` inside, ``left+width``/``top+height`` outside."""

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


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face.

    Attributes:
        box: tight box, brow to chin, ear to ear.
        score: the detector's confidence (dlib HOG margin; higher is surer, 0 is its threshold).
        landmarks: five ``(x, y)`` points in the order of dlib's five-point predictor: outer and
            inner corner of the eye on the picture's right side, outer and inner corner of the
            eye on its left side, base of the nose.
    """

    box: Box
    score: float
    landmarks: tuple[tuple[float, float], ...]

    @property
    def interocular(self) -> float:
        """Distance between the two eye centres in pixels."""
        points = np.asarray(self.landmarks, dtype=np.float64)
        return float(np.linalg.norm(points[0:2].mean(axis=0) - points[2:4].mean(axis=0)))


@dataclass(frozen=True, slots=True)
class Source:
    """Where the pixels came from, for the report's provenance."""

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
        crop: the part to show, at the request's aspect, inside ``pixels``, never cutting the face.
        faces: largest first, in coordinates of ``pixels``; empty where none was found.
        source: the file it came from.
        warnings: plain sentences for the user (several faces, too small for the target, …).
    """

    pixels: Image
    crop: Box
    faces: tuple[Face, ...]
    source: Source
    warnings: tuple[str, ...] = ()


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
    """The observer of those who do not look."""


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A stream of frames with its shape known beforehand.

    Attributes:
        chunks: yields :data:`Frames` of ``[T, height, width, 3]``; T may differ from chunk to
            chunk and adds up to ``num_frames``. Consumed once, in order. Closing it (generators'
            ``close``) stops the producer.
    """

    num_frames: int
    fps: Fraction
    width: int
    height: int
    chunks: Iterator[Frames]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What somebody wants made. Defaults are the user's.

    Attributes:
        image: a path, or the bytes of an image file.
        prompt: what should happen; the ``camera`` engine has no use for it and says so.
        negative_prompt: what must not happen.
        num_frames: 1 … ``settings.max_frames``; LTX-2 wants 8k+1.
        fps: frames per second, 1 … 120.
        width: of the finished clip, pixels, even.
        height: of the finished clip, pixels, even.
        seed: 0 … 2**63−1; the same seed gives the same frames.
        engine: ``camera`` (embedded) or ``ltx2``.
        upscaler: name of a pixel upscaler, or ``auto``.
        quality: how many bits the encoder spends.
        options: what only one engine understands (recipe, nag_scale, …), checked by that engine.
    """

    image: Path | bytes
    prompt: str = DEFAULT_PROMPT
    negative_prompt: str = DEFAULT_NEGATIVE_PROMPT
    num_frames: int = 97
    fps: Fraction = Fraction(24)
    width: int = 1920
    height: int = 1080
    seed: int = 0
    engine: str = "camera"
    upscaler: str = "auto"
    quality: Quality = "standard"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return float(self.num_frames / self.fps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One answer of the checklist.

    Attributes:
        name: stable snake_case identifier, e.g. ``identity_min``.
        group: heading of the checklist it stands under.
        value: what was measured; None where nothing was.
        limit: what it was held against; None where the value is for information.
        unit: of value and limit; empty for plain ratios.
        verdict: pass, warn, fail or not_measured.
        reason: one plain sentence, in English, that stands by itself.
        frame: index of the worst frame, where one is to blame.
        region: the part of that frame to look at, in pixels of the clip.
        series: ``(frame index, value)`` over the clip, for plots; empty where there is none.
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
class ClipFacts:
    """What a finished file says of itself, read back from the file.

    Attributes:
        constant_rate: every frame lasts exactly ``1 / fps``.
        closed_gop: every random-access point is an IDR picture.
        moov_first: the index stands before the media data (``faststart``).
        edit_list: a player is told to skip or delay something.
        max_gop: longest distance between random-access points, frames.
        width: as shown: upright, and with square pixels.
        height: as ``width``.
        pixel_aspect: width of a stored pixel over its height.
        interlaced: a frame holds two half pictures of different times.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All scores of one clip against one picture, with the verdict over them.

    ``not_measured`` counts for nothing, but for identity: a clip is not said to be good where it
    may show anybody.
    """

    scores: tuple[Score, ...]
    facts: ClipFacts
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """See :func:`overall`; ``warn`` at best where nobody knows whether it is the person."""
        found = overall(self.scores)
        return "warn" if found == "pass" and not self.knows_person else found

    @property
    def knows_person(self) -> bool:
        """Whether the face was compared with the picture's."""
        return all(s.verdict != "not_measured" for s in self.scores if s.name == "identity_mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What made the frames, for the report.

    Attributes:
        moves: what moves in the picture; the ``camera`` engine moves the camera, not the person.
        device: e.g. ``cpu`` or ``NVIDIA H200``; picks the rate of the bill.
        notes: plain sentences the user must know (the negative prompt had no effect, …).
        provenance: revisions, sigmas, scales: whatever is needed to make the frames again.
    """

    name: str
    moves: Literal["camera", "person"]
    device: str
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """A generator: picture in, frames out.

    Making one is cheap; weights are loaded by :meth:`generate`, after its options were checked.
    """

    @property
    def info(self) -> EngineInfo:
        """What it is; after :meth:`generate`, with what it did."""
        ...

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        """Start a clip.

        The work happens while the clip's chunks are consumed, ``observe`` being called with
        stage ``generate`` after every denoising step, decoded chunk or drawn frame. The clip may
        be smaller than the request: its centre, cut to the request's aspect, is the picture.

        Raises:
            OptionError: an option this engine does not have or cannot take.
            EngineError: generation failed.
        """
        ...


@runtime_checkable
class EngineOfMany(Engine, Protocol):
    """An engine that makes several clips of one picture in one call, and shares work among them.

    Optional: of an engine without it, clips are asked for one after another.
    """

    def generate_many(
        self, portrait: Portrait, request: Request, seeds: tuple[int, ...], observe: Observer
    ) -> list[Clip]:
        """Start clips that differ by their seed alone, in the order of ``seeds``.

        A seed's clip is the one that :meth:`generate` makes, to rounding, whatever its
        companions. What all share is done when the first chunk of any of them is asked for; the
        rest of a clip when its own chunks are, so that no more than one is held in pixels.
        ``request.seed`` is not used.

        Raises:
            OptionError: no seed, more than eight, or one twice; and as of :meth:`generate`.
            EngineError: generation failed.
        """
        ...


class Upscaler(Protocol):
    """Pixels to more pixels, after decoding (the *upsampler* works on latents, in the engine)."""

    @property
    def name(self) -> str:
        """As in the report, e.g. ``lanczos``."""
        ...

    def upscale(self, clip: Clip, *, width: int, height: int, observe: Observer) -> Clip:
        """The same frames at ``width`` × ``height``, centre-cropped to that aspect, lazily."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """How long a stage was busy. Stages overlap, so they add up to more than the total."""

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the clip cost at the rate of the device it was made on.

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
    """Everything known about one finished clip; ``report.json`` is this, as JSON.

    Attributes:
        schema_version: raised whenever a field changes meaning or goes away.
        created_at: ISO 8601, UTC.
        settings: the request without the picture.
        seconds: wall time of the whole job.
        peak_memory_mb: largest resident memory of this process, MB (10**6 bytes).
        bill: None where the device has no rate; a warning says how to set one.
        files: role (``clip``, ``thumbnail``, ``contact_sheet``, …) → file name beside the report.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished job: where the files are, and the report; ``page`` is the report for people."""

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
        result: None where it could not be made; ``reason`` says why.
        seconds: it took, with its part of what all have in common.
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
        bill: of these seconds; None where the device has no rate.
    """

    takes: tuple[Take, ...]
    page: Path
    contact_sheet: Path
    seconds: float
    bill: Bill | None
