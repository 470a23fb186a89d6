"""Which part of a clip shows the picture: crops, bars, captions and logos."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from checks_clips import picture, portrait
from vivant.checks.frame import reduced
from vivant.checks.registration import register
from vivant.grid import cover_crop
from vivant.types import Image


def captioned(image: Image) -> Image:
    out = image.copy()
    place = (120, image.shape[0] - 14)
    for ink, width in (((0, 0, 0), 7), ((255, 255, 255), 3)):
        cv2.putText(out, "what he said then", place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, ink, width)
    return out


def with_logo(image: Image) -> Image:
    out = image.copy()
    cv2.rectangle(out, (440, 8), (500, 44), (250, 220, 0), -1)
    cv2.putText(out, "TV", (448, 38), cv2.FONT_HERSHEY_SIMPLEX, 1, (200, 0, 0), 3)
    return out


def faint_logo(image: Image) -> Image:
    """Little lighter than what is behind it, as white letters on a light wall are."""
    out = image.copy()
    part = out[8:56, 440:504]
    part[...] = np.minimum(part.astype(np.int16) + 18, 255).astype(np.uint8)
    return out


def boxed(image: Image) -> Image:
    return cv2.copyMakeBorder(image, 40, 40, 0, 0, cv2.BORDER_CONSTANT).astype(np.uint8)


def strip(image: Image) -> Image:
    out = cv2.copyMakeBorder(image, 0, 60, 0, 0, cv2.BORDER_CONSTANT, value=(20, 40, 160))
    cv2.putText(out, "NEWS AT TEN", (60, 362), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 3)
    return out.astype(np.uint8)


def apart(one: Image, other: Image) -> float:
    return float(np.mean(cv2.absdiff(one, other)))


def test_the_picture_itself_is_taken_whole() -> None:
    image, _ = picture()
    small = reduced(image, 384)
    for frame in (image, small, cv2.GaussianBlur(image, (0, 0), 1).astype(np.uint8)):
        found = register(portrait(), frame)
        assert found.whole
        assert found.portrait.crop == portrait().crop


def test_a_crop_is_compared_with_its_own_part() -> None:
    image, _ = picture()
    part = np.ascontiguousarray(image[:, 130:310])
    large = cv2.resize(part, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    found = register(portrait(), large)
    assert found.window == (0, 0, 360, 640)
    assert found.portrait.crop.left == pytest.approx(130, abs=1.5)
    assert found.portrait.crop.width == pytest.approx(180, abs=2)
    assert apart(found.pixels, large) < 4


@pytest.mark.parametrize("aside", [3, -9, 40])
def test_a_crop_a_little_beside_the_middle_is_found(aside: int) -> None:
    image, face = picture()
    height, width = image.shape[:2]
    crop = cover_crop(width, height, 9 / 16)
    left = round(crop.left) + aside
    part = np.ascontiguousarray(image[:, left : left + round(crop.width)])
    small = cv2.resize(part, (144, 256), interpolation=cv2.INTER_AREA).astype(np.uint8)
    for frame in (part, small):
        found = register(replace(portrait(image, face), crop=crop), frame)
        assert found.portrait.crop.left == pytest.approx(left, abs=0.3)
        assert apart(found.pixels, frame) < 2


@pytest.mark.parametrize("spoil", [captioned, with_logo, faint_logo, boxed, strip])
def test_bars_captions_and_logos_are_left_out(spoil: object) -> None:
    image, face = picture()
    assert callable(spoil)
    frame = spoil(image)
    found = register(portrait(), frame)
    left, top, right, bottom = found.window
    assert not found.whole
    assert (right - left) * (bottom - top) > 0.6 * image.shape[0] * image.shape[1]
    assert apart(found.pixels, frame[top:bottom, left:right]) < 4
    offset = 40 if spoil is boxed else 0
    assert top <= face.box.top + offset
    assert face.box.bottom + offset <= bottom


def test_a_strip_over_the_chin_is_cut_off_with_it() -> None:
    image, face = picture()
    part = np.ascontiguousarray(image[: int(face.box.bottom) + 12])
    frame = part.copy()
    frame[int(face.box.bottom) - 2 :] = (20, 40, 160)
    bottom = register(portrait(part, face), frame).window[3]
    assert face.landmarks[4][1] < bottom <= face.box.bottom - 2


def test_a_strip_takes_its_rows_and_no_columns() -> None:
    image, face = picture()
    tall = np.ascontiguousarray(image[:, 150:330])
    frame = tall.copy()
    frame[280:] = (20, 40, 160)
    left, top, right, bottom = register(portrait(tall, face.moved(-150, 0)), frame).window
    assert (left, top, right) == (0, 0, 180)
    assert 250 <= bottom <= 280


def test_another_picture_is_compared_as_it_is() -> None:
    image, _ = picture()
    noise = np.random.default_rng(0).integers(0, 255, image.shape).astype(np.uint8)
    assert register(portrait(), noise).whole
    moved = np.roll(image, 40, axis=1)
    assert register(portrait(), np.ascontiguousarray(moved[::-1])).whole
