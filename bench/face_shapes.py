"""Learn how faces move when nothing is wrong, and what to look for beside it.

    python bench/face_shapes.py CLIPS… [--out FILE]

Every clip of the folders is one person. Their faces' flow, without what a rigid head explains, is
collected by the check itself; windows and their mirror images give its covariance, each stretch
counting the same. For each part a few directions of change are written down by hand
(:func:`directions`). Both are written to ``src/vivant/checks/models/face_shapes.npz``, of which
``shape_filters.py`` makes its filters; no picture or face can be had back from it. Windows in which
a part of the face lies outside the picture are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibrate import inspected, segments
from vivant.checks.face_tracker import faces_in_frame
from vivant.checks.frame import Reference
from vivant.checks.metrics.face_shape import FaceShape, grid, rigid_model, unexplained, windows
from vivant.picture.faces import FaceReader
from vivant.types import Frames

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "src" / "vivant" / "checks" / "models" / "face_shapes.npz"

STRETCHES = 4
"""Of every clip."""

LEAST = 0.3
"""Percent of the eye distance, squared: patterns of less variance are left to the noise."""

Floats = npt.NDArray[np.float64]
Rows = Sequence[npt.NDArray[np.float32] | None]


def collected(frames: Frames, fps: float, reader: FaceReader) -> Rows:
    """What the check sees of a stretch, against its first frame."""
    faces = faces_in_frame(reader, frames[0])
    if not faces:
        return []
    metrics: list[FaceShape] = []

    def only(reference: Reference, _: float) -> Sequence[FaceShape]:
        metrics.append(FaceShape(reference))
        return metrics

    inspected(frames[0], faces, frames, fps, reader, only)
    return metrics[0].seen


def mirrored(rows: Floats) -> Floats:
    """The same faces in a mirror."""
    inside = grid()[0]
    count = int(inside.sum())
    out = np.zeros_like(rows)
    for index, row in enumerate(rows):
        for axis, sign in ((0, -1.0), (1, 1.0)):
            field = np.zeros(inside.shape)
            part = slice(axis * count, (axis + 1) * count)
            field[inside] = row[part]
            out[index, part] = sign * field[:, ::-1][inside]
    return out


def spread(stretches: Sequence[Rows]) -> Floats:
    """``[K, 2N]`` patterns, by their standard deviations; each stretch counts the same."""
    size = 2 * int(grid()[0].sum())
    total, count = np.zeros((size, size)), 0
    for rows in stretches:
        seen = windows(rows).reshape(-1, size)
        seen = seen[np.isfinite(seen).all(axis=1)]
        if len(seen):
            both = np.concatenate([seen, mirrored(seen)])
            total += both.T @ both / len(both)
            count += 1
    if not count:
        raise SystemExit("no clip shows a whole face from the front for long enough")
    variances, patterns = np.linalg.eigh(total / count)
    kept = variances > LEAST
    return np.asarray((patterns[:, kept] * np.sqrt(variances[kept])).T)


def directions() -> Mapping[str, Floats]:
    """By part, ``[D, 2N]`` changes of shape; their size does not matter.

    ``eye.size`` is one change of ``eye`` by itself.
    """
    _, u, v = grid()
    none = np.zeros_like(u)

    def bump(x: float, y: float, wide: float, high: float) -> Floats:
        return np.asarray(np.exp(-(((u - x) / wide) ** 2) - ((v - y) / high) ** 2))

    def ring(start: float) -> Floats:
        radius = np.sqrt((u / 1.2) ** 2 + ((v - 0.4) / 1.4) ** 2)
        return np.asarray(np.clip((radius - start) / 0.3, 0, 1))

    nose, face = bump(0, 0.6, 0.4, 0.4), bump(0, 0.4, 0.8, 0.7)
    left, right = bump(-0.5, 0, 0.35, 0.22), bump(0.5, 0, 0.35, 0.22)
    larger = left * (u + 0.5) + right * (u - 0.5), (left + right) * v
    lower = np.clip((1.2 - np.hypot(u / 1.3, (v - 1.35) / 0.75)) / 0.4, 0, 1)
    brows = bump(-0.5, -0.38, 0.4, 0.2) - bump(0.5, -0.38, 0.4, 0.2)
    waves = []
    for angle in np.arange(4) * np.pi / 4:
        phase = 4 * (u * np.cos(angle) + v * np.sin(angle))
        for wave in (np.sin(phase), np.cos(phase)):
            waves += [(face * wave, none), (none, face * wave)]
    fields = {
        # wider, longer, to the side, longer below
        "nose": [(nose * u / 0.3, none), (none, nose), (nose, none), (none, nose * (v - 0.6))],
        # both sides of the lower face in or out
        "jaw": [(lower * np.sin(np.pi * np.clip(u, -1.2, 1.2) / 2), none)],
        # one higher than the other
        "brow": [(none, brows)],
        # both larger, one higher, one larger
        "eye": [
            larger,
            (none, left - right),
            (left * (u + 0.5) - right * (u - 0.5), (left - right) * v),
        ],
        "eye.size": [larger],
        # waves over the face
        "warp": waves,
        # what is around the face goes to the side
        "shift": [(ring(0.75), none), (ring(0.95), none)],
    }
    inside = grid()[0]
    depth = 0.4 * (np.hypot(u, v - 0.4)[inside] - 0.8)  # a head without a nose
    model, seen = rigid_model(depth), np.ones(int(inside.sum()), np.bool_)
    return {
        part: np.stack(
            [
                unexplained(np.concatenate([10 * a[inside], 10 * b[inside]]), model, seen)
                for a, b in pairs
            ]
        )
        for part, pairs in fields.items()
    }


def main() -> None:
    """Parse, collect, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    reader, stretches = FaceReader(), []
    for folder in options.clips:
        for _, name, frames, fps in segments(folder, STRETCHES):
            stretches.append(collected(frames, fps, reader))
            print(name, sum(row is not None for row in stretches[-1]), flush=True)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    found = {**directions(), "spread": spread(stretches)}
    np.savez_compressed(options.out, **{n: a.astype(np.float16) for n, a in found.items()})  # type: ignore[arg-type]
    print(f"{options.out}: {len(stretches)} stretches")


if __name__ == "__main__":
    main()
