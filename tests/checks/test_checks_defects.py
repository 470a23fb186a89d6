"""Every check: a corrupted clip fails it, the clean one does not."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from checks_clips import (
    SHORT,
    by_name,
    case,
    examine,
    failing,
    material,
    picture,
    portrait,
    reader,
    spoiled,
)
from corruptions import LADDERS, Material, recode
from vivant.checks.face_tracker import faces_in_frame
from vivant.checks.frame import luma_of, reduced
from vivant.checks.metrics.deform import Deformation, _face_model, _Pose
from vivant.checks.metrics.face_parts import EYE_POINTS
from vivant.checks.metrics.face_shape import grid, windows
from vivant.checks.metrics.iris_shift import IrisShift
from vivant.checks.metrics.skin import texture_kept
from vivant.picture.face_mesh import FaceMesh
from vivant.types import Frames, Verification
from vivant.video.encoder import to_yuv
from vivant.video.reader import to_rgb


@pytest.fixture(scope="module")
def clean() -> Verification:
    return examine(recode(material().frames, 24.0, crf=18))


def test_the_clean_clip_fails_nothing(clean: Verification) -> None:
    assert failing(clean) == []
    unclear = [s.name for s in clean.scores if s.verdict == "not_measured"]
    assert unclear == ["mouth_shape", "sound", "seconds", "cost"]  # 43 px between the eyes
    troubled = [s.name for s in clean.scores if s.verdict == "warn" and s.group != "delivery"]
    assert troubled == []


PARTS = [
    ("mouth/smear@0.08", "mouth_detail"),
    ("mouth/streak@0.25", "mouth_detail"),
    ("mouth/melt@0.08", "mouth_shape"),
    ("eye/crossed@0.1", "eye_gaze"),
    ("eye/lid@0.05", "eyelids"),
    ("eye/lid@0.09", "eyelids"),
    ("eye/iris@1", "iris_color"),
    ("skin/lighter@25", "skin_brightness"),
    ("skin_trend/smoother@0.04", "skin_texture_end"),
    ("skin_trend/edges@1", "skin_texture_end"),
    ("skin/eyes@0.25", "eye_shape"),
    ("face_shape/nose@0.1", "nose_shape"),
    ("face_shape/jaw@0.15", "jaw_shape"),
    ("face_shape/brow@0.12", "brow_shape"),
    ("glasses/bent@0.08", "eye_shape"),
    ("melt/sine@0.15", "face_warp"),
    ("face_slide/aside@0.18", "face_shift"),
]
MOVING = [
    ("melt/random@0.3", "face_deformation"),
    ("melt/droop@0.3", "face_stretch"),
    ("hair/outline@0.15", "hair_shape"),
    ("wobble/sine@0.015", "face_wobble"),
    ("jelly/standing@0.006", "global_jelly"),
    ("frozen/still@1", "motion"),
    ("frozen/noisy@1", "motion"),
    ("cut/mirror@0.25", "cut"),
    ("flicker/random@0.02", "flicker"),
    ("flicker/sine@0.02", "flicker"),
    ("ending/fade@0.4", "ending"),
    ("ending/flash@0.4", "ending"),
    ("drift/warm@16", "color_drift"),
    ("drift/dark@32", "color_drift"),
    ("freeze/start@0.62", "freeze"),
    ("freeze/end@0.15", "freeze"),
    ("low_rate/repeated@4", "repeated_frames"),
    ("stutter/held@4", "stutter"),
    ("reversed/half@1", "reversed_motion"),
    ("color_glitch/tint@0.1", "color_glitch"),
    ("color_glitch/dark@0.15", "color_glitch"),
    ("odd_frame/garbage@0.25", "odd_frame"),
    ("odd_frame/rows@0.25", "odd_frame"),
    ("local_flicker/face@0.1", "local_flicker"),
    ("local_flicker/rows@0.03", "local_flicker"),
    ("pumping/exposure@0.03", "exposure_pumping"),
    ("pumping/contrast@0.05", "contrast_pumping"),
]
STILL = [
    ("blur/gauss@1.2", "sharpness"),
    ("blur/gauss@1.2", "face_sharpness"),
    ("half_resolution/area@0.5", "detail"),
    ("half_resolution/lanczos@0.5", "sharpness"),
    ("noise/color@6", "noise"),
    ("noise/luma@6", "noise"),
    ("ringing/unsharp@2", "ringing"),
    ("seams/offset@4", "seams"),
    ("banding/levels@16", "banding"),
    ("cartoon/bilateral@1", "cartoon"),
    ("plastic/guided@40", "plastic_skin"),
    ("saturation/hsv@1.25", "saturation"),
    ("saturation/linear@1.25", "saturation"),
    ("desaturation/linear@0.6", "faded_colors"),
]


@pytest.mark.parametrize(("label", "name"), MOVING)
def test_defects_in_time(label: str, name: str) -> None:
    assert by_name(examine(spoiled(label), only=[name]))[name].verdict == "fail"


@pytest.fixture(scope="module")
def close_up() -> Material:
    """The face alone, large, and still but for one blink."""
    image, face = picture()
    box = face.box
    left, top = int(box.left - 0.3 * box.width), int(box.top - 0.4 * box.height)
    part = image[top : top + int(1.8 * box.height), left : left + int(1.6 * box.width)]
    large = cv2.resize(part, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    faces = faces_in_frame(reader(), large)
    frames = np.repeat(large[None], 13, axis=0)
    return Material("close_up", "close_up", frames, 4.0, [faces[0]] * 13)


@pytest.mark.parametrize(("label", "name"), PARTS)
def test_defects_of_parts_of_the_face(label: str, name: str, close_up: Material) -> None:
    frames = case(label).apply(close_up, close_up, np.random.default_rng(7))
    given = portrait(close_up.frames[0], close_up.track[0])
    scores = by_name(examine(frames, given=given, only=[name]))
    assert scores[name].verdict == "fail", scores[name].value
    assert scores[name].region is not None or name.startswith("skin")


def test_a_face_behind_what_is_held_before_it_has_no_shape_to_compare(close_up: Material) -> None:
    """An orange before mouth and chin."""
    points = (
        reader().mesh.read(close_up.frames[0], close_up.track[0]).points[[13, 152, 61, 291], :2]
    )
    middle, size = points.mean(axis=0), float(np.linalg.norm(points[2] - points[3]))
    frames = close_up.frames.copy()
    for frame in frames[2:]:
        cv2.circle(frame, (int(middle[0]), int(middle[1])), int(0.65 * size), (220, 130, 30), -1)
    given = portrait(close_up.frames[0], close_up.track[0])
    names = ("nose_shape", "jaw_shape", "face_warp")
    scores = by_name(examine(frames, given=given, only=names))
    assert {scores[name].verdict for name in names} == {"not_measured"}


def test_a_blink_a_turn_and_a_smile_are_no_defects_of_parts(close_up: Material) -> None:
    """One eye shut in two of 13 frames, and a mouth that widens in all later ones."""
    height, width = close_up.frames.shape[1:3]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    face = close_up.track[0]
    cx, cy = (float(v) for v in np.asarray(face.landmarks)[:4].mean(axis=0))
    iod = np.float32(face.interocular)
    u, v = (x - np.float32(cx)) / iod, (y - np.float32(cy)) / iod
    smile = np.exp(-((u / 0.6) ** 2) - ((v - 1.0) / 0.3) ** 2).astype(np.float32)
    shut = np.exp(-(((u + 0.5) / 0.25) ** 2) - (v / 0.12) ** 2).astype(np.float32) * v
    frames = close_up.frames.copy()
    for index in range(1, 13):
        dx = -np.float32(0.06) * iod * smile * np.sign(u) * np.minimum(np.abs(u) * 3, 1)
        dy = np.float32(1.2) * iod * shut if index in (5, 6) else np.float32(0)
        frames[index] = cv2.remap(frames[0], x + dx, y + dy, cv2.INTER_CUBIC)
    given = portrait(close_up.frames[0], face)
    found = examine(frames, given=given, only=[name for _, name in PARTS])
    assert failing(found) == []


@pytest.mark.parametrize(("left", "right", "verdict"), [(1, 1, "pass"), (1, -1, "fail")])
def test_eyes_that_look_aside_are_not_crossed(
    left: int, right: int, verdict: str, close_up: Material
) -> None:
    height, width = close_up.frames.shape[1:3]
    face = close_up.track[0]
    points = reader().mesh.read(close_up.frames[0], face).points
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    iod = np.float32(face.interocular)
    dx = np.zeros_like(x)
    for iris, way in ((468, left), (473, right)):
        apart = np.hypot(x - np.float32(points[iris, 0]), y - np.float32(points[iris, 1])) / iod
        dx -= np.float32(0.07 * way) * iod * np.clip((0.16 - apart) / 0.06, 0, 1)
    frames = close_up.frames.copy()
    frames[1:] = cv2.remap(frames[0], x + dx, y, cv2.INTER_CUBIC)
    given = portrait(close_up.frames[0], face)
    found = by_name(examine(frames, given=given, only=["eye_gaze"]))["eye_gaze"]
    assert found.verdict == verdict, found.value


def test_a_crossed_eye_is_seen_in_a_small_face() -> None:
    image, face = picture()  # 43 px between the eyes
    still = Material("still", "still", np.repeat(image[None], 13, axis=0), 4.0, [face] * 13)
    frames = case("eye/crossed@0.1").apply(still, still, np.random.default_rng(7))
    found = [by_name(examine(f, only=["eye_gaze"]))["eye_gaze"] for f in (still.frames, frames)]
    assert [score.verdict for score in found] == ["pass", "fail"], found[1].value


def test_a_gaze_is_not_held_against_a_picture_with_nearly_shut_eyes(close_up: Material) -> None:
    image, face = close_up.frames[0], close_up.track[0]
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cx, cy = (float(v) for v in np.asarray(face.landmarks)[:4].mean(axis=0))
    iod = np.float32(face.interocular)
    u, v = (x - np.float32(cx)) / iod, (y - np.float32(cy)) / iod
    bump = np.exp(-(((np.abs(u) - 0.5) / 0.3) ** 2) - (v / 0.12) ** 2).astype(np.float32)
    narrow = cv2.remap(image, x, y + np.float32(2.4) * iod * bump * v, cv2.INTER_CUBIC)
    open_, shut = (sum(reader().mesh.read(i, face).apertures) for i in (image, narrow))
    assert 0.24 < shut < open_ / 1.5
    scores = [
        by_name(examine(close_up.frames, given=portrait(given, face), only=["eye_gaze"]))
        for given in (image, narrow)
    ]
    assert [s["eye_gaze"].verdict for s in scores] == ["pass", "not_measured"]


def test_one_wrong_mesh_of_the_picture_does_not_cross_its_eyes(close_up: Material) -> None:
    image = close_up.frames[0]
    mesh = reader().mesh.read(image, close_up.track[0])
    points = mesh.points.copy()
    for (ring, _), way in zip(EYE_POINTS, (1, -1), strict=True):  # both corners, inwards
        width = np.hypot(*(mesh.points[ring[4], :2] - mesh.points[ring[0], :2]))
        points[[ring[0], ring[4]], 0] += way * 0.04 * width
    wrong = FaceMesh(points, mesh.presence)
    alone, among = (
        IrisShift(image, meshes, EYE_POINTS) for meshes in ([wrong], [wrong, mesh, mesh])
    )
    assert abs(alone.towards(image, mesh)) > 3 > 0.5 > abs(among.towards(image, mesh))
    assert abs(alone.told(image, mesh, reader().iris)[0]) > 2
    assert abs(among.told(image, mesh, reader().iris)).max() < 0.5


def test_skin_is_not_lighter_because_its_surroundings_get_darker(close_up: Material) -> None:
    height, width = close_up.frames.shape[1:3]
    y, x = np.mgrid[0:height, 0:width]
    cx, cy = close_up.track[0].box.center
    side = close_up.track[0].box.width
    around = np.hypot((x - cx) / 0.62, (y - cy) / 0.75) > side
    frames = close_up.frames.copy()
    frames[2:, around] = (frames[2:, around] * 0.7).astype(np.uint8)
    given = portrait(close_up.frames[0], close_up.track[0])
    found = by_name(examine(frames, given=given, only=["skin_brightness"]))["skin_brightness"]
    assert found.verdict == "pass", found.value


def test_skin_half_in_shadow_is_not_lighter_where_the_face_moves_a_little(
    close_up: Material,
) -> None:
    width = close_up.frames.shape[2]
    center = close_up.track[0].box.center[0]
    edge = center - 0.2 * close_up.track[0].box.width  # between the places of one cheek
    shadow = np.where(np.arange(width) < edge, 0.3, 1.0)[None, None, :, None]
    frames = (close_up.frames * shadow).astype(np.uint8)
    for index in range(1, len(frames)):
        frames[index] = np.roll(frames[index], 2 * (-1) ** index, axis=1)
    given = portrait(frames[0], close_up.track[0])
    found = by_name(examine(frames, given=given, only=["skin_brightness"]))["skin_brightness"]
    assert found.verdict == "pass", found.value


def test_a_shape_is_not_judged_by_a_few_frames_from_the_front() -> None:
    row = np.ones(2 * int(grid()[0].sum()), np.float32)
    seen = [row, None] * 8
    assert len(windows(seen)) == 0
    assert len(windows([*seen, *[row] * 11])) == 7


@pytest.mark.parametrize(("label", "name"), STILL)
def test_defects_in_the_picture(label: str, name: str) -> None:
    assert by_name(examine(spoiled(label, SHORT), only=[name]))[name].verdict == "fail"


def test_getting_softer_is_said() -> None:
    frames = material().frames.copy()
    frames[60:] = spoiled("blur/gauss@2")[60:]
    found = by_name(examine(frames, only=["sharpness_end"]))
    assert found["sharpness_end"].verdict == "warn"


def test_texture_is_kept_or_taken_from_the_skin_or_everywhere() -> None:
    image, face = picture()
    luma = luma_of(image)
    smooth = cv2.GaussianBlur(luma, (0, 0), 3).astype(np.uint8)
    x, y = np.asarray(face.landmarks).mean(axis=0)
    down, across = np.mgrid[0 : luma.shape[0], 0 : luma.shape[1]]
    head = np.hypot(across - x, down - y) < 1.6 * face.interocular
    assert texture_kept(luma, luma, face, 1.0) == pytest.approx(1.0)
    assert texture_kept(luma, np.where(head, smooth, luma), face, 1.0) < 0.3
    assert texture_kept(luma, np.where(head, luma, smooth), face, 1.0) >= 1.0
    assert texture_kept(luma, smooth, face, 1.0) < 0.3


@pytest.mark.parametrize(("levels", "taken"), [(0.8, False), (4.0, True)])
def test_hardly_any_texture_is_no_evidence(levels: float, taken: bool) -> None:
    """Most of it is taken everywhere, as encoders do: what 8 bits hardly hold says nothing."""
    _, face = picture()
    noise = np.random.default_rng(0).normal(size=(320, 512)).astype(np.float32)
    texture = cv2.GaussianBlur(noise, (0, 0), 1.2)
    texture *= levels / texture.std()
    whole, less = (np.rint(128 + share * texture).astype(np.uint8) for share in (1, 0.45))
    assert (texture_kept(whole, less, face, 1.0) < 0.55) == taken


def test_speech_is_no_wobble() -> None:
    """A jaw that opens and closes three times a second, as in lively speech."""
    clean = material(61)
    _, face = picture()
    points = np.asarray(face.landmarks)
    x, y = (points[0:2].mean(axis=0) + points[2:4].mean(axis=0)) / 2
    down, across = np.mgrid[0:320, 0:512].astype(np.float32)
    u, v = (across - x) / face.interocular, (down - y) / face.interocular
    jaw = np.exp(-((u / 0.8) ** 4) - ((v - 1.5) / 0.5) ** 4).astype(np.float32)
    frames = clean.frames.copy()
    for index in range(len(frames)):
        drop = np.float32(0.03 * face.interocular * np.sin(2 * np.pi * 3 * index / 24))
        frames[index] = cv2.remap(
            clean.frames[index], across, down - drop * jaw, cv2.INTER_CUBIC
        )  # fmt: skip
    assert by_name(examine(frames, only=["face_wobble"]))["face_wobble"].verdict != "fail"


def test_a_tint_is_found() -> None:
    frames: Frames = material(SHORT).frames.copy()
    frames[..., 2] = frames[..., 2] // 10 * 8
    assert by_name(examine(frames, only=["color_cast"]))["color_cast"].verdict == "fail"


def test_shivering_is_found() -> None:
    """Every frame bent anew: no frequency of its own, but never a rest."""
    clean = material(SHORT)
    bend = LADDERS["melt"][0]("random", 0.05)
    frames = clean.frames.copy()
    for index in range(1, SHORT):
        pair = Material("a", "a", clean.frames[[0, index]], 24.0, clean.track[:2])
        frames[index] = bend(pair, pair, np.random.default_rng(index))[1]
    assert by_name(examine(frames, only=["face_jitter"]))["face_jitter"].verdict == "fail"


def test_the_region_points_into_the_face(clean: Verification) -> None:
    _, face = picture()
    score = by_name(examine(spoiled("melt/random@0.3"), only=["face_deformation"]))
    region = score["face_deformation"].region
    assert region is not None
    x, y = region.center
    box = face.box
    assert box.left - box.width / 2 < x < box.right + box.width / 2
    assert box.top - box.height / 2 < y < box.bottom + box.height / 2


def test_a_small_picture_is_not_called_soft() -> None:
    """The picture has a third of the clip's pixels: an enlarged clip is as sharp as it can be."""
    image, face = picture()
    small = reduced(image, 256)
    frames = np.stack(
        [
            cv2.resize(reduced(f, 256), (512, 320), interpolation=cv2.INTER_CUBIC)
            for f in material(SHORT).frames
        ]
    ).astype(np.uint8)
    given = portrait(small, face.scaled(0.5))
    found = examine(frames, given=given, only=["sharpness"])
    assert failing(found) == []


