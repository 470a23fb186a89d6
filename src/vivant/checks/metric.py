"""The one shape of every check: what it sees in a frame, put together in order, then scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np

from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.limits import Limit, limits
from vivant.checks.sentences import reason
from vivant.types import Box, Group, Score, Verdict

MAX_SERIES: Final = 400
"""Points of a plotted series; longer ones are thinned, the worst point kept."""


class CannotMeasure(Exception):  # noqa: N818 - a finding, not a defect
    """The metric cannot run on this clip.

    Args:
        message: key of the sentence in :mod:`vivant.checks.sentences`.
        facts: what the sentence needs.
    """

    def __init__(self, message: str, **facts: float | str) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Spec:
    """A score that a metric promises to give."""

    name: str
    group: Group
    unit: str = ""


class Metric(ABC):
    """A check, made once per clip. All it keeps per frame are a few numbers.

    :meth:`anchor`, :meth:`measure_frame` and :meth:`measure_step` do the work. They run in any
    process and in any order, so they do not change the metric. What they return is small and can
    be pickled. What the next :meth:`measure_step` needs of a frame goes into ``frame.cache``.
    :meth:`add` is called in the order of the frames, in one process, with what they returned.
    """

    specs: ClassVar[tuple[Spec, ...]]
    """The scores it gives, always all of them and always in this order."""

    parallel: ClassVar[bool] = False
    """Whether it may be measured in a second thread, while the others are measured in the first.
    Such a metric asks the frame's ``reader``, which serves one thread at a time, only for
    embeddings. It does not read what metrics of the first thread keep in ``frame.cache``."""

    @property
    def frame_only(self) -> bool:
        """Whether it measures frames and no steps between them.

        In a searched frame such a metric may be measured in another process than the others.
        """
        return type(self).measure_step is Metric.measure_step

    def prepare(self) -> None:  # noqa: B027 - most have nothing to prepare
        """Measure the picture: before the first frame, in the thread that measures frames."""

    def anchor(self, frame: AnalyzedFrame, /) -> Any:  # noqa: ARG002
        """What later frames are compared with; asked of searched frames until one gives it.

        Not a part of ``frame.pixels``: their memory is used again for later frames.
        """
        return None

    def measure_frame(self, frame: AnalyzedFrame, anchor: Any, /) -> Any:  # noqa: ARG002
        """What the frame shows by itself or compared with the anchor; None where nothing counts."""
        return None

    def measure_step(
        self,
        before: AnalyzedFrame,  # noqa: ARG002
        now: AnalyzedFrame,  # noqa: ARG002
        anchor: Any,  # noqa: ARG002
        /,
    ) -> Any:
        """What happened from one frame to the next; None where nothing counts.

        ``before`` has been measured. ``now`` has not, and its face is not known yet.
        """
        return None

    @abstractmethod
    def add(self, index: int, step: Any, found: Any, /) -> None:
        """Keep what was found of frame ``index``; ``step`` led to it and is None for frame 0."""

    @abstractmethod
    def finish(self, reference: Reference, /) -> Sequence[Score]:
        """Answer.

        Raises:
            CannotMeasure: every promised score becomes ``not_measured`` with this reason.
        """


def judged(
    spec: Spec,
    value: float,
    *,
    series: Sequence[tuple[int, float]] = (),
    frame: int | None = None,
    region: Box | None = None,
    facts: Mapping[str, float | str] | None = None,
    message: str | None = None,
    limit: Limit | None = None,
) -> Score:
    """A measured value held against its limit, with the sentence that goes with the verdict.

    ``limit`` replaces the one of ``limits.json``.
    """
    limit = limit or limits()[spec.name]
    verdict = limit.judge(value)
    shown = limit.shown(verdict)
    return score(
        spec,
        value,
        verdict,
        limit=shown,
        series=series,
        frame=frame,
        region=region,
        facts=facts,
        message=message or f"{spec.name}.{verdict}",
    )


def score(
    spec: Spec,
    value: float | str | None,
    verdict: Verdict,
    *,
    message: str,
    limit: float | str | None = None,
    series: Sequence[tuple[int, float]] = (),
    frame: int | None = None,
    region: Box | None = None,
    facts: Mapping[str, float | str] | None = None,
) -> Score:
    """A score whose reason is the sentence ``message`` filled with ``facts``."""
    known: dict[str, float | str] = {"message": message}
    if value is not None:
        known["value"] = value
    if limit is not None:
        known["limit"] = limit
    if frame is not None:
        known["frame"] = frame
    known.update(facts or {})
    return Score(
        name=spec.name,
        group=spec.group,
        value=value,
        limit=limit,
        unit=spec.unit,
        verdict=verdict,
        reason=reason(known),
        frame=frame,
        region=region,
        series=thinned(series),
        facts=known,
    )


def against_picture(
    series: Sequence[tuple[int, float]], *, above: bool, allowance: float, exact: bool
) -> float:
    """One value for a clip from its values against the picture.

    Where the first frame is the picture, its value has nothing else in it and counts as it is.
    Otherwise poses differ from the start, and the milder of first frame and median counts. In
    both cases a median that is off by more than ``allowance`` grants counts too.

    Args:
        series: ratios to the picture, 1 where nothing changed, or differences, 0 where so.
        above: larger is worse.
        allowance: factor towards harmless that is granted to the median; below 1 for values
            where larger is worse, else above 1.
        exact: the first frame is the picture.
    """
    values = [value for _, value in series]
    first, middle = values[0], float(np.median(values))
    if above:
        return max(first if exact else min(first, middle), middle * allowance)
    return min(first if exact else max(first, middle), middle * allowance)


def unmeasured(spec: Spec, why: CannotMeasure) -> Score:
    """The score of a metric that could not run."""
    return score(spec, None, "not_measured", message=why.message, facts=why.facts)


def thinned(series: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """At most :data:`MAX_SERIES` points, extremes of every stretch kept in their order."""
    if len(series) <= MAX_SERIES:
        return tuple((int(i), float(v)) for i, v in series)
    stride = -(-len(series) // (MAX_SERIES // 2))
    kept: list[tuple[int, float]] = []
    for start in range(0, len(series), stride):
        part = series[start : start + stride]
        ends = {min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])}
        kept.extend(sorted(ends))
    return tuple((int(i), float(v)) for i, v in kept)
