"""What the checks say of a clip."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, TypeAlias

from vivant.types.picture import Box

Verdict: TypeAlias = Literal["pass", "warn", "fail", "not_measured"]

Group: TypeAlias = Literal["fidelity", "quality", "ai_feel", "delivery", "performance"]
"""The five headings of the creator's checklist."""

CHECKED_FRACTIONS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Positions in the clip that the user checks: frames 0, 24, 48, 72 and 96 of 97."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One result of the checklist.

    Attributes:
        name: stable snake_case identifier, e.g. ``identity_min``.
        group: its heading in the checklist.
        value: what was measured; None if nothing was.
        limit: what ``value`` was compared with; None if ``value`` is for information only.
        unit: of value and limit; empty for ratios.
        verdict: pass, warn, fail or not_measured.
        reason: one plain sentence, in English, that stands by itself.
        frame: index of the worst frame, if a single one is the cause.
        region: the part of that frame to look at, in pixels of the clip.
        series: ``(frame index, value)`` over the clip, for plots; may be empty.
        facts: the numbers inside ``reason``, so that other languages can be written from them.
    """

    name: str
    group: Group
    value: float | str | None
    limit: float | str | None
    unit: str
    verdict: Verdict
    reason: str
    frame: int | None = None
    region: Box | None = None
    series: tuple[tuple[int, float], ...] = ()
    facts: Mapping[str, float | str] = field(default_factory=dict)


def overall(scores: tuple[Score, ...]) -> Verdict:
    """The worst verdict: one fail fails, one warn warns; nothing measured is ``not_measured``."""
    verdicts = {score.verdict for score in scores}
    for verdict in ("fail", "warn", "pass"):
        if verdict in verdicts:
            return verdict
    return "not_measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFacts:
    """Properties of a finished clip's first sound track, which was decoded for them.

    Attributes:
        codec: ``aac``, ….
        rate: samples per second.
        start: seconds from the first frame to the first sample that is heard.
        seconds: length of what is heard.
        loudness: integrated, LUFS (ITU-R BS.1770-4); None where nothing is above its gate.
        true_peak: dBTP; None for digital silence.
        broken: it could not be decoded to its end.
    """

    codec: str
    rate: int
    channels: int
    start: float
    seconds: float
    loudness: float | None
    true_peak: float | None
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFacts:
    """Properties of a finished clip, read from its file.

    Attributes:
        constant_rate: every frame lasts exactly ``1 / fps``.
        closed_gop: every random-access point is an IDR picture.
        moov_first: the index is before the media data (``faststart``).
        edit_list: a player is told to skip or delay something.
        max_gop: longest distance between random-access points, frames.
        width: as shown: upright, and with square pixels.
        height: as ``width``.
        pixel_aspect: width of a stored pixel over its height.
        interlaced: a frame holds two fields of different times.
        sound: None where there is none.
    """

    size_bytes: int
    container: str
    codec: str
    profile: str
    pixel_format: str
    width: int
    height: int
    fps: Fraction
    num_frames: int
    seconds: float
    bit_rate: int
    color_primaries: str
    color_transfer: str
    color_space: str
    color_range: str
    constant_rate: bool
    closed_gop: bool
    max_gop: int
    moov_first: bool
    edit_list: bool
    audio: bool
    pixel_aspect: Fraction = Fraction(1)
    interlaced: bool = False
    sound: SoundFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """All scores of one clip against one picture, with the verdict over them.

    ``not_measured`` scores are ignored, except identity: a clip whose face could not be compared
    with the picture's is never called good.
    """

    scores: tuple[Score, ...]
    facts: ClipFacts
    warnings: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """See :func:`overall`; at best ``warn`` if the face was not compared with the picture's."""
        found = overall(self.scores)
        return "warn" if found == "pass" and not self.knows_person else found

    @property
    def knows_person(self) -> bool:
        """Whether the face was compared with the picture's."""
        return all(s.verdict != "not_measured" for s in self.scores if s.name == "identity_mean")
