"""Crop, focus and rotation that a person chose: command line, CSV, and the picture itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_files import astronaut, face_reader, on_canvas, quarters, saved
from vivant.crop_area import CropArea, FocusPoint, Framing, parse_crop, parse_focus
from vivant.errors import OptionError
from vivant.picture.crop_by_hand import chosen_crop, crop_around
from vivant.picture.intake import load_portrait
from vivant.service.job import JobSpec, request_from_json, request_json
from vivant.types import Box, Portrait, Request

Run = Callable[..., tuple[int, str, str]]

SMALL = ("--engine", "fake", "--size", "128x72", "--frames", "5")


@pytest.mark.parametrize("text", ["100,50,800,600", "10%,5.5%,80%,60%", "0,0,64,64"])
def test_an_area_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_crop(text)) == text
    assert parse_crop(text.replace(",", " , ")) == parse_crop(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "x,y,width,height"),
        ("1,2,3", "write 100,50,800,600"),
        ("-1,0,80,80", "x,y,width,height"),
        ("10%,5,80%,60%", "mixes pixels and percent"),
        ("0,0,0,90", "must be above 0"),
        ("50%,0%,60%,10%", "100% at most"),
        ("nan,0,1,1", "x,y,width,height"),
    ],
)
def test_what_is_no_area_is_refused_with_an_example(text: str, told: str) -> None:
    with pytest.raises(OptionError, match=told) as refused:
        parse_crop(text)
    assert refused.value.param == "crop"


def test_a_focus_is_two_numbers_in_the_picture() -> None:
    assert parse_focus("50%,30%") == FocusPoint(50, 30, "%")
    for text in ("50%", "50%,101%", "x,y", "50%,3"):
        with pytest.raises(OptionError):
            parse_focus(text)
    with pytest.raises(OptionError, match="1000×500 pixels"):
        crop_around(FocusPoint(1001, 3), 1000, 500, 1.0)
    assert crop_around(FocusPoint(700, 3), 1000, 500, 1.0) == Box(450, 0, 500, 500)
    assert crop_around(FocusPoint(99, 50, "%"), 1000, 500, 1.0) == Box(500, 0, 500, 500)


@given(
    left=st.floats(0, 80),
    top=st.floats(0, 80),
    width=st.floats(8, 100),
    height=st.floats(8, 100),
    aspect=st.sampled_from([16 / 9, 9 / 16, 1.0]),
)
def test_the_crop_has_the_clips_shape_and_holds_the_area(
    left: float, top: float, width: float, height: float, aspect: float
) -> None:
    area = CropArea(left, top, min(width, 100 - left), min(height, 100 - top), "%")
    crop, note = chosen_crop(area, 1600, 1200, aspect)
    assert crop.width / crop.height == pytest.approx(aspect)
    assert crop.left >= -1e-6
    assert crop.right <= 1600 + 1e-6
    assert crop.top >= -1e-6
    assert crop.bottom <= 1200 + 1e-6
    wanted = Box(area.left * 16, area.top * 12, area.width * 16, area.height * 12)
    if note is None or "more of the picture" in note:
        assert crop.left <= wanted.left + 1e-6
        assert crop.right >= wanted.right - 1e-6 * 1600 - 20
        assert crop.width * crop.height >= 0.99 * wanted.area
    else:
        assert "trimmed" in note
        assert crop.width == pytest.approx(1600) or crop.height == pytest.approx(1200)


def test_what_was_changed_is_told() -> None:
    assert chosen_crop(CropArea(100, 50, 320, 180), 1000, 800, 16 / 9)[1] is None
    crop, note = chosen_crop(CropArea(0, 50, 180, 180), 1000, 800, 16 / 9)
    assert (crop.left, crop.top, crop.width, crop.height) == (0, 50, 320, 180)
    assert note is not None
    assert note.endswith("more of the picture is shown: crop 0,50,320,180")
    crop, note = chosen_crop(CropArea(100, 0, 600, 800), 1000, 800, 16 / 9)
    assert [crop.left, crop.top] == pytest.approx([0, 118.75])
    assert note is not None
    assert "trimmed: crop 0,119,1000,562" in note
    assert chosen_crop(CropArea(0, 0, 100, 100, "%"), 1600, 900, 16 / 9) == (
        Box(0, 0, 1600, 900),
        None,
    )


@pytest.mark.parametrize(
    ("area", "told"),
    [
        (CropArea(500, 0, 600, 100), "1000×800 pixels: x \\+ width may be 1000"),
        (CropArea(1200, 0, 100, 100), "outside of the picture"),
        (CropArea(0, 0, 63, 400), "63×400 pixels of the picture, fewer than 64×64"),
    ],
)
def test_what_the_picture_does_not_have_is_refused(area: CropArea, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        chosen_crop(area, 1000, 800, 16 / 9)


def framed_so(image: bytes, framing: Framing, width: int = 96, height: int = 64) -> Portrait:
    return load_portrait(image, width=width, height=height, reader=face_reader(), framing=framing)


def test_the_faces_of_a_portrait_are_those_that_are_shown() -> None:
    canvas = saved(on_canvas(560, 325, (0, 50, 1.0), (275, 0, 1.1)), "PNG")
    left = framed_so(canvas, Framing(crop=CropArea(0, 0, 45, 100, "%")), 90, 108)
    assert len(left.faces) == 1
    assert left.faces[0].box.right < 275
    assert not any("faces were found" in note for note in left.warnings)
    none = framed_so(canvas, Framing(crop=CropArea(0, 0, 96, 64)))
    assert none.faces == ()
    assert any("the part chosen shows no face" in note for note in none.warnings)


def test_a_part_of_a_picture_without_a_face_is_not_called_another_part() -> None:
    nothing = saved(np.full((300, 400, 3), 128, np.uint8), "PNG")
    portrait = framed_so(nothing, Framing(focus=FocusPoint(10, 10, "%")))
    assert any("the part chosen shows no face" in note for note in portrait.warnings)
    assert not any("no face was found, so the" in note for note in portrait.warnings)


def test_a_picture_is_turned_before_it_is_cropped() -> None:
    turned = saved(np.ascontiguousarray(np.rot90(astronaut(), 1)), "PNG")
    found = framed_so(turned, Framing())
    assert found.suggested_rotation == 90
    assert any("(rotate 90)" in note for note in found.warnings)
    upright = framed_so(turned, Framing(rotate=found.suggested_rotation), 512, 512)
    assert np.array_equal(upright.pixels, astronaut())
    assert len(upright.faces) == 1
    assert upright.suggested_rotation == 90
    tall = framed_so(saved(quarters(), "PNG"), Framing(rotate=270, crop=CropArea(0, 0, 64, 64)))
    assert (tall.source.width, tall.source.height) == (64, 96)
    assert tuple(tall.pixels[20, 20]) == tuple(quarters()[10, -10])


def test_an_area_in_pixels_counts_in_the_file_though_it_is_decoded_smaller() -> None:
    image = saved(quarters(2000, 1000), "PNG")
    crop = CropArea(1000, 500, 800, 450)
    found = framed_so(image, Framing(crop=crop), 128, 72)
    rows, columns = found.pixels.shape[:2]
    assert columns < 2000
    assert found.crop.left / columns == pytest.approx(0.5)
    assert found.crop.top / rows == pytest.approx(0.5, abs=0.01)
    assert found.crop.width / columns == pytest.approx(0.4)


def test_a_stored_job_keeps_the_choice() -> None:
    request = Request(image=b"")
    plain = request_json(JobSpec(request=request, picture={}))
    assert not {"crop", "focus", "rotate"} & set(plain)  # jobs from before hash to what they did
    for change in (
        {"crop": CropArea(1, 2, 300, 400.5)},
        {"focus": FocusPoint(50, 20, "%"), "rotate": 90},
    ):
        changed = replace(request, **change)
        stored = json.loads(json.dumps(request_json(JobSpec(request=changed, picture={}))))
        assert request_from_json(stored) == changed


def test_the_command_line_shows_the_part(vivant: Run, portrait_file: Path) -> None:
    crop = ("--crop", "25%,5%,40%,40%")
    code, out, err = vivant("animate", portrait_file, *SMALL, *crop, "--json")
    assert code == 0, err
    report = json.loads(out)
    assert report["settings"]["crop"] == "25%,5%,40%,40%"
    assert any("more of the picture is shown" in note for note in report["warnings"])
    assert report["crop"]["height"] == pytest.approx(0.4 * report["source"]["height"], rel=0.01)
    code, out, err = vivant("verify", "portrait.mp4", "--image", portrait_file, *crop, "--json")
    assert code == 0, err
    for wrong in (
        ("--crop", "0,0,9000,50"),
        ("--crop", "all"),
        ("--crop", "0,0,90,90", "--focus", "1,1"),
        ("--rotate", "45"),
    ):
        code, _, err = vivant("animate", portrait_file, *SMALL, "-f", *wrong)
        assert code == 2, wrong
        assert err.count("\n") == 1
        assert wrong[-2][2:] in err


def test_rows_of_a_csv_have_their_own_part(
    vivant: Run, tmp_path: Path, portrait_file: Path
) -> None:
    (tmp_path / "rows.csv").write_text(
        "image,crop,focus,rotate\n"
        "portrait.png,,,\n"
        'portrait.png,"0,0,256,144",,\n'
        'portrait.png,,"90%,90%",180\n'
        'portrait.png,"0,0,1,1",,\n',
        "utf-8",
    )
    arguments = ("batch", "rows.csv", "-o", "out", *SMALL, "--focus", "10%,10%", "--json")
    code, out, _ = vivant(*arguments)
    assert code == 1
    rows = json.loads(out)["rows"]
    assert [row["state"] for row in rows] == ["made", "made", "made", "failed"]
    assert "fewer than 64×64" in rows[3]["reason"]
    settings = [
        json.loads(Path("out", row["clip"]).with_suffix(".report.json").read_text("utf-8"))
        for row in rows[:3]
    ]
    assert [found["settings"].get("focus") for found in settings] == ["10%,10%", None, "90%,90%"]
    assert vivant(*arguments)[2].count("there already") == 3