@pytest.mark.parametrize(("frames", "share"), [(48, 1.0), (96, 1.0), (384, 0.5)])
def test_a_longer_clip_may_wander_further(frames: int, share: float) -> None:
    """As in a random walk, with the root of time, from the length on that limits are for."""
    cells = len(_face_model().weights)
    metric = Deformation(24.0)
    metric.add(0, None, _Pose(np.eye(2, 3)))
    for index in np.linspace(0, frames, 13)[1:].astype(int):
        residual = np.full(2 * cells, 3.0 * index / frames, np.float32)
        metric.add(int(index), None, _Pose(np.eye(2, 3), residual, np.zeros(2)))
    melt = metric._melt()
    end = 3.0 * math.sqrt(2) * share
    assert melt.series[-1][1] == pytest.approx(end)
    assert melt.value == pytest.approx(end * 10 / 12)  # the least of what is late


def test_a_turned_face_bends_more_without_melting() -> None:
    """The generic depth of a head is wrong by a share of the turn."""
    residual = np.full(2 * len(_face_model().weights), 3.0, np.float32)
    values = []
    for turned in (0.0, 10.0, 26.0):
        metric = Deformation(24.0)
        metric.add(0, None, _Pose(np.eye(2, 3)))
        for index in range(6, 97, 6):
            share = np.float32(index / 96)
            found = _Pose(np.eye(2, 3), residual * share, np.zeros(2), turned)
            metric.add(index, None, found)
        value = metric._melt().value
        assert isinstance(value, float)
        values.append(value)
    assert values[0] == values[1] == pytest.approx(2 * values[2])


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.9, 0.75)], ids=["grey", "sepia"])
def test_a_black_and_white_picture_is_not_called_banded_for_its_encoding(
    tint: tuple[float, float, float],
) -> None:
    """Limited range has 220 levels of luma: grey pixels lose every seventh level."""
    image, face = picture()
    grain = np.random.default_rng(0).normal(0, 6, image.shape[:2])
    grey = np.clip(luma_of(image) * 0.8 + 20 + grain, 0, 255)
    still = (grey[..., None] * tint).astype(np.uint8)
    clean = np.stack([to_rgb(to_yuv(still))] * 9)
    banded = np.stack([to_rgb(to_yuv((still // 16 * 16).astype(np.uint8)))] * 9)
    given = portrait(still, face)
    verdicts = [
        by_name(examine(frames, given=given, only=("banding",)))["banding"].verdict
        for frames in (clean, banded)
    ]
    assert verdicts == ["pass", "fail"]
