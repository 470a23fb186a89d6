"""Key frames are drawn and measured before the clip: at rest, the eyes shut, the head turned.

A turn that shows too little is enlarged until the mesh sees it. Eyes that do not look shut when
they are drawn so (hair, tinted glasses or a hard shadow lies over them) keep still.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vivant.engines.living.eyes import Eye
from vivant.engines.living.fields import Fields, Grid
from vivant.engines.living.motion import Motion
from vivant.engines.living.people import Person
from vivant.engines.living.scene import LivingScene
from vivant.picture.face_mesh import FaceMesh, MeshReader
from vivant.types import Box

VIEW_SIDE: Final = 320
"""Pixels; side of the key frames. The mesh looks at 256."""

VIEW_FACTOR: Final = 1.7
"""Side of what they show, over the longer side of the face."""

MAX_SHUT_GAP: Final = 0.35
"""Gap between the lids over that of the open eye from which a drawn lid does not look shut.

People whose eyes are shut have −0.05 … 0.3; drawn lids 0.0 … 0.3, and 0.4 … 0.6 under hair, behind
tinted glasses and where an eye lies in a shadow.
"""

MIN_SHOWN_TURN: Final = 0.75
"""Degrees that the mesh has to see for one of the preset's turn: 2.2° of ``calm``'s 3°.

In the finished clip it sees 0.6 to 1.2 times that of the key frame.
"""

MAX_TURN_GAIN: Final = 2.2
"""A turn is enlarged no more than this: beyond, noses and cheeks look stretched."""

MAX_STRAIN: Final = 0.25
"""Of the face in the widest turn (:meth:`Fields.strain`). On portraits where no border or unclear
outline holds a part of the face it was 0.1 … 0.23; above, faces look bent, and checks say so."""

MIN_GAINED: Final = 0.3
"""Degrees that an enlarged turn has to show more; otherwise it is not enlarged."""

MAX_TRIES: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class AnimatedPerson:
    """One person, and what they do in the clip.

    Attributes:
        motion: when what moves.
        fields: where it moves to.
        eyes: none where they keep still.
    """

    motion: Motion
    fields: Fields
    eyes: tuple[Eye, ...]


def preflight(
    scene: LivingScene, person: Person, animated: AnimatedPerson, reader: MeshReader, turn: float
) -> tuple[AnimatedPerson, list[str]]:
    """``animated``, changed to what can be shown, and a sentence for each thing that cannot be.

    Args:
        turn: the turn that was asked for, degrees; 0 for none.
    """
    view = _KeyFrameView.of(scene, person.mesh, reader)
    notes = []
    if animated.motion.blinks and not animated.eyes:
        animated = replace(animated, motion=replace(animated.motion, blinks=()))
        notes.append("an eye lies at the border of the clip, so the eyes keep still")
    rest = (
        view.mesh_of(animated.fields.no_displacement()) if animated.motion.blinks or turn else None
    )
    if rest and animated.motion.blinks and not _look_shut(view, animated, rest):
        animated = replace(animated, motion=replace(animated.motion, blinks=()), eyes=())
        notes.append(
            "the eyes would not look shut (hair, glasses, make-up, a shadow or a squint), "
            "so they keep still and do not blink"
        )
    if rest and turn:
        wanted = MIN_SHOWN_TURN * turn * min(1.0, person.turn)
        fields, shown = _enlarge_turn(view, animated, person.mesh, rest, wanted)
        animated = replace(animated, fields=fields)
        if shown < 0.75 * wanted:
            notes.append(
                f"the head turns by {shown:.1f}° only, since the border of the clip, an unclear "
                "outline or a hat holds it"
            )
    return animated, notes


def _look_shut(view: _KeyFrameView, animated: AnimatedPerson, rest: FaceMesh) -> bool:
    """Whether both eyes, drawn shut, show no outline, spare glasses and are shut for the mesh."""
    if not all(eye.can_close for eye in animated.eyes):
        return False
    for eye in animated.eyes:
        eye.draw(view.scene.plane, 1.0, (0.0, 0.0))
    shut = view.mesh_of(animated.fields.no_displacement()).lid_gaps
    for eye in animated.eyes:
        eye.draw(view.scene.plane, 0.0, (0.0, 0.0))
    return all(gap < MAX_SHUT_GAP * opened for gap, opened in zip(shut, rest.lid_gaps, strict=True))


def _enlarge_turn(
    view: _KeyFrameView, animated: AnimatedPerson, face: FaceMesh, rest: FaceMesh, wanted: float
) -> tuple[Fields, float]:
    """Fields with which the head's widest turn shows ``wanted`` degrees, and what shows then.

    Args:
        face: the mesh in pixels of the canvas.
        rest: the mesh that the view shows before the turn.
    """
    pose = animated.motion.widest()
    most = min(MAX_TURN_GAIN, MAX_STRAIN / max(1e-6, animated.fields.strain(pose, face)))
    gain, found = min(1.0, most), []
    for _ in range(MAX_TRIES):
        fields = animated.fields.with_turn_gain(gain)
        shown = abs(view.mesh_of(fields.at(pose)).pose.yaw - rest.pose.yaw)
        found.append((fields, shown))
        if shown >= wanted or gain == most:
            break
        # what shows grows more slowly than the gain: aim 10 % higher; the floor of 0.3 keeps one
        # bad reading from going to the limit at once
        gain = min(most, 1.1 * gain * wanted / max(0.3 * wanted, shown))
    if found[-1][1] < found[0][1] + MIN_GAINED:  # what is held would only bend the face
        return found[0]
    return found[-1]


@dataclass(frozen=True, slots=True, eq=False)
class _KeyFrameView:
    """A face, close by."""

    scene: LivingScene
    window: Box
    mesh: FaceMesh
    reader: MeshReader

    @classmethod
    def of(cls, scene: LivingScene, mesh: FaceMesh, reader: MeshReader) -> _KeyFrameView:
        """The view of a mesh in pixels of the canvas."""
        factor = scene.background.shape[1] / scene.area.width
        box = mesh.box.scaled(1 / factor).moved(scene.area.left, scene.area.top)
        side = VIEW_FACTOR * max(box.width, box.height)
        x, y = box.center
        window = Box(x - side / 2, y - side / 2, side, side)
        points = mesh.points / factor
        points[:, :2] += (scene.area.left - window.left, scene.area.top - window.top)
        return cls(scene, window, FaceMesh(points * (VIEW_SIDE / side), mesh.presence), reader)

    def mesh_of(self, field: Grid) -> FaceMesh:
        """The mesh of the face where ``field`` moves it to."""
        frame = np.empty((VIEW_SIDE, VIEW_SIDE, 3), np.uint8)
        self.scene.draw(frame, self.window, self.window, field)
        return self.reader.follow(frame, self.mesh)
