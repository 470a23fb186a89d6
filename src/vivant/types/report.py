"""What is known of finished clips: times, price, files, verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vivant.types.clip import Stage
from vivant.types.engine import EngineInfo
from vivant.types.picture import Box, Source
from vivant.types.verification import Verdict, Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """Wall seconds that a clip spent on a stage; those of all stages add up to its total.

    Stages overlap. What overlaps is counted once, for the stage that the clip waited for.
    """

    stage: Stage
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The cost of a clip at the rate of the device that made it.

    Attributes:
        rate: US dollars per second of ``device``.
        exchange_rate: units of ``currency`` per US dollar.
    """

    device: str
    seconds: float
    rate: float
    usd: float
    currency: str
    exchange_rate: float
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RareClip:
    """What a clip costs if its container is started for it alone.

    Computed from measured starts: the container itself is not told whether it was started for
    this clip, nor when it will stop.

    Attributes:
        start_seconds: from the container's start until it can make a clip.
        waiting_seconds: from the clip's end until the container stops.
        amount: in ``currency``, of the start, the clip and the waiting.
    """

    start_seconds: float
    waiting_seconds: float
    usd: float
    currency: str
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything known about one finished clip. ``report.json`` holds it as JSON.

    Attributes:
        schema_version: raised whenever a field changes meaning or goes away.
        created_at: ISO 8601, UTC.
        settings: the request without the picture.
        crop: what was shown, in pixels of the upright picture file.
        seconds: wall time of the whole job.
        peak_memory_mb: largest resident memory of this process, MB (10**6 bytes).
        bill: None if the device has no rate; a warning then says how to set one.
        files: role (``clip``, ``thumbnail``, ``contact_sheet``, …) → file name beside the report.
        credentials: ``signed``; ``reason`` why not; ``content_sha256``, that of the clip without
            its signature, the same for the same seed; ``signer`` and more of a signed clip.
        rare_clip: None where no container was started for clips.
    """

    schema_version: int
    vivant_version: str
    created_at: str
    settings: Mapping[str, Any]
    source: Source
    crop: Box
    faces: int
    engine: EngineInfo
    upscaler: str
    verification: Verification
    stages: tuple[StageTime, ...]
    seconds: float
    peak_memory_mb: float
    bill: Bill | None
    files: Mapping[str, str]
    warnings: tuple[str, ...]
    versions: Mapping[str, str]
    credentials: Mapping[str, Any] = field(default_factory=dict)
    rare_clip: RareClip | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished clip: its files and its report. ``page`` is the report as HTML."""

    clip: Path
    thumbnail: Path
    contact_sheet: Path
    page: Path
    report_file: Path
    report: Report

    @property
    def verdict(self) -> Verdict:
        """The clip's overall verdict."""
        return self.report.verification.verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """One of several clips of one picture.

    Attributes:
        result: None if the clip could not be made; ``reason`` says why.
        seconds: its own time and its share of the common work.
    """

    seed: int
    result: Result | None
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Clips of one picture that differ by their seed.

    Attributes:
        takes: in the order of the seeds.
        page: all clips of the folder side by side, for people.
        contact_sheet: frames of all of them.
        seconds: wall time of the whole call.
        bill: of these seconds; None if the device has no rate.
    """

    takes: tuple[Take, ...]
    page: Path
    contact_sheet: Path
    seconds: float
    bill: Bill | None
