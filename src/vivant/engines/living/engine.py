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
import numpy as np

from vivant.engines.camera import CameraEngine, CameraOptions
from vivant.engines.camera.canvas import draw_canvas
from vivant.engines.camera.layers import Subject, split
from vivant.engines.camera.path import CameraPath, plan
from vivant.engines.living.eyes import Eye, make_eye
from vivant.engines.living.fields import Fields, Grid, person_fields, shares, stillness
from vivant.engines.living.motion import Motion, Pose, plan_motion
from vivant.engines.living.options import TEMPERS, LivingOptions, choose_preset
from vivant.engines.living.people import Person, find_people, placed
from vivant.engines.living.rehearsal import Part, rehearse
from vivant.engines.living.scene import LivingScene
from vivant.errors import EngineError
from vivant.picture.face_mesh import MeshReader
from vivant.picture.framing import crop_pixels
from vivant.picture.hair_strands import with_strands
from vivant.picture.matte import (
    SOFT_SIDE,
    Matte,
    MatteError,
    person_matte,
    refuse_patterned,
    refuse_unclear,
)
from vivant.types import (
    Box,
    Clip,
    EngineInfo,
    Face,
    Frames,
    Observer,
    Portrait,
    Progress,
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
            puppet = self._prepare(portrait, request, options, people, reader)
            for start in range(0, request.num_frames, CHUNK_FRAMES):
                count = min(CHUNK_FRAMES, request.num_frames - start)
                frames = np.empty((count, request.height, request.width, 3), dtype=np.uint8)
                for index in range(count):
                    if start + index == 0:
                        frames[0] = crop_pixels(portrait, request.width, request.height)
                    else:
                        puppet.draw(frames[index], start + index)
                    observe(Progress("generate", start + index + 1, request.num_frames))
                yield frames
        except cv2.error as error:
            raise EngineError(f"the living engine could not draw the picture: {error}") from error

    def _planes(self, canvas: Frames, portrait: Portrait, reach: Box) -> tuple[Frames, CutOut]:
        """The background, drawn into ``canvas``, and the people; kept for further sketches."""
        if not self._sketches:
            return canvas, _cut_out(canvas, portrait, reach)
        with self._lock:
            if not self._kept:
                cut = _cut_out(canvas, portrait, reach)
                self._kept.append((canvas, cut))
        background, cut = self._kept[0]
        return background.copy(), cut

    def _prepare(
        self,
        portrait: Portrait,
        request: Request,
        options: LivingOptions,
        people: list[Person],
        reader: MeshReader,
    ) -> FrameRenderer:
        preset, chosen = choose_preset(options, request.prompt)
        temper = TEMPERS[preset]
        notes = [*self._info.notes, chosen]
        reach, canvas = draw_canvas(portrait, request.width, request.height)
        height, width = canvas.shape[:2]
        people = [placed(person, reach, width) for person in people]
        canvas, cut = self._planes(canvas, portrait, reach)
        if cut.why:
            notes.append(cut.why)
        fps = float(request.fps)
        seconds = (request.num_frames if options.loop else request.num_frames - 1) / fps
        strength = temper.camera * options.strength * options.camera
        path = plan(
            crop=portrait.crop,
            reach=reach,
            num_frames=request.num_frames,
            fps=fps,
            focus=portrait.faces[0].box.center,
            keep=_head(portrait.faces[0], portrait.crop),
            options=CameraOptions(move="push_in", parallax=PARALLAX if cut.shifts else 0.0),
            seed=request.seed,
            strength=strength,
        )
        still = stillness((height, width), cut.trust)
        fields = [
            person_fields(p.mesh, (height, width), share * still, layered=cut.subject is not None)
            for p, share in zip(
                people, shares([p.mesh for p in people], (height, width)), strict=True
            )
        ]
        scene = LivingScene.of(reach, canvas, cut.subject)
        turn = temper.yaw * options.strength * options.turn
        parts = []
        for number, (person, places) in enumerate(zip(people, fields, strict=True)):
            own = options.model_copy(
                update={
                    "blink": options.blink and person.blinks,
                    "turn": options.turn * person.turn,
                }
            )
            motion = plan_motion(own, temper, seconds=seconds, seed=request.seed, person=number)
            part, held = Part(motion, places, _eyes(scene, person)), list[str]()
            if not self._sketches:
                part, held = rehearse(scene, person, part, reader, turn)
            parts.append(part)
            notes += [f"{person.name}: {reason}." for reason in held]
        motions = [part.motion for part in parts]
        self._info = _info(
            tuple(notes), _provenance(preset, options, request.seed, motions, cut, len(people))
        )
        return FrameRenderer(
            scene=scene,
            path=path,
            fps=fps,
            seconds=seconds,
            loop=options.loop,
            motions=tuple(motions),
            fields=tuple(part.fields for part in parts),
            eyes=tuple(part.eyes for part in parts),
        )


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


def _cut_out(canvas: Frames, portrait: Portrait, reach: Box) -> CutOut:
    """Lift the people out of ``canvas``, which becomes the background in place."""
    height, width = canvas.shape[:2]
    shrink = min(1.0, SOFT_SIDE / max(width, height))
    size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    preview = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
    faces = tuple(_shifted(face, reach, size[0]) for face in portrait.faces)
    try:
        matte, trust = person_matte(preview, faces)
        subject = split(canvas, preview, with_strands(preview, matte))
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


def _head(face: Face, crop: Box) -> Box:
    """The face with hair and chin, as far as the crop shows it."""
    box = face.box
    left = max(crop.left, box.left - 0.25 * box.width)
    top = max(crop.top, box.top - 0.9 * box.height)
    right = min(crop.right, box.right + 0.25 * box.width)
    bottom = min(crop.bottom, box.bottom + 0.25 * box.height)
    return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))


def _info(notes: tuple[str, ...], provenance: dict[str, object] | None = None) -> EngineInfo:
    moves: Literal["person"] = "person"
    return EngineInfo(
        name="living", moves=moves, device="cpu", notes=notes, provenance=provenance or {}
    )


def _provenance(
    preset: str,
    options: LivingOptions,
    seed: int,
    motions: list[Motion],
    cut: CutOut,
    people: int,
) -> dict[str, object]:
    return {
        "preset": preset,
        "seed": seed,
        **options.model_dump(exclude={"preset"}),
        "people": people,
        "layers": 1 if cut.subject is None else 2,
        # of the first person; the others follow from the seed
        "blinks_at": [round(start, 3) for start in motions[0].blinks],
        "turns_to": [round(place, 2) for place in motions[0].yaw.places],
        "breath_seconds": round(motions[0].breath_seconds, 2),
    }
