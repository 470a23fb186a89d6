"""Grain for skin that is drawn: as strong and as coarse as that of the cheek below the eye."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

COARSEST: Final = 0.03
"""Grain is what is finer than this, in widths of the eye; coarser are folds and shading."""

SAMPLE: Final = 0.3
"""Side of the square of cheek that is looked at, in widths of the eye."""

PLACE: Final = 0.34
"""Its middle below the lower lid's edge, in widths of the eye."""

STRONGEST: Final = 6.0
"""Standard deviation in levels; what is above is no grain (freckles, the shade of a rim)."""

Values = npt.NDArray[np.float32]

Depths = npt.NDArray[np.float64]


def skin_grain(original: npt.NDArray[np.uint8], a: Depths, under: Depths, width: float) -> Values:
    """Grain of the whole patch of an eye, ``[h, w, C]`` levels around 0; 0 without a cheek.

    Random-phase noise (Galerne et al., IEEE TIP 2011): white noise, always the same, convolved
    with a sample has the sample's spectrum and no pattern. The spectrum is made the same in all
    directions: skin is, and a fold or the edge of a shadow in the sample would become streaks.

    Args:
        original: ``[h, w, C]`` uint8.
        a: distance from the left corner along the eye, pixels.
        under: distance below the lower lid's edge, pixels.
        width: of the eye, pixels.
    """
    sample = _cheek(original, a, under, width)
    noise = np.random.default_rng(0).standard_normal(original.shape[:2]).astype(np.float32)
    found = np.zeros(original.shape, np.float32)
    if sample is None:
        return found
    for channel in np.flatnonzero(sample.any(axis=(0, 1))):
        found[..., channel] = cv2.filter2D(noise, -1, _round(sample[..., channel]))
    return np.asarray(found / np.float32(np.sqrt(sample.shape[0] * sample.shape[1])))


def _round(sample: Values) -> Values:
    """A picture with the power of a square sample, equal in all directions."""
    power = np.abs(np.fft.fft2(sample)) ** 2
    along = np.fft.fftfreq(sample.shape[0])
    rings = np.rint(np.hypot(along[:, None], along) * sample.shape[0]).astype(int)
    mean = np.bincount(rings.ravel(), power.ravel()) / np.bincount(rings.ravel())
    return np.asarray(np.fft.fftshift(np.fft.ifft2(np.sqrt(mean)[rings]).real), np.float32)


def _cheek(
    original: npt.NDArray[np.uint8], a: Depths, under: Depths, width: float
) -> Values | None:
    """Grain of a square below the eye; None where the patch does not hold it."""
    off = (a - 0.5 * width) ** 2 + (under - PLACE * width) ** 2
    y, x = np.unravel_index(int(np.argmin(off)), off.shape)
    half = round(SAMPLE / 2 * width)
    if half < 2 or min(y, x) < half or y + half > a.shape[0] or x + half > a.shape[1]:
        return None
    skin = original[y - half : y + half, x - half : x + half].astype(np.float32)
    fine = skin - cv2.GaussianBlur(skin, (0, 0), max(0.8, COARSEST * width))
    # by the median, so that a lash or a hard shadow does not count
    strength = 1.48 * float(np.median(np.abs(fine[..., :3])))
    fine = np.clip(fine, -3 * strength, 3 * strength)
    return np.asarray(fine * min(1.0, STRONGEST / max(strength, 1e-6)), np.float32)
