"""Sound → the AAC track of an MP4."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer

from vivant.types import Sound
from vivant.video.loudness import audio_frame

BITS_PER_SAMPLE: Final = 4
"""Of each channel: 384 kbit/s for stereo at 48 kHz, YouTube's recommendation."""


class SoundTrack:
    """The sound track of a file that is being written.

    Args:
        container: nothing has been muxed yet.
        sound: one or two channels.
    """

    def __init__(self, container: OutputContainer, sound: Sound) -> None:
        layout = "mono" if sound.channels == 1 else "stereo"
        self._sound = sound
        self._stream = container.add_stream("aac", rate=sound.rate, layout=layout)
        self._stream.bit_rate = BITS_PER_SAMPLE * sound.rate * sound.channels

    def packets(self) -> Iterator[av.Packet[AudioStream]]:
        """All packets, in order. AAC's first 1,024 samples are before 0 s."""
        yield from self._stream.encode(audio_frame(self._sound.samples, self._sound.rate, 0))
        yield from self._stream.encode(None)
