"""Everything that is not a usable picture: one clear line, a stable code, no hang, no surprise."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL import PngImagePlugin

from image_files import DATA, corners, face_reader, loaded, quarters, saved
from vivant.errors import ImageError
from vivant.image_limits import MAX_SCAN_PIXELS, image_limits
from vivant.picture.intake import ImageLimits, load_portrait
from vivant.picture.jpeg_scans import count_scans
from vivant.picture.source import webp_size
from vivant.settings import read_settings


def test_a_jpeg_of_thousands_of_scans_is_refused_before_it_is_decoded() -> None:
    jpeg = saved(noisy(), "JPEG", quality=80, progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    many = jpeg[:-2] + jpeg[last:-2] * 6_000 + jpeg[-2:]
    ended = many.replace(b"\xff\xda", b"\xff\xd9\xff\xda", 1)  # what follows the end is no scan
    assert (count_scans(jpeg), count_scans(many), count_scans(ended)) == (10, 6_010, 0)
    assert code_of(many, ImageLimits(max_scan_pixels=10**7)) == "image_too_slow"
    load_portrait(
        jpeg, width=96, height=64, limits=ImageLimits(max_scan_pixels=10**7), reader=face_reader()
    )
    for timed, bound in ((False, MAX_SCAN_PIXELS), (True, None)):
        assert image_limits(read_settings(), timed=timed).max_scan_pixels == bound


def code_of(image: Path | bytes, limits: ImageLimits | None = None) -> str:
    """The error's code, after checking that it reads as one line about the image."""
    with pytest.raises(ImageError) as caught:
        load_portrait(image, width=96, height=64, limits=limits, reader=face_reader())
    error = caught.value
    assert error.param == "image"
    assert error.exit_code == 2
    assert "\n" not in error.message
    assert 20 < len(error.message) < 300
    assert ":" in error.message  # what is wrong: what to do
    return error.error_code


def test_paths(tmp_path: Path) -> None:
    assert code_of(tmp_path / "none.jpg") == "image_not_found"
    assert code_of(tmp_path / "none.jpg" / "x.jpg") == "image_not_found"
    assert code_of(tmp_path) == "image_is_directory"
    assert code_of(Path("a\0b.jpg")) == "image_not_found"
    assert code_of(Path("x" * 5000)) == "image_not_readable"
    empty = tmp_path / "empty.jpg"
    empty.touch()
    assert code_of(empty) == "image_empty"
    assert code_of(b"") == "image_empty"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert code_of(tmp_path / "loop") == "image_not_readable"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs on this system")
