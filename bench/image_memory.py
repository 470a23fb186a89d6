"""Peak memory of decoding one large picture, by format: the source of ``Decoder.bytes_per_pixel``.

Run: ``python bench/image_memory.py [FILE ...]``; without files it makes its own, of 36 Mpx.
Every picture is decoded in a process of its own, and what the process takes for a small picture
of the same format is subtracted. Linux.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SAVED: dict[str, dict[str, Any]] = {
    "rgb.jpg": {"quality": 90},
    "progressive.jpg": {"quality": 90, "progressive": True},
    "rgb.png": {"compress_level": 1},
    "rgba.png": {"compress_level": 1},
    "grey16.png": {"compress_level": 1},
    "rgb.webp": {"quality": 80, "method": 0},
    "rgba.webp": {"quality": 80, "method": 0},
    "rgb.avif": {"quality": 60, "speed": 10},
    "rgba.avif": {"quality": 60, "speed": 10},
    "grey.gif": {},
    "rgb.bmp": {},
    "rgb.tif": {},
    "turned.tif": {"tiffinfo": {274: 6}},
    "lzw.tif": {"compression": "tiff_lzw"},
}


def picture(name: str, width: int, height: int) -> Image.Image:
    """Smooth colour with grain, of the mode the name asks for."""
    tile = np.random.default_rng(0).integers(0, 24, (256, 256), dtype=np.uint8)
    grain = np.tile(tile, (-(-height // 256), -(-width // 256)))[:height, :width]
    ramp = np.linspace(0, 200, width, dtype=np.uint8)[None, :]
    grey = Image.fromarray(grain + ramp)
    if name.startswith("grey16"):
        return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    if name.startswith("grey"):
        return grey
    mode = "RGBA" if name.startswith("rgba") else "RGB"
    return Image.merge(mode, [grey] * len(mode))


def child(path: str) -> None:
    """Decode ``path`` and print the peak resident memory and the CPU seconds."""
    from vivant.picture.decode import decode
    from vivant.picture.source import ImageLimits

    limits = ImageLimits(
        max_bytes=1 << 40, max_pixels=1 << 40, max_decoded_bytes=1 << 40, max_side=1 << 20
    )
    started = time.process_time()
    decode(Path(path).read_bytes(), path, 1920, 1080, limits)
    seconds = time.process_time() - started
    # not getrusage: its peak is inherited from the parent
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    print(int(peak.split()[1]) * 1024, seconds)


def measure(path: Path) -> tuple[float, float]:
    """Peak bytes and CPU seconds of :func:`child`."""
    command = [sys.executable, __file__, "--child", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, seconds = done.stdout.split()
    return float(peak), float(seconds)


def main(files: list[str]) -> None:
    """Print a table."""
    from vivant.picture.decode import decode
    from vivant.picture.source import ImageLimits

    print(f"{'file':<20}{'Mpx':>8}{'MB':>8}{'B/px':>8}{'s':>8}")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(file) for file in files]
        for name, options in [] if files else list(SAVED.items()):
            path = Path(folder, name)
            picture(name, 7200, 5000).save(path, **options)
            paths.append(path)
        small = Path(folder, "small.png")
        picture("rgb", 64, 64).save(small)
        base, _ = measure(small)
        wide = ImageLimits(max_bytes=1 << 40, max_pixels=1 << 40, max_decoded_bytes=1 << 40)
        for path in paths:
            peak, seconds = measure(path)
            decoded = decode(path.read_bytes(), path.name, 1920, 1080, wide)
            pixels = decoded.width * decoded.height
            print(
                f"{path.name:<20}{pixels / 1e6:>8.1f}{(peak - base) / 1e6:>8.0f}"
                f"{(peak - base) / pixels:>8.1f}{seconds:>8.2f}"
            )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2])
    else:
        main(sys.argv[1:])
