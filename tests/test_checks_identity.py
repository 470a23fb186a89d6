"""Identity over time, from made-up embeddings: glitches, drifts, and what may be said of them."""

from __future__ import annotations

import numpy as np
import pytest

from checks_clips import picture, reader
from vivant.checks.face_frame import on_chip, to_chip
from vivant.checks.frame import Reference
from vivant.checks.metrics.identity import Identity
from vivant.checks.sentences import sentences
from vivant.picture.embedding import Embedding
from vivant.types import Score

KNOWN: Embedding = np.zeros(128)
OTHER: Embedding = np.r_[np.full(1, 0.8), np.zeros(127)]


def scores(embeddings: dict[int, Embedding], *, human: bool = True) -> dict[str, Score]:
    """What the metric says of faces by frame, of a clip of 97 frames."""
    image, face = picture()
    reference = Reference(image, face, 1.0, 97, 24.0, reader())
    reference.__dict__["embedding"] = KNOWN
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
