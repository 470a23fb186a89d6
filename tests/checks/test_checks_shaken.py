"""A camera that shakes bends the picture by itself: wobble and jelly are not told there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from checks_clips import picture, reader
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.checks.metric import Metric
from vivant.checks.metrics.deform import Deformation
from vivant.checks.metrics.steadiness import Steadiness
from vivant.types import Face, Frames, Score

COUNT = 66
HERTZ = 3.0


def clip(swing: float, *, rows: float) -> Frames:
    """The portrait swings by ``swing`` pixels; its lowest row is ``rows`` of a second late."""
    image, _ = picture()
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    frames = []
    for index in range(COUNT):
        late = index / 24 + rows * y / height
        shift = (swing * np.sin(2 * np.pi * HERTZ * late)).astype(np.float32)
        frames.append(
            cv2.remap(image, x + shift, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        )
    return np.stack(frames).astype(np.uint8)


def scores(metric: Metric, frames: Frames, face: Face) -> dict[str, Score]:
    """Only the first frame is searched: the face is followed from there."""
    reference = Reference(frames[0], face, 1.0, len(frames), 24.0, reader())
    before: AnalyzedFrame | None = None
    anchor = None
    for index, pixels in enumerate(frames):
        frame = AnalyzedFrame(
            index, pixels, searched=not index, sparse=False, rare=False, checked=False,
            reader=reader(), face=None if index else face,
        )  # fmt: skip
        step = None if before is None else metric.measure_step(before, frame, anchor)
        anchor = metric.anchor(frame) if before is None else anchor
        metric.add(index, step, metric.measure_frame(frame, anchor))
        before = frame
    return {score.name: score for score in metric.finish(reference)}


@pytest.mark.parametrize(
    ("swing", "rows", "verdict"), [(6.0, 0.05, "not_measured"), (1.5, 0.4, "fail")]
)
def test_jelly_is_told_from_a_shaking_camera(swing: float, rows: float, verdict: str) -> None:
    found = scores(Steadiness(24.0), clip(swing, rows=rows), picture()[1])["global_jelly"]
    assert found.verdict == verdict
    if verdict == "not_measured":
        assert found.facts["message"] == "shaken"


@pytest.mark.parametrize(
    ("swing", "rows", "verdict"), [(6.0, 0.1, "not_measured"), (2.0, 1.5, "fail")]
)
def test_wobble_is_told_from_a_shaking_camera(swing: float, rows: float, verdict: str) -> None:
    found = scores(Deformation(24.0), clip(swing, rows=rows), picture()[1])["face_wobble"]
    assert found.verdict == verdict
    if verdict == "not_measured":
        assert found.facts["message"] == "shaken"
