"""The camera engine's frames, measured from their pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data

from vivant.engines.camera import CameraEngine
from vivant.engines.camera.canvas import canvas_area, draw_canvas
from vivant.engines.camera.layers import split
from vivant.errors import Cancelled, OptionError
from vivant.grid import cover_crop
from vivant.picture.faces import FaceReader
from vivant.picture.framing import crop_pixels, face_in_frame
from vivant.types import (
    Box,
    Clip,
    Face,
    Frames,
    Image,
    Portrait,
    Progress,
    Request,
    Source,
    ignore_progress,
)


def _portrait(pixels: Image, aspect: float, faces: tuple[Face, ...] = ()) -> Portrait:
    height, width = pixels.shape[:2]
    crop = cover_crop(width, height, aspect)
    if faces:
        top = min(max(0.0, faces[0].box.center[1] - 0.45 * crop.height), height - crop.height)
        crop = Box(crop.left, top, crop.width, crop.height)
    source = Source("portrait.png", "PNG", width, height, 1, "0" * 64)
    return Portrait(pixels=pixels, crop=crop, faces=faces, source=source)


@cache
def _astronaut(width: int, height: int) -> Portrait:
    pixels = np.ascontiguousarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
    return _portrait(pixels, width / height, FaceReader().detect(pixels))


def _start(
    portrait: Portrait,
    size: tuple[int, int] = (640, 360),
    *,
    num_frames: int = 97,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
    engine: CameraEngine | None = None,
) -> Clip:
    request = Request(
        image=b"", width=size[0], height=size[1], num_frames=num_frames, seed=seed,
        options=options or {},
    )  # fmt: skip
    return (engine or CameraEngine()).generate(portrait, request, ignore_progress)


def _all(clip: Clip) -> Frames:
    return np.concatenate(list(clip.chunks))


def _tracked(first: Image, last: Image, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Corners inside ``box`` of ``first``, and where they are in ``last``, ``[N, 2]`` each."""
    mask = np.zeros(first.shape[:2], dtype=np.uint8)
    mask[round(box.top) : round(box.bottom), round(box.left) : round(box.right)] = 255
    one, two = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (first, last))
    points = cv2.goodFeaturesToTrack(one, 150, 0.01, 4, mask=mask)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
    found, status, _ = cv2.calcOpticalFlowPyrLK(
        one, two, points, points.copy(), winSize=(21, 21), maxLevel=3, criteria=stop
    )
    good = status[:, 0] == 1
    return points[good, 0], found[good, 0]


@pytest.mark.parametrize("num_frames", [1, 2, 5, 97])
def test_a_clip_has_exactly_the_frames_asked_for(num_frames: int) -> None:
    clip = _start(_astronaut(128, 72), (128, 72), num_frames=num_frames)
    chunks = list(clip.chunks)
    assert (clip.num_frames, clip.width, clip.height) == (num_frames, 128, 72)
    assert sum(len(chunk) for chunk in chunks) == num_frames
    for chunk in chunks:
        assert chunk.dtype == np.uint8
        assert chunk.shape[1:] == (72, 128, 3)
        assert 1 <= len(chunk) <= 8


@pytest.mark.parametrize("size", [(320, 180), (180, 320), (240, 240), (322, 146)])
def test_the_first_frame_is_the_crop(size: tuple[int, int]) -> None:
    portrait = _astronaut(*size)
    chunk = next(_start(portrait, size).chunks)
    assert np.array_equal(chunk[0], crop_pixels(portrait, *size))


def test_the_planes_at_rest_are_the_picture() -> None:
    portrait = _astronaut(640, 360)
    drawn = next(_start(portrait, num_frames=1000).chunks)
    # 1/24 s into a 42 s clip the camera has not moved a hundredth of a pixel
    difference = np.abs(drawn[1].astype(int) - drawn[0])
    assert difference.mean() < 0.5
    assert np.percentile(difference, 99.9) <= 8


