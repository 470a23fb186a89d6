"""The protocols of engines and upscalers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from vivant.types.clip import Clip, Observer, YuvClip
from vivant.types.picture import Portrait
from vivant.types.request import Request


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
