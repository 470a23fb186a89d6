"""Vivant's data types, and the protocols of engines and upscalers. No torch, no I/O.

::

    request.py        what a user asks for
    picture.py        a picture, its faces, and the part that is shown
    clip.py           frames that stream from engine to encoder, and progress
    engine.py         the protocols of engines and upscalers
    verification.py   what the checks say
    report.py         times, price and files of finished clips

Pixels are ``uint8`` sRGB, full range, channels last, ``[H, W, 3]`` for a
picture and ``[T, H, W, 3]`` for frames; boxes and landmarks are in pixels, x right, y down,
origin at the top-left corner of the top-left pixel.
"""

from __future__ import annotations

from vivant.types.clip import (
    Clip,
    Frames,
    Observer,
    Progress,
    Samples,
    Sound,
    Stage,
    YuvClip,
    YuvFrames,
    ignore_progress,
)
from vivant.types.engine import Engine, EngineInfo, EngineOfMany, Upscaler, YuvUpscaler, several
from vivant.types.picture import Box, Face, Image, Portrait, Source
from vivant.types.report import Bill, RareClip, Report, Result, Series, StageTime, Take
from vivant.types.request import (
    DEFAULT_ENGINE,
    DEFAULT_NEGATIVE_PROMPT,
    DEFAULT_PROMPT,
    ENGINES_WITH_LAST,
    ENGINES_WITH_SOUND,
    Quality,
    Request,
)
from vivant.types.verification import (
    CHECKED_FRACTIONS,
    ClipFacts,
    Group,
    Score,
    SoundFacts,
    Verdict,
    Verification,
    overall,
)

__all__ = [
    "CHECKED_FRACTIONS",
    "DEFAULT_ENGINE",
    "DEFAULT_NEGATIVE_PROMPT",
    "DEFAULT_PROMPT",
    "ENGINES_WITH_LAST",
    "ENGINES_WITH_SOUND",
    "Bill",
    "Box",
    "Clip",
    "ClipFacts",
    "Engine",
    "EngineInfo",
    "EngineOfMany",
    "Face",
    "Frames",
    "Group",
    "Image",
    "Observer",
    "Portrait",
    "Progress",
    "Quality",
    "RareClip",
    "Report",
    "Request",
    "Result",
    "Samples",
    "Score",
    "Series",
    "Sound",
    "SoundFacts",
    "Source",
    "Stage",
    "StageTime",
    "Take",
    "Upscaler",
    "Verdict",
    "Verification",
    "YuvClip",
    "YuvFrames",
    "YuvUpscaler",
    "ignore_progress",
    "overall",
    "several",
]
