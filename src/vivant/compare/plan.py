"""What is compared: a :class:`ComparisonPlan` of two or more :class:`Variant`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from vivant.checks.checklist import Words
from vivant.errors import OptionError
from vivant.types import DEFAULT_ENGINE, DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT, Quality, Request
from vivant.upscalers import upscaler_name

DECIDING_SCORES = (
    "identity_mean",
    "face_deformation",
    "face_wobble",
    "flicker",
    "detail",
    "face_sharpness",
    "noise",
    "plastic_skin",
)
"""Scores that decide, where a file names none: one or two of every heading of the checklist.

Every further score that decides costs evidence: all of them are judged together (Holm).
"""

MAX_VARIANTS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to make a clip; everything else is the same for all.

    Attributes:
        words: its name for people, in both languages.
    """

    name: str
    engine: str = DEFAULT_ENGINE
    upscaler: str = "auto"
    quality: Quality = "standard"
    prompt: str = DEFAULT_PROMPT
    negative_prompt: str = DEFAULT_NEGATIVE_PROMPT
    options: Mapping[str, Any] = field(default_factory=dict)
    words: Words = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonPlan:
    """A comparison before any clip is made.

    Attributes:
        title: for the page, in both languages.
        variants: the first is the baseline every other one is held against.
        seeds: each picture is animated with each of them, by each variant.
        judged: names of the scores that decide.
        note: what the reader must know of this comparison, in both languages; empty for nothing.
    """

    title: Words
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    num_frames: int = 97
    fps: Fraction = Fraction(24)
    width: int = 1920
    height: int = 1080
    judged: tuple[str, ...] = DECIDING_SCORES
    note: Words = field(default_factory=dict)

    @property
    def baseline(self) -> Variant:
        """The first variant."""
        return self.variants[0]

    def called(self, name: str) -> Words:
        """A variant's name for people."""
        return next(v.words for v in self.variants if v.name == name) or {"en": name, "ko": name}

    def request(self, variant: Variant, image: Path | bytes, seed: int) -> Request:
        """What one clip of this comparison is."""
        return Request(
            image=image,
            prompt=variant.prompt,
            negative_prompt=variant.negative_prompt,
            num_frames=self.num_frames,
            fps=self.fps,
            width=self.width,
            height=self.height,
            seed=seed,
            engine=variant.engine,
            upscaler=variant.upscaler,
            quality=variant.quality,
            options=variant.options,
        )


def check_variants(plan: ComparisonPlan, name: str) -> None:
    """Refuse comparisons that compare nothing.

    Raises:
        OptionError: fewer than two variants, two of one name, or two that do not differ.
    """
    count = len(plan.variants)
    if not 2 <= count <= MAX_VARIANTS:
        raise OptionError(
            f"{name} has {count} variant{'' if count == 1 else 's'}: "
            f"a comparison needs 2…{MAX_VARIANTS}",
            param="variants",
        )
    seen: dict[str, Variant] = {}
    for variant in plan.variants:
        if variant.name in seen:
            raise OptionError(f"{name}: two variants are called {variant.name!r}", param="variants")
        for other in seen.values():
            if _without_name(other) == _without_name(variant):
                raise OptionError(
                    f"{name}: variants {other.name!r} and {variant.name!r} do not differ: "
                    "change an option of one of them",
                    param="variants",
                )
        seen[variant.name] = variant


def _without_name(variant: Variant) -> Variant:
    """The variant without its name, ``auto`` spelled out."""
    upscaler = upscaler_name(variant.upscaler)
    return replace(variant, name="", words={}, upscaler=upscaler, options=dict(variant.options))
