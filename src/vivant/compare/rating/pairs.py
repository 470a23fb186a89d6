"""The pairs of clips of a comparison's or a batch's folder.

The order of the pairs and the sides follow from a seed. So they need not be stored, and new clips
do not change pairs that were judged.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from vivant.checks.checklist import Words
from vivant.errors import InputError
from vivant.runs.clip_cache import finished

COMPARE, BATCH = "compare.json", "batch.json"


@dataclass(frozen=True, slots=True)
class RatedClip:
    """One clip: what it is called in the results, its file, and its scores by name."""

    name: str
    clip: Path
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ClipPair:
    """Two clips of one picture.

    Attributes:
        id: hash of what is compared; it does not reveal which clip is which.
        picture: name of the input.
        sides: baseline (or the earlier row) first.
    """

    id: str
    picture: str
    sides: tuple[RatedClip, RatedClip]

    def shown(self, seed: str) -> tuple[int, int]:
        """Which of :attr:`sides` stands at A and which at B."""
        return (1, 0) if _draw(seed, self.id, "side") & 1 else (0, 1)


@dataclass(frozen=True, slots=True)
class ClipPairs:
    """All pairs of a folder.

    Attributes:
        titles: of the comparison, by language; shown with the results only, since it names what is
            compared.
        all: in the folder's order.
    """

    titles: Words
    all: tuple[ClipPair, ...]

    @property
    def title(self) -> str:
        """In English."""
        return self.titles["en"]

    def shuffled(self, seed: str) -> list[ClipPair]:
        """In the order of the blind test."""
        return sorted(self.all, key=lambda pair: _draw(seed, pair.id, "order"))


def read_pairs(folder: Path) -> ClipPairs:
    """The pairs of ``folder``.

    Raises:
        InputError: not a folder of ``vivant compare`` or ``vivant batch``, or no two finished
            clips of one picture in it.
    """
    if (folder / COMPARE).is_file():
        found = _of_comparison(folder)
    elif (folder / BATCH).is_file():
        found = _of_batch(folder)
    else:
        raise InputError(
            f"{folder} holds neither {COMPARE} nor {BATCH}: give the folder that "
            "`vivant compare -o` or `vivant batch -o` wrote",
            param="folder",
        )
    if not found.all:
        raise InputError(
            f"{folder} holds no two finished clips of one picture: there is nothing to compare",
            param="folder",
        )
    return found


def _of_comparison(folder: Path) -> ClipPairs:
    """Baseline against every variant, per picture and seed."""
    body = _json(folder / COMPARE)
    try:
        names = [variant["name"] for variant in body["plan"]["variants"]]
        clips = {(c["variant"], c["picture"], c["seed"]): c for c in body["clips"]}
        pairs = []
        for (variant, picture, seed), after in clips.items():
            before = clips.get((names[0], picture, seed))
            if variant == names[0] or before is None:
                continue
            sides = tuple(
                RatedClip(c["variant"], folder / c["clip"], _numbers(c["scores"]))
                for c in (before, after)
            )
            if all(finished(side.clip) for side in sides):
                pairs.append(_pair(picture, (sides[0], sides[1])))
        title = str(body["title"])
        return ClipPairs({"en": title, "ko": title, **body.get("titles", {})}, tuple(pairs))
    except (KeyError, TypeError, IndexError):
        raise InputError(
            f"{folder / COMPARE} is not what `vivant compare` writes: run it again", param="folder"
        ) from None


def _of_batch(folder: Path) -> ClipPairs:
    """Every two rows of the same picture, by what the picture is and not by its name."""
    body = _json(folder / BATCH)
    groups: dict[str, list[tuple[str, RatedClip]]] = {}
    try:
        for row in body["rows"]:
            clip = folder / str(row["clip"])
            report = finished(clip) if row["clip"] else None
            if report is not None:
                scores = {score["name"]: score["value"] for score in report["scores"]}
                side = RatedClip(clip.stem, clip, _numbers(scores))
                groups.setdefault(report["source"]["sha256"], []).append((row["picture"], side))
    except (KeyError, TypeError):
        raise InputError(
            f"{folder / BATCH} is not what `vivant batch` writes: run it again", param="folder"
        ) from None
    name = folder.resolve().name
    return ClipPairs(
        {"en": name, "ko": name},
        tuple(
            _pair(first[0], (first[1], second[1]))
            for group in groups.values()
            for first, second in combinations(group, 2)
        ),
    )


def _pair(picture: str, sides: tuple[RatedClip, RatedClip]) -> ClipPair:
    text = "\n".join([picture, *(f"{side.name} {side.clip.name}" for side in sides)])
    return ClipPair(hashlib.sha256(text.encode()).hexdigest()[:16], picture, sides)


def _numbers(scores: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in scores.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}", param="folder") from None


def _draw(seed: str, pair: str, purpose: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {pair} {purpose}".encode()).digest()[:8])
