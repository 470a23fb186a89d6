"""What the sound of a finished clip measures: it is decoded for that, the pictures are not."""

from __future__ import annotations

from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.error import FFmpegError

from vivant.types import Samples, Sound, SoundFacts
from vivant.video.container import open_container
from vivant.video.loudness import measure, samples_of

LONGEST: Final = 600
"""Seconds that are measured; of longer sound, the beginning."""

MAX_RATE: Final = 384_000
"""Samples per second; above it a track is taken for broken."""


def sound_facts(path: Path, first_frame: Fraction) -> SoundFacts | None:
    """Facts of the first sound track of a clip; None where it has none.

    Args:
        path: of a clip that can be opened.
        first_frame: when the first frame is shown, seconds.
    """
    with open_container(path) as (container, _):
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        codec = stream.codec_context
        rate, channels = codec.sample_rate, codec.channels
        pieces: list[Samples] = []
        start, whole = 0.0, False
        # players leave out what fills the last packet
        longest = float((stream.duration or 0) * (stream.time_base or 0)) or inf
        if codec.is_decoder and 0 < rate <= MAX_RATE and channels > 0:
            resampler = av.AudioResampler(
                format="fltp", layout="mono" if channels == 1 else "stereo", rate=rate
            )
            left = LONGEST * rate
            try:
                for frame in container.decode(stream):
                    if not pieces:
                        start = float((frame.time or 0.0) - first_frame)
                    pieces += [samples_of(piece) for piece in resampler.resample(frame)]
                    left -= frame.samples
                    if left <= 0:
                        break
                pieces += [samples_of(piece) for piece in resampler.resample(None)]
                whole = bool(pieces)
            except (FFmpegError, ValueError):
                whole = False
    seconds, loudness, true_peak = 0.0, -inf, -inf
    if pieces:
        sound = Sound(np.concatenate(pieces, axis=1), rate)
        found = measure(sound)
        seconds = min(sound.seconds, longest)
        loudness, true_peak = found.integrated, found.true_peak
    return SoundFacts(
        codec=codec.codec.canonical_name if codec.is_decoder else "unknown",
        rate=rate,
        channels=channels,
        start=start,
        seconds=seconds,
        loudness=None if loudness == -inf else loudness,
        true_peak=None if true_peak == -inf else true_peak,
        broken=not whole,
    )
