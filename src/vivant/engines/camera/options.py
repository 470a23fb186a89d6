"""What a user may choose about the camera's move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeAlias, get_args

from vivant.errors import OptionError

Move: TypeAlias = Literal["auto", "push_in", "drift", "orbit"]
"""``push_in`` goes towards the face, ``drift`` passes by it, ``orbit`` goes round it."""

MOVES: tuple[str, ...] = get_args(Move)

MIN_STRENGTH, MAX_STRENGTH = 0.25, 2.0
"""Below, nobody sees a move in 4 s; above, it is no longer subtle."""

MAX_PARALLAX = 0.03
"""Share of the width; above, the picture behind the subject would have to be made up."""


MIN_SCALE = 0.25
"""Below, a 1080p clip would be drawn with fewer pixels than a thumbnail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """``Request.options`` of the camera engine.

    Attributes:
        move: see :data:`Move`; ``auto`` lets the seed pick.
        strength: 0.25 … 2; multiplies how far the camera goes. 1 is a 6 % push-in in 4 s.
        parallax: 0 … 0.03; how far the background may shift against the subject over the clip,
            as a share of the width. 0 moves the whole picture as one plane.
        scale: 0.25 … 1; frames leave the engine this much smaller than asked, to be upscaled.
            1 draws at the target's size; less is for comparing upscalers.
    """

    move: Move = "auto"
    strength: float = 1.0
    parallax: float = 0.012
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.move not in MOVES:
            raise OptionError(
                f"move {self.move!r} is not one of {', '.join(MOVES)}: pick one of these",
                param="move",
            )
        _check_number("strength", self.strength, MIN_STRENGTH, MAX_STRENGTH)
        _check_number("parallax", self.parallax, 0.0, MAX_PARALLAX)
        _check_number("scale", self.scale, MIN_SCALE, 1.0)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Even sides to draw at for a clip of ``width`` × ``height``."""
        return round(width * self.scale / 2) * 2, round(height * self.scale / 2) * 2

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> CameraOptions:
        """Read ``Request.options``; numbers may come as text, as from a command line.

        Raises:
            OptionError: a name or value this engine does not have.
        """
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise OptionError(
                    f"the camera engine has no option {name!r}: it has {', '.join(known)}",
                    param=str(name),
                )
        return cls(**{name: _number_or_text(value) for name, value in options.items()})


def _number_or_text(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _check_number(name: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise OptionError(
            f"{name} {value!r} is not a number in {low:g}…{high:g}: leave it out for the default",
            param=name,
        )
