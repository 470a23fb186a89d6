"""Make the clips of a comparison, each once in its life. Knows nothing of what they show."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vivant.checks import keep_workers
from vivant.compare.clips import (
    CLIPS,
    ComparedClip,
    Comparison,
    Failure,
    InputPicture,
    LocalClip,
    clip_order,
)
from vivant.compare.plan import ComparisonPlan, Variant
from vivant.engines import load_engine
from vivant.errors import EngineError, ImageError, InputError
from vivant.pipeline import check_request, library_versions, run
from vivant.runs.clip_cache import finished, request_key
from vivant.settings import Settings
from vivant.types import Engine, Observer, Upscaler, ignore_progress
from vivant.upscalers import load_upscaler
from vivant.version import __version__
from vivant.video.files import COMPANIONS

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".bmp", ".tif", ".tiff"}
)
"""Files of a folder that are taken for pictures."""


@dataclass(frozen=True, slots=True)
class Step:
    """For whoever watches: clip ``done`` of ``total``; ``reused`` where it was there already."""

    done: int
    total: int
    variant: str
    picture: str
    seed: int
    reused: bool
    reason: str = ""


def expand(paths: Sequence[Path]) -> list[Path]:
    """Folders become the pictures in them, by name.

    Raises:
        InputError: a folder without pictures.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(
            p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES and p.is_file()
        )
        if not inside:
            raise InputError(f"folder {path} holds no pictures", param="image")
        found.extend(inside)
    return found


def load_pictures(
    images: Sequence[tuple[str, Path | bytes]],
) -> tuple[tuple[InputPicture, ...], list[Failure]]:
    """Fingerprint every input; what cannot be read, or is there twice, is a failure of its own."""
    pictures: list[InputPicture] = []
    failures: list[Failure] = []
    known: dict[str, str] = {}
    for name, image in images:
        try:
            data = image if isinstance(image, bytes) else image.read_bytes()
        except OSError as error:
            failures.append(Failure(name, "", None, f"cannot be read: {error.strerror}"))
            continue
        sha = hashlib.sha256(data).hexdigest()
        if sha in known:
            failures.append(Failure(name, "", None, f"is the same picture as {known[sha]}"))
            continue
        known[sha] = name
        pictures.append(InputPicture(name, sha, image))
    return tuple(pictures), failures


def unique_names(paths: Sequence[Path]) -> list[tuple[str, Path | bytes]]:
    """File names, with their folder where two are called the same."""
    names = [path.name for path in paths]
    return [
        (path.name if names.count(path.name) == 1 else str(path), path)
        for path in dict.fromkeys(paths)
    ]


@keep_workers()
def compare(
    plan: ComparisonPlan,
    images: Sequence[tuple[str, Path | bytes]],
    folder: Path,
    *,
    settings: Settings,
    observe: Observer = ignore_progress,
    watch: Callable[[Step], None] = lambda _: None,
    currency: str | None = None,
) -> Comparison:
    """Make what is missing in ``folder/clips``.

    A picture that cannot be used, and a clip whose generation fails, is noted and left out; a
    mistake in the plan's own options stops everything, at the first clip it concerns.

    Raises:
        InputError: an option that an engine does not have; no usable picture at all.
        MachineError: this machine cannot do it.
        Cancelled: the observer said so; finished clips stay.
    """
    pictures, failures = load_pictures(images)
    comparison = Comparison(plan, pictures, failures=failures)
    clips = folder / CLIPS
    clips.mkdir(parents=True, exist_ok=True)
    maker = _Maker(settings, observe, currency)
    versions = {"vivant": __version__, **library_versions()}
    lost: set[str] = set()
    order = clip_order(plan, pictures)
    for done, (variant, picture, seed) in enumerate(order, start=1):
        request = plan.request(variant, picture.image, seed)
        key = request_key(request, picture.sha256, versions)
        clip = clips / f"{key}.mp4"
        report: Mapping[str, Any] | None = finished(clip)
        reused, reason = report is not None, ""
        if report is None and picture.name in lost:
            continue
        if report is None:
            check_request(request, settings)
            try:
                report = maker.make(variant, request, clip)
                comparison.made += 1
            except ImageError as error:
                lost.add(picture.name)
                reason = error.message
                comparison.failures.append(Failure(picture.name, "", None, reason))
            except EngineError as error:
                reason = error.message
                comparison.failures.append(Failure(picture.name, variant.name, seed, reason))
        if report is not None:
            comparison.cells[variant.name, picture.name, seed] = ComparedClip(
                variant.name, picture.name, seed, key, LocalClip(clip), report
            )
        watch(Step(done, len(order), variant.name, picture.name, seed, reused, reason))
    comparison.failures.sort(key=lambda f: (f.picture, f.variant, f.seed or 0))
    if not comparison.cells:
        first = comparison.failures[0] if comparison.failures else None
        raise InputError(
            "no clip could be made"
            + (f": {first.picture}: {first.reason}" if first else ": no picture was given"),
            param="image",
        )
    return comparison


class _Maker:
    """Keeps engines and upscalers loaded between clips."""

    def __init__(self, settings: Settings, observe: Observer, currency: str | None) -> None:
        self._settings, self._observe, self._currency = settings, observe, currency
        self._engines: dict[str, Engine] = {}
        self._upscalers: dict[str, Upscaler] = {}

    def make(self, variant: Variant, request: Any, clip: Path) -> Mapping[str, Any]:
        if variant.engine not in self._engines:
            self._engines[variant.engine] = load_engine(variant.engine, self._settings)
        if variant.upscaler not in self._upscalers:
            self._upscalers[variant.upscaler] = load_upscaler(variant.upscaler)
        run(
            request,
            clip,
            engine=self._engines[variant.engine],
            upscaler=self._upscalers[variant.upscaler],
            settings=self._settings,
            observe=self._observe,
            currency=self._currency,
            force=True,  # leftovers without a clip are a killed run's
        )
        report = finished(clip)
        if report is None:
            raise EngineError(f"{clip.name} was made, but {COMPANIONS['report']} is not there")
        return report
