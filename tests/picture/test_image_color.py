from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageCms

from image_files import BLUE, GREEN, LIGHT, RED, corners, loaded, near, quarters, saved

FOUR = [RED, GREEN, BLUE, LIGHT]

# Red, green and blue primaries as D50-adapted XYZ columns, and the exponent of the curve.
DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.2920, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _profile(space: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    """An ICC.1:2001 display profile of these tags."""
    tags = [
        (b"desc", b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78)),
        (b"cprt", b"text" + bytes(4) + b"CC0\0"),
        (b"wtpt", b"XYZ " + bytes(4) + _fixed(0.9642) + _fixed(1.0) + _fixed(0.8249)),
        *tags,
    ]
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags:
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", at + len(body), len(content))
        body += content
    size = at + len(body)
    header = struct.pack(">I4s4s4s4s4s", size, bytes(4), b"\x02\x40\0\0", b"mntr", space, b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _fixed(0.9642) + _fixed(1.0) + _fixed(0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _gamma(value: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def rgb_profile(primaries: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    tags = [(b"%cTRC" % letter, _gamma(gamma)) for letter in b"rgb"]
    for letter, xyz in zip(b"rgb", primaries, strict=True):
        content = b"XYZ " + bytes(4) + b"".join(_fixed(v) for v in xyz)
        tags.append((b"%cXYZ" % letter, content))
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", [(b"kTRC", _gamma(gamma))])


def to_srgb(color: tuple[int, ...], primaries: Any, gamma: float) -> tuple[int, ...]:
    """By hand: linear light, D50 XYZ, sRGB's primaries (ICC's srgb.icc), IEC 61966-2-1 curve."""
    srgb = np.array([[0.4361, 0.2225, 0.0139], [0.3851, 0.7169, 0.0971], [0.1431, 0.0606, 0.7141]])
    linear = (np.array(color) / 255) ** gamma @ np.array(primaries) @ np.linalg.inv(srgb)
    linear = linear.clip(0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return tuple(int(v) for v in (curve * 255).round())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "AVIF", "TIFF"])
@pytest.mark.parametrize(("primaries", "gamma"), [(DISPLAY_P3, 2.2), (ADOBE_RGB, 2.19921875)])
def test_rgb_profiles(kind: str, primaries: Any, gamma: float) -> None:
    data = saved(quarters(), kind, quality=95, icc_profile=rgb_profile(primaries, gamma))
    portrait = loaded(data)
    wanted = [to_srgb(color, primaries, gamma) for color in FOUR]
    assert np.abs(np.subtract(wanted[:3], FOUR[:3])).max() > 8  # the profile matters
    assert near(corners(portrait.pixels), wanted, 3 if kind in ("PNG", "TIFF") else 5)
    assert not any("profile" in warning for warning in portrait.warnings)


def test_srgb_profile_leaves_pixels_alone() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    noise = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert np.array_equal(loaded(saved(noise, "PNG", icc_profile=profile)).pixels, noise)


def test_profile_with_alpha() -> None:
    rgba = np.dstack([quarters(), np.full((64, 96), 255, np.uint8)])
    rgba[:32, :48, 3] = 0
    data = saved(rgba, "PNG", icc_profile=rgb_profile(DISPLAY_P3, 2.2))
    wanted = [(128, 128, 128), *(to_srgb(color, DISPLAY_P3, 2.2) for color in FOUR[1:])]
    assert near(corners(loaded(data).pixels), wanted, 3)


def test_grey_profile() -> None:
    grey = np.full((64, 96), 100, np.uint8)
    wanted = to_srgb((100, 100, 100), ADOBE_RGB, 1.0)
    data = saved(grey, "PNG", icc_profile=grey_profile(1.0))
    assert near(corners(loaded(data).pixels), [wanted] * 4, 3)


def test_grey_pixels_with_an_rgb_profile() -> None:
    grey = np.full((64, 96), 100, np.uint8)
    wanted = to_srgb((100, 100, 100), ADOBE_RGB, 1.0)
    portrait = loaded(saved(grey, "PNG", icc_profile=rgb_profile(ADOBE_RGB, 1.0)))
    assert near(corners(portrait.pixels), [wanted] * 4, 3)
    assert not any("profile" in warning for warning in portrait.warnings)


@pytest.mark.parametrize(
    "profile",
    [
        b"not a profile",
        bytes(128),
        rgb_profile(DISPLAY_P3, 2.2)[:200],
        grey_profile(1.0),  # for other pixels
        rgb_profile(DISPLAY_P3, 2.2) + bytes(5_000_000),
    ],
    ids=["text", "zeros", "cut", "grey", "huge"],
)
@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_useless_profiles_are_ignored(kind: str, profile: bytes) -> None:
    portrait = loaded(saved(quarters(), kind, quality=95, icc_profile=profile))
    assert near(corners(portrait.pixels), FOUR)
    assert sum("colour profile is ignored" in warning for warning in portrait.warnings) == 1


def test_cmyk_without_profile() -> None:
    image = PillowImage.fromarray(quarters()).convert("CMYK")
    for data in (saved(image, "JPEG", quality=95), saved(image, "TIFF")):
        portrait = loaded(data)
        assert near(corners(portrait.pixels), FOUR, 6)
        assert any("CMYK without a colour profile" in warning for warning in portrait.warnings)


def test_adobe_cmyk_is_inverted_once() -> None:
    image = PillowImage.fromarray(quarters()).convert("CMYK")
    data = saved(image, "JPEG", quality=95)
    assert b"Adobe" in data[:200]
    assert near(corners(loaded(data).pixels), FOUR, 6)


def grey_ramp(top: int) -> np.ndarray:
    return np.tile(np.linspace(0, top, 96).round().astype(np.uint16), (64, 1))


def test_sixteen_bit_grey() -> None:
    ramp = grey_ramp(65535)
    wanted = [round(v / 257) for v in ramp[0].tolist()]
    big_endian = PillowImage.frombytes("I;16B", (96, 64), ramp.astype(">u2").tobytes())
    for data in (saved(ramp, "PNG"), saved(ramp, "TIFF"), saved(big_endian, "TIFF")):
        pixels = loaded(data).pixels
        assert pixels[0, :, 0].tolist() == wanted
        assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_sixteen_bit_rgb() -> None:
    import zlib

    ramp = grey_ramp(65535)
    rows = np.stack([ramp, ramp[:, ::-1], np.full_like(ramp, 32768)], axis=-1).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)

    def chunk(name: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(name + body)
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", 96, 64, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    data += chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    wanted = np.round(rows.astype(np.float64) / 257)
    assert np.abs(loaded(data).pixels - wanted).max() <= 1


def test_grey_one_bit_and_palette() -> None:
    grey = np.tile(np.arange(96, dtype=np.uint8), (64, 1))
    pixels = loaded(saved(grey, "PNG")).pixels
    assert np.array_equal(pixels, np.repeat(grey[..., None], 3, axis=2))

    bits = PillowImage.fromarray(np.where(grey > 48, 255, 0).astype(np.uint8)).convert("1")
    assert np.array_equal(
        loaded(saved(bits, "PNG")).pixels[0, :, 1], np.where(grey > 48, 255, 0)[0]
    )

    palette = PillowImage.fromarray(quarters()).quantize(8)
    assert near(corners(loaded(saved(palette, "PNG")).pixels), FOUR)


@pytest.mark.parametrize("kind", ["PNG", "WebP", "AVIF", "TIFF"])
def test_alpha_is_laid_over_grey(kind: str) -> None:
    rgba = np.dstack([quarters(), np.full((64, 96), 255, np.uint8)])
    rgba[:32, :48, 3] = 0
    rgba[32:, 48:, 3] = 128
    options = {"lossless": True} if kind == "WebP" else {"quality": 95}
    portrait = loaded(saved(rgba, kind, **options))
    blend = tuple(round((128 * 127 + 220 * 128) / 255) for _ in range(3))
    assert near(corners(portrait.pixels), [(128, 128, 128), GREEN, BLUE, blend])
    assert sum("transparent" in warning for warning in portrait.warnings) == 1


def test_opaque_alpha_is_not_worth_a_word() -> None:
    rgba = np.dstack([quarters(), np.full((64, 96), 255, np.uint8)])
    portrait = loaded(saved(rgba, "PNG"))
    assert np.array_equal(portrait.pixels, quarters())
    assert not any("transparent" in warning for warning in portrait.warnings)


def test_other_transparencies() -> None:
    grey = PillowImage.new("LA", (96, 64), (90, 255))
    grey.paste((90, 0), (0, 0, 48, 32))
    assert corners(loaded(saved(grey, "PNG")).pixels)[:2] == [(128,) * 3, (90,) * 3]

    palette = PillowImage.new("P", (96, 64), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.paste(0, (0, 0, 48, 32))
    for kind in ("PNG", "GIF"):
        portrait = loaded(saved(palette, kind, transparency=0))
        assert corners(portrait.pixels)[:2] == [(128,) * 3, (10, 20, 30)]

    keyed = loaded(saved(quarters(), "PNG", transparency=RED))
    assert corners(keyed.pixels) == [(128,) * 3, GREEN, BLUE, LIGHT]


def test_alpha_at_reduced_size_keeps_its_edges() -> None:
    rgba = np.zeros((640, 960, 4), dtype=np.uint8)
    rgba[..., :3] = 255  # white under the transparent part must not show
    rgba[:, 480:] = (40, 60, 200, 255)
    pixels = loaded(saved(rgba, "PNG")).pixels
    assert pixels.shape == (160, 240, 3)
    assert set(map(tuple, pixels.reshape(-1, 3).tolist())) == {(128, 128, 128), BLUE}


def test_profile_builders_are_sound() -> None:
    for data in (rgb_profile(DISPLAY_P3, 2.2), grey_profile(1.0)):
        assert ImageCms.ImageCmsProfile(BytesIO(data)).profile.version == pytest.approx(2.4)
