"""Any Pillow mode with any colour profile → opaque 8-bit sRGB, strip by strip."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageCms, TiffImagePlugin

from vivant.picture.code_points import CodePointConversion, SourceColor, changes_nothing

BACKGROUND = (128, 128, 128)
"""sRGB grey laid under transparent parts: neither a white halo nor a black hole around hair."""

MAX_PROFILE_BYTES = 4_000_000
"""Printing profiles with their tables have 0.5–3 MB; phones' have 0.5 kB."""

_SIXTEEN_BIT = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2"}

_MODES = frozenset(
    {"1", "L", "P", "PA", "La", "LA", "RGB", "RGBX", "RGBa", "RGBA", "CMYK", "YCbCr"}
) | frozenset(_SIXTEEN_BIT)
"""Modes with one meaning. Floats, 32-bit integers and Lab have several, and are refused."""

_SPACES = {"GRAY": "L", "RGB ": "RGB", "CMYK": "CMYK"}
"""ICC.1:2022 colour space signature → Pillow mode."""


class UnsupportedModeError(Exception):
    """Pixels of a kind that has no one meaning as a picture."""


class ToSrgb:
    """Turns strips of one picture into ``RGB`` strips.

    16-bit samples are divided by 257 and rounded, so that 65535 is 255. Colour goes through the
    embedded profile with relative colorimetric intent and black point compensation, as photo
    editors do by default; a profile that moves no colour by more than one level is left out.
    Without a profile, colours given by code points are converted; HDR is tone-mapped.
    Transparent parts are laid over :data:`BACKGROUND`.

    Args:
        image: loaded or not.
        color: how its values are to be read where it has no ICC profile; None is sRGB.

    Attributes:
        warnings: plain sentences for the user; complete once every strip is done.
        transparent: something seen so far was not opaque.

    Raises:
        UnsupportedModeError: the mode is not one of ours.
    """

    def __init__(self, image: PillowImage.Image, color: SourceColor | None = None) -> None:
        if image.mode not in _MODES:
            raise UnsupportedModeError(image.mode)
        self._white = _white(image)
        self._alpha = image.mode in {"PA", "La", "LA", "RGBa", "RGBA"} or (
            "transparency" in image.info and image.mode not in _SIXTEEN_BIT
        )
        self._space = {
            "1": "L", "L": "L", "La": "L", "LA": "L", "CMYK": "CMYK",
        }.get(image.mode, "L" if image.mode in _SIXTEEN_BIT else "RGB")  # fmt: skip
        self.transparent = False
        self.warnings: list[str] = []
        self._transform: ImageCms.ImageCmsTransform | CodePointConversion | None = None
        profile = image.info.get("icc_profile")
        if color is not None and (color.hdr or not profile):
            self._read_code_points(color)
        elif profile:
            self._read_profile(profile)
        elif self._space == "CMYK":
            self.warnings.append(
                "the picture is CMYK without a colour profile: its colours are a guess; "
                "export it as sRGB to be sure"
            )

    def __call__(self, strip: PillowImage.Image) -> PillowImage.Image:
        """One strip as opaque ``RGB``."""
        alpha = None
        if strip.mode in _SIXTEEN_BIT:
            strip = self._to_eight_bit(strip)
        if self._alpha:
            strip = strip.convert({"La": "LA", "LA": "LA"}.get(strip.mode, "RGBA"))
            alpha = strip.getchannel("A")
            if alpha.getextrema() == (255, 255):
                alpha = None
        strip = strip.convert(self._space)
        if self._transform is not None:
            strip = self._transform.apply(strip)
        strip = strip.convert("RGB")
        if alpha is None:
            return strip
        self.transparent = True
        return PillowImage.composite(strip, PillowImage.new("RGB", strip.size, BACKGROUND), alpha)

    def _to_eight_bit(self, strip: PillowImage.Image) -> PillowImage.Image:
        values = np.asarray(strip).view(_SIXTEEN_BIT[strip.mode]).astype(np.uint32)
        scaled = (values * 255 + self._white // 2) // self._white
        return PillowImage.fromarray(np.minimum(scaled, 255).astype(np.uint8))

    def _read_code_points(self, color: SourceColor) -> None:
        """Build the conversion, or say why the code points are ignored."""
        if self._space == "CMYK":
            return
        try:
            conversion = CodePointConversion(color)
        except np.linalg.LinAlgError:
            self.warnings.append(
                "the picture's primaries are ignored (they lie on one line): its colours are "
                "read as sRGB"
            )
            return
        if color.hdr:
            self.warnings.append(
                f"the picture is HDR ({color.hdr}): its highlights are compressed to the range of "
                "SDR video; export it as SDR to choose how"
            )
        if not changes_nothing(conversion):
            self._space = "RGB"
            self._transform = conversion

    def _read_profile(self, data: object) -> None:
        """Build the transform, or say why the profile is ignored."""
        try:
            self._transform = self._build(data)
        except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
            self.warnings.append(
                f"the picture's colour profile is ignored ({_sentence(error)}): "
                "its colours are read as sRGB"
            )

    def _build(self, data: object) -> ImageCms.ImageCmsTransform | None:
        if not isinstance(data, bytes):
            raise TypeError("it is not binary data")
        if len(data) > MAX_PROFILE_BYTES:
            raise ValueError(f"it has {len(data) / 1e6:.1f} MB")
        profile = ImageCms.ImageCmsProfile(BytesIO(data))
        space = _SPACES.get(profile.profile.xcolor_space)
        if space == "RGB" and self._space == "L":  # grey pixels tagged with an RGB profile
            self._space = "RGB"
        if space != self._space:
            raise ValueError(f"it is for {profile.profile.xcolor_space.strip()} pixels")
        transform = ImageCms.buildTransform(
            profile,
            ImageCms.createProfile("sRGB"),
            self._space,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        return None if self._space != "CMYK" and _changes_nothing(transform, space) else transform


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether no colour of a 17-level grid moves by more than one 8-bit level."""
    levels = np.linspace(0, 255, 17).round().astype(np.uint8)
    if mode == "L":
        grid = levels[None, :]
    else:
        grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(17, -1, 3)
    before = PillowImage.fromarray(grid)
    after = np.asarray(transform.apply(before), dtype=np.int16)
    return int(np.abs(after - np.asarray(before.convert("RGB"), dtype=np.int16)).max()) <= 1


def _white(image: PillowImage.Image) -> int:
    """The sample that means white; TIFF has 12-bit greys, which Pillow hands over unscaled."""
    bits: object = 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (16,))[0]
    return (1 << bits) - 1 if bits in (10, 12, 14) and isinstance(bits, int) else 65_535


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__
