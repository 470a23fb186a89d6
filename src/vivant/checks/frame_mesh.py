"""The face mesh of a searched frame, found from the picture's in one pass and shared by checks."""

from __future__ import annotations

from typing import Final

import numpy as np

from vivant.checks.face_frame import Matrix, similarity
from vivant.checks.frame import AnalyzedFrame, Reference
from vivant.picture.face_mesh import LEFT_IRIS, PRESENT, RIGHT_IRIS, FaceMesh

SMALLEST: Final = 40.0
"""Pixels between the pupils, in the picture's own pixels, that a face needs to show its parts."""


def picture_mesh(reference: Reference) -> FaceMesh | None:
    """The picture's mesh; None where there is no face, or none that shows its parts."""
    mesh = reference.mesh
    if mesh is None or mesh.presence < PRESENT:
        return None
    return mesh if pupils(mesh) * reference.detail >= SMALLEST else None


def frame_mesh(frame: AnalyzedFrame, reference: Reference) -> FaceMesh | None:
    """The mesh of a searched frame; None where no face was found. Computed once for a frame."""
    if "mesh" not in frame.cache:
        frame.cache["mesh"] = _found(frame, reference)
    mesh: FaceMesh | None = frame.cache["mesh"]
    return mesh


def _found(frame: AnalyzedFrame, reference: Reference) -> FaceMesh | None:
    mesh, face = reference.mesh, reference.face
    if mesh is None or face is None or frame.face is None:
        return None
    one, two = (np.asarray(f.landmarks, np.float64) for f in (face, frame.face))
    found = frame.reader.mesh.follow(frame.pixels, _placed(mesh, similarity(one, two)))
    return found if found.presence >= PRESENT else None


def turned(one: FaceMesh, other: FaceMesh) -> float:
    """Degrees of yaw or pitch, whichever is more, between two meshes of one face."""
    a, b = one.pose, other.pose
    return max(abs(a.yaw - b.yaw), abs(a.pitch - b.pitch))


def pupils(mesh: FaceMesh) -> float:
    """Pixels between the pupils."""
    left, right = mesh.points[LEFT_IRIS.start, :2], mesh.points[RIGHT_IRIS.start, :2]
    return float(np.linalg.norm(left - right))


def _placed(mesh: FaceMesh, matrix: Matrix) -> FaceMesh:
    """The mesh where another frame's face is."""
    points = mesh.points.copy()
    points[:, :2] = points[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return FaceMesh(points, mesh.presence)
