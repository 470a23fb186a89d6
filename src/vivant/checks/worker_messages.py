"""What the pool and a worker process tell each other over one ``Connection``.

Messages are pickled. Frames are in shared memory (``worker_frames.py``), and messages name their
place in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from vivant.checks.frame import Reference
from vivant.checks.frame_analyzer import Measurements, SegmentState
from vivant.picture.embedding import Embedding
from vivant.picture.faces import FaceReader
from vivant.types import Face, Image

REFERENCE_SLOT = 0
"""Where the picture is in the shared memory."""


@dataclass(frozen=True, slots=True)
class StartClip:
    """To a worker: the clip to measure; see :class:`vivant.checks.frame.Reference`.

    Access to the frames' shared memory follows, with the picture in :data:`REFERENCE_SLOT`.

    Attributes:
        shape: of a frame.
        embed: answer with the embedding of the picture's face.
    """

    shape: tuple[int, ...]
    face: Face | None
    detail: float
    num_frames: int
    fps: float
    others: int
    embed: bool = False

    def reference(self, reader: FaceReader, pixels: Image) -> Reference:
        """The input picture, of which ``pixels`` are given."""
        return Reference(
            pixels=pixels,
            face=self.face,
            detail=self.detail,
            num_frames=self.num_frames,
            fps=self.fps,
            reader=reader,
            others=self.others,
        )


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """To a worker: the first frame of a segment."""

    index: int
    slot: int


@dataclass(frozen=True, slots=True)
class NextFrame:
    """To a worker: a frame inside the open segment."""

    index: int
    slot: int


@dataclass(frozen=True, slots=True)
class CloseSegment:
    """To a worker: the first frame after the open segment."""

    index: int
    slot: int


@dataclass(frozen=True, slots=True)
class SegmentStartState:
    """Both ways: what the segment that starts at frame ``index`` must know.

    A worker sends it for the segment that follows its own; the pool passes it on.

    Attributes:
        opened: the first frame of the worker's own segment.
        face: what was found in it.
    """

    index: int
    state: SegmentState
    opened: int = -1
    face: Face | None = None


@dataclass(frozen=True, slots=True)
class MeasureFrameOnly:
    """To a worker: the first frame of a segment that another worker has.

    Only metrics without steps (:attr:`vivant.checks.metric.Metric.frame_only`) are measured.

    Attributes:
        face: in the frame.
        state: of the segment.
    """

    index: int
    slot: int
    face: Face | None
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
    """From a worker: one frame. ``exact`` is set for frame 0: whether it is the picture.

    The first frame of a segment comes in two parts, from two workers: each has None for what the
    other one measures.
    """

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


Frame = OpenSegment | NextFrame | CloseSegment | MeasureFrameOnly
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
