"""How brightness, colour and contrast of a frame differ from the first frame's, as a whole.

Only flat cells of a thumbnail count, and of these the ones past which nothing has moved since: a
cell that shows another thing does not show another light. Every such cell gives its own answer. A
change of the whole picture changes all of them alike, so the answer is the smallest change that
:data:`AGREEING` of them share, and zero where they do not agree. A person who moves, a shadow or a
lamp in a corner changes fewer cells.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.median import median

Floats = npt.NDArray[np.float32]

AGREEING: Final = 0.65
"""Share of the flat cells that must change by at least the answer."""

STIRRED: Final = 0.03
"""Logarithm of brightness by which a cell changes from one frame to the next, beyond what most
cells do, where something moves past it."""

FLAT: Final = 0.6
"""Share of the cells that counts as flat, in the first frame and in this one."""

DARKEST: Final = 20.0
BRIGHTEST: Final = 240.0
"""Levels between which a cell can show that it got darker or brighter."""

FEWEST: Final = 30
"""Flat cells that can tell anything."""

LEFT: Final = 0.2
"""Share of the first frame's flat cells that must be left: where a camera turns away, the last ones
are those whose levels slide too slowly to be told from light."""

AWAY: Final = 18.0
"""Levels from the mean, from which a cell shows contrast."""

OFFSET: Final = 8.0
"""Levels that are added before logarithms are taken: black has no brightness to compare."""


class LightChange(NamedTuple):
    """Against the first frame, as logarithms; 0.01 is about one percent.

    Attributes:
        brightness: of the mean of red, green and blue.
        red: of red over green.
        blue: of blue over green.
        contrast: of the distances from the mean brightness.
    """

    brightness: float
    red: float
    blue: float
    contrast: float


class FirstLight(NamedTuple):
    """Of the first frame.

    Attributes:
        cells: ``[h, w, 3]`` levels.
        flat: ``[h, w]``; cells without much gradient, neither dark nor burnt out.
    """

    cells: Floats
    flat: npt.NDArray[np.bool_]


def first_light(cells: Floats) -> FirstLight:
    """Prepare the first frame's thumbnail, ``[h, w, 3]`` levels."""
    means = cells.mean(axis=-1)
    seen = (means > DARKEST) & (means < BRIGHTEST)
    return FirstLight(cells, _flat(means) & seen)


def light_change(
    first: FirstLight, cells: Floats, still: npt.NDArray[np.bool_]
) -> LightChange | None:
    """Compare a thumbnail of the same size with the first frame's, where it is still ``still``.

    None where too few cells can tell.
    """
    here = cells.mean(axis=-1)
    where = first.flat & still & _flat(here)
    one, other = first.cells[where], cells[where]
    if len(one) < max(FEWEST, LEFT * np.count_nonzero(first.flat)):
        return None
    ratios = np.log((other + OFFSET) / (one + OFFSET))
    x, y = one.mean(axis=-1), other.mean(axis=-1)
    brightness = np.log((y + OFFSET) / (x + OFFSET))
    return LightChange(
        shared(brightness),
        shared(ratios[:, 0] - ratios[:, 1]),
        shared(ratios[:, 2] - ratios[:, 1]),
        _contrast(x, y, float(first.cells.mean())),
    )


def still_cells(before: npt.NDArray[np.floating], now: npt.NDArray[np.floating]) -> bytes:
    """Cells past which nothing moved from one frame to the next, by their levels; packed."""
    step = np.log((now + OFFSET) / (before + OFFSET))
    return np.packbits(np.abs(step - median(step)) < STIRRED).tobytes()


def shared(changes: Floats) -> float:
    """The smallest change that :data:`AGREEING` of the cells share; 0 where they disagree."""
    if len(changes) < FEWEST:
        return 0.0
    rank = int((1 - AGREEING) * (len(changes) - 1))
    low, high = np.partition(changes, (rank, len(changes) - 1 - rank))[[rank, -1 - rank]]
    return float(low) if low > 0 else float(high) if high < 0 else 0.0


def _contrast(x: Floats, y: Floats, middle: float) -> float:
    """What dark and bright cells agree about, each by their distance from the mean."""
    apart = x - middle
    bright, dark = (
        shared((y - x)[where] / apart[where]) for where in (apart > AWAY, apart < -AWAY)
    )
    if bright * dark <= 0:
        return 0.0
    return float(np.log1p(max(-0.9, min((bright, dark), key=abs))))


def _flat(means: Floats) -> npt.NDArray[np.bool_]:
    """The cells with the least gradient."""
    levels = np.ascontiguousarray(means, np.float32)
    across, down = cv2.Sobel(levels, cv2.CV_32F, 1, 0), cv2.Sobel(levels, cv2.CV_32F, 0, 1)
    steep = np.asarray(cv2.magnitude(across, down), np.float32)
    rank = int(FLAT * (steep.size - 1))
    return np.asarray(steep <= np.partition(steep.ravel(), rank)[rank])
