from __future__ import annotations

import hashlib
import struct
from fractions import Fraction
from io import BytesIO

import numpy as np
import pi_heif
import pytest
from PIL import Image as PillowImage

from image_files import BLUE, DATA, GREEN, LIGHT, RED, corners, loaded, near, quarters, saved

FOUR = [RED, GREEN, BLUE, LIGHT]

TURNED = {
    1: FOUR,
    2: [GREEN, RED, LIGHT, BLUE],
    3: [LIGHT, BLUE, GREEN, RED],
    4: [BLUE, LIGHT, RED, GREEN],
    5: [RED, BLUE, GREEN, LIGHT],
    6: [BLUE, RED, LIGHT, GREEN],
    7: [LIGHT, GREEN, BLUE, RED],
    8: [GREEN, LIGHT, RED, BLUE],
}


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("PNG", {}),
        ("WebP", {"lossless": True}),
        ("WebP", {"quality": 95}),
        ("AVIF", {"quality": 95}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_formats(kind: str, options: dict[str, object]) -> None:
    data = saved(quarters(), kind, **options)
    portrait = loaded(data)
    assert near(corners(portrait.pixels), FOUR)
    assert portrait.pixels.dtype == np.uint8
    assert portrait.pixels.flags.c_contiguous
    assert portrait.source.format == kind
    assert (portrait.source.width, portrait.source.height) == (96, 64)
    assert portrait.source.size_bytes == len(data)
    assert portrait.source.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["plain", "ten-bit"])
def test_heic(name: str) -> None:
    portrait = loaded(DATA / f"{name}.heic")
    assert near(corners(portrait.pixels), FOUR)
    assert portrait.source.format == "HEIC"
    assert portrait.source.name == f"{name}.heic"


def test_heic_is_turned_once() -> None:
    portrait = loaded(DATA / "turned.heic", 64, 96)
    assert near(corners(portrait.pixels), TURNED[6])
    assert (portrait.source.width, portrait.source.height) == (64, 96)


def test_heic_alpha() -> None:
    portrait = loaded(DATA / "alpha.heic")
    assert near(corners(portrait.pixels), [(128, 128, 128), GREEN, BLUE, LIGHT])
    assert any("transparent" in warning for warning in portrait.warnings)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "AVIF", "TIFF"])
