"""The living engine's frames, measured with the mesh and from their pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data

from image_files import astronaut, face_reader
from vivant.engines.camera.layers import Subject
from vivant.engines.living import LivingEngine, LivingOptions, Sketches
from vivant.engines.living.eyes import make_eye
from vivant.engines.living.fields import CELL, grid_shape, person_fields
from vivant.engines.living.lid import MAX_ERASED
from vivant.engines.living.motion import blink_shape, plan_motion
from vivant.engines.living.options import PRESET_AMOUNTS, PRESETS, choose_preset
from vivant.engines.living.people import find_people
from vivant.engines.living.preflight import MAX_TURN_GAIN, AnimatedPerson, preflight
from vivant.engines.living.scene import LivingScene
from vivant.engines.living.skin_grain import skin_grain
from vivant.errors import Cancelled, OptionError
from vivant.grid import cover_crop
from vivant.picture.face_mesh import FaceMesh, MeshReader
from vivant.picture.framing import crop_pixels, face_in_frame
from vivant.types import (
    Box,
    Face,
    Frames,
    Image,
    Portrait,
    Progress,
    Request,
    Source,
    ignore_progress,
)

SIZE = (640, 360)
FPS = 12


def portrait_of(pixels: Image, faces: tuple[Face, ...] | None = None) -> Portrait:
    height, width = pixels.shape[:2]
    crop = cover_crop(width, height, SIZE[0] / SIZE[1])
    crop = Box(crop.left, 0.0, crop.width, crop.height)
    faces = face_reader().detect(pixels) if faces is None else faces
    source = Source("portrait.png", "PNG", width, height, 1, "0" * 64)
    return Portrait(pixels=pixels, crop=crop, faces=faces, source=source)


def made(
    portrait: Portrait,
    num_frames: int = 48,
    *,
    engine: LivingEngine | None = None,
    seed: int = 0,
    prompt: str = "",
    **options: Any,
) -> Frames:
    request = Request(
        image=b"",
        prompt=prompt,
        width=SIZE[0],
        height=SIZE[1],
        num_frames=num_frames,
        fps=Fraction(FPS),
        seed=seed,
        engine="living",
        options=options,
    )
    clip = (engine or LivingEngine()).generate(portrait, request, ignore_progress)
    return np.concatenate(list(clip.chunks))


@pytest.fixture(scope="module")
def clip() -> Frames:
    """Four seconds without a move of the camera."""
    return made(portrait_of(astronaut()), camera=0)


@pytest.fixture(scope="module")
def meshes(clip: Frames) -> list[FaceMesh]:
    portrait = portrait_of(astronaut())
    reader = MeshReader()
    mesh = reader.read(clip[0], face_in_frame(portrait.faces[0], portrait.crop, *SIZE))
    found = []
    for frame in clip:
        mesh = reader.follow(frame, mesh)
        found.append(mesh)
    return found


def test_the_first_frame_is_the_crop(clip: Frames) -> None:
    assert np.array_equal(clip[0], crop_pixels(portrait_of(astronaut()), *SIZE))
    assert cv2.absdiff(clip[0], clip[1]).mean() < 2


def test_both_eyes_close_and_open_again(meshes: list[FaceMesh]) -> None:
    apertures = np.array([mesh.apertures for mesh in meshes])
    # real blinks of 512-px clips reach 0.05 to 0.08, an enlarged 88-px face not quite that
    for eye in apertures.T:
        assert eye.min() < 0.5 * eye[0]
        assert eye[-1] > 0.8 * eye[0]
    shut = np.flatnonzero(apertures.max(axis=1) < 0.5 * apertures[0].max())
    assert 1 <= len(shut) <= 5
    assert shut[-1] - shut[0] == len(shut) - 1, "one blink"


def test_lids_stay_down_for_three_to_five_frames() -> None:
    for start in np.linspace(0.4, 0.5, 7):
        shut = [blink_shape(frame / 24 - start) for frame in range(40)]
        assert 3 <= sum(closed > 0.97 for closed in shut) <= 5


def test_a_closed_eye_shows_no_iris(clip: Frames, meshes: list[FaceMesh]) -> None:
    shut = int(np.argmin([sum(mesh.apertures) for mesh in meshes]))
    grey = [cv2.cvtColor(clip[frame], cv2.COLOR_RGB2GRAY) for frame in (0, shut)]
    for iris in (468, 473):
        x, y = (round(float(v)) for v in meshes[0].points[iris, :2])
        opened, closed = (g[y - 2 : y + 2, x - 3 : x + 4].astype(float) for g in grey)
        assert closed.mean() > 1.5 * opened.mean()


def test_hair_across_an_eye_keeps_both_open() -> None:
    pixels = astronaut().copy()
    for x in range(190, 216, 5):
        cv2.line(pixels, (x, 80), (x + 4, 130), (25, 18, 12), 2)
    engine = LivingEngine()
    made(portrait_of(pixels, face_reader().detect(astronaut())), 2, engine=engine)
    assert any("lies across an eye" in note for note in engine.info.notes)
    assert engine.info.provenance["blinks_at"] == []


def preflighted(pixels: Image, strength: float) -> tuple[AnimatedPerson, AnimatedPerson, list[str]]:
    """Her part before and after the key frames, with ``strength`` of the turn drawn."""
    portrait = portrait_of(astronaut())
    (person,), _ = find_people(portrait, SIZE[0], MeshReader())
    scene = LivingScene.of(Box(0, 0, 512, 512), pixels, None)
    fields = person_fields(
        person.mesh, (512, 512), np.ones(grid_shape((512, 512)), np.float32), layered=False
    )
    motion = plan_motion(LivingOptions(), PRESET_AMOUNTS["calm"], seconds=4.0, seed=0, person=0)
    eyes = tuple(eye for side in (0, 1) if (eye := make_eye(pixels, person.mesh, side)))
    part = AnimatedPerson(motion, fields.with_turn_gain(strength), eyes)
    after, notes = preflight(scene, person, part, MeshReader(), PRESET_AMOUNTS["calm"].yaw)
    return part, after, notes


def test_a_turn_that_shows_too_little_is_enlarged() -> None:
    part, after, notes = preflighted(astronaut().copy(), 0.5)
    gain = np.abs(after.fields.bases[0]).max() / np.abs(part.fields.bases[0]).max()
    assert 1.2 < gain <= MAX_TURN_GAIN
    assert not notes
    _, after, notes = preflighted(astronaut().copy(), 0.05)
    assert "only" in notes[0]
    assert after.motion.blinks


def test_eyes_that_do_not_look_shut_keep_still() -> None:
    """Bright open eyes are painted where the lids would be."""
    pixels = astronaut().copy()
    part, _, _ = preflighted(pixels, 1.0)
    for eye in part.eyes:
        eye.lid.region[:] = 0  # what something before the lid does
        eye.lid.wings[:] = 0
        eye.lid.ends[:] = 0
    scene = LivingScene.of(Box(0, 0, 512, 512), pixels, None)
    (person,), _ = find_people(portrait_of(astronaut()), SIZE[0], MeshReader())
    after, notes = preflight(scene, person, part, MeshReader(), 0.0)
    assert "not look shut" in notes[0]
    assert (after.eyes, after.motion.blinks) == ((), ())
    assert np.array_equal(pixels, astronaut())


def test_a_face_that_a_border_holds_is_not_bent() -> None:
    """Nothing moves above the eyes; the face turns about what is there."""
    portrait = portrait_of(astronaut())
    (person,), _ = find_people(portrait, SIZE[0], MeshReader())
    free = np.ones(grid_shape((512, 512)), np.float32)
    held = free.copy()
    top = round(float(person.mesh.points[10, 1]) / CELL)
    held[:top] = 0
    held[top : top + 4] *= np.linspace(0, 1, 4, dtype=np.float32)[:, None]
    motion = plan_motion(LivingOptions(), PRESET_AMOUNTS["calm"], seconds=4.0, seed=0, person=0)
    pose = motion.widest()
    rigid, cut = (
        person_fields(person.mesh, (512, 512), share, layered=False) for share in (free, held)
    )
    assert cut.strain(pose, person.mesh) < 1.3 * rigid.strain(pose, person.mesh)
    nose, cheek = (
        tuple(np.round(person.mesh.points[i, :2] / CELL).astype(int)[::-1]) for i in (4, 234)
    )
    parallax = [abs(f.bases[0][nose] - f.bases[0][cheek]).max() for f in (rigid, cut)]
    assert parallax[1] > 0.7 * parallax[0]


def enlarged() -> tuple[Image, npt.NDArray[np.float64]]:
    """The portrait at three times its size, and the points of its face."""
    pixels = astronaut()
    mesh = MeshReader().read(pixels, face_reader().detect(pixels)[0])
    return np.asarray(cv2.resize(pixels, None, fx=3, fy=3), np.uint8), mesh.points * 3


def test_a_rim_of_glasses_stays_before_the_lid() -> None:
    large, points = enlarged()
    brow, lid = points[[52, 65], 1].mean(), points[[159, 158], 1].mean()
    row = round(0.35 * brow + 0.65 * lid)
    left, right = round(points[33, 0]) - 40, round(points[133, 0]) + 40
    cv2.line(large, (left, row), (right, row), (30, 30, 30), 6)
    eye = make_eye(large, FaceMesh(points, 1.0), 0)
    assert eye is not None
    rim = large[row, left + 30 : right - 30].copy()
    eye.draw(large, 1.0, (0.0, 0.0))
    assert np.abs(large[row, left + 30 : right - 30].astype(int) - rim).mean() < 12


def test_a_closed_lid_covers_a_dark_line_along_it() -> None:
    """It runs into a shadow beside the eye, as make-up and hair do, and would outline the eye."""
    large, points = enlarged()
    upper = points[[33, 246, 161, 160, 159, 158, 157, 173, 133], :2]
    width = float(np.linalg.norm(upper[-1] - upper[0]))
    line = np.round(upper - (0, 0.12 * width)).astype(np.int32)
    cv2.polylines(large, [line], False, (25, 20, 20), round(0.1 * width))
    beside = np.round(upper[0] - (0.35 * width, 0.12 * width)).astype(int)
    cv2.circle(large, beside.tolist(), round(0.4 * width), (25, 20, 20), -1)
    eye = make_eye(large, FaceMesh(points, 1.0), 0)
    assert eye is not None
    x, y = line[3:7].T
    assert large[y, x].mean() < 40
    eye.draw(large, 1.0, (0.0, 0.0))
    assert large[y, x].mean() > 80


def with_glasses(grey: tuple[int, int, int]) -> tuple[Image, FaceMesh, list[tuple[int, int]]]:
    """The portrait with a rim across its left eye, bright below, and places on the rim."""
    large, points = enlarged()
    left, right = points[33, :2], points[133, :2]
    width = float(np.linalg.norm(right - left))
    lid = points[[160, 159, 158], :2].mean(axis=0)
    along = (right - left) / width
    down = np.array([-along[1], along[0]])
    for up, colour, thick in ((0.09, (220, 190, 170), 0.08), (0.2, grey, 0.14)):
        middle = lid - up * width * down
        ends = [np.round(middle + s * 0.95 * width * along).astype(int).tolist() for s in (-1, 1)]
        cv2.line(large, ends[0], ends[1], colour, round(thick * width))
    rim = [middle + s * width * along for s in np.linspace(-0.6, 0.6, 25)]
    return large, FaceMesh(points, 1.0), [(round(y), round(x)) for x, y in rim]


def test_a_grey_rim_stays_before_a_moving_lid() -> None:
    """It is not much darker than the lid, as bright metal is."""
    large, mesh, rim = with_glasses((112, 112, 112))
    eye = make_eye(large, mesh, 0)
    assert eye is not None
    assert eye.can_close
    for closed in (0.3, 0.6, 1.0):
        eye.draw(large, closed, (0.0, 0.0))
        assert max(abs(int(v) - 112) for place in rim for v in large[place]) < 12
    eye.draw(large, 0.0, (0.0, 0.0))
    assert np.array_equal(large, with_glasses((112, 112, 112))[0])


def test_eyes_keep_still_where_a_lid_would_cover_a_rim() -> None:
    """A rim of the colour of skin in the shade cannot be told from it."""
    large, points = enlarged()
    clean = make_eye(large, FaceMesh(points, 1.0), 0)
    large, mesh, _ = with_glasses((142, 105, 94))
    worn = make_eye(large, mesh, 0)
    assert clean is not None
    assert worn is not None
    assert clean.lid.erased < MAX_ERASED <= worn.lid.erased
    assert (clean.can_close, worn.can_close) == (True, False)


def test_a_wire_rim_stays_before_a_closed_lid() -> None:
    large, points = enlarged()
    left, right = points[33, :2], points[133, :2]
    row = round((left + right)[1] / 2 - 0.3 * float(np.linalg.norm(right - left)))
    columns = slice(round(left[0]), round(right[0]))
    cv2.line(large, (columns.start - 60, row), (columns.stop + 60, row), (250, 240, 235), 3)
    before = large[row, columns].astype(int)
    eye = make_eye(large, FaceMesh(points, 1.0), 0)
    assert eye is not None
    eye.draw(large, 1.0, (0.0, 0.0))
    assert np.abs(large[row, columns] - before).mean() < 12


def test_grain_is_that_of_the_cheek_and_shows_no_pattern() -> None:
    noise = np.random.default_rng(3).normal(0, 4, (200, 200, 1))
    patch = np.clip(128 + noise, 0, 255).astype(np.uint8).repeat(3, axis=2)
    down, a = np.mgrid[0:200, 0:200].astype(np.float64)
    grain = skin_grain(patch, a - 50, down - 100, 100.0)
    assert 3 < grain.std() < 5
    assert np.array_equal(grain, skin_grain(patch, a - 50, down - 100, 100.0))
    smooth = skin_grain(np.full_like(patch, 128), a - 50, down - 100, 100.0)
    assert np.abs(smooth).max() < 0.01
    above = skin_grain(patch, a - 50, down + 200, 100.0)
    assert not above.any()


def test_tiles_show_what_blending_everywhere_shows() -> None:
    draw = np.random.default_rng(1)

    def coloured(height: int, width: int) -> Image:
        small = draw.integers(0, 255, (height // 20, width // 20, 3)).astype(np.uint8)
        return np.asarray(cv2.resize(small, (width, height)), dtype=np.uint8)

    background = coloured(480, 800)
    alpha = np.zeros((400, 420), np.uint8)
    cv2.circle(alpha, (210, 200), 150, 255, -1)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 3), dtype=np.uint8)
    colour = (coloured(400, 420) * (alpha[..., None] / 255)).astype(np.uint8)
    area = Box(0.0, 0.0, 800.0, 480.0)
    scene = LivingScene.of(area, background, Subject(180, 60, colour, 255 - alpha))
    assert scene.cover is not None
    whole = replace(scene, cover=np.full_like(scene.cover, 2))
    field = np.zeros((*grid_shape((480, 800)), 2), np.float32)
    field[20:40, 30:60] = (9.0, -6.0)
    field[:] = cv2.GaussianBlur(field, (0, 0), 6)
    window = Box(3.3, 2.7, 780.0, 468.0)
    tiled, blended = np.zeros((2, 234, 390, 3), np.uint8)
    scene.draw(tiled, window, area, field)
    whole.draw(blended, window, area, field)
    assert cv2.absdiff(tiled, blended).max() <= 1
    assert len(np.unique(scene.cover)) == 3


def test_the_head_turns(meshes: list[FaceMesh]) -> None:
    yaws = np.array([mesh.pose.yaw for mesh in meshes])
    assert np.abs(yaws - yaws[0]).max() > 1.5
    assert np.abs(yaws - yaws[0]).max() < 6


def test_the_shoulders_rise_and_fall(clip: Frames) -> None:
    first = cv2.cvtColor(clip[0], cv2.COLOR_RGB2GRAY).astype(np.float32)
    part = (slice(230, 310), slice(160, 420))
    rises = []
    for frame in clip[::3]:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
        (_, dy), _ = cv2.phaseCorrelate(first[part], grey[part])
        rises.append(-dy)
    assert max(rises) > 0.003 * SIZE[1]
    assert rises[-1] < 0.5 * max(rises)


def test_the_background_stays(clip: Frames) -> None:
    """The rocket on the right, far from her."""
    part = (slice(20, 330), slice(560, 635))
    assert max(cv2.absdiff(clip[0][part], frame[part]).mean() for frame in clip) < 2


def test_frames_stay_as_sharp_as_the_picture(clip: Frames) -> None:
    """The suit, whose texture neither turns nor blinks."""
    part = (slice(230, 330), slice(200, 380))

    def detail(frame: Image) -> float:
        return float(cv2.Laplacian(cv2.cvtColor(frame[part], cv2.COLOR_RGB2GRAY), cv2.CV_32F).var())

    details = np.array([detail(frame) for frame in clip])
    assert details.min() > 0.8 * details[0]
    assert details.max() < 1.25 * details[0]


def test_the_same_seed_gives_the_same_bits_and_another_moves_otherwise() -> None:
    portrait = portrait_of(astronaut())
    one, same, other = (made(portrait, 9, seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(one, same)
    assert not np.array_equal(one[-1], other[-1])


def test_frames_do_not_depend_on_each_other() -> None:
    """A long clip is no softer at its end: its frames come from the picture, not from frames."""
    portrait = portrait_of(astronaut())
    request = Request(
        image=b"", width=320, height=180, num_frames=6, fps=Fraction(1), engine="living"
    )
    whole = np.concatenate(list(LivingEngine().generate(portrait, request, ignore_progress).chunks))
    assert whole.shape == (6, 180, 320, 3)
    assert (
        cv2.Laplacian(whole[-1], cv2.CV_32F).var() > 0.8 * cv2.Laplacian(whole[0], cv2.CV_32F).var()
    )


def test_a_loop_ends_where_it_began() -> None:
    looped = made(portrait_of(astronaut()), 48, loop=True)
    steps = [cv2.absdiff(a, b).mean() for a, b in pairwise(looped)]
    assert cv2.absdiff(looped[-1], looped[0]).mean() < 1.5 * np.median(steps) + 0.5
    assert cv2.absdiff(looped[0], looped[24]).mean() > 1


def test_strength_zero_keeps_everything_still() -> None:
    frames = made(portrait_of(astronaut()), 6, strength=0, blink="false")
    assert all(cv2.absdiff(frames[1], frame).mean() < 0.01 for frame in frames[2:])
    assert cv2.absdiff(frames[0], frames[1]).mean() < 1.5


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_differ(preset: str) -> None:
    motion = plan_motion(LivingOptions(), PRESET_AMOUNTS[preset], seconds=8.0, seed=1, person=0)
    assert len(motion.blinks) >= 2
    largest = max(abs(motion.yaw.at(t / 10)) for t in range(80))
    assert 0.6 * PRESET_AMOUNTS[preset].yaw < largest < 1.5 * PRESET_AMOUNTS[preset].yaw


def test_sketches_drawn_at_a_time_show_what_the_clip_will() -> None:
    portrait = portrait_of(astronaut())
    request = Request(image=b"", width=SIZE[0], height=SIZE[1])
    sketches = Sketches(portrait, request, (256, 144), MeshReader())

    def drawn(preset: str) -> Frames:
        return sketches.draw(preset, (128, 72), num_frames=20, fps=Fraction(10))

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(drawn, PRESETS))
    assert np.array_equal(drawn(PRESETS[0]), together[0]), "another thread drew into it"
    assert all((together[0] != other).any() for other in together[1:])
    crop = crop_pixels(portrait, 128, 72)
    assert cv2.absdiff(together[0][0], crop).mean() < 6, "it does not begin as the picture"
    options = {"preset": "calm", "loop": True}
    loop = replace(request, width=320, height=180, num_frames=20, fps=Fraction(10), options=options)
    clip = LivingEngine().generate(portrait, loop, ignore_progress)
    shown = np.concatenate(list(clip.chunks))
    for frame in (9, 10, 12):  # the eyes are shut in one of them
        small = cv2.resize(shown[frame], (128, 72), interpolation=cv2.INTER_AREA)
        assert cv2.absdiff(together[0][frame], small).mean() < 6


def test_a_short_clip_has_its_blink_too() -> None:
    for seconds in (1.0, 2.0, 4.0):
        motion = plan_motion(
            LivingOptions(), PRESET_AMOUNTS["calm"], seconds=seconds, seed=3, person=0
        )
        peak = max(motion.at(t / 24).closed for t in range(round(24 * seconds)))
        assert peak == 1.0, seconds
        assert motion.at(seconds).closed == 0.0
    assert blink_shape(-1) == blink_shape(9) == 0.0


def test_motion_begins_at_rest() -> None:
    for seed in range(20):
        motion = plan_motion(
            LivingOptions(), PRESET_AMOUNTS["warm"], seconds=4.0, seed=seed, person=0
        )
        start, soon = motion.at(0.0), motion.at(1 / 24)
        assert (start.yaw, start.pitch, start.breath, start.closed, start.gaze) == (
            0.0, 0.0, 0.0, 0.0, (0.0, 0.0),
        )  # fmt: skip
        assert abs(soon.yaw) < 0.05
        assert soon.breath < 0.0005


@pytest.mark.parametrize(
    ("prompt", "preset"),
    [
        ("subtle motion", "calm"),
        ("A warm smile at the end", "warm"),
        ("she listens and looks around", "attentive"),
        ("almost still", "portrait-still"),
        ("은은하게 미소 짓는다", "warm"),
        ("숨을 쉬며 눈을 깜빡인다", "calm"),
        ("호기심 가득하게 두리번거린다", "attentive"),
        ("a city at night", "calm"),
    ],
)
def test_words_of_the_prompt_choose_the_preset(prompt: str, preset: str) -> None:
    found, sentence = choose_preset(LivingOptions(), prompt)
    assert found == preset
    assert preset in sentence
    assert choose_preset(LivingOptions(preset="warm"), prompt)[0] == "warm"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"zoom": 1}, "no option 'zoom'"),
        ({"strength": 3}, "number from 0 to 2"),
        ({"strength": "much"}, "number from 0 to 2"),
        ({"preset": "wild"}, "choose one of auto, calm"),
        ({"blink": "perhaps"}, "true or false"),
        ({"scale": 0.1}, "0.25 to 1"),
    ],
)
def test_impossible_options_are_refused_before_work(options: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        LivingEngine().generate(
            portrait_of(astronaut()),
            Request(image=b"", engine="living", options=options),
            ignore_progress,
        )


def test_without_a_face_the_camera_moves_and_a_note_says_so() -> None:
    pixels = np.ascontiguousarray(skimage.data.coffee())  # type: ignore[no-untyped-call]
    engine = LivingEngine()
    frames = made(portrait_of(pixels, ()), 3, engine=engine)
    assert len(frames) == 3
    assert (engine.info.name, engine.info.moves) == ("camera", "camera")
    assert engine.info.notes[0].startswith("No face was found, so the clip was made by the camera")


def test_what_is_no_face_is_not_brought_to_life() -> None:
    pixels = np.ascontiguousarray(skimage.data.cat())  # type: ignore[no-untyped-call]
    face = Face(
        box=Box(100, 60, 120, 120),
        score=0.1,
        landmarks=((200.0, 100.0), (180.0, 100.0), (120.0, 100.0), (140.0, 100.0), (160.0, 140.0)),
    )
    engine = LivingEngine()
    made(portrait_of(pixels, (face,)), 2, engine=engine)
    assert engine.info.moves == "camera"
    assert any("no points of a human face" in note for note in engine.info.notes)


def test_closed_eyes_do_not_blink_and_the_report_says_why() -> None:
    """Her lids are drawn down by the engine itself."""
    shut = made(portrait_of(astronaut()), 30, camera=0, strength=0)
    reader = MeshReader()
    portrait = portrait_of(astronaut())
    face = face_in_frame(portrait.faces[0], portrait.crop, *SIZE)
    asleep = min(shut, key=lambda frame: sum(reader.read(frame, face).apertures))
    engine = LivingEngine()
    closed = replace(portrait_of(asleep), faces=(face,))
    made(closed, 2, engine=engine)
    assert any("eyes are closed" in note for note in engine.info.notes)
    assert engine.info.provenance["blinks_at"] == []


def test_dark_glasses_do_not_blink() -> None:
    pixels = astronaut().copy()
    cv2.ellipse(pixels, (202, 103), (20, 15), 0, 0, 360, (15, 15, 15), -1)
    cv2.ellipse(pixels, (247, 104), (20, 15), 0, 0, 360, (15, 15, 15), -1)
    engine = LivingEngine()
    made(portrait_of(pixels, face_reader().detect(astronaut())), 2, engine=engine)
    assert any("glasses" in note or "closed" in note for note in engine.info.notes)
    assert engine.info.provenance["blinks_at"] == []
    assert engine.info.notes[0].startswith("The person breathes and turns")


def test_a_tiny_face_keeps_still() -> None:
    small = cv2.resize(astronaut(), (64, 64), interpolation=cv2.INTER_AREA)
    pixels = np.full((600, 1067, 3), 120, np.uint8)
    pixels[100:164, 100:164] = small
    face = face_reader().detect(astronaut())[0]
    tiny = replace(
        face,
        box=face.box.scaled(0.125).moved(100, 100),
        landmarks=tuple((x / 8 + 100, y / 8 + 100) for x, y in face.landmarks),
    )
    engine = LivingEngine()
    made(portrait_of(pixels, (tiny,)), 2, engine=engine)
    assert engine.info.moves == "camera"


def test_cancelling_takes_effect_at_the_frame() -> None:
    def observe(progress: Progress) -> None:
        if progress.done == 2:
            raise Cancelled

    request = Request(image=b"", width=320, height=180, num_frames=9, engine="living")
    clip = LivingEngine().generate(portrait_of(astronaut()), request, observe)
    with pytest.raises(Cancelled):
        list(clip.chunks)


def test_the_report_says_what_it_is() -> None:
    info = LivingEngine().info
    assert (info.name, info.moves, info.device) == ("living", "person", "cpu")
    assert any("no generative model" in note for note in info.notes)
