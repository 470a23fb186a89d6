"""The clips of a comparison: which there are, and where they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from vivant.compare.plan import ComparisonPlan, Variant

CLIPS = "clips"
"""Folder of the clips, beside the page."""


class ClipFile(Protocol):
    """A finished clip, wherever it is kept."""

    @property
    def link(self) -> str:
        """Where it is, seen from the page."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """Of the bytes, as hexadecimal digits; empty where it was not computed."""

    @property
    def there(self) -> bool:
        """Whether the file still exists."""


class LocalClip:
    """A clip in the folder :data:`CLIPS` beside the page."""

    there = True

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def link(self) -> str:
        """See :class:`ClipFile`."""
        return f"{CLIPS}/{self.path.name}"

    @cached_property
    def size(self) -> int:
        """See :class:`ClipFile`."""
        return self.path.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """See :class:`ClipFile`."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class InputPicture:
    """One input: its name for people and where its bytes are."""

    name: str
    sha256: str
    image: Path | bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """A picture, or one clip of it, that could not be made, and why."""

    picture: str
    variant: str
    seed: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class ComparedClip:
    """One finished clip with its report, or what :func:`vivant.report.trimmed` leaves of it."""

    variant: str
    picture: str
    seed: int
    key: str
    clip: ClipFile
    report: Mapping[str, Any]


@dataclass
class Comparison:
    """All clips of a plan, in the plan's order."""

    plan: ComparisonPlan
    pictures: tuple[InputPicture, ...]
    cells: dict[tuple[str, str, int], ComparedClip] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    made: int = 0

    def pairs(self, variant: str) -> Iterator[tuple[ComparedClip, ComparedClip]]:
        """Baseline's and variant's clip of every picture and seed that has both."""
        for picture in self.pictures:
            for seed in self.plan.seeds:
                before = self.cells.get((self.plan.baseline.name, picture.name, seed))
                after = self.cells.get((variant, picture.name, seed))
                if before and after:
                    yield before, after


def evidence_key(keys: Iterable[str], judged: Sequence[str]) -> str:
    """Names the clips and the deciding scores that findings rest on."""
    return hashlib.sha256("\n".join([*sorted(keys), *judged]).encode()).hexdigest()[:20]


def clip_order(
    plan: ComparisonPlan, pictures: Sequence[InputPicture]
) -> list[tuple[Variant, InputPicture, int]]:
    """The first pair through all variants, so that mistakes show at once; then by variant.

    Going by variant loads every engine as few times as possible.
    """
    pairs = [(picture, seed) for picture in pictures for seed in plan.seeds]
    if not pairs:
        return []
    first = [(variant, *pairs[0]) for variant in plan.variants]
    return first + [(variant, *pair) for variant in reversed(plan.variants) for pair in pairs[1:]]
