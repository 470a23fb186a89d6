"""Arithmetic and limits of sizes, frames, frame rates and seeds."""

from __future__ import annotations

import re
from fractions import Fraction

from vivant.errors import OptionError
from vivant.types import CHECKED_FRACTIONS, ENGINES_WITH_LAST, ENGINES_WITH_SOUND, Box, Request

ASPECTS: dict[str, tuple[int, int]] = {
    "16:9": (1920, 1080),
    "9:16": (1080, 1920),
    "1:1": (1080, 1080),
}
"""Aspect → default size in pixels: YouTube, Shorts, square."""

MIN_SIDE = 64
MAX_SIDE = 4096
"""Sides of a finished clip in pixels; 4096 is the widest H.264 level 5.1 stream players accept."""


def checked_frames(num_frames: int) -> tuple[int, ...]:
    """Indices of the frames that the user checks: 0, 24, 48, 72, 96 of 97; fewer in short clips."""
    last = num_frames - 1
    return tuple(sorted({round(fraction * last) for fraction in CHECKED_FRACTIONS}))


def frames_for(seconds: float, fps: Fraction) -> int:
    """Frames that span ``seconds``, the first one at 0 s and the last one on the mark.

    4 s at 24 fps are 97 frames, as the user counts: 96 steps between 97 pictures.
    """
    return round(seconds * fps) + 1


def parse_size(text: str) -> tuple[int, int]:
    """``"1920x1080"`` → ``(1920, 1080)``.

    Raises:
        OptionError: not of that form.
    """
    parts = text.lower().replace("×", "x").split("x")
    if len(parts) == 2 and all(p.isascii() and p.isdigit() for p in parts):
        return int(parts[0]), int(parts[1])
    raise OptionError(f"size {text!r} is not WIDTHxHEIGHT: write it like 1920x1080", param="size")


def check_size(width: int, height: int) -> None:
    """Refuse sizes that a 4:2:0 H.264 clip cannot have.

    Raises:
        OptionError: a side that is odd, too small or too large.
    """
    for name, side in (("width", width), ("height", height)):
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise OptionError(
                f"{name} {side} is outside {MIN_SIDE}…{MAX_SIDE} pixels: "
                "1920x1080 is full HD, 1080x1920 is Shorts",
                param="size",
            )
        if side % 2:
            raise OptionError(
                f"{name} {side} is odd, and 4:2:0 video needs even sides: use {side - 1} "
                f"or {side + 1}",
                param="size",
            )


def check_frames(num_frames: int, limit: int) -> None:
    """Refuse clips without frames, and clips that are too long.

    Raises:
        OptionError: outside 1 … ``limit``.
    """
    if not 1 <= num_frames <= limit:
        raise OptionError(
            f"{num_frames} frames is outside 1…{limit}: 97 frames are 4 s at 24 fps "
            "(VIVANT_MAX_FRAMES raises the limit)",
            param="num_frames",
        )


def check_fps(fps: Fraction) -> None:
    """Refuse frame rates that players do not support.

    Raises:
        OptionError: outside 1 … 120.
    """
    if not 1 <= fps <= 120:
        raise OptionError(
            f"{float(fps):g} fps is outside 1…120: 24 is cinema, 30 and 60 are common", param="fps"
        )


def check_seed(seed: int) -> None:
    """Refuse seeds that random generators do not take.

    Raises:
        OptionError: outside 0 … 2**63−1.
    """
    if not 0 <= seed < 2**63:
        raise OptionError(f"seed {seed} is outside 0…{2**63 - 1}: 0 is usual", param="seed")


def check_sound(request: Request, param: str = "sound") -> None:
    """Refuse to ask an engine for sound that it does not make.

    Args:
        param: what the field is called where the request comes from.

    Raises:
        OptionError: naming the engines that make sound.
    """
    if request.sound is True and request.engine not in ENGINES_WITH_SOUND:
        raise OptionError(
            f"engine {request.engine} makes no sound of its own: choose ltx2, or lay a music or "
            "voice file under the clip (--sound FILE on the command line)",
            param=param,
        )


def check_last(request: Request) -> None:
    """Refuse a picture for the last frame where the engine does not move towards one.

    Raises:
        OptionError: naming the engine that does.
    """
    if request.last is not None and request.engine not in ENGINES_WITH_LAST:
        raise OptionError(
            f"engine {request.engine} cannot end with another picture: only ltx2 moves from one to "
            "another (--engine ltx2), or leave out --last",
            param="last",
        )


MAX_SEEDS = 8
"""Most clips of one picture in one call: more need more memory and are not faster."""


def check_seeds(seeds: tuple[int, ...]) -> None:
    """Refuse lists of seeds that cannot be made in one call.

    Raises:
        OptionError: none, more than eight, one of them twice, or one that is no seed.
    """
    if not 1 <= len(seeds) <= MAX_SEEDS:
        raise OptionError(
            f"{len(seeds)} seeds: give 1…{MAX_SEEDS} in one call, and the others in another",
            param="seeds",
        )
    for seed in seeds:
        check_seed(seed)
        if seeds.count(seed) > 1:
            raise OptionError(
                f"seed {seed} is given twice: it would be the same clip", param="seeds"
            )


def parse_seeds(text: str) -> tuple[int, ...]:
    """``"1,2,3"`` or ``"0-3"`` or ``"0-2,7"`` → seeds, in this order.

    Raises:
        OptionError: not of that form, or what :func:`check_seeds` refuses.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,19})(?:\s*-\s*([0-9]{1,19}))?\s*", part, re.ASCII)
        if match is None:
            raise OptionError(
                f"seeds {text[:40]!r} is no list of seeds: write it like 1,2,3 or 0-3",
                param="seeds",
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise OptionError(
                f"seeds {part.strip()!r} runs backwards: write {last}-{first}", param="seeds"
            )
        count = last - first + 1
        if len(seeds) + count > MAX_SEEDS:
            raise OptionError(
                f"seeds {text[:40]!r} are at least {len(seeds) + count}, above {MAX_SEEDS} in one "
                "call: make the others with another",
                param="seeds",
            )
        seeds.extend(range(first, last + 1))
    check_seeds(tuple(seeds))
    return tuple(seeds)


def cover_crop(width: float, height: float, aspect: float) -> Box:
    """The largest centred box of ``aspect`` (width / height) inside ``width`` × ``height``."""
    if width / height > aspect:
        inner = height * aspect
        return Box((width - inner) / 2, 0.0, inner, height)
    inner = width / aspect
    return Box(0.0, (height - inner) / 2, width, inner)
