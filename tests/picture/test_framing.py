from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivant.picture.framing import crop_pixels, face_in_frame, framed
from vivant.types import Box, Face, Image, Portrait, Source

SOURCE = Source("test", "PNG", 1, 1, 1, "0")


def portrait(pixels: Image, crop: Box) -> Portrait:
    return Portrait(pixels, crop, (), SOURCE)


def ramp(width: int, height: int) -> Image:
    """Red grows by one per pixel to the right, green by one per pixel down."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def test_one_to_one_is_untouched() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    assert np.array_equal(
        crop_pixels(portrait(noise, Box(3, 5, 40, 30)), 40, 30), noise[5:35, 3:43]
    )


@given(
    left=st.floats(0, 60),
    top=st.floats(0, 60),
    side=st.floats(20, 120),
    out=st.integers(16, 200),
)
def test_geometry_is_exact_to_a_fraction_of_a_pixel(
    left: float, top: float, side: float, out: int
) -> None:
    """On a ramp the value at a place is the place."""
    crop = Box(left, top, side, side)
    got = crop_pixels(portrait(ramp(200, 200), crop), out, out).astype(float)
    scale = side / out
    centres = (np.arange(out) + 0.5) * scale
    inner = slice(int(4 / scale) + 1, out - int(4 / scale) - 1)
    assert np.abs(got[out // 2, inner, 0] - (left + centres - 0.5)[inner]).max(initial=0) <= 0.8
    assert np.abs(got[inner, out // 2, 1] - (top + centres - 0.5)[inner]).max(initial=0) <= 0.8


def test_a_crop_is_the_whole_picture_s_resize() -> None:
    """Reading only what the kernel sees changes nothing away from the picture's borders."""
    from PIL import Image as PillowImage

    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    for box, size in ((Box(40.3, 50.7, 160, 90), (64, 36)), (Box(40.3, 50.7, 48, 27), (160, 90))):
        got = crop_pixels(portrait(noise, box), *size)
        shrinking = box.width > size[0]
        kernel = PillowImage.Resampling.HAMMING if shrinking else PillowImage.Resampling.LANCZOS
        whole = PillowImage.fromarray(noise).resize(
            size, kernel, box=(box.left, box.top, box.right, box.bottom)
        )
        assert np.abs(got.astype(int) - np.asarray(whole)).max() <= 1


def test_deterministic_and_flat_stays_flat() -> None:
    flat = np.full((90, 160, 3), 77, dtype=np.uint8)
    for size in ((1920, 1080), (32, 18), (160, 90)):
        assert (crop_pixels(portrait(flat, Box(0, 0, 160, 90)), *size) == 77).all()
    noise = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    whole = portrait(noise, Box(0, 0, 160, 90))
    assert np.array_equal(crop_pixels(whole, 333, 187), crop_pixels(whole, 333, 187))


@given(
    width=st.floats(1, 4000),
    height=st.floats(1, 4000),
    out_width=st.integers(1, 4096),
    out_height=st.integers(1, 4096),
)
def test_framed_is_the_smallest_box_of_that_aspect_around_the_crop(
    width: float, height: float, out_width: int, out_height: int
) -> None:
    crop = Box(11, 7, width, height)
    box = framed(crop, out_width, out_height)
    assert box.width / box.height == pytest.approx(out_width / out_height)
    assert box.center == pytest.approx(crop.center)
    assert box.width >= width * (1 - 1e-9)
    assert box.height >= height * (1 - 1e-9)
    assert box.width == pytest.approx(width) or box.height == pytest.approx(height)


def test_engines_grids_widen_the_crop_and_keep_its_centre() -> None:
    """1280×736 for a 16:9 crop: its middle 720 rows are the picture at 1280×720."""
    noise = np.random.default_rng(2).integers(0, 256, (1000, 1280, 3), dtype=np.uint8)
    taken = portrait(noise, Box(0, 100, 1280, 720))
    assert np.array_equal(crop_pixels(taken, 1280, 736)[8:728], crop_pixels(taken, 1280, 720))
    assert np.array_equal(crop_pixels(taken, 1280, 736), noise[92:828])


def test_edges_are_repeated_where_the_picture_ends() -> None:
    noise = np.random.default_rng(3).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    taken = portrait(noise, Box(0, 0, 1280, 720))
    frame = crop_pixels(taken, 1280, 736)
    assert np.array_equal(frame[8:728], noise)
    assert (frame[:8] == noise[0]).all()
    assert (frame[728:] == noise[-1]).all()


def test_faces_travel_with_the_frame() -> None:
    face = Face(Box(300, 200, 100, 100), 1.0, ((310.0, 220.0),) * 5)
    seen = face_in_frame(face, Box(100, 100, 640, 360), 1920, 1080)
    assert seen.box == Box(600, 300, 300, 300)
    assert seen.landmarks[0] == (630.0, 360.0)
    assert seen.score == 1.0
