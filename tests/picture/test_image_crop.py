from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_files import astronaut, face_reader, loaded, on_canvas, saved
from vivant.errors import OptionError
from vivant.picture.crop import choose_crop, head
from vivant.picture.intake import find_faces, load_portrait
from vivant.picture.matte import head_place
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


@given(
    aspect=st.floats(0.4, 3),
    places=st.lists(st.tuples(st.floats(0.05, 0.85), st.floats(0.05, 0.7)), min_size=2, max_size=5),
)
def test_all_faces_are_shown_where_the_shape_can_hold_their_heads(
    aspect: float, places: list[tuple[float, float]]
) -> None:
    faces = tuple(face_at(x * 1600, y * 1000, 100 - 5 * i) for i, (x, y) in enumerate(places))
    crop, warning = choose_crop(1600, 1000, faces, aspect)
    heads = [clipped(head(face), 1600, 1000) for face in faces]
    across = max(h.right for h in heads) - min(h.left for h in heads)
    down = max(h.bottom for h in heads) - min(h.top for h in heads)
    if across <= crop.width and down <= crop.height:
        assert all(inside(whole, crop) for whole in heads)
        assert warning is None
    assert inside(heads[0], crop)
    outside = sum(not inside(face.box, crop) for face in faces)
    assert (warning is not None) == (outside > 0)
    if warning is not None:
        assert f"all {len(faces)} faces, so {outside} of them" in warning


def test_a_small_face_in_the_background_does_not_move_the_crop() -> None:
    person, poster = face_at(300, 200, 200), face_at(1500, 100, 50)
    alone, _ = choose_crop(1600, 1000, (person,), 1.0)
    both, warning = choose_crop(1600, 1000, (person, poster), 1.0)
    assert both == alone
    assert warning is None


def test_a_tall_picture_without_a_face_keeps_its_top() -> None:
    crop, _ = choose_crop(1000, 1500, (), 16 / 9)
    assert crop.top == 0
    portrait = loaded(saved(on_canvas(200, 300), "PNG"), 192, 108)
    assert any("no face was found, so the top of" in warning for warning in portrait.warnings)


def test_the_head_of_a_person_is_kept_where_no_face_is_found() -> None:
    tall = np.concatenate([np.full((700, 512, 3), 120, np.uint8), astronaut()])
    place = head_place(tall)
    assert place is not None
    assert (abs(place[0] - 223), abs(place[1] - 715)) < (50, 40)
    crop, warning = choose_crop(512, 1212, (), 16 / 9, place)
    assert crop.top < 715
    assert crop.bottom > 880
    assert warning is None
    assert head_place(np.full((300, 200, 3), 128, np.uint8)) is None
    assert choose_crop(1600, 900, (), 9 / 16, (1400.0, 90.0))[0].right > 1500


@pytest.mark.parametrize(
    ("turns", "said"),
    [
        (0, None),
        (1, "lie on its side, its top on the left"),
        (2, "be upside down"),
        (3, "lie on its side, its top on the right"),
    ],
)
def test_a_portrait_that_is_not_upright_is_told(turns: int, said: str | None) -> None:
    picture = np.ascontiguousarray(np.rot90(astronaut(), turns))
    warnings = loaded(saved(picture, "PNG"), 512, 512).warnings
    found = [warning for warning in warnings if "the picture seems to" in warning]
    assert found == (
        []
        if said is None
        else [f"the picture seems to {said}: turn it and try again (rotate {90 * turns})"]
    )


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
