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
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NOISE: Final = 1.0
"""Percent of the eye distance: what flow is wrong by in any place."""

ENOUGH: Final = 0.5
"""Of the information about a part, that the seen cells must hold."""


@cache
def _model() -> tuple[Floats, Mapping[str, Floats]]:
    """``spread``, and by part ``[D, 2N]`` directions."""
    with as_file(files("vivant.checks") / "models" / "face_shapes.npz") as path, np.load(path) as f:
        parts = {part: np.asarray(f[part], np.float64) for part in f.files if part != "spread"}
        return np.asarray(f["spread"], np.float64), parts


def filters(seen: npt.NDArray[np.bool_]) -> Mapping[str, Floats]:
    """By part, ``[D, 2N]``: numbers of standard deviations for percent of the eye distance.

    They are zero in cells that are not seen. A part of which too little is seen is left out.

    Args:
        seen: ``[N]``, which cells are.
    """
    return _filters(seen.tobytes())


@lru_cache(maxsize=64)
def _filters(seen: bytes) -> Mapping[str, Floats]:
    spread, parts = _model()
    both = np.tile(np.frombuffer(seen, np.bool_), 2)
    out = {}
    for part, directions in parts.items():
        whitened = _whitened(directions, spread)
        whole = np.einsum("ij,kj->ik", whitened, directions)
        if not both.all():
            whitened = np.zeros_like(directions)
            whitened[:, both] = _whitened(directions[:, both], spread[:, both])
        information = np.einsum("ij,kj->ik", whitened, directions)
        if np.trace(np.linalg.solve(whole, information)) < ENOUGH * len(directions):
            continue
        root = np.linalg.cholesky(np.linalg.inv(information)).T
        out[part] = np.einsum("ij,jk->ik", root, whitened)
    return out


def _whitened(directions: Floats, spread: Floats) -> Floats:
    """Directions times the inverse of the covariance, by Woodbury's identity (1950)."""
    # einsum, not BLAS: the same to the bit however many threads there are.
    inner = NOISE**2 * np.eye(len(spread)) + np.einsum("ij,kj->ik", spread, spread)
    along = np.linalg.solve(inner, np.einsum("ij,kj->ik", spread, directions))
    return np.asarray((directions - np.einsum("ij,ik->jk", along, spread)) / NOISE**2)
