from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from image_files import astronaut, face_reader, on_canvas
from vivant.picture.face_mesh import model_file
from vivant.picture.matte import MatteError, person_matte, refuse_patterned, refuse_unclear
from vivant.types import Box, Face, Image

FAILING = Path(__file__).parents[3] / "shared" / "failing"


def test_network_is_the_one_that_is_described() -> None:
    data = Path(model_file("selfie_segmentation.tflite")).read_bytes()
    assert hashlib.sha256(data).hexdigest() == (
        "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c"
    )


def test_astronaut_is_cut_out_whole() -> None:
    """Hair, face, both shoulders and the suit are hers; flag and rocket are not."""
    matte, trust = person_matte(astronaut(), face_reader().detect(astronaut()))
    assert matte.shape == trust.shape == (512, 512)
    assert matte.dtype == trust.dtype == np.float32
    assert 0 <= matte.min() <= matte.max() <= 1
    for x, y in ((223, 45), (223, 127), (120, 330), (330, 330), (220, 480)):
        assert matte[y, x] > 0.9, (x, y)
    for x, y in ((440, 60), (480, 120), (120, 60), (330, 120)):
        assert matte[y, x] < 0.1, (x, y)
    again, _ = person_matte(astronaut(), face_reader().detect(astronaut()))
    assert np.array_equal(matte, again)


def test_two_people_are_in_one_matte() -> None:
    pair = on_canvas(500, 250, (0, 0, 1.0), (250, 0, 1.0))
    matte, _ = person_matte(pair, face_reader().detect(pair))
    assert matte[127, 123] > 0.9
    assert matte[127, 373] > 0.9


@pytest.mark.parametrize(
    ("name", "wall"),
    [
        ("grey_wall_like_suit_wall_moves_with_person.jpg", (0.85, 0.6)),
        ("letters_behind_head_smear_and_ghost.jpg", (0.8, 0.25)),
    ],
)
def test_what_is_like_the_person_stays_behind(name: str, wall: tuple[float, float]) -> None:
    path = FAILING / name
    if not path.is_file():
        pytest.skip("the pictures of shared/failing are not here")
    read = np.asarray(PillowImage.open(path).convert("RGB"))
    factor = 640 / max(read.shape[:2])
    picture: Image = cv2.resize(read, None, fx=factor, fy=factor).astype(np.uint8)
    matte, trust = person_matte(picture, face_reader().detect(picture))
    height, width = matte.shape
    x, y = round(wall[0] * width), round(wall[1] * height)
    assert matte[y - 8 : y + 8, x - 8 : x + 8].max() < 0.1
    refuse_unclear(matte, trust)


def test_what_cannot_be_cut_out_is_refused() -> None:
    grey = np.full((360, 640, 3), 128, dtype=np.uint8)
    large = Face(box=Box(100, 50, 200, 200), score=1.0, landmarks=((1.0, 1.0),) * 5)
    with pytest.raises(MatteError, match="told from the background"):
        person_matte(grey, (large,))
    small = Face(box=Box(100, 50, 9, 9), score=1.0, landmarks=((1.0, 1.0),) * 5)
    with pytest.raises(MatteError, match="too small"):
        person_matte(grey, (small,))


def test_an_unclear_outline_is_refused() -> None:
    matte = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (100, 1))
    refuse_unclear(matte, np.ones_like(matte))
    with pytest.raises(MatteError, match="told from the background"):
        refuse_unclear(matte, np.zeros_like(matte))


def test_letters_beside_the_person_keep_the_planes_together() -> None:
    picture = np.full((300, 480, 3), 210, np.uint8)
    matte = np.zeros((300, 480), np.float32)
    matte[80:, 180:300] = 1
    refuse_patterned(picture, matte)
    picture[:, ::8] = 40  # bars, as letters have them
    with pytest.raises(MatteError, match="pattern"):
        refuse_patterned(picture, matte)
