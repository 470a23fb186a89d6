"""The portraits that ship with Vivant."""

from __future__ import annotations

import io

from PIL import Image

from vivant.picture.sample_picture import demo_picture, sample_picture


def test_the_demo_portrait_is_not_enlarged_and_the_package_stays_small() -> None:
    body = demo_picture()
    assert len(body) < 600_000
    with Image.open(io.BytesIO(body)) as image:
        assert image.size >= (1920, 1080)
        assert image.info.get("exif") is None


def test_the_page_has_a_small_one() -> None:
    with Image.open(io.BytesIO(sample_picture())) as image:
        assert image.size == (512, 512)
