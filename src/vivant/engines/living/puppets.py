"""The people of a picture, cut out and ready to be moved: the same for every preset."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from vivant.engines.camera.canvas import draw_canvas
from vivant.engines.camera.layers import PLATE_SIDE, Subject, split
from vivant.engines.living.eyes import Eye, make_eye
from vivant.engines.living.fields import Fields, person_fields, shares, stillness
from vivant.engines.living.people import Person, placed
from vivant.engines.living.scene import LivingScene
from vivant.picture.hair_strands import with_strands
from vivant.picture.matte import (
    SOFT_SIDE,
    Matte,
    MatteError,
    person_matte,
    refuse_patterned,
    refuse_unclear,
)
from vivant.types import Box, Face, Frames, Portrait


@dataclass(frozen=True, slots=True, eq=False)
class Puppets:
    """What a clip of one portrait and one size needs before anything moves.

    Attributes:
        reach: what the canvas shows, in pixels of the picture.
        people: in pixels of the canvas.
        cut: how they were cut out.
        scene: the planes.
        fields: of each person, where the picture moves to.
        eyes: of each person; none where they keep still.
    """

    reach: Box
    people: tuple[Person, ...]
    cut: CutOut
    scene: LivingScene
    fields: tuple[Fields, ...]
    eyes: tuple[tuple[Eye, ...], ...]

    def copy(self) -> Puppets:
        """Puppets whose eyes can be drawn while those of these are."""
        scene, plane = self.scene, self.scene.plane.copy()
        own = (
            replace(scene, background=plane)
            if scene.people is None
            else replace(scene, people=plane)
        )
        return replace(self, scene=own, eyes=tuple(tuple(map(replace, two)) for two in self.eyes))


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """The people's plane, and what is known about it.

    Attributes:
        subject: None where the picture moves as one plane.
        trust: in the matte; None as above.
        shifts: whether the background may shift against the people.
        why: a sentence for the report if something was not possible, else empty.
    """

    subject: Subject | None
    trust: Matte | None
    shifts: bool
    why: str


def make_puppets(
    portrait: Portrait,
    people: list[Person],
    width: int,
    height: int,
    *,
    plate_side: int = PLATE_SIDE,
) -> Puppets:
    """The planes, fields and eyes of a clip of ``width`` × ``height``.

    Args:
        people: that live, in pixels of the picture.
        plate_side: see :func:`vivant.engines.camera.layers.plate`.
    """
    reach, canvas = draw_canvas(portrait, width, height)
    size = canvas.shape[:2]
    on_canvas = [placed(person, reach, size[1]) for person in people]
    cut = _cut_out(canvas, portrait, reach, plate_side)
    still = stillness(size, cut.trust)
    meshes = [person.mesh for person in on_canvas]
    fields = [
        person_fields(mesh, size, share * still, layered=cut.subject is not None)
        for mesh, share in zip(meshes, shares(meshes, size), strict=True)
    ]
    scene = LivingScene.of(reach, canvas, cut.subject)
    return Puppets(
        reach=reach,
        people=tuple(on_canvas),
        cut=cut,
        scene=scene,
        fields=tuple(fields),
        eyes=tuple(_eyes(scene, person) for person in on_canvas),
    )


def _cut_out(canvas: Frames, portrait: Portrait, reach: Box, plate_side: int) -> CutOut:
    """Lift the people out of ``canvas``, which becomes the background in place."""
    height, width = canvas.shape[:2]
    shrink = min(1.0, SOFT_SIDE / max(width, height))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    preview = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    faces = tuple(_shifted(face, reach, size[0]) for face in portrait.faces)
    try:
        matte, trust = person_matte(preview, faces)
        subject = split(canvas, preview, with_strands(preview, matte), plate_side)
    except MatteError as error:
        return CutOut(None, None, False, f"The background moves with the person: {error}.")
    try:
        refuse_unclear(matte, trust)
    except MatteError:
        why = (
            "Parts of the outline are unclear: they keep still, and the background does not shift."
        )
        return CutOut(subject, trust, False, why)
    try:
        refuse_patterned(preview, matte)
    except MatteError as error:
        return CutOut(subject, trust, False, f"The background does not shift: {error}.")
    return CutOut(subject, trust, True, "")


def _shifted(face: Face, area: Box, width: int) -> Face:
    """``face`` in coordinates of a picture of ``area`` that is ``width`` pixels wide."""
    return replace(face, box=face.box.moved(-area.left, -area.top).scaled(width / area.width))


def _eyes(scene: LivingScene, person: Person) -> tuple[Eye, ...]:
    """The eyes of a person on the plane that is drawn from; none where they keep still."""
    if not (person.blinks or person.gazes):
        return ()
    plane = scene.plane
    mesh = person.mesh
    shifted = replace(mesh, points=mesh.points - (scene.left, scene.top, 0.0))
    blur = scene.background.shape[1] / scene.area.width
    found = [make_eye(plane, shifted, side, blur) for side in (0, 1)]
    return tuple(eye for eye in found if eye) if all(found) else ()
