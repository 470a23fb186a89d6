"""Draws any frame of a clip, once the puppets, their motion and the camera's path are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vivant.engines.camera import CameraOptions
from vivant.engines.camera.path import CameraPath, plan
from vivant.engines.living.eyes import Eye
from vivant.engines.living.fields import Fields, Grid
from vivant.engines.living.motion import Motion, Pose, plan_motion
from vivant.engines.living.options import LivingOptions, MotionAmounts
from vivant.engines.living.people import Person
from vivant.engines.living.puppets import Puppets
from vivant.engines.living.scene import LivingScene
from vivant.types import Box, Face, Frames, Portrait, Request

PARALLAX: Final = 0.008
"""As the camera's option: less, since the head has a parallax of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameRenderer:
    """Everything that is needed to draw any frame; frames do not depend on each other."""

    scene: LivingScene
    path: CameraPath
    fps: float
    seconds: float
    loop: bool
    motions: tuple[Motion, ...]
    fields: tuple[Fields, ...]
    eyes: tuple[tuple[Eye, ...], ...]

    def draw(self, target: Frames, frame: int) -> None:
        """Fill ``target`` ``[h, w, 3]`` uint8 with ``frame``."""
        time = frame / self.fps
        moments = [motion.at(time) for motion in self.motions]
        plane = self.scene.plane
        for moment, eyes in zip(moments, self.eyes, strict=True):
            for eye in eyes:
                eye.draw(plane, moment.closed, moment.gaze)
        window, behind = self.path.loop_at(frame) if self.loop else self.path.at(frame)
        self.scene.draw(target, window, behind, self._field(moments))

    def _field(self, moments: list[Pose]) -> Grid:
        first, *others = (f.at(m) for f, m in zip(self.fields, moments, strict=True))
        for other in others:
            first += other
        return first


def make_renderer(
    puppets: Puppets,
    portrait: Portrait,
    request: Request,
    options: LivingOptions,
    temper: MotionAmounts,
) -> FrameRenderer:
    """How the people move in the clip of a request; nothing is drawn yet."""
    fps = float(request.fps)
    seconds = (request.num_frames if options.loop else request.num_frames - 1) / fps
    path = plan(
        crop=portrait.crop,
        reach=puppets.reach,
        num_frames=request.num_frames,
        fps=fps,
        focus=portrait.faces[0].box.center,
        keep=_head(portrait.faces[0], portrait.crop),
        options=CameraOptions(move="push_in", parallax=PARALLAX if puppets.cut.shifts else 0.0),
        seed=request.seed,
        strength=temper.camera * options.strength * options.camera,
    )

    def motion(number: int, person: Person) -> Motion:
        own = options.model_copy(
            update={
                "blink": options.blink and person.blinks,
                "turn": options.turn * person.turn,
            }
        )
        return plan_motion(own, temper, seconds=seconds, seed=request.seed, person=number)

    return FrameRenderer(
        scene=puppets.scene,
        path=path,
        fps=fps,
        seconds=seconds,
        loop=options.loop,
        motions=tuple(motion(number, person) for number, person in enumerate(puppets.people)),
        fields=puppets.fields,
        eyes=puppets.eyes,
    )


def _head(face: Face, crop: Box) -> Box:
    """The face with hair and chin, as far as the crop shows it."""
    box = face.box
    left = max(crop.left, box.left - 0.25 * box.width)
    top = max(crop.top, box.top - 0.9 * box.height)
    right = min(crop.right, box.right + 0.25 * box.width)
    bottom = min(crop.bottom, box.bottom + 0.25 * box.height)
    return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))
