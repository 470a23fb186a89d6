"""A music or voice file → the sound of a clip: as long as it, faded, at YouTube's loudness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError

from vivant.errors import OptionError
from vivant.types import Samples, Sound
from vivant.video.container import CONTAINERS
from vivant.video.loudness import TARGET_LUFS, at_youtube_level, samples_of

RATE: Final = 48_000
"""Samples per second, as YouTube recommends."""

FORMATS: Final = f"{CONTAINERS},wav,w64,mp3,flac,aac,aiff,asf,amr,caf,ac3,eac3,wv,ape,tta,dsf,au"
"""Demuxers that may be used; playlists and device inputs are not among them."""

FADE_IN: Final = 0.01
"""Seconds: only so long that a cut wave does not click."""

FADE_OUT: Final = 0.5
"""Seconds, at most a quarter of what is heard."""

_LOUD_ENOUGH: Final = 0.3
"""LU below the target that need no word."""


@dataclass(frozen=True, slots=True, eq=False)
class SoundFile:
    """A file's sound, ready to be muxed.

    Attributes:
        notes: sentences that the user must read.
    """

    sound: Sound
    notes: tuple[str, ...] = ()


def load_sound(path: Path, seconds: float) -> SoundFile:
    """Read a file's beginning as a clip's sound: stereo, :data:`RATE`, exactly ``seconds`` long.

    It is cut to the clip, or followed by silence; fades in and out; and has the loudness that
    :func:`vivant.video.loudness.at_youtube_level` gives.

    Raises:
        OptionError: missing, no sound in it, unreadable, or silent.
    """
    wanted = round(seconds * RATE)
    samples = _decoded(path, wanted)
    heard = min(wanted, samples.shape[1])
    notes = []
    if wanted - heard > RATE / 100:
        notes.append(
            f"The sound {path.name} is {heard / RATE:.2f} s long and the clip {seconds:.2f} s: the "
            "rest is silent."
        )
    faded = Sound(_faded(samples[:, :heard]), RATE)
    sound, found = at_youtube_level(fitted(faded, seconds))
    if found.true_peak == -inf:
        raise OptionError(
            f"the first {heard / RATE:.2f} s of {path.name} are silent: cut the file so that it "
            "begins where it should be heard",
            param="sound",
        )
    if found.integrated == -inf:
        notes.append(
            f"The sound {path.name} is too short or too quiet to have a loudness: its level was "
            "kept."
        )
    elif found.integrated < TARGET_LUFS - _LOUD_ENOUGH:
        notes.append(
            f"The sound has {found.integrated:.1f} LUFS, and not {TARGET_LUFS:g}: its peaks leave "
            "no room for more."
        )
    return SoundFile(sound, tuple(notes))


def fitted(sound: Sound, seconds: float) -> Sound:
    """``sound``, cut or followed by silence, so that it lasts ``seconds``."""
    wanted = round(seconds * sound.rate)
    samples = sound.samples[:, :wanted]
    silence = ((0, 0), (0, wanted - samples.shape[1]))
    return Sound(np.pad(samples, silence), sound.rate)


def _faded(samples: Samples) -> Samples:
    """Raised-cosine fades at both ends."""
    length = samples.shape[1]
    rising = min(round(FADE_IN * RATE), length // 4)
    falling = min(round(FADE_OUT * RATE), length // 4)
    gain = np.ones(length, np.float32)
    gain[:rising] = _half_cosine(rising)
    gain[length - falling :] = _half_cosine(falling)[::-1]
    return np.asarray(samples * gain, np.float32)


def _half_cosine(length: int) -> Samples:
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(length) / max(1, length))).astype(np.float32)


def _decoded(path: Path, wanted: int) -> Samples:
    """Stereo samples of the file's beginning: ``wanted`` of them, or as many as there are."""
    resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
    pieces: list[Samples] = []
    count = 0
    with _opened(path) as (container, stream):
        try:
            for frame in container.decode(stream):
                for piece in resampler.resample(frame):
                    pieces.append(samples_of(piece))
                    count += piece.samples
                if count >= wanted:
                    break
            else:
                pieces += [samples_of(piece) for piece in resampler.resample(None)]
        except (FFmpegError, ValueError) as error:
            raise _unusable(
                path, f"breaks off after {count / RATE:.1f} s: it is damaged; export it again"
            ) from error
    if not count:
        raise _unusable(path, "has a sound track with nothing in it: choose another file")
    return np.concatenate(pieces, axis=1)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, AudioStream]]:
    """The container and its first sound track."""
    if not path.exists():
        raise _unusable(path, "does not exist: check its path")
    if not path.is_file():
        raise _unusable(path, "is not a file: name one sound file")
    if path.stat().st_size == 0:
        raise _unusable(path, "is empty (0 bytes): export it again")
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}; check its permissions") from error
    with file:
        try:
            # A file object, not a name: nothing else can be opened from inside the demuxer.
            container = av.open(
                file, "r", options={"format_whitelist": FORMATS, "protocol_whitelist": ""}
            )
        except (FFmpegError, ValueError) as error:
            raise _unusable(
                path,
                "is not a sound file that can be read (MP3, WAV, FLAC, M4A, OGG and the sound of "
                "videos can): export it as WAV",
            ) from error
        with container:
            streams = [s for s in container.streams.audio if s.codec_context.is_decoder]
            if not streams:
                raise _unusable(path, "has no sound that can be decoded: choose another file")
            yield container, streams[0]


def _unusable(path: Path, why: str) -> OptionError:
    return OptionError(f"sound {path} {why}", param="sound")
