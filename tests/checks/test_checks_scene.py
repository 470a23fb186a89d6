"""Resolution and grids: the defect fails, the clean clip and its re-encodings pass."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from checks_clips import case, examine, failing, judged, picture, portrait
from corruptions import Material, recode
from vivant.checks.frame import halved
from vivant.checks.metric import CannotMeasure
from vivant.checks.metrics.ghost import Ghost
from vivant.checks.metrics.grid_lines import GridLines
from vivant.checks.metrics.lattice import Lattice
from vivant.checks.metrics.resolution import Resolution
from vivant.checks.metrics.texture import Texture
from vivant.checks.metrics.torn_layers import TornLayers
from vivant.checks.oscillation import Oscillation
from vivant.types import Frames


@pytest.fixture(scope="module")
def still() -> Material:
    """A second of the portrait, three frames of which are looked at."""
    image, face = picture()
    return Material("still", "still", np.repeat(image[None], 3, axis=0), 3.0, [face] * 3)


def spoiled(label: str, still: Material) -> Frames:
    return recode(case(label).apply(still, still, np.random.default_rng(3)), 24.0, crf=18)


@pytest.mark.parametrize("kernel", ["area", "cubic", "lanczos"])
def test_half_the_resolution_is_found(kernel: str, still: Material) -> None:
    frames = spoiled(f"half_resolution/{kernel}@0.5", still)
    found = judged(Resolution, still.frames[0], frames)
    assert found.verdict == "fail"
    assert found.region is not None
    height, width = frames.shape[1:3]
    assert 0 <= found.region.left < found.region.right <= width
    assert 0 <= found.region.top < found.region.bottom <= height


@pytest.mark.parametrize(("kept", "verdict"), [(0.6, "pass"), (0.3, "fail"), (None, "fail")])
def test_softness_is_an_encoders_where_the_finest_detail_is_left(
    kept: float | None, verdict: str, still: Material
) -> None:
    soft = cv2.GaussianBlur(still.frames[0], (0, 0), 0.45).astype(np.uint8)
    frames = np.stack([soft] * 3)
    found = judged(lambda known: Texture(known, lambda: kept), still.frames[0], frames)
    assert found.name == "sharpness"
    assert found.verdict == verdict, found.value


def test_a_clip_that_gets_soft_later_has_no_encoder_to_blame(still: Material) -> None:
    first, soft = (cv2.GaussianBlur(still.frames[0], (0, 0), s) for s in (0.45, 1.2))
    frames = np.stack([first, soft, soft]).astype(np.uint8)
    found = judged(lambda known: Texture(known, lambda: 0.9), still.frames[0], frames)
    assert found.verdict == "fail", found.value


def test_a_grid_is_found(still: Material) -> None:
    assert judged(Lattice, still.frames[0], spoiled("grid/cells@5", still)).verdict == "fail"


def test_a_grid_of_thin_lines_is_found(still: Material) -> None:
    frames = spoiled("grid/lines@5", still)
    assert judged(GridLines, still.frames[0], frames).verdict == "fail"


@pytest.fixture(scope="module")
def pushed_in() -> Material:
    """The camera comes nearer: four frames of four seconds."""
    image, face = picture()
    height, width = image.shape[:2]
    frames = []
    for index in range(4):
        grown = cv2.getRotationMatrix2D((width / 2, height / 2), 0, 1 + 0.01 * index)
        frames.append(cv2.warpAffine(image, grown, (width, height), flags=cv2.INTER_CUBIC))
    return Material("pushed_in", "pushed_in", np.stack(frames).astype(np.uint8), 1.0, [face] * 4)


def test_a_torn_layer_is_found_where_it_is(pushed_in: Material) -> None:
    found = judged(TornLayers, pushed_in.frames[0], spoiled("torn/cut@0.01", pushed_in))
    assert found.verdict == "fail"
    assert found.frame in (1, 2, 3)
    assert found.region is not None
    face = pushed_in.track[0]
    chin = face.box.bottom
    assert chin < found.region.center[1] < chin + 1.5 * face.box.height


def test_a_ghost_is_found(pushed_in: Material) -> None:
    found = judged(Ghost, pushed_in.frames[0], spoiled("ghost/contour@0.35", pushed_in))
    assert found.verdict == "fail"
    assert found.frame in (1, 2, 3)


def test_a_ghost_is_marked_where_it_is(pushed_in: Material) -> None:
    doubled = spoiled("ghost/contour@0.35", pushed_in)
    middle = doubled.shape[2] // 2
    frames = np.concatenate([pushed_in.frames[:, :, :middle], doubled[:, :, middle:]], axis=2)
    found = judged(Ghost, pushed_in.frames[0], frames)
    assert found.region is not None
    assert found.region.left >= middle
    assert found.region.right <= doubled.shape[2]


def test_a_camera_that_moves_tears_nothing(pushed_in: Material) -> None:
    clean = recode(pushed_in.frames, 24.0, crf=18)
    for make in (TornLayers, Ghost):
        assert judged(make, pushed_in.frames[0], clean).verdict == "pass"


def test_a_frame_half_a_pixel_beside_the_picture_has_its_resolution(still: Material) -> None:
    shift = np.asarray([[1, 0, 0.5], [0, 1, 0.5]])
    size = still.frames.shape[2], still.frames.shape[1]
    moved = [cv2.warpAffine(f, shift, size, flags=cv2.INTER_LANCZOS4) for f in still.frames]
    found = judged(Resolution, still.frames[0], recode(np.stack(moved), 24.0, crf=18))
    assert found.verdict == "pass"


@pytest.mark.parametrize("crf", [18, 28])
def test_an_encoder_takes_no_resolution_and_leaves_no_grid(crf: int, still: Material) -> None:
    frames = recode(still.frames, 24.0, crf=crf)
    for make in (Resolution, Lattice, GridLines):
        assert judged(make, still.frames[0], frames).verdict != "fail"


def test_a_grid_of_the_picture_is_not_held_against_the_clip(still: Material) -> None:
    frames = spoiled("grid/cells@5", still)
    assert judged(Lattice, frames[-1], frames[-1:].repeat(3, axis=0)).verdict == "pass"


def test_a_picture_without_fine_detail_has_no_resolution_to_lose(still: Material) -> None:
    soft = cv2.GaussianBlur(still.frames[0], (0, 0), 3).astype(np.uint8)
    with pytest.raises(CannotMeasure, match="picture_without_detail"):
        judged(Resolution, soft, np.repeat(soft[None], 3, axis=0))


def test_a_large_picture_is_halved_for_thumbnails_and_a_small_one_is_not() -> None:
    large = np.full((1081, 1921, 3), 7, np.uint8)
    assert halved(large).shape == (270, 480, 3)
    small = np.zeros((90, 700, 3), np.uint8)
    assert halved(small) is small


def test_one_bout_in_a_long_clip_is_no_swing() -> None:
    """Twenty seconds: a swing for three of them is left out, one that lasts is not."""
    pattern = np.random.default_rng(0).normal(size=(10, 2))
    time = np.arange(481) / 24
    swing = 0.5 * np.sin(2 * np.pi * 3.0 * time)
    found = {}
    for name, path in (("steady", swing), ("bout", swing * (np.abs(time - 8) < 1.5))):
        meter = Oscillation(24.0, low=2.4, high=10, weights=np.ones(10))
        for step in np.diff(path):
            meter.add((step * pattern).astype(np.float32))
        result = meter.finish()
        assert result is not None
        found[name] = result.amplitude
    assert found["bout"] < 0.1 * found["steady"]


def test_both_are_run_by_name(still: Material) -> None:
    frames = spoiled("grid/cells@5", still)
    given = portrait(still.frames[0], still.track[0])
    assert failing(examine(frames, given=given, only=["grid", "resolution"])) == ["grid"]
