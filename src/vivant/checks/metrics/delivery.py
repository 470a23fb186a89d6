"""Is the file what YouTube and the user asked for: read back from the finished file.

What was asked for is held against exactly; where nothing was asked for, the user's targets are
advice and never fail somebody else's clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from vivant.checks.metric import Spec, score
from vivant.grid import ASPECTS
from vivant.types import ClipFacts, Score, Verdict
from vivant.video.probe import UNKNOWN

SIZE: Final = Spec("size", "delivery", "px")
FPS: Final = Spec("fps", "delivery", "fps")
FRAMES: Final = Spec("num_frames", "delivery", "frames")
CODEC: Final = Spec("codec", "delivery")
PIXELS: Final = Spec("pixel_format", "delivery")
COLOR: Final = Spec("color_tags", "delivery")
FASTSTART: Final = Spec("faststart", "delivery")
EDITS: Final = Spec("edit_list", "delivery")
GOP: Final = Spec("gop", "delivery", "s")
BIT_RATE: Final = Spec("bit_rate", "delivery", "Mbit/s")

MAX_GOP_SECONDS: Final = 5.0
"""Seconds; YouTube recommends a GOP of half the frame rate, players seek
well up to a few seconds."""

YOUTUBE_PIXELS_PER_BIT: Final = 1920 * 1080 * 24 / 8_000_000
"""YouTube's recommended 8 Mbit/s for 1080p at 24-30 fps, as pixels per bit."""

BIT_RATE_SHARE: Final = 0.1
"""Of YouTube's recommendation. It is meant for camera footage; a still background needs little,
and YouTube encodes again: only far below it is worth a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedFile:
    """What the finished file must be, exactly; the defaults are the user's."""

    width: int = 1920
    height: int = 1080
    fps: Fraction = Fraction(24)
    num_frames: int = 97
    codec: str = "h264"
    profile: str = "High"
    pixel_format: str = "yuv420p"


def delivery(facts: ClipFacts, expected: ExpectedFile | None) -> tuple[Score, ...]:
    """One score per fact.

    Args:
        facts: of the finished file.
        expected: what was asked for: a miss fails. None for somebody else's clip: the user's
            targets are advice, and a miss warns.
    """
    wanted = expected or ExpectedFile()
    size = (facts.width, facts.height)
    best = (wanted.width, wanted.height)
    if expected is None and size in ASPECTS.values():
        best = size
    miss: Verdict = "warn" if expected is None else "fail"
    mode = "advice" if expected is None else "asked"
    rate = facts.bit_rate / 1e6
    advised = wanted.width * wanted.height * float(facts.fps) / YOUTUBE_PIXELS_PER_BIT / 1e6
    if expected is None:
        advised = facts.width * facts.height * float(facts.fps) / YOUTUBE_PIXELS_PER_BIT / 1e6

    def held(
        spec: Spec,
        good: bool,
        value: float | str,
        limit: float | str | None,
    ) -> Score:
        return score(
            spec,
            value,
            "pass" if good else miss,
            limit=limit,
            message=f"{spec.name}.{'pass' if good else mode}",
        )

    tags = (facts.color_primaries, facts.color_transfer, facts.color_space, facts.color_range)
    codec = facts.codec if facts.profile == UNKNOWN else f"{facts.codec} {facts.profile}"
    return (
        _size(facts, best, asked=expected is not None),
        _frame_rate(facts, wanted.fps, miss, mode)
        if not facts.interlaced
        else _interlaced(facts, miss),
        held(
            FRAMES,
            facts.num_frames == wanted.num_frames,
            float(facts.num_frames),
            float(wanted.num_frames),
        ),
        held(
            CODEC,
            (facts.codec, facts.profile) == (wanted.codec, wanted.profile),
            codec,
            f"{wanted.codec} {wanted.profile}",
        ),
        held(
            PIXELS,
            facts.pixel_format == wanted.pixel_format,
            facts.pixel_format,
            wanted.pixel_format,
        ),
        held(
            COLOR,
            tags == ("bt709", "bt709", "bt709", "tv"),
            "/".join(tags),
            "bt709/bt709/bt709/tv",
        ),
        held(
            FASTSTART,
            facts.moov_first,
            "index first" if facts.moov_first else "index last",
            "index first",
        ),
        held(EDITS, not facts.edit_list, "present" if facts.edit_list else "none", "none"),
        _gop(facts, miss, mode),
        score(
            BIT_RATE,
            rate,
            "pass" if rate >= advised * BIT_RATE_SHARE else "warn",
            limit=advised * BIT_RATE_SHARE,
            message=f"bit_rate.{'pass' if rate >= advised * BIT_RATE_SHARE else 'warn'}",
            facts={"advised": advised},
        ),
    )


def _size(facts: ClipFacts, best: tuple[int, int], *, asked: bool) -> Score:
    size = (facts.width, facts.height)
    shown, wanted = (f"{width}x{height}" for width, height in (size, best))
    good = size == best
    if facts.pixel_aspect != 1:
        return score(
            SIZE,
            shown,
            "fail" if asked else "warn",
            limit=wanted,
            message="size.stretched",
            facts={
                "shown": shown.replace("x", "×"),
                "aspect": "{}:{}".format(*facts.pixel_aspect.as_integer_ratio()),
            },
        )
    verdict: Verdict = "pass" if good else ("fail" if asked else "warn")
    message = ("pass" if good else "asked") if asked else ("usual" if good else "advice")
    words = {"shown": shown.replace("x", "×"), "wanted": wanted.replace("x", "×")}
    return score(SIZE, shown, verdict, limit=wanted, message=f"size.{message}", facts=words)


def _gop(facts: ClipFacts, miss: Verdict, mode: str) -> Score:
    """Open GOPs break where a clip is cut; closed ones that are long only make seeking coarse."""
    seconds = float(facts.max_gop / facts.fps)
    near = seconds <= MAX_GOP_SECONDS
    verdict: Verdict = miss if not facts.closed_gop else "pass" if near else "warn"
    message = mode if not facts.closed_gop else "pass" if near else "far"
    return score(
        GOP,
        f"{seconds:.2f} {'closed' if facts.closed_gop else 'open'}",
        verdict,
        limit=f"{MAX_GOP_SECONDS:g} closed",
        message=f"gop.{message}",
        facts={"seconds": seconds, "longest": MAX_GOP_SECONDS},
    )


def _frame_rate(facts: ClipFacts, wanted: Fraction, miss: Verdict, mode: str) -> Score:
    good = facts.constant_rate and facts.fps == wanted
    message = "pass" if good else mode if facts.constant_rate else "variable"
    return score(
        FPS,
        f"{_rate(facts.fps)} {'constant' if facts.constant_rate else 'variable'}",
        "pass" if good else miss,
        limit=f"{_rate(wanted)} constant",
        message=f"fps.{message}",
        facts={"rate": float(facts.fps), "steady": float(wanted)},
    )


def _interlaced(facts: ClipFacts, miss: Verdict) -> Score:
    return score(
        FPS,
        f"{_rate(facts.fps)} interlaced",
        miss,
        limit="progressive",
        message="fps.interlaced",
    )


def _rate(fps: Fraction) -> str:
    return f"{fps}" if fps.denominator == 1 else f"{float(fps):.3f}"
