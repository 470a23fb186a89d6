"""What a user may choose about how the person lives, and what a prompt chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias, get_args

from pydantic import Field

from vivant.engines.engine_options import EngineOptions, Number

Preset: TypeAlias = Literal["calm", "attentive", "warm", "portrait-still"]

PRESETS: Final[tuple[str, ...]] = get_args(Preset)


@dataclass(frozen=True, slots=True)
class MotionAmounts:
    """How much of each movement a preset has, at strength 1.

    Attributes:
        yaw: largest turn of the head, degrees.
        pitch: largest nod, degrees.
        roll: largest tilt, degrees.
        breath: rise of the shoulders, share of the face's height.
        gaze: largest shift of an iris, share of the eye's width.
        brow: rise of the brows, share of the face's height.
        smile: rise of the mouth's corners, share of the face's height.
        pause: seconds from one turn to the next, about.
        blink: seconds from one blink to the next, about.
        camera: strength of the camera's move.
    """

    yaw: float
    pitch: float
    roll: float
    breath: float
    gaze: float
    brow: float
    smile: float
    pause: float
    blink: float
    camera: float


PRESET_AMOUNTS: Final[Mapping[str, MotionAmounts]] = {
    "calm": MotionAmounts(3.0, 1.2, 0.7, 0.030, 0.035, 0.004, 0.003, 2.2, 3.2, 0.4),
    "attentive": MotionAmounts(3.5, 1.8, 0.9, 0.028, 0.060, 0.012, 0.002, 1.5, 2.6, 0.4),
    "warm": MotionAmounts(3.0, 1.5, 1.3, 0.032, 0.040, 0.008, 0.012, 2.0, 3.0, 0.5),
    "portrait-still": MotionAmounts(0.9, 0.5, 0.3, 0.026, 0.0, 0.0, 0.0, 2.6, 3.6, 0.3),
}

PRESET_KEYWORDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "portrait-still",
        (
            "almost still",
            "nearly still",
            "barely",
            "motionless",
            "거의 정지",
            "정지",
            "움직임 없이",
        ),
    ),
    (
        "warm",
        ("smil", "warm", "friendly", "happy", "gentle expression", "미소", "웃", "따뜻", "행복"),
    ),
    (
        "attentive",
        (
            "attentive",
            "curious",
            "listen",
            "look around",
            "alert",
            "집중",
            "경청",
            "두리번",
            "호기심",
        ),
    ),
    (
        "calm",
        (
            "subtle",
            "calm",
            "slow",
            "breath",
            "blink",
            "은은",
            "차분",
            "잔잔",
            "천천히",
            "숨",
            "깜빡",
        ),
    ),
)
"""Preset → words of a prompt that ask for it; the first that matches wins."""


class LivingOptions(EngineOptions):
    """``Request.options`` of the living engine.

    Attributes:
        preset: how much moves, see :data:`PRESET_AMOUNTS`; ``auto`` lets the prompt choose.
        strength: 0 … 2; multiplies every movement but the blink. 0 keeps the person still.
        blink: whether the eyes blink.
        breath: 0 … 2; multiplies the breath.
        turn: 0 … 2; multiplies turn, nod and tilt of the head.
        gaze: 0 … 2; multiplies the shifts of the gaze.
        expression: 0 … 2; multiplies the hint at brows and mouth corners.
        camera: 0 … 2; multiplies the camera's move.
        loop: the last frame leads into the first.
        scale: 0.25 … 1; frames leave the engine this much smaller, to be upscaled.
    """

    engine: ClassVar[str] = "living"
    elsewhere: ClassVar[Mapping[str, str]] = {"move": "camera", "parallax": "camera"}

    preset: Literal["auto", "calm", "attentive", "warm", "portrait-still"] = "auto"
    strength: Number = Field(default=1.0, ge=0, le=2)
    blink: bool = True
    breath: Number = Field(default=1.0, ge=0, le=2)
    turn: Number = Field(default=1.0, ge=0, le=2)
    gaze: Number = Field(default=1.0, ge=0, le=2)
    expression: Number = Field(default=1.0, ge=0, le=2)
    camera: Number = Field(default=1.0, ge=0, le=2)
    loop: bool = False
    scale: Number = Field(default=1.0, ge=0.25, le=1)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Even sides to draw at for a clip of ``width`` × ``height``."""
        return round(width * self.scale / 2) * 2, round(height * self.scale / 2) * 2


def choose_preset(options: LivingOptions, prompt: str) -> tuple[str, str]:
    """The preset, and a sentence that says who chose it."""
    if options.preset != "auto":
        return options.preset, f"Preset {options.preset}, as asked."
    lower = prompt.lower()
    for preset, words in PRESET_KEYWORDS:
        for word in words:
            if word in lower:
                return preset, f"Preset {preset}, from “{word}” in the prompt."
    return "calm", "Preset calm, the default."
