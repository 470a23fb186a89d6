from __future__ import annotations

from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest

from image_files import astronaut, face_reader
from vivant.errors import MissingPartError
from vivant.picture.embedding import SIDE, EmbeddingNetwork
from vivant.picture.faces import _weights
from vivant.types import Image

WEIGHTS = "dlib_face_recognition_resnet_model_v1.dat"


def chips() -> list[Image]:
    """A face, another picture, noise, and nothing."""
    (face,) = face_reader().detect(astronaut())
    box = face.box
    top, left = round(box.top), round(box.left)
    cut = astronaut()[top : top + round(box.height), left : left + round(box.width)]
    rng = np.random.default_rng(0)
    return [
        cv2.resize(cut, (SIDE, SIDE)).astype(np.uint8),
        np.ascontiguousarray(astronaut()[300 : 300 + SIDE, 100 : 100 + SIDE]),
        rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8),
        np.zeros((SIDE, SIDE, 3), np.uint8),
    ]


def test_it_is_dlibs_network() -> None:
    network = EmbeddingNetwork(Path(_weights(WEIGHTS)))
    theirs = dlib.face_recognition_model_v1(_weights(WEIGHTS))
    for chip in chips():
        wanted = np.asarray(theirs.compute_face_descriptor(chip))
        found = network.embed(chip)
        assert found.shape == (128,) and found.dtype == np.float64
        assert np.linalg.norm(found - wanted) < 2e-5


def test_threads_do_not_change_a_bit() -> None:
    network = EmbeddingNetwork(Path(_weights(WEIGHTS)))
    threads = cv2.getNumThreads()
    try:
        found = []
        for count in (1, 2, 5):
            cv2.setNumThreads(count)
            found.append(network.embed(chips()[0]).tobytes())
    finally:
        cv2.setNumThreads(threads)
    assert len(set(found)) == 1


@pytest.mark.parametrize("kept", [0, 300, 20_000, 22_334_905, 22_400_000])
def test_another_file_is_refused(kept: int, tmp_path: Path) -> None:
    path = tmp_path / WEIGHTS
    path.write_bytes(Path(_weights(WEIGHTS)).read_bytes()[:kept])
    with pytest.raises(MissingPartError, match="reinstall"):
        EmbeddingNetwork(path)
