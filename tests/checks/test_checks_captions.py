"""Captions that come later than the first frame are no defect; defects beneath them are found."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from checks_clips import case, picture, reader
from corruptions import Material, recode
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.limits import limits
from vivant.checks.metric import Metric
from vivant.checks.metrics.steadiness import Steadiness
from vivant.checks.metrics.texture import Texture, texture
from vivant.checks.metrics.timing import Cadence
from vivant.types import Frames, Score, Verdict

TALL = 400
"""Rows that the face ends well above."""


def scene(count: int, moved: float = 0.0) -> Material:
    """The portrait with a plain lower edge, soft as a film is, shifted further in every frame."""
    image, face = picture()
    low = np.full((TALL - image.shape[0], *image.shape[1:]), image[-1].mean(axis=0), np.uint8)
    soft = cv2.GaussianBlur(np.concatenate([image, low]), (0, 0), 2.5)
    frames = [
        cv2.warpAffine(
            soft, np.asarray([[1, 0, moved * i], [0, 1, 0]], np.float64), soft.shape[1::-1],
            borderMode=cv2.BORDER_REPLICATE,
        )
        for i in range(count)
    ]  # fmt: skip
    return Material("still", "still", np.stack(frames).astype(np.uint8), 24.0, [face] * count)


def captioned(frames: Frames, start: int) -> Frames:
    """With a subtitle from frame ``start`` on."""
    written = Material("still", "still", np.repeat(frames, 25, axis=0), 24.0, scene(1).track)
    late = case("overlay/subtitle@1").apply(written, written, np.random.default_rng(3))[24::25]
    return np.concatenate([frames[:start], late[start:]])


def verdicts(make: type[Texture], first: Frames, frames: Frames) -> dict[str, Verdict]:
    reference = Reference(first[0], None, 1.0, len(frames), 24.0, reader())
    return {score.name: score.verdict for score in measured(make(reference), reference, frames)}


def measured(metric: Metric, reference: Reference, frames: Frames) -> list[Score]:
    before: AnalyzedFrame | None = None
    for index, pixels in enumerate(frames):
        frame = AnalyzedFrame(
            index, pixels, searched=True, sparse=True, rare=True, checked=False, reader=reader()
        )
        step = None if before is None else metric.measure_step(before, frame, None)
        metric.add(index, step, metric.measure_frame(frame, None))
        before = frame
    return list(metric.finish(reference))


def test_letters_that_come_late_make_no_halos_and_no_drawing() -> None:
    still = scene(4)
    frames = captioned(still.frames, 1)
    whole, clean = (
        texture(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.uint8), None, 1.0)
        for frame in (frames[1], frames[0])
    )
    assert limits()["cartoon"].judge(whole.strong / clean.strong) == "fail"
    found = verdicts(Texture, still.frames, frames)
    assert (found["ringing"], found["cartoon"]) == ("pass", "pass")


def test_grain_that_an_encoder_takes_makes_no_drawing() -> None:
    """Faint grain around a person whose skin and hair have more, before hard edges."""
    rng = np.random.default_rng(7)
    light = cv2.GaussianBlur(rng.normal(size=(360, 640)).astype(np.float32), (0, 0), 30)
    grain = cv2.GaussianBlur(rng.normal(size=(360, 640)).astype(np.float32), (0, 0), 1.2)
    person = cv2.circle(np.zeros_like(grain), (320, 180), 150, 1.0, -1)
    edges = 60 * (np.sin(np.arange(640) / 9) > 0)[None] * (np.arange(360)[:, None] > 300)
    picture = (134 + 300 * light + grain * (2 + 4 * person) + edges).astype(np.float32)
    frames = []
    for index in range(25):
        shift = np.asarray([[1, 0, 0.15 * index], [0, 1, 0]], np.float32)
        moved = cv2.warpAffine(picture, shift, (640, 360), flags=cv2.INTER_CUBIC, borderMode=2)
        frames.append(np.repeat(np.rint(moved).astype(np.uint8)[..., None], 3, axis=-1))
    clip = np.stack(frames)
    assert verdicts(Texture, clip, recode(clip, 24.0, crf=28))["cartoon"] == "pass"


def test_halos_beside_letters_are_found() -> None:
    still = scene(4)
    sharpen = case("ringing/unsharp@2").apply
    once = sharpen(still, still, np.random.default_rng(3))
    twice = sharpen(replace(still, frames=once), still, np.random.default_rng(3))
    found = verdicts(Texture, still.frames, captioned(twice, 1))
    assert found["ringing"] == "fail"


@pytest.mark.parametrize(("jumps", "verdict"), [(False, "pass"), (True, "fail")])
def test_a_caption_that_comes_is_no_jump(jumps: bool, verdict: str) -> None:
    moving = scene(24, moved=0.1)
    frames = captioned(moving.frames, 12)
    if jumps:
        frames[12:] = np.roll(frames[12:], 16, axis=2)
    face = moving.track[0]
    reference = Reference(moving.frames[0], face, 1.0, len(frames), 24.0, reader())
    found = {s.name: s for s in measured(Cadence(24.0), reference, frames)}["jump"]
    assert found.verdict == verdict
    if jumps:
        assert found.frame == 12


@pytest.mark.parametrize(("rows", "verdict"), [(0.125, "pass"), (0.2, "pass"), (0.5, "fail")])
def test_a_strip_that_comes_is_no_cut_and_another_half_is(rows: float, verdict: Verdict) -> None:
    frames = scene(7).frames.copy()
    frames[4:, frames.shape[1] - round(rows * frames.shape[1]) :] = (24, 28, 60)
    reference = Reference(frames[0], None, 1.0, len(frames), 24.0, reader())
    metric = Steadiness(24.0)
    seen = [
        AnalyzedFrame(
            index, pixels, searched=False, sparse=False, rare=False, checked=False, reader=reader()
        )
        for index, pixels in enumerate(frames)
    ]
    for before, now in pairwise(seen):
        metric.add(now.index, metric.measure_step(before, now, seen[0].small_luma), None)
    found = {score.name: score.verdict for score in metric.finish(reference)}
    assert found["cut"] == verdict
