"""Frames that stream from engine to encoder, and what is told of the work meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Frames: TypeAlias = npt.NDArray[np.uint8]
"""Consecutive frames, ``[T, H, W, 3]`` uint8 sRGB, T ≥ 1."""

Stage: TypeAlias = Literal["image", "load", "generate", "upscale", "verify", "encode", "store"]


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
        return float(self.samples.shape[1] / self.rate)


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
