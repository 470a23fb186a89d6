"""Draws any frame of a clip, once the puppets, their motion and the camera's path are known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from vivant.engines.camera import CameraOptions
from vivant.engines.camera.path import CameraPath, head_in, plan_path
from vivant.engines.living.fields import Grid
from vivant.engines.living.motion import Pose, plan_motion
from vivant.engines.living.options import LivingOptions, MotionAmounts
from vivant.engines.living.preflight import AnimatedPerson
from vivant.engines.living.puppets import Puppets
from vivant.engines.living.scene import LivingScene
from vivant.types import Frames, Portrait, Request

PARALLAX: Final = 0.008
"""As the camera's option: less, since the head has a parallax of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class FrameRenderer:
    """Everything that is needed to draw any frame; frames do not depend on each other."""

    scene: LivingScene
    path: CameraPath
    fps: float
    loop: bool
    people: tuple[AnimatedPerson, ...]

    def draw(self, target: Frames, frame: int) -> None:
        """Fill ``target`` ``[h, w, 3]`` uint8 with ``frame``."""
        time = frame / self.fps
        poses = [person.motion.at(time) for person in self.people]
        for person, pose in zip(self.people, poses, strict=True):
            for eye in person.eyes:
                eye.draw(self.scene.plane, pose.closed, pose.gaze)
        window, behind = self.path.loop_at(frame) if self.loop else self.path.at(frame)
        self.scene.draw(target, window, behind, self._field(poses))

    def _field(self, poses: list[Pose]) -> Grid:
        first, *others = (
            person.fields.at(pose) for person, pose in zip(self.people, poses, strict=True)
        )
        for other in others:
            first += other
        return first


def make_renderer(
    puppets: Puppets,
    portrait: Portrait,
    request: Request,
    options: LivingOptions,
    amounts: MotionAmounts,
) -> FrameRenderer:
    """How the people and the camera move in the clip of a request; nothing is drawn yet."""
    steps = request.num_frames if options.loop else request.num_frames - 1
    seconds = steps / float(request.fps)
    animated = []
    for number, person in enumerate(puppets.people):
        own = options.model_copy(
            update={
                "blink": options.blink and person.blinks,
                "turn": options.turn * person.turn,
            }
        )
        motion = plan_motion(own, amounts, seconds=seconds, seed=request.seed, person=number)
        animated.append(AnimatedPerson(motion, puppets.fields[number], puppets.eyes[number]))
    return FrameRenderer(
        scene=puppets.scene,
        path=_camera_path(puppets, portrait, request, options, amounts),
        fps=float(request.fps),
        loop=options.loop,
        people=tuple(animated),
    )


def _camera_path(
    puppets: Puppets,
    portrait: Portrait,
    request: Request,
    options: LivingOptions,
    amounts: MotionAmounts,
) -> CameraPath:
    """A push-in towards the largest face."""
    face = portrait.faces[0]
    return plan_path(
        crop=portrait.crop,
        area=puppets.area,
        num_frames=request.num_frames,
        fps=float(request.fps),
        focus=face.box.center,
        keep=head_in(face, portrait.crop),
        options=CameraOptions(move="push_in", parallax=PARALLAX if puppets.cut.shifts else 0.0),
        seed=request.seed,
        strength=amounts.camera * options.strength * options.camera,
    )
