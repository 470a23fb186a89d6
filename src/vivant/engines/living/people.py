"""Which faces can be animated, which of their parts keep still, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from vivant.picture.dark_glasses import wears_dark_glasses
from vivant.picture.face_mesh import PRESENT, FaceMesh, MeshReader
from vivant.types import Box, Face, Image, Portrait

MIN_FACE: Final = 48
"""Pixels of the clip from ear to ear below which a face keeps still."""

MIN_EYE: Final = 16
"""Pixels of the clip from corner to corner below which nobody sees a blink."""

MAX_FACES: Final = 6
"""Only the largest faces move; the others move with the picture around them."""

MIN_APERTURE: Final = 0.18
"""Lid aperture below which an eye is closed already, or so narrow that a blink does not show."""

MAX_EYE_YAW: Final = 32.0
"""Yaw in degrees from which the far eye is too narrow to be drawn."""

MAX_HEAD_YAW: Final = 45.0
"""Yaw in degrees from which the mesh guesses the hidden half of the face."""

MAX_UNEVENNESS: Final = 0.45
"""Standard deviation over mean of the luma below an eye from which something lies across it.

Skin with glasses or wrinkles has 0.05 … 0.41; eyes behind curls and strands had 0.43 … 0.63.
"""

UNDER_EYES: Final = (
    ((7, 163, 144, 145, 153, 154, 155), (33, 133)),
    ((382, 381, 380, 374, 373, 390, 249), (362, 263)),
)
"""Edge of each lower lid from left to right, and the corners of the eye."""

MIN_INSIDE: Final = 0.8
"""Share of the mesh that must be inside the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A face that is animated.

    Attributes:
        mesh: in pixels of the picture.
        name: what notes call it.
        blinks: whether the eyes can blink.
        gazes: whether the irises can shift.
        turn: 0 … 1.35, how much of the head's turn can be believed; above 1 for heads that are
            turned already, of which a turn shows less.
    """

    mesh: FaceMesh
    name: str
    blinks: bool
    gazes: bool
    turn: float


def find_people(
    portrait: Portrait, width: int, reader: MeshReader
) -> tuple[list[Person], list[str]]:
    """The faces of a portrait that can live in a clip of ``width``, largest first.

    Returns:
        The people, and a sentence for each part that keeps still.
    """
    scale = width / portrait.crop.width
    people: list[Person] = []
    notes: list[str] = []
    several = len(portrait.faces) > 1
    for number, face in enumerate(portrait.faces[:MAX_FACES], 1):
        if not _shown(face.box, portrait.crop):
            continue
        name = f"Face {number}" if several else "The face"
        mesh = reader.read(portrait.pixels, face)
        reason = _why_still(mesh, face, portrait, scale)
        if reason:
            notes.append(f"{name} keeps still: {reason}.")
            continue
        person, parts = _assess(name, mesh, portrait.pixels, scale)
        people.append(person)
        notes += [f"{name}: {part}." for part in parts]
    return people, notes


def on_canvas(person: Person, area: Box, width: int) -> Person:
    """``person`` in coordinates of a picture of ``area`` that is ``width`` pixels wide."""
    factor = width / area.width
    points = person.mesh.points.copy()
    points[:, :2] = (points[:, :2] - (area.left, area.top) + 0.5) * factor - 0.5
    points[:, 2] *= factor
    return replace(person, mesh=FaceMesh(points, person.mesh.presence))


def _shown(box: Box, crop: Box) -> bool:
    x, y = box.center
    return crop.left <= x < crop.right and crop.top <= y < crop.bottom


def _why_still(mesh: FaceMesh, face: Face, portrait: Portrait, scale: float) -> str:
    if mesh.presence < PRESENT:
        return "no points of a human face were found on it"
    box = mesh.box
    x, y = box.center
    middle = face.box.center
    apart = float(np.hypot(x - middle[0], y - middle[1]))
    if apart > 0.5 * face.box.width or not 0.5 < box.width / face.box.width < 2:
        return "its points do not lie where the face is"
    if box.width * scale < MIN_FACE:
        return f"it is only {box.width * scale:.0f} px wide in the clip"
    rows, columns = portrait.pixels.shape[:2]
    flat = mesh.points[:, :2]
    inside = (flat >= 0).all(axis=1) & (flat[:, 0] < columns) & (flat[:, 1] < rows)
    if float(inside.mean()) < MIN_INSIDE:
        return "too much of it is outside the picture"
    return ""


def _assess(name: str, mesh: FaceMesh, pixels: Image, scale: float) -> tuple[Person, list[str]]:
    """Which parts of a face can be believed."""
    notes = []
    yaw = abs(mesh.pose.yaw)
    left, right = mesh.apertures
    flat = mesh.points[:, :2]
    eye = scale * min(np.linalg.norm(flat[33] - flat[133]), np.linalg.norm(flat[362] - flat[263]))
    blinks = gazes = True
    if min(left, right) < MIN_APERTURE:
        blinks = gazes = False
        notes.append("the eyes are closed or nearly so, so they keep still and do not blink")
    elif wears_dark_glasses(mesh, pixels):
        blinks = gazes = False
        notes.append("the eyes are behind dark glasses or in deep shadow, so they do not blink")
    elif max(_unevenness(mesh, pixels, side) for side in (0, 1)) > MAX_UNEVENNESS:
        blinks = False
        notes.append("hair or a hard shadow lies across an eye, so the eyes do not blink")
    elif yaw > MAX_EYE_YAW:
        blinks = gazes = False
        notes.append("one eye is turned away from the camera, so the eyes do not blink")
    elif eye < MIN_EYE:
        blinks = gazes = False
        notes.append("the eyes are too small in the clip to blink")
    turn = float(np.clip((MAX_HEAD_YAW + 4 - yaw) / 16, 0.3, 1.0 + min(0.35, yaw / 75)))
    if yaw > MAX_HEAD_YAW:
        notes.append("it is seen from the side, so the head turns less")
    return Person(mesh=mesh, name=name, blinks=blinks, gazes=gazes, turn=turn), notes


def _unevenness(mesh: FaceMesh, pixels: Image, side: int) -> float:
    """How uneven the skin below an eye is: standard deviation over mean of its luma."""
    lid, corners = UNDER_EYES[side]
    flat = mesh.points[:, :2]
    left, right = flat[corners[0]], flat[corners[1]]
    down = np.array([left[1] - right[1], right[0] - left[0]])
    edge = flat[list(lid)] + 0.18 * down
    area = np.concatenate([edge, (edge + 0.24 * down)[::-1]])
    low = np.maximum(np.floor(area.min(axis=0)).astype(int), 0)
    high = np.ceil(area.max(axis=0)).astype(int) + 1
    part = pixels[low[1] : high[1], low[0] : high[0]]
    if part.size == 0:
        return 0.0
    shape = np.zeros(part.shape[:2], np.uint8)
    cv2.fillPoly(shape, [np.rint(area - low).astype(np.int32)], 1)
    luma = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY)[shape > 0]
    return float(luma.std() / max(1.0, luma.mean())) if luma.size else 0.0
