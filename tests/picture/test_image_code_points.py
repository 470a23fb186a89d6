"""Colours told by code points, gAMA and cHRM: as Chromium shows them; HDR is tone-mapped."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode

import numpy as np
import pytest
from PIL import Image as PillowImage
from playwright.sync_api import sync_playwright

from image_files import DATA, loaded, saved
from vivant.picture.code_points import (
    HLG,
    PQ,
    CodePointConversion,
    SourceColor,
    _linear,
    tone_mapped,
)
from vivant.types import Image
from web_server import launch

DISPLAY_P3 = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
"""White, red, green and blue of a ``cHRM`` chunk."""


def patches() -> Image:
    """Twelve patches of 16×32: greys, skin, strong colours."""
    colors = [
        (12, 12, 12), (64, 64, 64), (128, 128, 128), (200, 200, 200), (250, 250, 250),
        (224, 172, 148), (141, 85, 62), (200, 40, 40), (40, 160, 40), (40, 60, 200),
        (220, 180, 40), (60, 180, 190),
    ]  # fmt: skip
    row = np.repeat(np.asarray(colors, np.uint8), 16, axis=0)
    return np.repeat(row[None], 64, axis=0)


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """The patches as PNG with more chunks after its header."""
    data = saved(patches(), "PNG")
    more = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:33] + more + data[33:]


def avif(primaries: int, transfer: int) -> bytes:
    """The patches as AVIF whose ``nclx`` says these code points."""
    data = saved(patches(), "AVIF", quality=100, subsampling="4:4:4")
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def heic(primaries: int, transfer: int) -> bytes:
    """The quarters as HEIC with these code points instead of its own."""
    data = (DATA / "plain.heic").read_bytes()
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def middles(pixels: Image) -> list[tuple[int, ...]]:
    """The colour in the middle of every patch."""
    return [tuple(int(v) for v in pixels[32, 8 + 16 * i]) for i in range(12)]


GAMMA = (b"gAMA", struct.pack(">I", 45455))
SDR = {
    "png, gamma 2.2": png(GAMMA),
    "png, gamma 1.0": png((b"gAMA", struct.pack(">I", 100_000))),
    "png, P3 by cHRM": png(GAMMA, (b"cHRM", struct.pack(">8I", *DISPLAY_P3))),
    "png, P3 by cICP": png((b"cICP", bytes((12, 13, 0, 1)))),
    "png, sRGB": png((b"sRGB", b"\0"), GAMMA),
    "avif, sRGB": avif(1, 13),
    "avif, P3": avif(12, 13),
    "avif, BT.2020": avif(9, 14),
    "avif, BT.709 curve": avif(1, 1),
    "avif, EBU, gamma 2.8": avif(5, 5),
}

CANVAS = """
async ([data, kind]) => {
  const picture = new Image();
  picture.src = `data:${kind};base64,${data}`;
  await picture.decode();
  const canvas = document.createElement("canvas");
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0);
  return [...Array(12).keys()].map(
    (i) => [...context.getImageData(8 + 16 * i, 32, 1, 1).data.slice(0, 3)]);
}
"""


def test_sdr_is_what_a_browser_shows() -> None:
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        far = {}
        for name, data in SDR.items():
            kind = f"image/{name.partition(',')[0]}"
            wanted = page.evaluate(CANVAS, [b64encode(data).decode(), kind])
            found = middles(loaded(data, 192, 64).pixels)
            far[name] = int(np.abs(np.subtract(found, wanted)).max())
        browser.close()
    assert max(far.values()) <= 3, far


@pytest.mark.parametrize("primaries", [9, 12])
def test_heic_with_wide_primaries_gets_stronger_colours(primaries: int) -> None:
    plain, wide = (loaded(heic(p, 13)).pixels.astype(int) for p in (1, primaries))
    red = (16, 24)
    assert wide[red][0] > plain[red][0]
    assert wide[red][1] < plain[red][1]
    assert not loaded(heic(primaries, 13)).warnings[1:]


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
@pytest.mark.parametrize("kind", ["avif", "heic", "png"])
def test_hdr_is_tone_mapped_and_the_user_is_told(kind: str, transfer: int, name: str) -> None:
    data = {
        "avif": lambda: avif(9, transfer),
        "heic": lambda: heic(9, transfer),
        "png": lambda: png((b"cICP", bytes((9, transfer, 0, 1)))),
    }[kind]()
    portrait = loaded(data)
    assert any(f"is HDR ({name})" in warning for warning in portrait.warnings)
    assert not np.array_equal(portrait.pixels, loaded(avif(9, 13)).pixels)


def test_hdr_keeps_white_white_and_greys_in_their_order() -> None:
    """Diffuse white, 203 cd/m², is PQ 0.58 and HLG 0.75; a grey of 18 % of it PQ 0.42."""
    signals = np.rint(np.asarray([0, 0.2, 0.42, 0.58, 0.65, 0.75]) * 255).astype(np.uint8)
    light = tone_mapped(_linear(SourceColor(transfer=PQ))[signals][:, None].repeat(3, 1))[:, 0]
    assert (np.diff(light) > 0).all()
    assert 0.13 < light[2] < 0.2
    assert 0.6 < light[3] < 0.85
    assert light[-1] == pytest.approx(1, abs=0.02)
    for transfer, signal in ((PQ, 0.58), (HLG, 0.75)):
        strip = PillowImage.new("RGB", (2, 2), (round(signal * 255),) * 3)
        color = SourceColor.from_code_points(9, transfer)
        shown = np.asarray(CodePointConversion(color).apply(strip))[0, 0].astype(int)
        assert np.ptp(shown) <= 1
        assert 205 <= shown[0] <= 240


def test_an_icc_profile_and_srgb_stand_before_gamma() -> None:
    plain = middles(loaded(saved(patches(), "PNG"), 192, 64).pixels)
    tagged = png((b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000)))
    assert middles(loaded(tagged, 192, 64).pixels) == plain
    nonsense = png((b"gAMA", struct.pack(">I", 0)))
    assert middles(loaded(nonsense, 192, 64).pixels) == plain


def test_primaries_on_one_line_are_ignored_with_a_warning() -> None:
    flat = (31270, 32900, 30000, 30000, 40000, 40000, 50000, 50000)
    portrait = loaded(png(GAMMA, (b"cHRM", struct.pack(">8I", *flat))), 192, 64)
    assert middles(portrait.pixels) == middles(patches())
    assert any("primaries are ignored" in warning for warning in portrait.warnings)
