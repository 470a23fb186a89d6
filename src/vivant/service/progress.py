"""Stages that overlap → one percentage that never falls, and the time left."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from vivant.engines import generated_frames
from vivant.runs.estimates import Timing, request_recipe
from vivant.types import Progress, Request

FIRST_GUESS_SECONDS: Mapping[str, Mapping[str, float]] = {
    "living": {"image": 0.5, "generate": 10.0, "encode": 6.0, "verify": 9.0, "store": 0.2},
    "camera": {"image": 0.5, "generate": 8.0, "encode": 6.0, "verify": 9.0, "store": 0.2},
    "ltx2": {
        "image": 0.5,
        "load": 1.0,
        "generate/step": 20.0,
        "generate": 6.0,
        "upscale": 4.0,
        "encode": 4.0,
        "verify": 6.0,
        "store": 0.3,
    },
}
"""Engine → stage → seconds, roughly, until this machine has measured its own (see
:func:`usual_seconds`). ``generate/step`` are denoising steps, ``generate``
what follows them. Only their proportions count."""

OTHERS: Mapping[str, float] = {"image": 0.5, "generate": 5.0, "encode": 5.0, "verify": 5.0,
                               "store": 0.2}  # fmt: skip

CEILING = 99
"""Percent until the files can be fetched."""


def label(progress: Progress) -> str:
    """``generate/step`` for denoising steps; else the stage's name."""
    return f"{progress.stage}/step" if progress.unit == "step" else progress.stage


def busy(seconds: Mapping[Any, float], labels: list[str]) -> dict[str, float]:
    """Busy seconds by label; denoising steps take what generation took, but for the decoding.

    The pipeline measures stages; steps and what follows them share the stage ``generate``. The
    split (4 : 1) is a guess until a clip of the engine has been measured; it only moves the bar.
    """
    found = {}
    for name in labels:
        stage, _, step = name.partition("/")
        share = 1.0
        if f"{stage}/step" in labels and stage in labels:
            share = 0.8 if step else 0.2
        found[name] = max(0.01, seconds.get(stage, 0.0) * share)
    return found


def timings(measured: Iterable[Mapping[str, Any]]) -> Iterator[Timing]:
    """Rows of the job store's finished clips, for estimates."""
    for row in measured:
        yield Timing(
            seconds=row["seconds"],
            pixels=generated_frames(row["model"], row["num_frames"]) * row["pixels"],
            device=row["device"],
            recipe=row["recipe"],
        )


def usual_seconds(measured: Sequence[Mapping[str, Any]], request: Request) -> dict[str, float]:
    """Stage label → seconds it usually is busy.

    Args:
        measured: finished clips of the engine, newest first; their median, where the newest ones
            of the same recipe tell.
        request: of the clip.
    """
    recipe = request_recipe(request)
    same = [row["stages"] for row in measured if row["recipe"] == recipe][:5]
    if not same:
        return dict(FIRST_GUESS_SECONDS.get(request.engine, OTHERS))
    return {name: max(0.01, median(stages.get(name, 0.0) for stages in same)) for name in same[0]}


@dataclass
class ProgressMeter:
    """Takes units as they are done, from any order of stages.

    Args:
        weights: stage label → seconds it usually is busy. Stages that appear without being
            expected get the mean weight.
    """

    weights: dict[str, float]
    _seen: dict[str, Progress] = field(default_factory=dict)
    _began: dict[str, tuple[float, int]] = field(default_factory=dict)
    _highest: float = 0.0

    def take(self, progress: Progress) -> None:
        """Note that more is done."""
        name = label(progress)
        if name not in self.weights:
            mean = sum(self.weights.values()) / max(1, len(self.weights))
            self.weights[name] = mean
        self._began.setdefault(name, (time.monotonic(), progress.done))
        before = self._seen.get(name)
        if before is None or progress.done >= before.done or progress.total != before.total:
            self._seen[name] = progress

    @property
    def fraction(self) -> float:
        """0 … 1, never falling."""
        total = sum(self.weights.values()) or 1.0
        done = sum(
            self.weights[name] * min(1.0, seen.done / max(1, seen.total))
            for name, seen in self._seen.items()
        )
        self._highest = max(self._highest, min(1.0, done / total))
        return self._highest

    @property
    def percent(self) -> int:
        """0 … :data:`CEILING`."""
        return min(CEILING, int(100 * self.fraction))

    def eta(self, elapsed: float, expected: float | None) -> float | None:
        """Seconds left.

        The part done so far is scaled up; at the start, where that says little, the usual
        duration of such clips (``expected``) counts more. It is never less than what the slowest
        stage needs at its own speed: a clip whose frames are generated may still be encoded and
        checked for long.
        """
        usual = self._usual_left(elapsed, expected)
        slowest = self._slowest_left(time.monotonic())
        if usual is None or slowest is None:
            return usual
        return max(usual, slowest)

    def _slowest_left(self, now: float) -> float | None:
        """Seconds that the slowest of the running stages needs at the speed it has had so far."""
        left = []
        for name, seen in self._seen.items():
            began, first = self._began[name]
            if first < seen.done < seen.total:
                left.append((now - began) * (seen.total - seen.done) / (seen.done - first))
        return max(left, default=None)

    def _usual_left(self, elapsed: float, expected: float | None) -> float | None:
        done = self.fraction
        scaled = elapsed * (1 - done) / done if done > 0.1 else None
        usual = max(0.0, expected - elapsed) if expected is not None else None
        if scaled is None or usual is None:
            return scaled if usual is None else usual
        trust = min(1.0, done / 0.5)
        return trust * scaled + (1 - trust) * usual

    def stages(self) -> list[dict[str, Any]]:
        """What has begun, in the order it began."""
        return [
            {"stage": p.stage, "done": p.done, "total": p.total, "unit": p.unit}
            for p in self._seen.values()
        ]

    def slowest(self) -> Progress | None:
        """Of the unfinished stages the one with the least done; else the last one to begin."""
        working = [p for p in self._seen.values() if p.done < p.total]
        if working:
            return min(working, key=lambda p: p.done / max(1, p.total))
        return next(reversed(self._seen.values()), None)
