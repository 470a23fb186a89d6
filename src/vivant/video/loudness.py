"""Loudness and peak of sound, by FFmpeg's own meters; and the gain that YouTube's level takes.

Loudness is that of ITU-R BS.1770-4 (K-weighted, gated), measured by libavfilter's ``ebur128``; true
peak is its fourfold oversampled one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import inf, log10
from typing import Final

import av
import av.filter
import numpy as np

from vivant.types import Samples, Sound

TARGET_LUFS: Final = -14.0
"""Where YouTube plays music and voice: louder sound is turned down to it, none is turned up."""

PEAK_DBTP: Final = -1.0
"""True peak that a file may have (EBU R 128 and YouTube's own advice): AAC overshoots a little."""

_AAC_ROOM: Final = 0.5
"""dB below :data:`PEAK_DBTP` that is kept before encoding; at 384 kbit/s AAC took 0.2 of them."""

SILENT_LUFS: Final = -70.0
"""BS.1770-4's absolute gate: nothing below it counts as sound."""

_ATTACK_MS: Final = 5
_RELEASE_MS: Final = 80
_OVERSAMPLED: Final = 4
_TRIES: Final = 6
_CLOSE: Final = 0.05
"""LU from the target that are good enough."""

_PIECE: Final = 48_000
"""Samples that go through a filter at once."""


@dataclass(frozen=True, slots=True)
class Loudness:
    """What a sound measures.

    Attributes:
        integrated: LUFS over the whole; −inf where nothing is above the gate, which takes 0.4 s.
        true_peak: dBTP, highest of all channels; −inf for digital silence.
    """

    integrated: float
    true_peak: float


def measure(sound: Sound) -> Loudness:
    """Loudness and true peak of a whole sound."""
    integrated = true_peak = -inf
    # the meter answers every 100 ms: silence lets it finish the last tenth
    tail = np.zeros((sound.channels, sound.rate // 10), np.float32)
    for frame in _filtered(_pieces(sound, tail), sound, "ebur128", "peak=true:metadata=1"):
        told = frame.metadata
        if "lavfi.r128.I" in told:  # the last frame, which is shorter, has none
            integrated = float(told["lavfi.r128.I"])
            peak = float(told["lavfi.r128.true_peak"])
            true_peak = 20 * log10(peak) if peak > 0 else -inf
    return Loudness(-inf if integrated <= SILENT_LUFS else integrated, true_peak)


def amplified(sound: Sound, decibels: float) -> Sound:
    """``sound``, louder or quieter."""
    factor = np.float32(10 ** (decibels / 20))
    return replace(sound, samples=sound.samples * factor)


def at_youtube_level(sound: Sound) -> tuple[Sound, Loudness]:
    """``sound`` at :data:`TARGET_LUFS`, with no true peak above :data:`PEAK_DBTP` after encoding.

    Peaks that are in the way are limited. A sound too short to have a loudness (0.4 s) is only
    turned down.

    Returns:
        The sound, and what it measures.
    """
    most = PEAK_DBTP - _AAC_ROOM
    before = measure(sound)
    gain = TARGET_LUFS - before.integrated if before.integrated > -inf else 0.0
    made, found = sound, before
    for _ in range(_TRIES):
        made = amplified(sound, gain)
        found = Loudness(before.integrated + gain, before.true_peak + gain)
        if found.true_peak > most:
            made = _limited(made, most)
            found = measure(made)
        if before.integrated == -inf or abs(found.integrated - TARGET_LUFS) < _CLOSE:
            break
        gain += TARGET_LUFS - found.integrated
    if found.true_peak > most:  # resampling rings a little after the limiter
        made = amplified(made, most - found.true_peak)
        found = measure(made)
    return made, found


def _limited(sound: Sound, ceiling: float) -> Sound:
    """``sound`` with true peaks of at most ``ceiling`` dB, by a limiter that looks ahead."""
    wide = sound.rate * _OVERSAMPLED
    limit = 10 ** (ceiling / 20)
    limiter = (
        f"level=disabled:limit={limit:.4f}:attack={_ATTACK_MS}:release={_RELEASE_MS}:latency=1"
    )
    frames = _filtered(
        _pieces(sound),
        sound,
        *("aresample", f"{wide}"),
        *("alimiter", limiter),
        *("aresample", f"{sound.rate}"),
        *("aformat", "sample_fmts=fltp"),
    )
    out = np.concatenate([samples_of(frame) for frame in frames], axis=1)
    length = sound.samples.shape[1]
    return Sound(np.pad(out[:, :length], ((0, 0), (0, max(0, length - out.shape[1])))), sound.rate)


def samples_of(frame: av.AudioFrame) -> Samples:
    """Samples of a planar float frame."""
    return np.asarray(frame.to_ndarray(), np.float32)


def audio_frame(samples: Samples, rate: int, at: int) -> av.AudioFrame:
    """``[channels, n]`` float32 that begin at sample ``at``, for FFmpeg."""
    layout = "mono" if len(samples) == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
    frame.sample_rate = rate
    frame.pts = at
    frame.time_base = Fraction(1, rate)
    return frame


def _pieces(sound: Sound, *more: Samples) -> Iterator[av.AudioFrame]:
    at = 0
    for samples in (sound.samples, *more):
        for start in range(0, samples.shape[1], _PIECE):
            piece = samples[:, start : start + _PIECE]
            yield audio_frame(piece, sound.rate, at)
            at += piece.shape[1]


def _filtered(
    frames: Iterator[av.AudioFrame], sound: Sound, *filters: str
) -> Iterator[av.AudioFrame]:
    """Frames after a chain of filters: name, arguments, name, arguments and so on."""
    graph = av.filter.Graph()
    layout = "mono" if sound.channels == 1 else "stereo"
    node = graph.add_abuffer(
        sample_rate=sound.rate, format="fltp", layout=layout, time_base=Fraction(1, sound.rate)
    )
    for name, arguments in zip(filters[::2], filters[1::2], strict=True):
        following = graph.add(name, arguments)
        node.link_to(following)
        node = following
    node.link_to(graph.add("abuffersink"))
    graph.configure()
    for frame in frames:
        graph.push(frame)
        yield from _ready(graph)
    graph.push(None)
    yield from _ready(graph)


def _ready(graph: av.filter.Graph) -> Iterator[av.AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        if isinstance(frame, av.AudioFrame):
            yield frame
