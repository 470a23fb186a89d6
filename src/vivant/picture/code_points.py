"""Colours given by numbers instead of an ICC profile → 8-bit sRGB.

HEIF, AVIF and PNG may say primaries and transfer by the code points of ITU-T H.273, PNG also by
``gAMA`` and ``cHRM``. SDR is converted as Chromium does, within 3 levels. HDR (PQ and HLG) is
tone-mapped by ITU-R BT.2390-11, 5.4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image as PillowImage

Floats = npt.NDArray[np.float32]
Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""``x, y`` of white, red, green and blue (CIE 1931), in the order of PNG's ``cHRM``."""

D65: Final = (0.3127, 0.3290)
SRGB: Final[Chromaticities] = (*D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)

PRIMARIES: Final[dict[int, Chromaticities]] = {
    1: SRGB,
    4: (0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),
    6: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (*D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (*D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    12: (*D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
    22: (*D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),
}
"""ITU-T H.273, table 2. Others count as those of sRGB."""

GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0}
"""ITU-T H.273, table 3: transfers that are a power. PQ is 16, HLG 18. All others, BT.709 among
them, are read with the curve of sRGB, as browsers do."""

PQ: Final = 16
HLG: Final = 18
HDR: Final = {PQ: "PQ", HLG: "HLG"}

DIFFUSE_WHITE: Final = 203.0
"""cd/m²; HDR reference white (ITU-R BT.2408-7), which is shown as white."""

PEAK: Final = 1000.0
"""cd/m²; the peak that HDR pictures are taken to have: HLG's nominal one, and PQ's usual one."""

PIXELS_AT_ONCE: Final = 1 << 16
"""Converted at a time, which bounds memory to a few megabytes."""

LEVELS: Final = 4096
"""Steps of the table that encodes linear light. Its inputs are square roots, so that each step is
less than a quarter of an 8-bit level."""


@dataclass(frozen=True, slots=True)
class SourceColor:
    """How the values of a picture are to be read.

    Attributes:
        chromaticities: of white, red, green and blue.
        transfer: code point of ITU-T H.273; 13 is sRGB's curve.
        gamma: of a power curve, instead of ``transfer``.
    """

    chromaticities: Chromaticities = SRGB
    transfer: int = 13
    gamma: float | None = None

    @classmethod
    def from_code_points(cls, primaries: int, transfer: int) -> SourceColor:
        """Of ITU-T H.273's numbers; unknown ones count as sRGB's."""
        return cls(PRIMARIES.get(primaries, SRGB), transfer, GAMMAS.get(transfer))

    @property
    def hdr(self) -> str | None:
        """``PQ`` or ``HLG``; None for SDR."""
        return None if self.gamma else HDR.get(self.transfer)


class CodePointConversion:
    """Turns ``RGB`` strips of these colours into sRGB ones."""

    def __init__(self, source: SourceColor) -> None:
        self._source = source
        self._linear = _linear(source)
        self._matrix = (np.linalg.inv(_to_xyz(SRGB)) @ _to_xyz(source.chromaticities)).astype(
            np.float32
        )

    def apply(self, strip: PillowImage.Image) -> PillowImage.Image:
        """One strip, ``RGB``."""
        pixels = np.asarray(strip).reshape(-1, 3)
        converted = np.empty_like(pixels)
        for start in range(0, len(pixels), PIXELS_AT_ONCE):
            part = slice(start, start + PIXELS_AT_ONCE)
            converted[part] = self._convert(pixels[part])
        return PillowImage.fromarray(converted.reshape(strip.height, strip.width, 3))

    def _convert(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """``[N, 3]``."""
        light = self._linear[pixels]
        if self._source.transfer == HLG and self._source.hdr:
            light = _hlg_display_light(light)
        if self._source.hdr:
            light = tone_mapped(light)
        light = np.clip(light @ self._matrix.T, 0, 1)
        index = np.rint(np.sqrt(light) * (LEVELS - 1)).astype(np.uint16)
        converted: npt.NDArray[np.uint8] = _encoding()[index]
        return converted


def changes_nothing(conversion: CodePointConversion) -> bool:
    """Whether no colour of a 17-level grid moves by more than one 8-bit level."""
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(17, -1, 3)
    after = np.asarray(conversion.apply(PillowImage.fromarray(grid)), np.int16)
    return int(np.abs(after - grid).max()) <= 1


def tone_mapped(light: Floats) -> Floats:
    """Display light of HDR, cd/m² → linear light where 1 is the white of an SDR screen.

    BT.2390's roll-off is applied to the largest of red, green and blue, and all three are scaled
    alike, so that hues stay.
    """
    top = np.maximum(light.max(axis=-1, keepdims=True), 1e-4)
    ceiling = float(_pq(np.asarray(DIFFUSE_WHITE)) / _pq(np.asarray(PEAK)))
    knee = 1.5 * ceiling - 0.5
    signal = np.minimum(_pq(top) / _pq(np.asarray(PEAK)), 1.0)
    t = np.maximum(signal - knee, 0) / (1 - knee)
    rolled = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (-2 * t**3 + 3 * t**2) * ceiling
    )
    mapped = np.where(signal < knee, signal, rolled) * _pq(np.asarray(PEAK))
    scaled: Floats = (light * (_pq_light(mapped) / top / DIFFUSE_WHITE)).astype(np.float32)
    return scaled


def _linear(source: SourceColor) -> Floats:
    """``[256]`` light of every level: 0 … 1, of PQ cd/m², of HLG the scene's 0 … 1."""
    values = np.arange(256) / 255
    light: npt.NDArray[np.floating]
    if source.gamma is not None:
        light = values**source.gamma
    elif source.transfer == PQ:
        light = _pq_light(values).astype(np.float64)
    elif source.transfer == HLG:  # ITU-R BT.2100-2, table 5
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(values <= 0.5, values**2 / 3, (np.exp((values - c) / a) + b) / 12)
    else:  # IEC 61966-2-1
        light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def _hlg_display_light(scene: Floats) -> Floats:
    """The OOTF of ITU-R BT.2100-2 at 1000 cd/m²: system gamma 1.2 on the luminance."""
    luma = scene @ np.asarray((0.2627, 0.6780, 0.0593), np.float32)
    light: Floats = (scene * (PEAK * np.maximum(luma, 1e-6) ** 0.2)[..., None]).astype(np.float32)
    return light


def _pq(light: npt.NDArray[np.generic]) -> Floats:
    """PQ signal 0 … 1 of cd/m² (SMPTE ST 2084)."""
    power = np.maximum(light.astype(np.float64) / 10_000, 0) ** 0.1593017578125
    signal = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return np.asarray(signal, np.float32)


def _pq_light(signal: npt.NDArray[np.generic]) -> Floats:
    """The inverse of :func:`_pq`."""
    power = np.maximum(signal.astype(np.float64), 0) ** (1 / 78.84375)
    light = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return np.asarray(light ** (1 / 0.1593017578125) * 10_000, np.float32)


def _to_xyz(chromaticities: Chromaticities) -> npt.NDArray[np.float64]:
    """Linear RGB → XYZ, its white adapted to D65 (Bradford; Lindbloom)."""
    white_x, white_y, *rest = chromaticities
    columns = [(x / y, 1.0, (1 - x - y) / y) for x, y in zip(rest[::2], rest[1::2], strict=True)]
    colors = np.asarray(columns).T
    white = np.asarray((white_x / white_y, 1.0, (1 - white_x - white_y) / white_y))
    matrix = colors * np.linalg.solve(colors, white)
    bradford = np.asarray(
        [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    )
    target = np.asarray((D65[0] / D65[1], 1.0, (1 - sum(D65)) / D65[1]))
    gains = np.diag((bradford @ target) / (bradford @ white))
    adapted: npt.NDArray[np.float64] = np.linalg.inv(bradford) @ gains @ bradford @ matrix
    return adapted


@cache
def _encoding() -> npt.NDArray[np.uint8]:
    """``[LEVELS]`` sRGB level of the square of ``i / (LEVELS - 1)``."""
    light = (np.arange(LEVELS) / (LEVELS - 1)) ** 2
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    encoded: npt.NDArray[np.uint8] = np.rint(values * 255).astype(np.uint8)
    return encoded
