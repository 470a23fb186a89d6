"""The visible label: where it stands, what it says, and that no check takes it for a defect."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage

import vivant
from vivant.errors import OptionError
from vivant.provenance.label import corner, label_for
from vivant.provenance.reading import read_credentials
from vivant.request_fields import ClipFields
from vivant.service.job import JobSpec, request_from_json, request_json
from vivant.settings import default_settings, read_settings
from vivant.types import Box, Clip, Frames, Portrait, Request, Source

SMALL: dict[str, Any] = {"width": 640, "height": 360, "num_frames": 9, "engine": "fake"}


def portrait(*faces: Any) -> Portrait:
    return Portrait(
        pixels=np.zeros((360, 640, 3), np.uint8),
        crop=Box(0, 0, 640, 360),
        faces=faces,
        source=Source("p", "PNG", 640, 360, 0, ""),
    )


def clip(frames: Frames) -> Clip:
    count, height, width, _ = frames.shape
    chunks = iter((frames[: count // 2], frames[count // 2 :]))
    return Clip(count, Fraction(24), width, height, chunks)


@pytest.mark.parametrize(
    ("face", "expected"),
    [
        (Box(250, 100, 100, 100), (530, 330)),
        (Box(500, 250, 100, 100), (10, 330)),
        (Box(0, 300, 640, 60), (530, 10)),
    ],
)
def test_the_label_covers_no_face(face: Box, expected: tuple[int, int]) -> None:
    box = corner((100, 20), (640, 360), 10, [face])
    assert (box.left, box.top) == expected


@pytest.mark.parametrize(
    ("engine", "language", "text"),
    [
        ("ltx2", "ko", "AI로 만든 영상"),
        ("ltx2", "en", "Made with AI"),
        ("living", "ko", "사진을 움직인 영상"),
        ("camera", "en", "Animated from a photo"),
    ],
)
def test_only_a_generative_model_is_called_ai(engine: str, language: str, text: str) -> None:
    request = Request(image=b"", width=640, height=360, engine=engine, label=language)
    label = label_for(request, portrait(), read_settings())
    assert label is not None
    assert label.text == text


def test_the_label_stands_in_the_first_seconds_and_is_lifted_for_the_checks() -> None:
    request = Request(image=b"", width=640, height=360, label="en", label_seconds=0.25)
    label = label_for(request, portrait(), read_settings())
    assert label is not None
    frames = np.random.default_rng(0).integers(0, 255, (12, 360, 640, 3), dtype=np.uint8)
    before = frames.copy()
    shown = np.concatenate(list(label.on(clip(frames)).chunks))
    assert (frames == before).all()  # the engine's own pixels are not touched
    changed = (shown != before).any(axis=(1, 2, 3))
    assert changed.tolist() == [True] * 6 + [False] * 6
    rows, columns = np.nonzero((shown[0] != before[0]).any(axis=-1))
    assert rows.min() > 320
    assert columns.min() > 400
    assert all((label.lifted(s) == b).all() for s, b in zip(shown, before, strict=True))


def test_the_operators_label_is_used_where_the_request_has_none() -> None:
    settings = read_settings(label="Synthetic person")
    request = Request(image=b"", width=640, height=360)
    label = label_for(request, portrait(), settings)
    assert label is not None
    assert label.text == "Synthetic person"
    assert label_for(request, portrait(), read_settings()) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [("x" * 61, "1 to 60"), ("two\nlines", "one line"), ("합성 인물", "VIVANT_LABEL_FONT")],
)
def test_what_cannot_be_drawn_is_refused_early(text: str, message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        ClipFields.read({"label": text}).to_request(b"", read_settings())
    assert caught.value.param == "label"


def test_a_font_of_the_operators() -> None:
    request = Request(image=b"", width=640, height=360, label="합성")
    with pytest.raises(OptionError, match="cannot be read"):
        label_for(request, portrait(), read_settings(label_font=Path("/nowhere.ttf")))
    wide = Request(image=b"", width=64, height=360, label="M" * 40)
    with pytest.raises(OptionError, match="wider than the clip"):
        label_for(wide, portrait(), read_settings())


def test_jobs_keep_the_label_and_those_from_before_have_none() -> None:
    request = Request(image=b"", label="ko", label_seconds=2.0)
    stored = request_json(JobSpec(request=request, picture={}))
    assert request_from_json(stored) == request
    plain = request_json(JobSpec(request=Request(image=b""), picture={}))
    assert "label" not in plain
    assert request_from_json(plain).label == ""


def test_no_check_takes_the_label_for_a_defect(tmp_path: Path, portrait_bytes: bytes) -> None:
    plain = vivant.animate(portrait_bytes, tmp_path / "plain.mp4", **SMALL)
    result = vivant.animate(portrait_bytes, tmp_path / "clip.mp4", label="en", **SMALL)
    for told in (result.report.verification, vivant.verify(result.clip, portrait_bytes)):
        verdicts = {score.name: score.verdict for score in told.scores}
        usual = {score.name: score.verdict for score in plain.report.verification.scores}
        ignored = {name for name in usual if name.startswith(("time", "cost"))}
        assert {n for n in verdicts if verdicts[n] == "fail"} - ignored <= {
            n for n in usual if usual[n] == "fail"
        }
    found = read_credentials(result.clip, default_settings())
    assert found.production["label"] == "Animated from a photo"
    with PillowImage.open(result.thumbnail) as one, PillowImage.open(plain.thumbnail) as other:
        difference = np.abs(np.asarray(one, int) - np.asarray(other, int)).max(axis=-1)
    assert difference[330:, 450:].max() > 60
    assert difference[:300].max() < 30
