"""Slow and mild changes of light: found where the whole picture changes, not where a part does."""

from __future__ import annotations

import numpy as np
import pytest

from checks_clips import case, material, reader
from vivant.checks.frame import COMPARED_EVERY, AnalyzedFrame, Reference
from vivant.checks.metrics.exposure import Exposure
from vivant.types import Frames, Score

FPS = 24.0


def scores(frames: Frames) -> dict[str, Score]:
    metric = Exposure(FPS)
    before: AnalyzedFrame | None = None
    for index, pixels in enumerate(frames):
        frame = AnalyzedFrame(
            index, pixels, searched=not index, sparse=False, rare=False, checked=False,
            reader=reader(), compared=index % COMPARED_EVERY == 0,
        )  # fmt: skip
        if before is None:
            first, step = metric.anchor(frame), None
        else:
            step = metric.measure_step(before, frame, first)
        metric.add(index, step, metric.measure_frame(frame, first))
        before = frame
    picture = Reference(frames[0], None, 1.0, len(frames), FPS, reader())
    return {score.name: score for score in metric.finish(picture)}


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("pumping/exposure@0.02", "exposure_pumping"),
        ("pumping/contrast@0.03", "contrast_pumping"),
        ("drift/brighter@0.05", "brightness_shift"),
        ("drift/dark@8", "brightness_shift"),
        ("drift/warm@8", "color_shift"),
    ],
)
def test_mild_changes_of_the_whole_picture_are_found(label: str, name: str) -> None:
    clean = material()
    found = scores(case(label).apply(clean, clean, np.random.default_rng(7)))[name]
    assert found.verdict == "fail", found.value
    assert found.frame is not None


def test_a_person_who_moves_changes_no_light() -> None:
    found = scores(material().frames)
    assert {score.verdict for score in found.values()} == {"pass"}


def test_a_shadow_on_a_third_of_the_picture_is_no_change_of_its_light() -> None:
    frames = material().frames.astype(np.float32)
    third = frames.shape[2] * 3 // 10
    frames[:, :, :third] *= np.linspace(1, 0.8, len(frames), dtype=np.float32)[:, None, None, None]
    found = scores(np.rint(frames).astype(np.uint8))
    assert {score.verdict for score in found.values()} == {"pass"}


def test_a_camera_that_moves_away_changes_no_light() -> None:
    """Where no cell shows what it showed, nothing is known."""
    frames = material().frames
    wide = np.concatenate([frames, frames[:, :, ::-1]], axis=2)
    width = frames.shape[2]
    panned = np.stack([wide[i, :, 4 * i : 4 * i + width] for i in range(len(frames))])
    found = scores(panned)
    assert {found[f"{name}_shift"].verdict for name in ("brightness", "color")} == {"not_measured"}
    assert found["exposure_pumping"].verdict == found["contrast_pumping"].verdict == "pass"


def test_a_person_who_comes_to_fill_the_frame_gives_it_no_tint() -> None:
    frames = np.full((49, 96, 128, 3), (100, 100, 100), np.uint8)
    for index, frame in enumerate(frames):
        frame[:, : 13 + round(90 * index / 48)] = (130, 105, 85)
    found = scores(frames)
    assert found["brightness_shift"].verdict == found["color_shift"].verdict == "pass"
    tinted = np.rint(frames * np.linspace((1, 1, 1), (1.03, 1, 0.97), 49)[:, None, None])
    assert scores(tinted.astype(np.uint8))["color_shift"].verdict == "fail"
