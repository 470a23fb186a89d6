"""What the pool and a worker process tell each other over one ``Connection``.

Messages are pickled. The pixels of a frame follow their message as raw bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

import numpy as np

from vivant.checks.frame import Reference
from vivant.checks.frame_analyzer import Measurements, SegmentState
from vivant.picture.embedding import Embedding
from vivant.picture.faces import FaceReader
from vivant.types import Face, Image

STRIP_BYTES: Final = 1 << 18
"""Pixels are sent in strips of this size. ``Connection`` allocates a buffer as large as what is
still missing for every read of the socket, so whole frames of 6 MB would cost twice the time."""


@dataclass(frozen=True, slots=True)
class StartClip:
    """To a worker: the clip to measure; see :class:`vivant.checks.frame.Reference`.

    Attributes:
        embed: answer with the embedding of the picture's face.
    """

    pixels: Image
    face: Face | None
    detail: float
    num_frames: int
    fps: float
    others: int
    embed: bool = False

    def reference(self, reader: FaceReader) -> Reference:
        """The input picture."""
        return Reference(
            pixels=self.pixels,
            face=self.face,
            detail=self.detail,
            num_frames=self.num_frames,
            fps=self.fps,
            reader=reader,
            others=self.others,
        )


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """To a worker, pixels follow: the first frame of a segment."""

    index: int


@dataclass(frozen=True, slots=True)
class NextFrame:
    """To a worker, pixels follow: a frame inside the open segment."""

    index: int


@dataclass(frozen=True, slots=True)
class CloseSegment:
    """To a worker, pixels follow: the first frame after the open segment."""

    index: int


@dataclass(frozen=True, slots=True)
class SegmentStartState:
    """Both ways: what the segment that starts at frame ``index`` must know.

    A worker sends it for the segment that follows its own; the pool passes it on.
    """

    index: int
    state: SegmentState


@dataclass(frozen=True, slots=True)
class EndClip:
    """To a worker, and back as its last message about a clip."""


@dataclass(frozen=True, slots=True)
class ClipStarted:
    """From a worker: it is ready. ``embedding`` where it was asked for."""

    embedding: Embedding | None


@dataclass(frozen=True, slots=True)
class BusySeconds:
    """From a worker: processor time spent on this clip so far."""

    seconds: float


@dataclass(frozen=True, slots=True)
class FrameMeasured:
    """From a worker: one frame. ``exact`` is set for frame 0: whether it is the picture."""

    index: int
    measurements: Measurements
    exact: bool | None


@dataclass(frozen=True, slots=True)
class StepMeasured:
    """From a worker: the step from the frame before to frame ``index``."""

    index: int
    measurements: Measurements


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """From a worker, or from the thread that reads it: nothing more will come."""

    reason: str


Frame = OpenSegment | NextFrame | CloseSegment
Order = Frame | StartClip | SegmentStartState | EndClip
Answer = (
    ClipStarted
    | BusySeconds
    | SegmentStartState
    | FrameMeasured
    | StepMeasured
    | EndClip
    | WorkerFailed
)


def send_pixels(connection: Connection, pixels: Image) -> None:
    """Send a C-contiguous frame, without copying it.

    Raises:
        OSError: the other side has gone.
    """
    data = pixels.data.cast("B")
    for start in range(0, len(data), STRIP_BYTES):
        connection.send_bytes(data[start : start + STRIP_BYTES])


def receive_pixels(connection: Connection, shape: tuple[int, ...]) -> Image:
    """A frame of this shape.

    Raises:
        EOFError: the other side has gone.
    """
    pixels = np.empty(shape, np.uint8)
    data = pixels.data.cast("B")
    done = 0
    while done < len(data):
        done += connection.recv_bytes_into(data, done)
    return pixels
