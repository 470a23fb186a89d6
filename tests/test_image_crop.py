from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_files import astronaut, face_reader, loaded, on_canvas, saved
from vivant.errors import OptionError
from vivant.picture.crop import choose_crop, head
from vivant.picture.intake import find_faces, load_portrait
from vivant.types import Box, Face

SHAPES = [(1920, 1080), (1080, 1920), (1080, 1080), (1280, 536)]


def face_at(left: float, top: float, side: float) -> Face:
    eyes = top + 0.25 * side
    xs = (0.85, 0.65, 0.15, 0.35)
    points = tuple((left + x * side, eyes) for x in xs)
    return Face(Box(left, top, side, side), 1.0, (*points, (left + side / 2, top + 0.6 * side)))


def inside(inner: Box, outer: Box, slack: float = 1.0) -> bool:
    return (
        inner.left >= outer.left - slack
        and inner.top >= outer.top - slack
        and inner.right <= outer.right + slack
        and inner.bottom <= outer.bottom + slack
    )


def clipped(box: Box, width: int, height: int) -> Box:
    left, top = max(box.left, 0.0), max(box.top, 0.0)
    return Box(left, top, min(box.right, width) - left, min(box.bottom, height) - top)


@given(
    width=st.integers(64, 5000),
    height=st.integers(64, 5000),
    aspect=st.floats(0.3, 3.5),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
    size=st.floats(0.02, 1.2),
    found=st.booleans(),
)
def test_crop_is_largest_inside_and_keeps_the_head(
    width: int, height: int, aspect: float, x: float, y: float, size: float, found: bool
) -> None:
    side = max(4.0, size * min(width, height))
    face = face_at(x * width - side / 2, y * height - side / 2, side)
    crop, warning = choose_crop(width, height, (face,) if found else (), aspect)
    assert crop.width / crop.height == pytest.approx(aspect)
    assert inside(crop, Box(0, 0, width, height), 1e-6)
    assert crop.width == pytest.approx(width) or crop.height == pytest.approx(height)
    if not found:
        assert warning is None
        return
    whole = clipped(head(face), width, height)
    fits = whole.width <= crop.width and whole.height <= crop.height
    assert inside(whole, crop) or not fits
    if fits:
        assert warning is None
    if not inside(whole, crop):
        assert warning is not None
    to_chin = clipped(Box(face.box.left, face.box.top, side, 1.2 * side), width, height)
    if to_chin.width <= crop.width and to_chin.height <= crop.height:
        assert inside(to_chin, crop)


def test_a_head_too_tall_is_centred_and_said() -> None:
    crop, warning = choose_crop(1000, 1000, (face_at(200, 300, 560),), 16 / 9)
    assert crop.center[1] == pytest.approx(300 + 0.6 * 560, abs=1)
    assert warning is not None
    assert "cut" in warning


def test_without_a_face_a_little_above_the_centre() -> None:
    crop, warning = choose_crop(1000, 1000, (), 2.0)
    assert (crop.left, crop.top, crop.width, crop.height) == (0, 200, 1000, 500)
    assert warning is None


@pytest.mark.parametrize(("width", "height"), SHAPES)
def test_astronaut(width: int, height: int) -> None:
    portrait = load_portrait(
        saved(astronaut(), "PNG"), width=width, height=height, reader=face_reader()
    )
    hair_to_chin = Box(155, 18, 130, 170)  # looked up in the picture
    assert inside(hair_to_chin, portrait.crop) or height == 536
    assert portrait.crop.width / portrait.crop.height == pytest.approx(width / height)
    warning = next(w for w in portrait.warnings if "enlarged" in w)
    scale = width / portrait.crop.width
    assert f"for a {width}×{height} clip" in warning
    assert f"{scale:.1f}×" in warning


def test_small_source_is_said_with_numbers() -> None:
    grey = on_canvas(640, 360)
    portrait = load_portrait(saved(grey, "PNG"), width=1920, height=1080, reader=face_reader())
    assert (
        "the picture gives 640×360 for a 1920×1080 clip: it will be enlarged 3.0× and look soft; "
        "use one of at least 1920×1080"
    ) in portrait.warnings
    large = load_portrait(saved(on_canvas(1920, 1080), "PNG"), width=1920, height=1080)
    assert not any("enlarged" in warning for warning in large.warnings)
    assert (large.crop.width, large.crop.height) == (1920, 1080)


def test_no_face_is_no_failure() -> None:
    portrait = loaded(saved(on_canvas(200, 200), "PNG"))
    assert portrait.faces == ()
    assert any("no face was found" in warning for warning in portrait.warnings)


def test_the_largest_of_several_faces() -> None:
    canvas = on_canvas(1200, 650, (0, 100, 2.0), (550, 0, 2.6))
    portrait = load_portrait(saved(canvas, "PNG"), width=540, height=540, reader=face_reader())
    assert len(portrait.faces) == 2
    assert portrait.faces[0].box.area > portrait.faces[1].box.area
    assert portrait.faces[0].box.left > 550
    assert inside(portrait.faces[0].box, portrait.crop)
    assert "2 faces were found: the clip is about the largest one" in portrait.warnings


@pytest.mark.parametrize("quality", [96, 80, 60])
def test_folds_of_a_suit_are_not_the_largest_face(quality: int) -> None:
    portrait = loaded(saved(astronaut(), "JPEG", quality=quality), 1920, 1080)
    assert len(portrait.faces) == 1
    x, y = portrait.faces[0].box.center
    assert (abs(x - 223), abs(y - 127)) < (12, 12)


def test_small_faces_in_big_pictures_are_found_by_a_finer_search() -> None:
    canvas = on_canvas(2400, 1600, (1500, 900, 1.0))
    assert face_reader().detect(canvas) == ()
    faces = find_faces(face_reader(), canvas)
    assert len(faces) == 1
    x, y = faces[0].box.center
    assert abs(x - (1500 + 123)) < 12
    assert abs(y - (900 + 127)) < 12


def test_small_faces_in_small_pictures_are_found() -> None:
    canvas = on_canvas(300, 200, (90, 30, 0.6))
    assert face_reader().detect(canvas) == ()
    assert len(find_faces(face_reader(), canvas)) == 1


def test_impossible_size() -> None:
    with pytest.raises(OptionError):
        loaded(saved(on_canvas(100, 100), "PNG"), 0, 100)
