"""The living engine: the people of a picture breathe, blink and turn a little. No generative model.

A 2.5-D puppet: a mesh of the face and a matte of the people tell what is where, and every frame
is drawn anew from the picture by moving its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final, Literal

import cv2

from vivant.engines.camera import CameraEngine, CameraOptions
from vivant.engines.camera.canvas import draw_canvas
from vivant.engines.camera.path import CameraPath, head_in, plan_path
from vivant.engines.drawn_frames import drawn_frames
from vivant.engines.living.cut_out import CutOut, cut_out
from vivant.engines.living.eyes import Eye, make_eye
from vivant.engines.living.fields import Fields, Grid, mobility, person_fields, person_shares
from vivant.engines.living.motion import Pose, plan_motion
from vivant.engines.living.options import (
    PRESET_AMOUNTS,
    LivingOptions,
    MotionAmounts,
    choose_preset,
)
from vivant.engines.living.people import Person, find_people, on_canvas
from vivant.engines.living.preflight import AnimatedPerson, preflight
from vivant.engines.living.scene import LivingScene
from vivant.errors import EngineError
from vivant.picture.face_mesh import MeshReader
from vivant.types import (
    Box,
    Clip,
    EngineInfo,
    Frames,
    Observer,
    Portrait,
    Request,
)

CHUNK_FRAMES: Final = 2
"""Frames per chunk: 12 MB at 1080p."""

PARALLAX: Final = 0.008
"""As the camera's option: less, since the head has a parallax of its own."""

NOTES: Final = (
    "The person breathes, blinks and turns a little: a 2.5-D puppet drawn from the picture's own "
    "pixels, no generative model.",
    "The prompt only chooses a preset; the negative prompt has no effect on the living engine.",
)


class LivingEngine:
    """Turns a portrait into a clip in which the person lives (see :class:`Engine`).

    Args:
        sketches: for quick, small clips of one portrait at one size, one for each preset: its
            planes are kept for the next clip, and how it will look is not measured beforehand.
            They may be made in several threads.
    """

    def __init__(self, *, sketches: bool = False) -> None:
        self._info = _info(NOTES)
        self._sketches = sketches
        self._kept: list[tuple[Frames, CutOut]] = []
        self._lock = Lock()

    @property
    def info(self) -> EngineInfo:
        """What it is; once frames were drawn, with what it did."""
        return self._info

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        """Start a clip of ``request.width`` × ``request.height``, times the option ``scale``.

        Where no face can live, the camera engine makes the clip, and a note says so.

        Raises:
            OptionError: an option this engine does not have or cannot take.
            EngineError: while consuming: the picture could not be drawn.
        """
        options = LivingOptions.parse(request.options)
        width, height = options.size(request.width, request.height)
        reader = MeshReader()
        people, notes = find_people(portrait, width, reader)
        if not people:
            return self._camera_only(portrait, request, options, notes, observe)
        request = replace(request, width=width, height=height)
        self._info = _info((*NOTES, *notes))
        return Clip(
            num_frames=request.num_frames,
            fps=request.fps,
            width=width,
            height=height,
            chunks=self._chunks(portrait, request, options, people, reader, observe),
        )

    def _camera_only(
        self,
        portrait: Portrait,
        request: Request,
        options: LivingOptions,
        notes: list[str],
        observe: Observer,
    ) -> Clip:
        why = "No face was found" if not portrait.faces else "No face could be brought to life"
        strength = min(2.0, max(0.25, options.strength * options.camera))
        engine = CameraEngine()
        clip = engine.generate(
            portrait,
            replace(request, options={"strength": strength, "scale": options.scale}),
            observe,
        )
        sentence = f"{why}, so the clip was made by the camera engine."

        def chunks() -> Iterator[Frames]:
            for frames in clip.chunks:
                # the camera engine adds notes while it draws
                self._info = replace(engine.info, notes=(sentence, *notes, *engine.info.notes))
                yield frames

        self._info = replace(engine.info, notes=(sentence, *notes, *engine.info.notes))
        return replace(clip, chunks=chunks())

    def _chunks(
        self,
        portrait: Portrait,
        request: Request,
        options: LivingOptions,
        people: list[Person],
        reader: MeshReader,
        observe: Observer,
    ) -> Iterator[Frames]:
        try:
            renderer = self._renderer(portrait, request, options, people, reader)
            yield from drawn_frames(portrait, request, renderer.draw, observe, chunk=CHUNK_FRAMES)
        except cv2.error as error:
            raise EngineError(f"the living engine could not draw the picture: {error}") from error

    def _cut_out(self, canvas: Frames, portrait: Portrait, area: Box) -> tuple[Frames, CutOut]:
        """The background, drawn into ``canvas``, and the people; kept for further sketches."""
        if not self._sketches:
            return canvas, cut_out(canvas, portrait, area)
        with self._lock:
            if not self._kept:
                cut = cut_out(canvas, portrait, area)
                self._kept.append((canvas, cut))
        background, cut = self._kept[0]
        return background.copy(), cut

    def _renderer(
        self,
        portrait: Portrait,
        request: Request,
        options: LivingOptions,
        people: list[Person],
        reader: MeshReader,
    ) -> FrameRenderer:
        preset, chosen = choose_preset(options, request.prompt)
        amounts = PRESET_AMOUNTS[preset]
        area, canvas = draw_canvas(portrait, request.width, request.height)
        people = [on_canvas(person, area, canvas.shape[1]) for person in people]
        canvas, cut = self._cut_out(canvas, portrait, area)
        scene = LivingScene.of(area, canvas, cut.subject)
        fields = _fields(people, canvas, cut)
        animated, kept_still = self._animate(
            scene, people, fields, options, amounts, request, reader
        )
        self._info = _info(
            (*self._info.notes, chosen, *filter(None, [cut.note]), *kept_still),
            _provenance(preset, options, request.seed, animated, cut),
        )
        return FrameRenderer(
            scene=scene,
            path=_camera_path(portrait, request, options, area, amounts, parallax=cut.shifts),
            fps=float(request.fps),
            loop=options.loop,
            people=animated,
        )

    def _animate(
        self,
        scene: LivingScene,
        people: list[Person],
        fields: list[Fields],
        options: LivingOptions,
        amounts: MotionAmounts,
        request: Request,
        reader: MeshReader,
    ) -> tuple[tuple[AnimatedPerson, ...], list[str]]:
        """What each person does in the clip, and a sentence for what one cannot do."""
        steps = request.num_frames if options.loop else request.num_frames - 1
        seconds = steps / float(request.fps)
        turn = amounts.yaw * options.strength * options.turn
        animated, notes = [], []
        for number, (person, displacement) in enumerate(zip(people, fields, strict=True)):
            own = options.model_copy(
                update={
                    "blink": options.blink and person.blinks,
                    "turn": options.turn * person.turn,
                }
            )
            motion = plan_motion(own, amounts, seconds=seconds, seed=request.seed, person=number)
            one = AnimatedPerson(motion, displacement, _eyes(scene, person))
            if not self._sketches:
                one, reasons = preflight(scene, person, one, reader, turn)
                notes += [f"{person.name}: {reason}." for reason in reasons]
            animated.append(one)
        return tuple(animated), notes


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


