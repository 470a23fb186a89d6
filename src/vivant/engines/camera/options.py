"""What a user may choose about the camera's move."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from pydantic import Field

from vivant.engines.engine_options import EngineOptions, Number

Move: TypeAlias = Literal["auto", "push_in", "drift", "orbit"]
"""``push_in`` goes towards the face, ``drift`` passes by it, ``orbit`` goes round it."""

MIN_STRENGTH, MAX_STRENGTH = 0.25, 2.0
"""Below, nobody sees a move in 4 s; above, it is no longer subtle."""

MAX_PARALLAX = 0.03
"""Share of the width; above, the picture behind the subject would have to be made up."""

MIN_SCALE = 0.25
"""Below, a 1080p clip would be drawn with fewer pixels than a thumbnail."""


class CameraOptions(EngineOptions):
    """``Request.options`` of the camera engine.

    Attributes:
        move: see :data:`Move`; ``auto`` lets the seed pick.
        strength: 0.25 … 2; multiplies how far the camera goes. 1 is a 6 % push-in in 4 s.
        parallax: 0 … 0.03; how far the background may shift against the subject over the clip,
            as a share of the width. 0 moves the whole picture as one plane.
        scale: 0.25 … 1; frames leave the engine this much smaller than asked, to be upscaled.
            1 draws at the target's size; less is for comparing upscalers.
    """

    engine: ClassVar[str] = "camera"

    move: Move = "auto"
    strength: Number = Field(default=1.0, ge=MIN_STRENGTH, le=MAX_STRENGTH)
    parallax: Number = Field(default=0.012, ge=0, le=MAX_PARALLAX)
    scale: Number = Field(default=1.0, ge=MIN_SCALE, le=1)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Even sides to draw at for a clip of ``width`` × ``height``."""
        return round(width * self.scale / 2) * 2, round(height * self.scale / 2) * 2
