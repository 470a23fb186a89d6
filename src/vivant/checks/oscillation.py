"""How far things keep swinging: a coherent oscillation in a field of velocities.

A defect swings through the whole clip at one frequency with one pattern, whatever the person
does; people move in bouts and rest in between. So the frames that move least count most: every
frame weighs ``1 / (floor² + energy²)``, and in a second of wild nodding one calm frame says more
than all the others. The window is cut into pieces of equal weight; for every frequency, weighted
least squares give each piece a complex pattern (amplitude and phase of every cell; Lomb, 1976),
which is projected on the pattern of the *other* pieces, and the piece that agrees least counts.
Bouts, nods and speech come out near zero, a steady swing at its amplitude. Memory is one window,
however long the clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WINDOW_SECONDS: Final = 2.7
"""Length of a window; neighbours overlap by half."""

WINDOWS: Final = 5
"""For every so many windows, one swing that is stronger than all others is left out. 97 frames
have two windows, 20 s have fourteen."""

SHORTEST_SECONDS: Final = 1.5
"""Less cannot show that something keeps swinging."""

PIECES: Final = 3
"""Of equal weight: none can be made of wild movement alone."""

STEP: Final = 0.1
"""Hz between the frequencies that are tried."""

REFERENCE_HERTZ: Final = 3.0
"""Amplitudes are weighted by ``f / 3 Hz``: natural motion falls with frequency."""

CALMEST: Final = 10.0
"""Percentile of the frames' energies up to which all frames are equally calm."""

RESOLUTION: Final = 0.05
"""Velocity a frame, in the caller's percent, below which calm and calmer cannot be told apart:
optical flow of an encoded still picture."""

RIDGE: Final = 0.02
"""Of the mean of the normal equations' diagonal, so that a few frames cannot give a huge wave."""


@dataclass(frozen=True, slots=True)
class StrongestOscillation:
    """The strongest swing found.

    Attributes:
        amplitude: root mean square over cells, in the velocities' unit, frequency-weighted.
        hertz: its frequency.
        frame: first frame of the window it was found in.
        cells: ``[N]`` amplitude per cell.
    """

    amplitude: float
    hertz: float
    frame: int
    cells: Floats


class Oscillation:
    """Collects velocities frame by frame, and the strongest swing of every window.

    Args:
        fps: frames per second.
        low: Hz, lowest frequency that counts.
        high: Hz, highest; kept below the Nyquist frequency.
        weights: ``[N]`` of the cells, for the mean square over them.
    """

    def __init__(self, fps: float, *, low: float, high: float, weights: Floats) -> None:
        self._fps = fps
        self._frequencies = np.arange(low, min(high, fps / 2 - 1), STEP)
        share = weights / max(float(weights.sum()), 1e-9)
        self._root = np.sqrt(np.repeat(share, 2))
        self._size = max(12, round(WINDOW_SECONDS * fps))
        self._rows: list[npt.NDArray[np.float32] | None] = []
        self._start = 1
        self._fresh = False
        self._found: list[StrongestOscillation] = []

    def add(self, velocities: npt.NDArray[np.float32] | None) -> None:
        """The next frame's ``[N, 2]`` velocities in percent a frame; None where unknown."""
        self._rows.append(None if velocities is None else velocities.reshape(-1))
        self._fresh = True
        if len(self._rows) == self._size:
            self._analyse()
            half = self._size // 2
            del self._rows[:half]
            self._start += half
            self._fresh = False

    def finish(self) -> StrongestOscillation | None:
        """The strongest swing; None where the clip is too short or too slow to tell."""
        if self._fresh:
            self._analyse()
        # A defect swings all the time: in long clips one window alone is a bout.
        ranked = sorted(self._found, key=lambda swing: -swing.amplitude)
        return ranked[len(ranked) // WINDOWS] if ranked else None

    def _analyse(self) -> None:
        known = [(i, row) for i, row in enumerate(self._rows) if row is not None]
        if not len(self._frequencies) or len(known) < SHORTEST_SECONDS * self._fps:
            return
        time = np.asarray([i for i, _ in known], np.float64)
        rows = np.stack([row for _, row in known]).astype(np.float64) * self._root
        energy = np.sqrt((rows**2).sum(axis=1))
        floor = max(RESOLUTION, float(np.percentile(energy, CALMEST)))
        weights = 1 / (floor**2 + energy**2)
        share = np.cumsum(weights) / weights.sum()
        piece = np.minimum((share * PIECES - 1e-9).astype(int), PIECES - 1)
        radians = 2 * np.pi * self._frequencies / self._fps
        patterns = [
            _pattern(time[piece == k], rows[piece == k], weights[piece == k], radians)
            for k in range(PIECES)
        ]
        stack = np.stack(patterns)  # [PIECES, F, 2N], displacement
        total = stack.sum(axis=0)
        agreements = []
        for pattern in stack:
            others = (total - pattern) / (PIECES - 1)
            length = np.linalg.norm(others, axis=1) + 1e-9
            agreements.append(np.real((pattern * others.conj()).sum(axis=1)) / length)
        value = np.min(agreements, axis=0) * self._frequencies / REFERENCE_HERTZ
        top = int(value.argmax())
        amplitude = max(0.0, float(value[top]))
        cells = np.abs(total[top]) / PIECES / np.maximum(self._root, 1e-9)
        lengths = np.hypot(cells[0::2], cells[1::2])
        self._found.append(
            StrongestOscillation(amplitude, float(self._frequencies[top]), self._start, lengths)
        )


def _pattern(
    time: Floats, rows: Floats, weights: Floats, radians: Floats
) -> npt.NDArray[np.complex128]:
    """``[F, 2N]``: the displacement ``Re(p exp(iωt))`` whose steps fit the rows best."""
    now, before = np.outer(radians, time), np.outer(radians, time - 1)
    waves = np.stack([np.cos(now) - np.cos(before), np.sin(now) - np.sin(before)], axis=1)
    weighted = waves * (weights / max(float(weights.mean()), 1e-12))
    gram = weighted @ waves.transpose(0, 2, 1)
    gram += RIDGE / 2 * np.trace(gram, axis1=1, axis2=2)[:, None, None] * np.eye(2)
    found = np.linalg.solve(gram + 1e-12 * np.eye(2), weighted @ rows)
    fitted: npt.NDArray[np.complex128] = found[:, 0] - 1j * found[:, 1]
    return fitted
