"""The embedded engine: the camera moves, the person does not. No model, no weights, no GPU.

A frame is drawn when it is asked for, not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2

from vivant.engines.camera.canvas import draw_canvas, preview_of
from vivant.engines.camera.layers import Subject, split
from vivant.engines.camera.options import CameraOptions
from vivant.engines.camera.path import CameraPath, head_in, plan_path
from vivant.engines.camera.scene import Scene
from vivant.engines.drawn_frames import drawn_frames
from vivant.errors import EngineError
from vivant.picture.matte import (
    MatteError,
    person_matte,
    refuse_patterned,
    refuse_unclear,
)
from vivant.types import (
    Box,
    Clip,
    EngineInfo,
    Frames,
    Image,
    Observer,
    Portrait,
    Request,
)

CHUNK_FRAMES = 4
"""Frames per chunk: 25 MB at 1080p."""

NOTES = (
    "The camera moves and the person does not.",
    "The prompt and the negative prompt have no effect on the camera engine.",
)


class CameraEngine:
    """Turns a portrait into a clip by moving a virtual camera over it (see :class:`Engine`)."""

    def __init__(self) -> None:
        self._info = EngineInfo(name="camera", moves="camera", device="cpu", notes=NOTES)

    @property
    def info(self) -> EngineInfo:
        """What it is; once frames were drawn, with what it did."""
        return self._info

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        """Start a clip of ``request.width`` × ``request.height``, times the option ``scale``.

        Planes are cut out when the first chunk is asked for (about 1 s at 1080p). Progress
        counts drawn frames.

        Raises:
            OptionError: an option this engine does not have or cannot take.
            EngineError: while consuming: the picture could not be drawn.
        """
        options = CameraOptions.parse(request.options)
        self._info = EngineInfo(name="camera", moves="camera", device="cpu", notes=NOTES)
        width, height = options.size(request.width, request.height)
        request = replace(request, width=width, height=height)
        return Clip(
            num_frames=request.num_frames,
            fps=request.fps,
            width=request.width,
            height=request.height,
            chunks=self._chunks(portrait, request, options, observe),
        )

    def _chunks(
        self, portrait: Portrait, request: Request, options: CameraOptions, observe: Observer
    ) -> Iterator[Frames]:
        try:
            scene, path = self._prepare(portrait, request, options)

            def draw(target: Image, frame: int) -> None:
                scene.draw(target, *path.at(frame))

            yield from drawn_frames(portrait, request, draw, observe, chunk=CHUNK_FRAMES)
        except cv2.error as error:
            raise EngineError(f"the camera engine could not draw the picture: {error}") from error

    def _prepare(
        self, portrait: Portrait, request: Request, options: CameraOptions
    ) -> tuple[Scene, CameraPath]:
        area, canvas = draw_canvas(portrait, request.width, request.height)
        face = portrait.faces[0] if portrait.faces else None
        subject, why = None, ""
        if not options.parallax:
            why = "Parallax was switched off: the picture moves as one plane."
        elif face is None:
            why = "No face was found, so the picture moves as one plane, without parallax."
        elif request.num_frames > 1:
            subject, why = _cut_out(canvas, portrait, area)
        path = plan_path(
            crop=portrait.crop,
            area=area,
            num_frames=request.num_frames,
            fps=float(request.fps),
            focus=face.box.center if face else portrait.crop.center,
            keep=head_in(face, portrait.crop) if face else None,
            options=options if subject else options.model_copy(update={"parallax": 0.0}),
            seed=request.seed,
        )
        self._info = replace(
            self._info,
            notes=(*NOTES, why) if why else NOTES,
            provenance=_provenance(path, options, request.seed, layered=subject is not None),
        )
        return Scene(area=area, background=canvas, subject=subject), path


def _cut_out(canvas: Image, portrait: Portrait, area: Box) -> tuple[Subject | None, str]:
    """Lift the person out of ``canvas``; None, and a sentence that says why, where that fails."""
    preview, faces = preview_of(canvas, portrait, area)
    try:
        matte, trust = person_matte(preview, faces)
        refuse_unclear(matte, trust)
        refuse_patterned(preview, matte)
        return split(canvas, preview, matte), ""
    except MatteError as error:
        return None, f"The picture moves as one plane, without parallax: {error}."


def _provenance(
    path: CameraPath, options: CameraOptions, seed: int, *, layered: bool
) -> dict[str, object]:
    first, last = path.subject.start, path.subject.end
    return {
        "move": path.move,
        "seed": seed,
        "strength": options.strength,
        "parallax": options.parallax if layered else 0.0,
        "layers": 2 if layered else 1,
        "zoom": round(first.width / last.width, 6),
        "last_window": [round(v, 3) for v in (last.left, last.top, last.width, last.height)],
    }
