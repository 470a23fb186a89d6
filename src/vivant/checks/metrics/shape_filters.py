"""What to look for in the flow of a face, beside what faces do: filters for the seen cells.

``models/face_shapes.npz`` (``bench/face_shapes.py``) holds ``spread``, ``[K, 2N]``: the covariance
of what faces do is ``spread.T @ spread`` and :data:`NOISE` squared in every place. Beside it, the
directions of change of each part. The filters are those of generalised least squares (Aitken,
1936) on the seen cells alone, so a part of the face that lies outside the picture says nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import as_file, files
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NOISE: Final = 1.0
"""Percent of the eye distance: what flow is wrong by in any place."""

ENOUGH: Final = 0.5
"""Of the information about a part, that the seen cells must hold."""


class _Model(NamedTuple):
    """What the file holds.

    Attributes:
        spread: ``[K, 2N]``.
        gram: ``[K, K]`` of its rows.
        directions: ``[M, 2N]`` of all parts.
        parts: which of them are whose.
        least: by part, the inverse of the information in a whole face.
    """

    spread: Floats
    gram: Floats
    directions: Floats
    parts: Mapping[str, slice]
    least: Mapping[str, Floats]


@cache
def _model() -> _Model:
    with as_file(files("vivant.checks") / "models" / "face_shapes.npz") as path, np.load(path) as f:
        spread = np.asarray(f["spread"], np.float64)
        rows = {part: np.asarray(f[part], np.float64) for part in f.files if part != "spread"}
    # einsum, not BLAS, here and below: the same to the bit however many threads there are.
    gram = np.einsum("ij,kj->ik", spread, spread)
    directions = np.concatenate(list(rows.values()))
    ends = np.cumsum([len(row) for row in rows.values()])
    parts = {p: slice(int(end) - len(rows[p]), int(end)) for p, end in zip(rows, ends, strict=True)}
    whitened = _whitened(directions, spread, gram)
    least: dict[str, Floats] = {}
    for part, at in parts.items():
        information = _information(directions[at], whitened[at])
        least[part] = np.asarray(np.linalg.inv(information), np.float64)
    return _Model(spread, gram, directions, parts, least)


def filters(seen: npt.NDArray[np.bool_]) -> Mapping[str, Floats]:
    """By part, ``[D, 2N]``: numbers of standard deviations for percent of the eye distance.

    They are zero in cells that are not seen. A part of which too little is seen is left out.

    Args:
        seen: ``[N]``, which cells are.
    """
    return _filters(seen.tobytes())


@lru_cache(maxsize=64)
def _filters(seen: bytes) -> Mapping[str, Floats]:
    model = _model()
    hidden = np.tile(~np.frombuffer(seen, np.bool_), 2)
    lost = model.spread[:, hidden]
    spread, directions = model.spread.copy(), model.directions.copy()
    spread[:, hidden] = directions[:, hidden] = 0.0
    gram = model.gram - np.einsum("ij,kj->ik", lost, lost)
    whitened = _whitened(directions, spread, gram)
    out = {}
    for part, at in model.parts.items():
        information = _information(directions[at], whitened[at])
        if np.einsum("ij,ji->", model.least[part], information) < ENOUGH * len(information):
            continue
        root = np.linalg.cholesky(np.linalg.inv(information)).T
        out[part] = np.einsum("ij,jk->ik", root, whitened[at])
    return out


def _information(directions: Floats, whitened: Floats) -> Floats:
    return np.asarray(np.einsum("ij,kj->ik", whitened, directions))


def _whitened(directions: Floats, spread: Floats, gram: Floats) -> Floats:
    """Directions times the inverse of the covariance, by Woodbury's identity (1950)."""
    inner = NOISE**2 * np.eye(len(gram)) + gram
    along = np.linalg.solve(inner, np.einsum("ij,kj->ik", spread, directions))
    return np.asarray((directions - np.einsum("ij,ik->jk", along, spread)) / NOISE**2)