def test_the_same_seed_gives_the_same_bits_whatever_the_threads() -> None:
    portrait = _astronaut(320, 180)
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = _all(_start(portrait, (320, 180), num_frames=9, seed=5))
        cv2.setNumThreads(4)
        other = _all(_start(portrait, (320, 180), num_frames=9, seed=5))
    finally:
        cv2.setNumThreads(before)
    assert np.array_equal(one, other)


def test_another_seed_moves_visibly_otherwise() -> None:
    portrait = _astronaut(320, 180)
    last = [_all(_start(portrait, (320, 180), seed=seed))[-1].astype(int) for seed in range(4)]
    for i, one in enumerate(last):
        for other in last[:i]:
            assert np.abs(one - other).mean() > 2


@pytest.mark.parametrize("move", ["push_in", "drift", "orbit"])
def test_the_face_moves_as_one_rigid_piece(move: str) -> None:
    size = (960, 540)
    portrait = _astronaut(*size)
    frames = _all(_start(portrait, size, options={"move": move}))
    box = face_in_frame(portrait.faces[0], portrait.crop, *size).box
    for index in (24, 96):
        before, after = _tracked(frames[0], frames[index], box)
        assert len(before) > 40
        fit, _ = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=0.5)
        # undo the motion, so that the tracker compares pictures of the same scale
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        undone = np.asarray(cv2.warpAffine(frames[index], fit, size, flags=flags), dtype=np.uint8)
        before, after = _tracked(frames[0], undone, box)
        rest, inliers = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=0.5)
        residual = np.linalg.norm(before @ rest[:, :2].T + rest[:, 2] - after, axis=1)
        assert np.count_nonzero(inliers) > 0.9 * len(before)
        assert np.median(residual) < 0.05
        assert np.percentile(residual, 90) < 0.15
        assert abs(np.degrees(np.arctan2(fit[1, 0], fit[0, 0]))) < 0.1


def test_the_background_moves_otherwise_than_the_face() -> None:
    size = (960, 540)
    portrait = _astronaut(*size)
    frames = _all(_start(portrait, size, seed=3, options={"move": "orbit"}))
    face = face_in_frame(portrait.faces[0], portrait.crop, *size).box
    before, after = _tracked(frames[0], frames[96], face)
    fit, _ = cv2.estimateAffinePartial2D(before, after)
    # the model rocket on the right
    before, after = _tracked(frames[0], frames[96], Box(690, 60, 160, 360))
    shift = np.median(after - (before @ fit[:, :2].T + fit[:, 2]), axis=0)
    assert 0.004 * 960 < np.linalg.norm(shift) < 0.03 * 960


def test_motion_is_seen_at_once_and_never_jumps() -> None:
    size = (640, 360)
    frames = _all(_start(_astronaut(*size), size)).astype(np.int16)
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
    assert np.abs(frames[12] - frames[0]).mean() > 0.5
    assert steps.max() < 6 * np.median(steps)


@pytest.mark.parametrize("move", ["push_in", "drift", "orbit"])
def test_nothing_from_beyond_the_picture_is_shown(move: str) -> None:
    """A border of another colour inside the picture may come closer, never pass and repeat."""
    pixels = np.full((360, 640, 3), 90, dtype=np.uint8)
    pixels[:, :, 0] = np.linspace(20, 230, 640).astype(np.uint8)
    pixels[:, :, 1] = np.linspace(20, 230, 360).astype(np.uint8)[:, None]
    frames = _all(
        _start(_portrait(pixels, 16 / 9), options={"move": move, "strength": 2.0}, num_frames=25)
    )
    # along a ramp no two pixels at the border agree unless the border was repeated
    for frame in frames[1:]:
        row, column = frame[180, :, 0].astype(int), frame[:, 320, 1].astype(int)
        assert row[0] >= 20
        assert row[-1] <= 230
        for line in (row, column):
            for end in (line[:12], line[-12:]):
                assert len(np.unique(end)) >= 3


