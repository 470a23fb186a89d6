"""A picture for the last frame: what is asked, refused, measured and reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ltx2_tiny as small
import vivant
from vivant.checks.metrics.last_picture import last_picture_score
from vivant.engines.ltx2.options import LTX2Options
from vivant.errors import ImageError, OptionError
from vivant.picture.faces import lend_reader
from vivant.picture.framing import crop_pixels
from vivant.picture.intake import load_portrait
from vivant.request_fields import CommandFields
from vivant.runs.batch_rows import read_rows
from vivant.settings import read_settings


def test_it_is_held_firmly_unless_the_option_says_less() -> None:
    request = replace(small.request(), last=b"x")
    assert LTX2Options.from_request(request).end_anchor == 1
    half = replace(small.request(end_anchor=0.5), last=b"x")
    assert LTX2Options.from_request(half).end_anchor == 0.5
    assert LTX2Options.from_request(small.request()).end_anchor == 0
    with pytest.raises(OptionError, match="leaves the last picture out"):
        LTX2Options.from_request(replace(small.request(end_anchor=0), last=b"x"))


def test_other_engines_refuse_it(tmp_path: Path, portrait_bytes: bytes) -> None:
    for engine in ("living", "camera"):
        with pytest.raises(OptionError, match=f"engine {engine} cannot end with another picture"):
            vivant.animate(
                portrait_bytes, tmp_path / "a.mp4", engine=engine, last=portrait_bytes, num_frames=9
            )
        with pytest.raises(OptionError, match="only ltx2 moves"):
            CommandFields.read({"engine": engine, "last": "b.png"}).to_request(b"", read_settings())
    assert not list(tmp_path.iterdir())


def test_a_row_names_a_picture_beside_its_table(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text("image,last,engine\na.png,b.png,ltx2\n")
    rows = read_rows(
        table, lambda image, own: CommandFields.read(own).to_request(image, read_settings())
    )
    assert rows[0].request is not None
    assert rows[0].request.last == tmp_path / "b.png"


def test_the_last_frame_is_compared_with_its_picture(portrait_bytes: bytes) -> None:
    with lend_reader() as reader:
        last = load_portrait(portrait_bytes, width=320, height=320, reader=reader)
        frame = crop_pixels(last, 320, 320)
        score = last_picture_score(frame, 8, last, reader)
        assert (score.name, score.verdict, score.frame) == ("identity_last_picture", "pass", 8)
        assert isinstance(score.value, float)
        assert score.value > 0.9
        nobody = last_picture_score(np.zeros_like(frame), 8, last, reader)
        assert nobody.verdict == "not_measured"
        assert "No face was found in the last frame" in nobody.reason
        faceless = last_picture_score(frame, 8, replace(last, faces=()), reader)
        assert faceless.verdict == "not_measured"


def test_a_clip_between_two_pictures(tmp_path: Path, portrait_bytes: bytes) -> None:
    request: dict[str, Any] = {
        "engine": "ltx2", "num_frames": 9, "width": 192, "height": 108,
        "options": {"weights": "tiny", "grid": "192x128", "recipe": "fast", "steps": 1},
    }  # fmt: skip
    with pytest.raises(ImageError):
        vivant.animate(portrait_bytes, tmp_path / "b.mp4", last=tmp_path / "none.png", **request)
    made = vivant.animate(portrait_bytes, tmp_path / "a.mp4", last=portrait_bytes, **request)
    score = next(s for s in made.report.verification.scores if s.name == "identity_last_picture")
    assert score.verdict == "not_measured"  # tiny weights draw no faces
    assert set(made.report.settings["last"]) == {"name", "sha256"}
    assert made.report.engine.provenance["end_anchor"] == 1
