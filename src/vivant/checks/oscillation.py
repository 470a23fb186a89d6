"""How far things keep swinging: a coherent oscillation in a field of velocities.

A defect swings through the whole clip at one frequency with one pattern; people move in bouts.
The window is cut into pieces; for every frequency each piece gives a complex pattern (amplitude
and phase of every cell), which is projected on the pattern of the *other* pieces, and the piece
that agrees least counts. Bouts, nods and speech come out near zero, a steady swing at its
amplitude. Knows nothing of what moves. Memory is one window, however long the clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WINDOW_SECONDS: Final = 4.2
"""Length of a window; neighbours overlap by half."""

SHORTEST_SECONDS: Final = 1.5
"""Less cannot show that something keeps swinging."""

PIECES: Final = 3
"""Each holds at least three periods of the lowest frequency in a clip of four seconds."""

STEP: Final = 0.1
"""Hz between the frequencies that are tried."""

REFERENCE_HERTZ: Final = 3.0
"""Amplitudes are weighted by ``f / 3 Hz``: natural motion falls with frequency."""

CLIP: Final = 2.0
"""Frames that move more than this many times the median are scaled down to it."""


@dataclass(frozen=True, slots=True)
class Swing:
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
    """Collects velocities frame by frame, keeps the strongest swing.

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
        self._rows: list[npt.NDArray[np.float32]] = []
        self._start = 1
        self._fresh = False
        self._strongest: Swing | None = None

    def add(self, velocities: npt.NDArray[np.float32]) -> None:
        """The next frame's ``[N, 2]`` velocities, any unit per frame."""
        self._rows.append(velocities.reshape(-1))
        self._fresh = True
        if len(self._rows) == self._size:
            self._analyse()
            half = self._size // 2
            del self._rows[:half]
            self._start += half
            self._fresh = False

    def finish(self) -> Swing | None:
        """The strongest swing; None where the clip is too short or too slow to tell."""
        if self._fresh and len(self._rows) >= SHORTEST_SECONDS * self._fps:
            self._analyse()
        return self._strongest

    def _analyse(self) -> None:
        if not len(self._frequencies):
            return
        rows = np.stack(self._rows).astype(np.float64) * self._root
        energy = np.sqrt((rows**2).sum(axis=1))
        ceiling = CLIP * float(np.median(energy)) + 1e-6
        rows *= np.minimum(1, ceiling / np.maximum(energy, 1e-9))[:, None]
        count = len(rows)
        radians = 2 * np.pi * self._frequencies / self._fps
        patterns = []
        for piece in np.array_split(np.arange(count), PIECES):
            window = np.hanning(len(piece) + 2)[1:-1]
            waves = np.exp(-1j * np.outer(radians, piece)) * (window * 2 / window.sum())
            patterns.append(waves @ rows[piece] / radians[:, None])
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
        if self._strongest is None or amplitude > self._strongest.amplitude:
            cells = np.abs(total[top]) / PIECES / np.maximum(self._root, 1e-9)
            self._strongest = Swing(
                amplitude,
                float(self._frequencies[top]),
                self._start,
                np.hypot(cells[0::2], cells[1::2]),
            )
