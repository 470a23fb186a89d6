"""Read the bytes of a picture, at most so many, and tell by its first bytes what it is.

Trusts nothing: not the name, not the size the file claims, not that it is a file at all.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from vivant.errors import ImageError, printable
from vivant.picture.camera_raw import raw_kind
from vivant.picture.heif_boxes import read_heif

SUPPORTED = "JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP and TIFF"

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_CONTAINERS = (b"mif1", b"msf1", b"mif2", b"miaf")
"""ISO/IEC 23008-12: the major brand names the container only; compatible brands name the codec."""

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)

_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"II+\0", "a BigTIFF picture: save it as TIFF, JPEG or PNG"),
    (b"MM\0+", "a BigTIFF picture: save it as TIFF, JPEG or PNG"),
    (b"%PDF", "a PDF document: export the page as PNG"),
    (b"%!PS", "a PostScript document: export it as PNG"),
    (b"8BPS", "a Photoshop document: export it as PNG"),
    (b"\x1aE\xdf\xa3", "a video: save one of its frames as PNG"),
    (b"\0\0\x01\xba", "a video: save one of its frames as PNG"),
    (b"\0\0\x01\xb3", "a video: save one of its frames as PNG"),
    (b"\xff\x0a", "a JPEG XL picture: save it as JPEG or PNG"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture: save it as JPEG or PNG"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture: save it as JPEG or PNG"),
    (b"\xffO\xffQ", "a JPEG 2000 picture: save it as JPEG or PNG"),
    (b"\0\0\x01\0", "an icon: use the picture it was made from"),
    (b"PK\x03\x04", "an archive: unpack it and give the picture inside"),
    (b"\x1f\x8b", "an archive: unpack it and give the picture inside"),
)

_HEIF_OTHERS = (b"j2ki", b"j2is", b"jpeg", b"jpgs", b"avci", b"avcs", b"vvic", b"vvis", b"evbi")
"""Brands of HEIF files whose codec is neither HEVC nor AV1 (ISO/IEC 23008-12, annexes)."""

_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """What is accepted; checked from the file's header before anything is decoded.

    Attributes:
        max_bytes: size of the file.
        max_pixels: width × height.
        max_decoded_bytes: what the decoder may take at its peak, by the measured needs of each
            format (:data:`vivant.picture.decode.DECODERS`). JPEG is decoded at reduced size.
        max_side: longer side, pixels.
        min_side: shorter side, pixels.
        max_scan_pixels: scans × pixels of a JPEG; 10⁹ take about a second to decode. None where
            slow decoders are ended by the clock, as in the service.
    """

    max_bytes: int = 50_000_000
    max_pixels: int = 100_000_000
    max_decoded_bytes: int = 640_000_000
    max_side: int = 16_384
    min_side: int = 64
    max_scan_pixels: int | None = None


def short_printable(text: str) -> str:
    """``text`` without what a terminal or a JSON file would stumble over, at most 160 long."""
    clean = printable(text)
    return clean if len(clean) <= 160 else f"…{clean[-159:]}"


def refuse(message: str, code: str) -> ImageError:
    """An :class:`ImageError` about the request's ``image``."""
    return ImageError(message, code=code, param="image")


def read_bytes(image: Path | bytes, limits: ImageLimits) -> bytes:
    """The whole file, never more than ``limits.max_bytes`` of it in memory.

    Raises:
        ImageError: missing, not a regular file, not readable, empty or too large.
    """
    if isinstance(image, Path):
        data = _read_file(image, limits)
    else:
        if len(image) > limits.max_bytes:
            raise _too_large("the picture", len(image), limits)
        data = bytes(image)
    if not data:
        name = short_printable(str(image)) if isinstance(image, Path) else "the picture"
        raise refuse(f"{name} is empty (0 bytes): give the picture itself", "image_empty")
    return data