def test_orientation(kind: str, orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    portrait = loaded(saved(quarters(), kind, quality=95, exif=exif.tobytes()))
    assert near(corners(portrait.pixels), TURNED[orientation], 6)
    upright = (64, 96) if orientation >= 5 else (96, 64)
    assert (portrait.source.width, portrait.source.height) == upright
    assert portrait.pixels.shape == (upright[1], upright[0], 3)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_nonsense_orientation_is_ignored(value: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = value
    data = saved(quarters(), "JPEG", quality=95, exif=exif.tobytes())
    assert near(corners(loaded(data).pixels), FOUR)


def test_damaged_exif_is_ignored() -> None:
    for exif in (b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        data = saved(quarters(), "JPEG", quality=95, exif=exif)
        assert near(corners(loaded(data).pixels), FOUR)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WebP", "AVIF", "TIFF"])
def test_first_of_several_pictures(kind: str) -> None:
    second = PillowImage.fromarray(np.ascontiguousarray(quarters()[::-1]))
    data = saved(quarters(), kind, save_all=True, append_images=[second], quality=95)
    portrait = loaded(data)
    assert near(corners(portrait.pixels), FOUR, 6)
    assert sum("only the first one is used" in warning for warning in portrait.warnings) == 1


def test_first_of_a_burst() -> None:
    portrait = loaded(DATA / "burst.heic")
    assert near(corners(portrait.pixels), FOUR)
    assert any("only the first one is used" in warning for warning in portrait.warnings)


def test_one_picture_is_not_several() -> None:
    for kind in ("GIF", "PNG", "WebP", "AVIF", "TIFF"):
        assert not any("first" in warning for warning in loaded(saved(quarters(), kind)).warnings)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_pictures_are_reduced(kind: str, orientation: int) -> None:
    exif = PillowImage.Exif()
    exif[0x0112] = orientation
    portrait = loaded(saved(quarters(1501, 1001), kind, quality=95, exif=exif.tobytes()))
    upright = (1001, 1501) if orientation == 6 else (1501, 1001)
    assert (portrait.source.width, portrait.source.height) == upright
    height, width = portrait.pixels.shape[:2]
    assert 1.25 <= min(width / 96, height / 64) <= 2.5 + 0.1
    assert Fraction(width, height) == pytest.approx(upright[0] / upright[1], rel=0.02)
    assert near(corners(portrait.pixels), TURNED[orientation], 6)
    assert not any("enlarged" in warning for warning in portrait.warnings)


def test_reduction_averages() -> None:
    checks = np.indices((640, 960)).sum(axis=0) % 2 * 200
    pixels = np.repeat(checks[..., None], 3, axis=2).astype(np.uint8)
    portrait = loaded(saved(pixels, "PNG"))
    assert portrait.pixels.shape == (160, 240, 3)
    assert np.abs(portrait.pixels.astype(int) - 100).max() <= 1


def twelve_bit_tiff(values: np.ndarray) -> bytes:
    """One strip of packed 12-bit greys, as scanners write."""
    height, width = values.shape
    pairs = values.reshape(-1, 2).astype(np.uint32)
    words = pairs[:, 0] << 12 | pairs[:, 1]
    body = b"".join(int(word).to_bytes(3, "big") for word in words)
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, len(body))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    start = 8 + len(body)
    return (
        struct.pack("<2sHI", b"II", 42, start)
        + body
        + struct.pack("<H", len(tags))
        + entries
        + bytes(4)
    )


def test_twelve_bit_grey() -> None:
    values = np.tile(np.linspace(0, 4095, 96).round().astype(np.uint16), (64, 1))
    pixels = loaded(twelve_bit_tiff(values)).pixels
    assert pixels[0, :, 0].tolist() == [round(v * 255 / 4095) for v in values[0].tolist()]


def ultra_hdr(base: bytes, gain_map: bytes) -> bytes:
    """An Ultra HDR JPEG: the SDR picture, then its gain map, named by XMP and MPF (CIPA DC-007)."""

    def segment(content: bytes) -> bytes:
        return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content

    def entry(kind: int, size: int, offset: int) -> bytes:
        return struct.pack(">IIIHH", kind, size, offset, 0, 0)

    xmp = segment(
        b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf="
        b"'http://www.w3.org/1999/02/22-rdf-syntax-ns#'><rdf:Description xmlns:hdrgm="
        b"'http://ns.adobe.com/hdr-gain-map/1.0/' hdrgm:Version='1.0'/></rdf:RDF></x:xmpmeta>"
    )
    size = 90  # of the MPF segment; the offset of the second picture counts from its byte order
    first = len(base) + len(xmp) + size
    index = b"".join(
        struct.pack(">HHII" if isinstance(value, int) else ">HHI4s", tag, kind, count, value)
        for tag, kind, count, value in (
            (0xB000, 7, 4, b"0100"), (0xB001, 4, 1, 2), (0xB002, 7, 32, 50),
        )
    )  # fmt: skip
    mpf = b"MM\0*" + struct.pack(">IH", 8, 3) + index + struct.pack(">I", 0)
    mpf += entry(0x030000, first, 0) + entry(0, len(gain_map), first - 2 - len(xmp) - 8)
    marked = b"\xff\xe2" + struct.pack(">H", len(mpf) + 6) + b"MPF\0" + mpf
    return base[:2] + xmp + marked + base[2:] + gain_map


APPLE_GAIN_MAP = "urn:com:apple:photo:2020:aux:hdrgainmap"


def heic_with_gain_map(data: bytes) -> bytes:
    """A HEIC of one picture, with the same picture once more as its gain map, as iPhones write."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return struct.pack(">I4s", len(body) + 8, kind) + body

    def of(kind: bytes) -> bytes:
        at = data.index(kind) - 4
        return data[at : at + int.from_bytes(data[at : at + 4])]

    def item(number: int) -> bytes:
        return box(b"infe", struct.pack(">IHH4sx", 2 << 24, number, 0, b"hvc1"))

    def meta(start: int) -> bytes:
        found = (struct.pack(">HHHII", n, 0, 1, start, len(coded)) for n in (1, 2))
        known = of(b"ipco")[8:] + box(b"auxC", bytes(4), APPLE_GAIN_MAP.encode() + b"\0")
        kept = of(b"ipma")[-5:]  # how many, and which, properties the picture has
        twice = struct.pack(">IIH", 0, 2, 1) + kept + struct.pack(">HB", 2, kept[0] + 1) + kept[1:]
        return box(
            b"meta", bytes(4), of(b"hdlr"), of(b"pitm"),
            box(b"iloc", bytes(4), b"\x44\0", struct.pack(">H", 2), *found),
            box(b"iinf", bytes(4), struct.pack(">H", 2), item(1), item(2)),
            box(b"iref", bytes(4), box(b"auxl", struct.pack(">HHH", 2, 1, 1))),
            box(b"iprp", box(b"ipco", known), box(b"ipma", twice, b"\5")),
        )  # fmt: skip

    coded = of(b"mdat")[8:]
    size = len(of(b"ftyp")) + len(meta(0)) + 8
    return of(b"ftyp") + meta(size) + of(b"mdat")


def test_a_gain_map_in_a_heic_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = (DATA / "plain.heic").read_bytes()
    with_map = heic_with_gain_map(plain)
    with monkeypatch.context() as patch:
        patch.setattr(pi_heif.options, "AUX_IMAGES", True)
        well_made = pi_heif.open_heif(with_map).info["aux"]
    assert APPLE_GAIN_MAP in well_made
    portrait = loaded(with_map)
    assert np.array_equal(portrait.pixels, loaded(plain).pixels)
    assert portrait.warnings == loaded(plain).warnings


def test_a_gain_map_is_left_out_as_in_a_browser_on_an_sdr_screen() -> None:
    base, dark = saved(quarters(), "JPEG", quality=95), np.zeros((16, 24), np.uint8)
    with_map = ultra_hdr(base, saved(dark, "JPEG"))
    with PillowImage.open(BytesIO(with_map)) as file:
        assert (file.format, getattr(file, "n_frames", 1)) == ("MPO", 2)  # it is well made
    portrait = loaded(with_map)
    assert np.array_equal(portrait.pixels, loaded(base).pixels)
    assert portrait.source.format == "JPEG"
    assert not any("several pictures" in warning for warning in portrait.warnings)