def _camera_path(
    portrait: Portrait,
    request: Request,
    options: LivingOptions,
    area: Box,
    amounts: MotionAmounts,
    *,
    parallax: bool,
) -> CameraPath:
    """A push-in towards the largest face."""
    face = portrait.faces[0]
    return plan_path(
        crop=portrait.crop,
        area=area,
        num_frames=request.num_frames,
        fps=float(request.fps),
        focus=face.box.center,
        keep=head_in(face, portrait.crop),
        options=CameraOptions(move="push_in", parallax=PARALLAX if parallax else 0.0),
        seed=request.seed,
        strength=amounts.camera * options.strength * options.camera,
    )


def _fields(people: list[Person], canvas: Frames, cut: CutOut) -> list[Fields]:
    """Each person's fields of displacement, on the grid of the canvas."""
    size = canvas.shape[0], canvas.shape[1]
    movable = mobility(size, cut.trust)
    shares = person_shares([person.mesh for person in people], size)
    layered = cut.subject is not None
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


def _info(notes: tuple[str, ...], provenance: dict[str, object] | None = None) -> EngineInfo:
    moves: Literal["person"] = "person"
    return EngineInfo(
        name="living", moves=moves, device="cpu", notes=notes, provenance=provenance or {}
    )


def _provenance(
    preset: str,
    options: LivingOptions,
    seed: int,
    people: tuple[AnimatedPerson, ...],
    cut: CutOut,
) -> dict[str, object]:
    first = people[0].motion
    return {
        "preset": preset,
        "seed": seed,
        **options.model_dump(exclude={"preset"}),
        "people": len(people),
        "layers": 1 if cut.subject is None else 2,
        # of the first person; the others follow from the seed
        "blinks_at": [round(start, 3) for start in first.blinks],
        "turns_to": [round(place, 2) for place in first.yaw.values],
        "breath_seconds": round(first.breath_seconds, 2),
    }
