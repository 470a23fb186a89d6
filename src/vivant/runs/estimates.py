"""How long a clip will take, from clips that were made before. The only formula for it.

Seconds grow in proportion to frames × pixels. That holds between clips of about the same size
(:data:`ALIKE`), because a part of a clip's time does not grow with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from vivant.engines import generated_frames
from vivant.types import Request

ALIKE = 4.0
"""Clips whose frames × pixels differ by no more than this factor are of about the same size."""

UNKNOWN = "not measured on this machine yet: the first clip tells"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """What one finished clip took.

    Attributes:
        seconds: wall time of the clip.
        pixels: frames × width × height; see :func:`vivant.engines.generated_frames`.
        device: it was made on.
        recipe: of the engine; empty where it has none.
    """

    seconds: float
    pixels: int
    device: str
    recipe: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a clip will take.

    Attributes:
        seconds: median; None where no such clip was made.
        low: the smallest that the clips looked at suggest.
        high: the largest.
        alike: they are of about the clip's size; where not, the figures are for display only.
        device: of the clips looked at; empty where there are none.
        basis: what the figures rest on.
    """

    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    alike: bool = False
    device: str = ""
    basis: str = UNKNOWN

    @property
    def reliable_seconds(self) -> float | None:
        """``seconds`` where they rest on clips of about this size; for decisions."""
        return self.seconds if self.alike else None


def request_pixels(request: Request) -> int:
    """Generated frames × width × height."""
    return generated_frames(request.engine, request.num_frames) * request.width * request.height


def request_recipe(request: Request) -> str:
    """The engine's recipe; empty where none was named."""
    return str(request.options.get("recipe", ""))


def estimate(measured: Iterable[Timing], request: Request) -> Estimate:
    """Scale the seconds of finished clips by frames × pixels.

    Args:
        measured: clips of the request's engine, newest first. Those of the same recipe are
            preferred, and then those of about this size.
        request: of the clip asked about.
    """
    known = list(measured)
    same = [timing for timing in known if timing.recipe == request_recipe(request)]
    rows = same or known
    pixels = request_pixels(request)
    near = [row for row in rows if 1 / ALIKE <= pixels / max(1, row.pixels) <= ALIKE]
    rows = near or rows
    if not rows:
        return Estimate()
    scaled = sorted(row.seconds * pixels / max(1, row.pixels) for row in rows)
    basis = f"measured here ({len(rows)} {'clip' if len(rows) == 1 else 'clips'})"
    if not same:
        basis += " with another recipe"
    if not near:
        basis += " of another size"
    return Estimate(
        seconds=float(median(scaled)),
        low=scaled[0],
        high=scaled[-1],
        alike=bool(near),
        device=rows[0].device,
        basis=basis,
    )
