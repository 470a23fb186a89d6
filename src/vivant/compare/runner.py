"""Makes the clips of a comparison; a clip that is there already is not made again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from vivant.compare.plan import ComparisonPlan
from vivant.errors import EngineError, ImageError, InputError
from vivant.report import library_versions
from vivant.runs.batch_rows import pictures_in
from vivant.runs.clip_cache import request_key
from vivant.runs.run import Outcome, Runner
from vivant.version import __version__


@dataclass(frozen=True, slots=True)
class ClipDone:
    """Clip ``done`` of ``total``, and what became of it."""

    done: int
    total: int
    variant: str
    picture: str
    seed: int
    outcome: Outcome


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
        inside = pictures_in(path)
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
    runner: Runner,
    *,
    watch: Callable[[ClipDone], None] = lambda _: None,
) -> Comparison:
    """Make what is missing in ``folder/clips``.

    A picture that cannot be used, and a clip whose generation fails, is noted and left out; a
    mistake in the plan's own options stops everything, at the first clip it concerns.

    Args:
        plan: variants and seeds.
        images: name for people, and the file or its bytes.
        folder: made if need be.
        runner: makes the clips.
        watch: called after every clip.

    Raises:
        InputError: an option that an engine does not have; no usable picture at all.
        MachineError: this machine cannot do it.
        Cancelled: the observer said so; finished clips stay.
    """
    pictures, failures = load_pictures(images)
    comparison = Comparison(plan, pictures, failures=failures)
    clips = folder / CLIPS
    clips.mkdir(parents=True, exist_ok=True)
    versions = {"vivant": __version__, **library_versions()}
    unusable: set[str] = set()
    order = clip_order(plan, pictures)
    for done, (variant, picture, seed) in enumerate(order, start=1):
        if picture.name in unusable:
            continue
        request = plan.request(variant, picture.image, seed)
        key = request_key(request, picture.sha256, versions)
        clip = clips / f"{key}.mp4"
        # forced: leftovers without a clip are a killed run's
        outcome = runner.run(request, clip, reuse=True, force=True)
        if isinstance(outcome.error, ImageError):
            unusable.add(picture.name)
            comparison.failures.append(Failure(picture.name, "", None, outcome.reason))
        elif isinstance(outcome.error, EngineError):
            comparison.failures.append(Failure(picture.name, variant.name, seed, outcome.reason))
        elif outcome.error is not None:
            raise outcome.error
        if outcome.report is not None:
            comparison.made += outcome.state == "made"
            comparison.cells[variant.name, picture.name, seed] = ComparedClip(
                variant.name, picture.name, seed, key, LocalClip(clip), outcome.report
            )
        watch(ClipDone(done, len(order), variant.name, picture.name, seed, outcome))
    comparison.failures.sort(key=lambda f: (f.picture, f.variant, f.seed or 0))
    if not comparison.cells:
        first = comparison.failures[0] if comparison.failures else None
        raise InputError(
            "no clip could be made"
            + (f": {first.picture}: {first.reason}" if first else ": no picture was given"),
            param="image",
        )
    return comparison
