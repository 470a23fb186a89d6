"""How a clip longer than one pass of the model is divided (no torch).

Each pass after the first continues from the last frames of the one before, so those frames are made
twice: segments overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from vivant.engines.ltx2.recipes import MAX_FRAMES, TEMPORAL_FACTOR
from vivant.errors import OptionError
from vivant.types import Request

MAX_SECONDS: Final = 20
"""Longest clip. Each continuation starts from what the model made itself, so small errors add up;
longer clips were not judged."""

OVERLAP: Final = 3
"""Latent frames, after the first one, that two segments share at least: 25 frames, 1 s at 24 fps.
Lightricks' samplers for long clips share 16 to 24 frames (ComfyUI-LTXVideo)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One pass of the model.

    Attributes:
        first: frame of the clip that its frame 0 is.
        num_frames: that the pass makes, 8k + 1.
        overlap: how many of them, from its frame 0 on, the segment before makes too; 0 for the
            first segment, else 8k + 1.
    """

    first: int
    num_frames: int
    overlap: int


def longest(fps: Fraction) -> int:
    """Most frames of a clip: 20 s, and what one pass makes at low frame rates."""
    return max(MAX_FRAMES, int(MAX_SECONDS * fps) // TEMPORAL_FACTOR * TEMPORAL_FACTOR + 1)


def check_length(request: Request) -> None:
    """Refuse lengths that LTX-2 cannot make, and sound that it cannot make for such a length.

    Raises:
        OptionError: not 8k + 1 frames, fewer than 9, more than :func:`longest`, or more than one
            pass with sound.
    """
    num_frames, most = request.num_frames, longest(request.fps)
    if num_frames > most:
        raise OptionError(
            f"{num_frames} frames are {float((num_frames - 1) / request.fps):.4g} s: LTX-2 makes "
            f"at most {MAX_SECONDS} s, {most} frames at {float(request.fps):g} fps",
            param="num_frames",
        )
    if num_frames % TEMPORAL_FACTOR != 1 or num_frames < 9:
        below = max(9, (num_frames - 1) // TEMPORAL_FACTOR * TEMPORAL_FACTOR + 1)
        above = below + TEMPORAL_FACTOR
        nearest = f"{below} or {above}" if above <= most else f"{below}"
        raise OptionError(
            f"LTX-2 makes 8k+1 frames (9…{most}), not {num_frames}: use {nearest}",
            param="num_frames",
        )
    if request.sound is True and num_frames > MAX_FRAMES:
        raise OptionError(
            f"LTX-2 makes the sound of one pass of at most {MAX_FRAMES} frames, not of "
            f"{num_frames}: make a shorter clip, or one without its own sound (a music or voice "
            "file may be as long as the clip)",
            param="num_frames",
        )


def segments_of(num_frames: int) -> tuple[Segment, ...]:
    """The passes of a clip: as few as possible, all of one length.

    Equal lengths, so that what is compiled or recorded for the first pass serves the others; what
    that makes too many lengthens the overlaps.

    Args:
        num_frames: 8k + 1.
    """
    latents = (num_frames - 1) // TEMPORAL_FACTOR  # after the first, which holds one frame
    most = (MAX_FRAMES - 1) // TEMPORAL_FACTOR
    count = max(1, -(-(latents - OVERLAP) // (most - OVERLAP)))
    length = -(-(latents + (count - 1) * OVERLAP) // count)
    spare = count * length - latents
    segments, end = [], 0
    for number in range(count):
        shared = 0
        if number:
            shared = spare // (count - 1) + (number <= spare % (count - 1))
        first = end - shared
        segments.append(
            Segment(
                first=first * TEMPORAL_FACTOR,
                num_frames=length * TEMPORAL_FACTOR + 1,
                overlap=shared * TEMPORAL_FACTOR + 1 if number else 0,
            )
        )
        end = first + length
    return tuple(segments)
