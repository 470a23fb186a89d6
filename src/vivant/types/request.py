"""What a user asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeAlias

from vivant.crop_area import CropArea, FocusPoint, Framing, Rotation

Quality: TypeAlias = Literal["draft", "standard", "high"]

DEFAULT_ENGINE = "living"
"""Brings a face to life; without a face it falls back to the camera engine."""

ENGINES_WITH_SOUND = frozenset({"ltx2", "fake"})
"""Engines that make sound of their own."""

ENGINES_WITH_LAST = frozenset({"ltx2"})
"""Engines that take a picture for the last frame."""

DEFAULT_PROMPT = "subtle motion"
"""The user's own prompt; it is short on purpose."""

DEFAULT_NEGATIVE_PROMPT = (
    "different person, different face, morphing, warping, distortion, wobbling, melting, "
    "ripple effect, face collapse, global motion, jelly effect, unstable, inconsistent, "
    "deformed face, displaced features, changing appearance, liquid effect, wave distortion, "
    "plastic skin, cartoonish, low quality, oversaturated, blurry, artificial, fake, synthetic, "
    "CG, rendered"
)
"""The user's negative prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The clip to make. The defaults are the user's own settings.

    Attributes:
        image: a path, or the bytes of an image file.
        prompt: what should happen; ``living`` only chooses a preset from it, and ``camera``
            does not use it.
        negative_prompt: what must not happen.
        num_frames: 1 … ``settings.max_frames``; LTX-2 needs 8k + 1.
        fps: frames per second, 1 … 120.
        width: of the finished clip, pixels, even.
        height: of the finished clip, pixels, even.
        seed: 0 … 2**63−1; the same seed gives the same frames.
        engine: ``living`` or ``camera`` (embedded), or ``ltx2``.
        upscaler: name of a pixel upscaler, or ``auto``.
        quality: sets the encoder's bit rate and speed.
        label: visible label: ``ko``, ``en`` or a text; empty: the settings' own, usually none.
        label_seconds: shown for the first seconds only; None: for the whole clip.
        sound: True: the engine's own (``ltx2`` alone has one); a music or voice file: that one,
            from its beginning.
        last: another picture of the same person, for the last frame; ``ltx2`` alone takes one.
        options: of one engine only (recipe, nag_scale, …); that engine checks them.
        crop: the part of the picture to show; chosen by the faces where None.
        focus: what should be in the middle of the largest crop, instead of ``crop``.
        rotate: degrees clockwise by which the picture is turned first.
    """

    image: Path | bytes
    prompt: str = DEFAULT_PROMPT
    negative_prompt: str = DEFAULT_NEGATIVE_PROMPT
    num_frames: int = 97
    fps: Fraction = Fraction(24)
    width: int = 1920
    height: int = 1080
    seed: int = 0
    engine: str = DEFAULT_ENGINE
    upscaler: str = "auto"
    quality: Quality = "standard"
    label: str = ""
    label_seconds: float | None = None
    sound: bool | Path = False
    last: Path | bytes | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    crop: CropArea | None = None
    focus: FocusPoint | None = None
    rotate: Rotation = 0

    @property
    def framing(self) -> Framing:
        """What was decided about the picture."""
        return Framing(self.crop, self.focus, self.rotate)

    @property
    def seconds(self) -> float:
        """Length of the clip."""
        return float(self.num_frames / self.fps)
