"""Draw a score over time as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 320
HEIGHT: Final = 96
LEFT: Final = 4
TOP: Final = 8
"""Viewbox units; the page scales them."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Everything a template needs to draw one series.

    Attributes:
        line: points of the polyline, ``"x,y x,y …"``.
        area: the same, closed along the bottom.
        limit_y: height of the limit's line; None where there is none.
        worst: ``(x, y)`` of the frame to blame; None without one.
        low: smallest value of the series.
        high: largest value of the series.
        last: index of the last frame on the time axis.
    """

    line: str
    area: str
    limit_y: float | None
    worst: tuple[float, float] | None
    low: float
    high: float
    last: int


def plot(
    series: Sequence[tuple[int, float]],
    limit: float | None,
    worst: int | None,
    num_frames: int,
) -> Plot:
    """Scale a series into the viewbox, the limit included: far from it, a curve shall look flat."""
    values = [value for _, value in series]
    least, most = low, high = min(values), max(values)
    if limit is not None:
        low, high = min(low, limit), max(high, limit)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    last = max(1, num_frames - 1)

    def place(index: float, value: float) -> tuple[float, float]:
        x = LEFT + (WIDTH - 2 * LEFT) * index / last
        y = TOP + (HEIGHT - 2 * TOP) * (high - value) / (high - low)
        return round(x, 1), round(y, 1)

    points = [place(index, value) for index, value in series]
    line = " ".join(f"{x},{y}" for x, y in points)
    bottom = HEIGHT - 1
    area = f"{points[0][0]},{bottom} {line} {points[-1][0]},{bottom}"
    at = next((place(i, v) for i, v in series if i == worst), None)
    return Plot(
        line, area, None if limit is None else place(0, limit)[1], at, least, most, num_frames - 1
    )
