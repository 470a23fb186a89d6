"""The people of a picture, cut out and ready to be moved: the same for every preset."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vivant.engines.camera.canvas import draw_canvas
from vivant.engines.camera.layers import PLATE_SIDE
from vivant.engines.living.cut_out import CutOut, cut_out
from vivant.engines.living.eyes import Eye, make_eye
from vivant.engines.living.fields import Fields, mobility, person_fields, person_shares
from vivant.engines.living.people import Person, on_canvas
from vivant.engines.living.scene import LivingScene
from vivant.types import Box, Portrait


@dataclass(frozen=True, slots=True, eq=False)
class Puppets:
    """What a clip of one portrait and one size needs before anything moves.

    Attributes:
        area: what the canvas shows, in pixels of the picture.
        people: in pixels of the canvas.
        cut: how they were cut out; without the plane that ``scene`` has a copy of.
        scene: the planes.
        fields: of each person, where the picture moves to.
        eyes: of each person; none where they keep still.
    """

    area: Box
    people: list[Person]
    cut: CutOut
    scene: LivingScene
    fields: list[Fields]
    eyes: list[tuple[Eye, ...]]

    def copy(self) -> Puppets:
        """Puppets whose eyes can be drawn while those of these are."""
        scene, plane = self.scene, self.scene.plane.copy()
        own = (
            replace(scene, background=plane)
            if scene.people is None
            else replace(scene, people=plane)
        )
        return replace(self, scene=own, eyes=[tuple(map(replace, eyes)) for eyes in self.eyes])


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
    area, canvas = draw_canvas(portrait, width, height)
    people = [on_canvas(person, area, canvas.shape[1]) for person in people]
    cut = cut_out(canvas, portrait, area, plate_side=plate_side)
    scene = LivingScene.of(area, canvas, cut.subject)
    cut = replace(cut, subject=None)  # 20 MB at 1080p, which the scene has a copy of
    return Puppets(
        area=area,
        people=people,
        cut=cut,
        scene=scene,
        fields=_fields(people, scene, cut),
        eyes=[_eyes(scene, person) for person in people],
    )


def _fields(people: list[Person], scene: LivingScene, cut: CutOut) -> list[Fields]:
    """Each person's fields of displacement, on the grid of the canvas."""
    size = scene.background.shape[0], scene.background.shape[1]
    movable = mobility(size, cut.trust)
    shares = person_shares([person.mesh for person in people], size)
    layered = scene.layers > 1
    return [
        person_fields(person.mesh, size, share * movable, layered=layered)
        for person, share in zip(people, shares, strict=True)
    ]


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