def _read_file(path: Path, limits: ImageLimits) -> bytes:
    name = short_printable(str(path))
    try:
        # Opening a device can act on it, and opening a FIFO waits: look first, do not wait.
        _check_kind(path.stat().st_mode, name)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(path, flags), "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            facts = os.fstat(file.fileno())
            _check_kind(facts.st_mode, name)
            if facts.st_size > limits.max_bytes:
                raise _too_large(name, facts.st_size, limits)
            data = file.read(limits.max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: NUL in the path
        raise refuse(f"{name} does not exist: check the path", "image_not_found") from None
    except PermissionError:
        raise refuse(
            f"{name} may not be read by this user: change its permissions", "image_not_readable"
        ) from None
    except OSError as error:
        raise refuse(
            f"{name} cannot be read ({error.strerror}): check the path and the disk",
            "image_not_readable",
        ) from None
    if len(data) > limits.max_bytes:  # it grew, or lies about its size as /proc does
        raise _too_large(name, len(data), limits)
    return data


def _check_kind(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise refuse(f"{name} is a directory: give one picture in it", "image_is_directory")
    if not stat.S_ISREG(mode):
        raise refuse(f"{name} is a device or a pipe: give a picture file", "image_not_a_file")


def _too_large(name: str, size: int, limits: ImageLimits) -> ImageError:
    return refuse(
        f"{name} has {size / 1e6:.1f} MB, more than the {limits.max_bytes / 1e6:g} MB allowed: "
        "save it smaller or as JPEG",
        "image_too_large",
    )


def sniff(data: bytes, name: str) -> str:
    """The format, by the first bytes, whatever the name says.

    Raises:
        ImageError: not a picture, or of a format that is not supported, or its container says
            that it is longer than it is.
    """
    if (raw := raw_kind(data)) is not None:
        raise _unsupported(
            name,
            f"a camera RAW file ({raw}), of which only a small preview could be read: develop it "
            "and save it as JPEG or TIFF",
        )
    for signature, known in _SIGNATURES:
        if data.startswith(signature):
            return known
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        if int.from_bytes(data[4:8], "little") + 8 > len(data):
            raise truncated(name)
        return "WebP"
    if data[4:8] == b"ftyp":
        codec = _sniff_iso(data)
        if codec:
            _check_boxes(data, name)
            other = read_heif(data).unsupported
            if other is not None:
                raise _unsupported(name, _heif_with(other))
            return codec
        if data[8:12] in _HEIF_OTHERS:
            other = read_heif(data).unsupported or "a codec other than HEVC"
            raise _unsupported(name, _heif_with(other))
    for signature, what in _OTHERS:
        if data.startswith(signature):
            raise _unsupported(name, what)
    if data[4:8] in _ISO_BOXES or (data[:4] == b"RIFF" and data[8:12] == b"AVI "):
        raise _unsupported(name, "a video: save one of its frames as PNG")
    if b"<svg" in data[:4096].lower():
        raise _unsupported(name, "an SVG drawing, which has no pixels: export it as PNG")
    raise refuse(
        f"{name} is not a picture, whatever its name says: use {SUPPORTED}", "image_not_an_image"
    )


def _heif_with(codec: str) -> str:
    return f"a HEIF picture with {codec} inside: save it as JPEG or PNG"


def _unsupported(name: str, what: str) -> ImageError:
    return refuse(f"{name} is {what}", "image_format_not_supported")


def truncated(name: str) -> ImageError:
    """The error for a file whose end is missing."""
    return refuse(f"{name} is cut off before its end: copy or download it again", "image_truncated")


def _sniff_iso(data: bytes) -> str | None:
    """AVIF or HEIC by the brands of the ``ftyp`` box; None for films and the like."""
    size = min(int.from_bytes(data[:4], "big"), 1024)
    brands = [data[8:12], *(data[i : i + 4] for i in range(16, size, 4))]
    if brands[0] in _AVIF_BRANDS:
        return "AVIF"
    if brands[0] in _HEIC_BRANDS:
        return "HEIC"
    if brands[0] in _HEIF_CONTAINERS:
        return "AVIF" if any(brand in _AVIF_BRANDS for brand in brands) else "HEIC"
    return None


def _check_boxes(data: bytes, name: str) -> None:
    """Walk the top-level ISO-BMFF boxes (ISO/IEC 14496-12, 4.2): the last must end in the file."""
    at = 0
    while at < len(data):
        size, header = int.from_bytes(data[at : at + 4], "big"), 8
        if size == 1:
            size, header = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        if size == 0:  # to the end of the file
            size = len(data) - at
        if at + header > len(data) or at + size > len(data):
            raise truncated(name)
        if size < header:
            raise damaged(name)
        if data[at + 4 : at + 8] == b"meta":
            _check_items(data[at : at + size], name)
        at += size


def _check_items(meta: bytes, name: str) -> None:
    """Item types and names (ISO/IEC 14496-12, 8.11.6) must be text.

    pi-heif 1.4 makes Python strings of them unchecked, and a byte that is no UTF-8 there ends
    the process with a segmentation fault: found by mutating a file.
    """
    at = meta.find(b"infe")
    while at >= 0:
        size = int.from_bytes(meta[max(at - 4, 0) : at], "big")
        wide = 2 if meta[at + 4 : at + 5] == b"\3" else 0
        if size < 16 + wide:  # not even a type
            raise damaged(name)
        try:
            meta[at + 12 + wide : at - 4 + size].decode("utf-8")
        except ValueError:
            raise damaged(name) from None
        at = meta.find(b"infe", at + 4)


def damaged(name: str) -> ImageError:
    """The error for a file that its decoder cannot make sense of."""
    return refuse(
        f"{name} is damaged and cannot be decoded: export or download it again", "image_damaged"
    )


def too_slow(name: str, seconds: float) -> ImageError:
    """The error for a picture whose decoder was ended after ``seconds``."""
    return refuse(
        f"{name} takes more than {seconds:g} s to decode: save it again as PNG or as a plain JPEG",
        "image_too_slow",
    )


def unsafe(name: str) -> ImageError:
    """The error for a picture that crashed its decoder."""
    return refuse(f"{name} cannot be decoded safely: save it again as PNG", "image_damaged")


def webp_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from a WebP's header (RFC 9649, 2.5–2.7), before decoding."""
    chunk, body = data[12:16], data[20:30]
    if len(body) < 10:
        return None
    if chunk == b"VP8X":
        return (
            int.from_bytes(body[4:7], "little") + 1,
            int.from_bytes(body[7:10], "little") + 1,
        )
    if chunk == b"VP8L" and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return (
            int.from_bytes(body[6:8], "little") & 0x3FFF,
            int.from_bytes(body[8:10], "little") & 0x3FFF,
        )
    return None