def test_a_picture_without_a_face_moves_as_one_plane() -> None:
    pixels = np.ascontiguousarray(skimage.data.coffee())  # type: ignore[no-untyped-call]
    engine = CameraEngine()
    portrait = _portrait(pixels, 16 / 9)
    frames = _all(_start(portrait, (320, 180), num_frames=25, engine=engine))
    assert len(frames) == 25
    assert engine.info.provenance["layers"] == 1
    assert any("No face" in note for note in engine.info.notes)


def test_a_face_that_cannot_be_cut_out_moves_as_one_plane_and_says_so() -> None:
    pixels = np.full((360, 640, 3), 128, dtype=np.uint8)
    faces = (Face(box=Box(10, 10, 600, 340), score=1.0, landmarks=((1.0, 1.0),) * 5),)
    engine = CameraEngine()
    _all(_start(_portrait(pixels, 16 / 9, faces), (320, 180), num_frames=3, engine=engine))
    assert engine.info.provenance["layers"] == 1
    assert any("one plane" in note for note in engine.info.notes)


def test_the_report_says_that_only_the_camera_moves() -> None:
    info = CameraEngine().info
    assert (info.name, info.moves, info.device) == ("camera", "camera", "cpu")
    assert any("the person does not" in note for note in info.notes)
    assert any("negative prompt" in note for note in info.notes)


def test_cancelling_takes_effect_at_the_frame() -> None:
    seen: list[Progress] = []

    def observe(progress: Progress) -> None:
        seen.append(progress)
        if progress.done == 6:
            raise Cancelled

    request = Request(image=b"", width=128, height=72)
    clip = CameraEngine().generate(_astronaut(128, 72), request, observe)
    with pytest.raises(Cancelled):
        list(clip.chunks)
    assert [progress.done for progress in seen] == [1, 2, 3, 4, 5, 6]
    assert seen[0] == Progress("generate", 1, 97)


def test_no_frame_is_drawn_before_it_is_asked_for() -> None:
    seen: list[Progress] = []
    request = Request(image=b"", width=128, height=72, num_frames=481)
    clip = CameraEngine().generate(_astronaut(128, 72), request, seen.append)
    assert not seen
    next(clip.chunks)
    assert len(seen) <= 8
    clip.chunks.close()  # type: ignore[attr-defined]
    assert len(seen) <= 8


def test_unknown_options_are_refused_before_work_starts() -> None:
    with pytest.raises(OptionError, match="move, strength, parallax"):
        _start(_astronaut(128, 72), (128, 72), options={"steps": 8})


def test_pixels_around_the_crop_are_used_on_the_crops_own_grid() -> None:
    portrait = _astronaut(320, 180)
    portrait = replace(portrait, crop=Box(60.3, 40.7, 320.0, 180.0))
    area, columns, rows = canvas_area(portrait, 320, 180)
    assert (columns, rows) == (320 + 19 + 19, 180 + 11 + 11)
    drawn = crop_pixels(replace(portrait, crop=area), columns, rows)
    assert np.abs(drawn[11:-11, 19:-19].astype(int) - crop_pixels(portrait, 320, 180)).max() <= 1
    assert draw_canvas(portrait, 320, 180)[1].shape == (rows * 2, columns * 2, 3)


def test_split_planes_add_up_to_the_picture() -> None:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)
    picture = cv2.resize(small, (160, 120), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    matte = np.zeros((60, 80), dtype=np.float32)
    cv2.circle(matte, (40, 30), 15, 1.0, -1)
    matte = np.asarray(cv2.GaussianBlur(matte, (0, 0), 3), dtype=np.float32)
    canvas = picture.copy()
    subject = split(canvas, small, matte)
    height, width = subject.clear.shape
    region = np.s_[subject.top : subject.top + height, subject.left : subject.left + width]
    total = subject.colour + canvas[region] * (subject.clear[..., None] / 255)
    assert np.abs(total - picture[region]).max() <= 1.5
    outside = np.ones(picture.shape[:2], dtype=bool)
    outside[region] = False
    assert np.array_equal(canvas[outside], picture[outside])