def test_pipes_and_devices_do_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert code_of(tmp_path / "pipe.jpg") == "image_not_a_file"
    for device in ("/dev/zero", "/dev/tty"):
        if Path(device).exists():
            assert code_of(Path(device)) == "image_not_a_file"


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no such permissions on this system")
def test_permissions(tmp_path: Path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(saved(quarters(), "JPEG"))
    path.chmod(0)
    face_reader()  # reads its weights while that is allowed
    user = os.geteuid()
    if user == 0:  # root may read everything
        os.seteuid(65534)
    try:
        assert code_of(path) == "image_not_readable"
    finally:
        os.seteuid(user)


def test_terminal_codes_in_names_are_not_printed(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        loaded(tmp_path / "\x1b[31mred\n.jpg")
    assert caught.value.message.isprintable()


def test_bytes_limit_is_checked_before_reading(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: reading it would end the machine
    assert code_of(path) == "image_too_large"
    data = saved(quarters(), "PNG")
    exactly = ImageLimits(max_bytes=len(data))
    assert load_portrait(data, width=96, height=64, limits=exactly).source.format == "PNG"
    assert code_of(data, ImageLimits(max_bytes=len(data) - 1)) == "image_too_large"


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?>\n<!-- drawn -->\n<SVG width='9'/>",
        b"%PDF-1.7\n",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"8BPS\0\x01",
        b"\x1aE\xdf\xa3matroska",
        b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
        b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
        b"RIFF\x10\0\0\0AVI LIST",
        b"\0\0\0\x0cJXL \r\n\x87\n",
        b"\0\0\0\x0cjP  \r\n\x87\n",
        b"PK\x03\x04",
    ],
)
def test_other_formats_are_named(data: bytes) -> None:
    assert code_of(data) == "image_format_not_supported"


def tiff(*entries: tuple[int, int], order: str = "<") -> bytes:
    """A TIFF of one directory of these tags, and 64 bytes that mean nothing."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}IH", 8, len(entries))
    body = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries)
    return head + body + bytes(64)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("DNG", tiff((254, 1), (50706, 0x00000401))),
        ("DNG", tiff((50706, 0x01040000), order=">")),
        ("RAW", tiff((254, 1), (330, 200))),  # Nikon, Sony, Pentax
        ("CR2", b"II*\0\x10\0\0\0CR\2\0" + bytes(64)),
        ("CR3", b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(64)),
        ("RW2", b"IIU\0\x18\0\0\0" + bytes(64)),
        ("ORF", b"IIRO\x08\0\0\0" + bytes(64)),
        ("RAF", b"FUJIFILMCCD-RAW 0201" + bytes(64)),
    ],
)
def test_a_camera_raw_file_is_told_with_its_remedy(kind: str, data: bytes) -> None:
    with pytest.raises(
        ImageError, match=rf"a camera RAW file \({kind}\).*save it as JPEG"
    ) as error:
        loaded(data)
    assert error.value.error_code == "image_format_not_supported"


def test_a_tiff_with_a_reduced_copy_of_itself_is_no_raw_file() -> None:
    portrait = loaded(saved(quarters(), "TIFF"))
    assert portrait.source.format == "TIFF"


@pytest.mark.parametrize("mark", [b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0"])
def test_bigtiff_is_told(mark: bytes) -> None:
    with pytest.raises(ImageError, match="BigTIFF picture: save it as"):
        loaded(mark + bytes(64))


@pytest.mark.parametrize(
    ("brand", "item", "codec"),
    [
        (b"mif1", b"j2k1", "JPEG 2000"),
        (b"j2ki", b"j2k1", "JPEG 2000"),
        (b"avci", b"avc1", "H.264"),
        (b"heic", b"jpeg", "JPEG"),
    ],
)
def test_heif_with_another_codec_is_neither_damaged_nor_a_video(
    brand: bytes, item: bytes, codec: str
) -> None:
    data = (DATA / "plain.heic").read_bytes()
    data = data[:8] + brand + data[12:].replace(b"hvc1", item)
    with pytest.raises(ImageError, match=f"a HEIF picture with {codec} inside: save") as error:
        loaded(data)
    assert error.value.error_code == "image_format_not_supported"


def test_no_picture_at_all(tmp_path: Path) -> None:
    path = tmp_path / "letter.jpg"
    path.write_text("Dear Sir or Madam,\n")
    assert code_of(path) == "image_not_an_image"
    for data in (b"\0", b"x", bytes(5000), b"RIFF", b"P6 9 9 255 ", b"\x89PNG"):
        assert code_of(data) == "image_not_an_image"


@pytest.mark.parametrize("kind", ["PPM", "TGA", "ICO", "PCX", "SGI", "JPEG2000", "DDS", "EPS"])
def test_pillow_s_other_decoders_are_out_of_reach(kind: str) -> None:
    assert code_of(saved(quarters(64, 64), kind)) in {
        "image_not_an_image",
        "image_format_not_supported",
    }


def test_sizes() -> None:
    dot = np.zeros((1, 1, 3), dtype=np.uint8)
    for kind in ("JPEG", "PNG", "WebP", "GIF", "BMP", "TIFF", "AVIF"):
        assert code_of(saved(dot, kind)) == "image_too_small"
    assert code_of(saved(quarters(96, 63), "PNG")) == "image_too_small"
    assert loaded(saved(quarters(64, 64), "PNG")).pixels.shape == (64, 64, 3)
    wide = np.zeros((100, 30_000, 3), dtype=np.uint8)
    assert code_of(saved(wide, "JPEG")) == "image_side_too_long"
    assert code_of(saved(quarters(), "PNG"), ImageLimits(max_pixels=96 * 64 - 1)) == (
        "image_too_many_pixels"
    )
    assert code_of(saved(quarters(), "WebP"), ImageLimits(max_decoded_bytes=96 * 64 * 17)) == (
        "image_too_many_pixels"
    )


def chunk(name: bytes, body: bytes) -> bytes:
    crc = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc)


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def test_bombs_are_seen_in_the_header() -> None:
    """None of these could be decoded within the memory of the test machine."""
    pixels = chunk(b"IDAT", zlib.compress(bytes(1000)))
    assert code_of(png(2**31 - 1, 2**31 - 1, pixels)) == "image_side_too_long"
    assert code_of(png(16_000, 16_000, pixels)) == "image_too_many_pixels"

    gif = bytearray(saved(quarters(), "GIF"))
    gif[6:10] = struct.pack("<HH", 65535, 65535)
    assert code_of(bytes(gif)) == "image_side_too_long"

    jpeg = bytearray(saved(quarters(), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 16_000, 16_000)
    assert code_of(bytes(jpeg)) == "image_too_many_pixels"

    vp8x = b"VP8X" + struct.pack("<I", 10) + bytes(4) + b"\xff\xff\xff" * 2
    webp = b"RIFF" + struct.pack("<I", 4 + len(vp8x)) + b"WEBP" + vp8x
    assert webp_size(webp) == (1 << 24, 1 << 24)
    assert code_of(webp) == "image_side_too_long"

    heic = bytearray((DATA / "plain.heic").read_bytes())
    at = heic.index(b"ispe") + 8
    heic[at : at + 8] = struct.pack(">II", 30_000, 30_000)
    assert code_of(bytes(heic)).startswith("image_")


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 80}, {"exif": b"Exif\0\0II"}])
def test_webp_sizes_are_read_before_decoding(options: dict[str, object]) -> None:
    assert webp_size(saved(quarters(131, 77), "WebP", **options)) == (131, 77)


def test_text_bombs() -> None:
    text = b"Comment\0\0" + zlib.compress(bytes(200_000_000), 9)
    pixels = zlib.compress((b"\0" + bytes(96 * 3)) * 64)
    data = png(96, 64, chunk(b"zTXt", text), chunk(b"IDAT", pixels))
    assert len(data) < 300_000
    assert code_of(data).startswith("image_")
    profile = chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(200_000_000), 9))
    assert code_of(png(96, 64, profile, chunk(b"IDAT", pixels))).startswith("image_")


def test_many_text_chunks() -> None:
    info = PngImagePlugin.PngInfo()
    for number in range(2000):
        info.add_text(f"k{number}", "x" * 100)
    assert loaded(saved(quarters(), "PNG", pnginfo=info)).source.format == "PNG"


@pytest.mark.parametrize("mode", ["F", "I"])
def test_ambiguous_pixels_are_refused(mode: str) -> None:
    image = PillowImage.new(mode, (96, 64), 1)
    assert code_of(saved(image, "TIFF")) == "image_mode_not_supported"


def test_heic_items_that_are_not_text() -> None:
    """Each of these ended the process with a segmentation fault inside pi-heif 1.4."""
    data = (DATA / "turned.heic").read_bytes()
    at = data.index(b"Exif")
    for place in range(at, at + 4):
        broken = data[:place] + b"\x80" + data[place + 1 :]
        assert code_of(broken) == "image_damaged"


def noisy() -> np.ndarray:
    """Incompressible, so that a cut takes pixels away."""
    return np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)


FILES = {
    "JPEG": saved(noisy(), "JPEG", quality=80),
    "progressive": saved(noisy(), "JPEG", quality=80, progressive=True),
    "PNG": saved(noisy(), "PNG"),
    "WebP": saved(noisy(), "WebP", quality=80),
    "lossless": saved(noisy(), "WebP", lossless=True),
    "AVIF": saved(noisy(), "AVIF", quality=60),
    "GIF": saved(noisy(), "GIF"),
    "animation": saved(
        quarters(), "GIF", save_all=True, append_images=[PillowImage.fromarray(noisy())]
    ),
    "BMP": saved(noisy(), "BMP"),
    "TIFF": saved(noisy(), "TIFF"),
    "LZW": saved(noisy(), "TIFF", compression="tiff_lzw"),
    "HEIC": (DATA / "plain.heic").read_bytes(),
    "turned": (DATA / "turned.heic").read_bytes(),
}


@pytest.mark.parametrize("kind", FILES)
def test_truncation_is_never_half_grey(kind: str) -> None:
    """Cut anywhere: an error, or the very pixels of the whole file (only a trailer was lost)."""
    data = FILES[kind]
    whole = loaded(data).pixels
    refused = 0
    for part in range(1, 40):
        cut = data[: len(data) * part // 40]
        try:
            pixels = loaded(cut).pixels
        except ImageError as error:
            refused += 1
            assert error.error_code in {
                "image_truncated",
                "image_damaged",
                "image_not_an_image",
            }, error.message
        else:
            assert np.array_equal(pixels, whole), f"{kind} cut at {part}/40"
    assert refused > (4 if kind == "animation" else 15)  # its first picture is a short one


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.parametrize("kind", FILES)
@given(data=st.data())
def test_mutated_files_give_a_portrait_or_an_image_error(kind: str, data: st.DataObject) -> None:
    mutated = bytearray(FILES[kind])
    early = min(len(mutated), 200) - 1
    for _ in range(data.draw(st.integers(1, 6))):
        last = early if data.draw(st.booleans()) else len(mutated) - 1
        mutated[data.draw(st.integers(0, last))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del mutated[data.draw(st.integers(0, len(mutated) - 1)) :]
    limits = ImageLimits(max_pixels=1_000_000)
    try:
        portrait = load_portrait(
            bytes(mutated), width=96, height=64, limits=limits, reader=face_reader()
        )
    except ImageError as error:
        assert error.error_code.startswith("image_")
    else:
        assert portrait.pixels.dtype == np.uint8
        assert len(corners(portrait.pixels)) == 4


def test_decoders_stay_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """C libraries would otherwise write their thoughts into the user's terminal.

    libtiff's LZW decoder does (one line, past Pillow's handlers), and nothing short of
    redirecting the process's standard error would stop it.
    """
    for data in (data for kind, data in FILES.items() if kind != "LZW"):
        for mutated in (data[: len(data) * 2 // 3], data[:60] + bytes(40) + data[100:]):
            try:
                loaded(mutated)
            except ImageError as error:
                assert error.message
    assert capfd.readouterr() == ("", "")
