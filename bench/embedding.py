# mypy: disable-error-code="no-untyped-call"
"""dlib's face embedding run by dlib and by Vivant (OpenCV): milliseconds, and how far apart.

Both on one thread, in turn, on the demonstration portrait's face and on random pictures.
"""

from __future__ import annotations

import json
import statistics
import time

import cv2
import dlib
import numpy as np
from skimage.data import astronaut

from vivant.picture.embedding import SIDE
from vivant.picture.faces import FaceReader, _weights

RUNS = 40


def main() -> None:
    """Measure and print JSON."""
    cv2.setNumThreads(1)
    theirs = dlib.face_recognition_model_v1(_weights("dlib_face_recognition_resnet_model_v1.dat"))
    ours = FaceReader().warm()
    rng = np.random.default_rng(0)
    picture = astronaut()[60:210, 150:300]
    chips = [np.ascontiguousarray(picture)]
    chips += [rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(3)]
    took: dict[str, list[float]] = {"dlib": [], "vivant": []}
    apart = 0.0
    for run in range(RUNS):
        chip = chips[run % len(chips)]
        began = time.perf_counter()
        one = np.asarray(theirs.compute_face_descriptor(chip))
        between = time.perf_counter()
        other = ours.embed(chip)
        ended = time.perf_counter()
        apart = max(apart, float(np.linalg.norm(one - other)))
        took["dlib"].append((between - began) * 1000)
        took["vivant"].append((ended - between) * 1000)
    medians = {name: round(statistics.median(values), 1) for name, values in took.items()}
    print(json.dumps({"milliseconds": medians, "largest_distance": apart}))


if __name__ == "__main__":
    main()
