"""The living engine: the people of a picture breathe, blink and turn a little. No generative model.

A 2.5-D puppet: a mesh of the face and a matte of the people tell what is where, and every frame
is drawn anew from the picture by moving its pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final, Literal

import cv2

from vivant.engines.camera import CameraEngine
from vivant.engines.drawn_frames import drawn_frames
from vivant.engines.living.options import PRESET_AMOUNTS, LivingOptions, choose_preset
from vivant.engines.living.people import Person, find_people
from vivant.engines.living.preflight import AnimatedPerson, preflight
from vivant.engines.living.puppets import make_puppets
from vivant.engines.living.renderer import FrameRenderer, make_renderer
from vivant.errors import EngineError
from vivant.picture.face_mesh import MeshReader
from vivant.types import Clip, EngineInfo, Frames, Observer, Portrait, Request

CHUNK_FRAMES: Final = 1
"""Frames per chunk: 6 MB at 1080p, of which two are under way."""

NOTES: Final = (
    "The person breathes, blinks and turns a little: a 2.5-D puppet drawn from the picture's own "
    "pixels, no generative model.",
    "The prompt only chooses a preset; the negative prompt has no effect on the living engine.",
)


EYES_STILL: Final = (
    "The person breathes and turns a little: a 2.5-D puppet drawn from the picture's own pixels, "
    "no generative model."
)
"""Instead of the first note, where nobody blinks."""

INSTEAD_NOBODY = "No face was found, so the clip was made by the camera engine."
INSTEAD = "No face could be brought to life, so the clip was made by the camera engine."


class LivingEngine:
    """Turns a portrait into a clip in which the person lives (see :class:`Engine`)."""

    def __init__(self) -> None:
        self._info = _info(NOTES)

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
        strength = min(2.0, max(0.25, options.strength * options.camera))
        engine = CameraEngine()
        clip = engine.generate(
            portrait,
            replace(request, options={"strength": strength, "scale": options.scale}),
            observe,
        )
        sentence = INSTEAD if portrait.faces else INSTEAD_NOBODY

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
        puppets = make_puppets(portrait, people, request.width, request.height)
        renderer = make_renderer(puppets, portrait, request, options, amounts)
        turn = amounts.yaw * options.strength * options.turn
        animated, kept_still = [], []
        for person, planned in zip(puppets.people, renderer.people, strict=True):
            one, reasons = preflight(puppets.scene, person, planned, reader, turn)
            animated.append(one)
            kept_still += [f"{person.name}: {reason}." for reason in reasons]
        cut = puppets.cut
        movement, *others = self._info.notes
        if not any(one.motion.blinks for one in animated):
            movement = EYES_STILL
        self._info = _info(
            (movement, *others, chosen, *filter(None, [cut.note]), *kept_still),
            _provenance(preset, options, request.seed, animated, layers=puppets.scene.layers),
        )
        return replace(renderer, people=tuple(animated))


def _info(notes: tuple[str, ...], provenance: dict[str, object] | None = None) -> EngineInfo:
    moves: Literal["person"] = "person"
    return EngineInfo(
        name="living", moves=moves, device="cpu", notes=notes, provenance=provenance or {}
    )


def _provenance(
    preset: str,
    options: LivingOptions,
    seed: int,
    people: list[AnimatedPerson],
    *,
    layers: int,
) -> dict[str, object]:
    first = people[0].motion
    return {
        "preset": preset,
        "seed": seed,
        **options.model_dump(exclude={"preset"}),
        "people": len(people),
        "layers": layers,
        # of the first person; the others follow from the seed
        "blinks_at": [round(start, 3) for start in first.blinks],
        "turns_to": [round(place, 2) for place in first.yaw.values],
        "breath_seconds": round(first.breath_seconds, 2),
    }
