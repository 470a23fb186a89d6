"""How often are two people of one group taken for one: by group, and the centre of a crowded one.

    python bench/crowded_faces.py GROUP…            pairs of each folder above the limits
    python bench/crowded_faces.py GROUP… --write    and write the centre of the first folder

A folder holds one portrait of each person of a group. The identity network lies the faces of some
groups closer together than those of others. ``identity.py`` asks for more likeness near the centre
of such a group. The centre is the mean over all its people: nobody's face can be had from it.
Pairs are counted in both directions, each picture's limits with a centre made without it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vivant.checks.face_tracker import faces_in_frame
from vivant.checks.limits import limits
from vivant.checks.metrics.identity import RAISED, crowding
from vivant.picture.faces import FaceReader, distance

OUT = (
    Path(__file__).resolve().parent.parent / "src/vivant/checks/models/crowded_faces.npy"
)  # fmt: skip
LONGEST = 1000
"""Pixels; larger pictures are reduced."""

Rows = npt.NDArray[np.float64]


def embeddings(folder: Path, reader: FaceReader) -> Rows:
    """``[N, 128]`` of the largest face of every picture."""
    rows = []
    for path in sorted(folder.iterdir()):
        image = cv2.imread(str(path))
        if image is None:
            continue
        factor = min(1.0, LONGEST / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        pixels = np.ascontiguousarray(small[..., ::-1]).astype(np.uint8)
        faces = faces_in_frame(reader, pixels)
        if faces:
            rows.append(reader.embed(pixels, faces[0]))
    return np.asarray(rows)


def accepted(name: str, rows: Rows, crowd: Rows) -> tuple[int, int, int]:
    """Ordered pairs, and how many pass the limit ``name`` without and with what is added to it."""
    fail = limits()[name].fail or 0.0
    total = plain = raised = 0
    for row in rows:
        others = crowd[~np.all(crowd == row, axis=1)]
        more = RAISED[name] * crowding(row, others.mean(axis=0))
        for other in rows:
            if other is not row and not np.array_equal(other, row):
                likeness = 1 - distance(row, other)
                total += 1
                plain += likeness >= fail
                raised += likeness >= fail + more
    return total, plain, raised


def main() -> None:
    """Parse, embed, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", type=Path, nargs="+")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    reader = FaceReader()
    groups = {folder.name: embeddings(folder, reader) for folder in options.groups}
    crowd = groups[options.groups[0].name]
    if options.write:
        np.save(OUT, crowd.mean(axis=0).astype(np.float32))
    print("| group | people | ordered pairs | " + " | ".join(RAISED) + " |")
    print("|---|---|---|" + "---|" * len(RAISED))
    for group, rows in groups.items():
        found = {name: accepted(name, rows, crowd) for name in RAISED}
        cells = " | ".join(f"{plain} → {raised}" for _, plain, raised in found.values())
        print(f"| {group} | {len(rows)} | {len(rows) * (len(rows) - 1)} | {cells} |")


if __name__ == "__main__":
    main()
