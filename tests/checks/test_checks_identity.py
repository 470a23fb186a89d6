"""Identity over time, from made-up embeddings: glitches, drifts, and what may be said of them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from checks_clips import picture, reader
from vivant.checks.face_frame import on_chip, to_chip
from vivant.checks.face_tracker import Tracker, faces_in_frame
from vivant.checks.frame import Reference
from vivant.checks.frame_analyzer import FrameSchedule
from vivant.checks.metrics.identity import DOUBTED, Identity, crowd
from vivant.checks.sentences import sentences
from vivant.picture.embedding import Embedding
from vivant.picture.face_mesh import LEFT_IRIS, RIGHT_IRIS, FaceMesh
from vivant.picture.faces import distance
from vivant.types import Score

KNOWN: Embedding = np.zeros(128)
OTHER: Embedding = np.r_[np.full(1, 0.8), np.zeros(127)]


def scores(
    embeddings: dict[int, Embedding], *, human: bool = True, known: Embedding = KNOWN
) -> dict[str, Score]:
    """What the metric says of faces by frame, of a clip of 97 frames."""
    image, face = picture()
    reference = Reference(image, face, 1.0, 97, 24.0, reader())
    reference.__dict__["embedding"] = known
    metric = Identity(reference)
    if not human:
        metric.add(0, None, False)
    for index in range(97):
        found = embeddings.get(index)
        metric.add(index, None, None if found is None else (found, face.box))
    return {score.name: score for score in metric.finish(reference)}


def every_third(share: dict[int, float]) -> dict[int, Embedding]:
    """Embeddings ``share`` of the way to somebody else; 0.3 of it where nothing is said."""
    return {i: OTHER * share.get(i, 0.3) for i in range(0, 97, 3)}


def test_another_face_for_ten_frames_is_found_at_its_frame() -> None:
    found = scores(every_third(dict.fromkeys((51, 54, 57), 1.0)))
    for name in ("identity_min", "identity_jump"):
        assert found[name].verdict == "fail"
        assert 48 <= (found[name].frame or 0) <= 60
        assert found[name].region is not None
    assert found["identity_mean"].verdict == "pass"


def test_one_frame_that_is_off_is_no_other_face() -> None:
    found = scores(every_third({51: 0.6}))
    assert {found[name].verdict for name in ("identity_min", "identity_jump")} == {"pass"}


def test_nobody_is_called_the_same_person_beside_a_drift() -> None:
    """The likeness falls and comes back for the last frame, as with the picture held there."""
    share = {i: 0.1 + 0.8 * i / 96 for i in range(0, 97, 3)}
    found = scores(every_third({**share, 96: 0.1}))
    assert found["identity_drift"].verdict == "fail"
    assert found["identity_first_last"].verdict == "warn"
    assert "changes from start to end" in found["identity_first_last"].reason
    for key, words in sentences().items():
        if key.startswith("identity_") and key.endswith(".pass"):
            assert "same person" not in words["en"]
            assert "같은 사람" not in words["ko"]


def test_the_sentence_counts_the_frames_it_rests_on() -> None:
    reason = scores(every_third({}))["identity_min"].reason
    assert "33 frames compared (of 97)" in reason


def test_a_face_that_is_not_human_is_not_compared() -> None:
    from vivant.checks.metric import CannotMeasure

    with pytest.raises(CannotMeasure, match="no_human_face"):
        scores(every_third({}), human=False)


def test_a_tracked_face_is_where_its_chip_came_from() -> None:
    _, face = picture()
    found = on_chip(to_chip(face))
    apart = np.abs(np.asarray(found.landmarks) - np.asarray(face.landmarks))
    assert apart.max() < 0.15 * face.interocular
    assert found.interocular == pytest.approx(face.interocular, rel=0.1)


def test_a_face_that_tracking_lost_is_searched() -> None:
    """The chip was cut half an eye distance beside the face."""
    image, face = picture()
    aside = to_chip(face)
    aside[:, 2] += (20.0, -20.0)
    lost = on_chip(aside)
    reference = Reference(image, face, 1.0, 97, 24.0, reader())
    frame = FrameSchedule(97).frame(3, image, reader())
    frame.cache["face"] = aside, None
    assert 1 - distance(reader().embed(image, face), reader().embed(image, lost)) < DOUBTED
    found = Identity(reference).measure_frame(frame, None)
    assert isinstance(found, tuple)
    assert 1 - distance(reader().embed(image, face), found[0]) > 0.8
    assert np.hypot(*np.subtract(found[1].center, face.box.center)) < 0.2 * face.interocular


def test_more_likeness_is_asked_for_where_faces_lie_close_together() -> None:
    """The same change of a face in the crowd and far from it."""
    for known, verdict in ((crowd(), "fail"), (KNOWN, "pass")):
        changed = {i: known + OTHER * (0.6 if i > 60 else 0.3) for i in range(0, 97, 3)}
        least = scores(changed, known=known)["identity_min"]
        assert least.value == pytest.approx(0.52)
        assert least.verdict == verdict


@pytest.mark.parametrize("what", ["person", "animal", "drawing"])
def test_only_photographed_people_are_compared(what: str) -> None:
    """An animal's margin of detection is near zero; drawn irises and proportions are larger."""
    image, face = picture()
    if what == "animal":
        face = replace(face, score=0.03)
    reference = Reference(image, face, 1.0, 97, 24.0, reader())
    assert reference.mesh is not None
    if what == "drawing":
        points = reference.mesh.points.copy()
        below = points[:, 1] > points[4, 1]
        points[below, 1] = points[4, 1] + 0.5 * (points[below, 1] - points[4, 1])
        for iris in (LEFT_IRIS, RIGHT_IRIS):
            points[iris] = points[iris.start] + 1.5 * (points[iris] - points[iris.start])
        reference.__dict__["mesh"] = FaceMesh(points, 1.0)
    assert reference.human == (what == "person")


def test_the_person_of_the_picture_is_followed_not_the_largest() -> None:
    """Beside her stands somebody of twice her size, and she comes in where that one was."""
    image, face = picture()
    x, y = (round(v) for v in face.box.center)
    small = image[y - 90 : y + 90, x - 70 : x + 70]
    both = np.zeros((360, 420, 3), np.uint8)
    both[180:, :140] = small
    both[:, 140:] = cv2.flip(cv2.resize(small, (280, 360)), 1) * np.array([1.0, 0.8, 0.7])
    her = reader().embed(image, face)
    faces = faces_in_frame(reader(), both)
    assert len(faces) == 2
    assert faces[0].box.center[0] > 140, "the other one is larger"
    for start in faces:
        found = Tracker(reader(), start, lambda: her).find(both, None)
        assert found is not None
        assert found.box.center[0] < 140
    nearest = Tracker(reader(), faces[1]).find(both, None)
    assert nearest is not None
    assert nearest.box.center[0] < 140
