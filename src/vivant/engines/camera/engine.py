"""The embedded engine: the camera moves, the person does not. No model, no weights, no GPU.

A frame is drawn when it is asked for, not before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np

from vivant.engines.camera.canvas import draw_canvas
from vivant.engines.camera.layers import split
from vivant.engines.camera.options import CameraOptions
from vivant.engines.camera.path import CameraPath, plan
from vivant.engines.camera.scene import Scene
from vivant.errors import EngineError
from vivant.picture.framing import crop_pixels
from vivant.picture.matte import (
    SOFT_SIDE,
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
            for start in range(0, request.num_frames, CHUNK_FRAMES):
                count = min(CHUNK_FRAMES, request.num_frames - start)
                frames = np.empty((count, request.height, request.width, 3), dtype=np.uint8)
                for index in range(count):
                    if start + index == 0:
                        frames[0] = crop_pixels(portrait, request.width, request.height)
                    else:
                        scene.draw(frames[index], *path.at(start + index))
                    observe(Progress("generate", start + index + 1, request.num_frames))
                yield frames
        except cv2.error as error:
            raise EngineError(f"the camera engine could not draw the picture: {error}") from error

    def _prepare(
        self, portrait: Portrait, request: Request, options: CameraOptions
    ) -> tuple[Scene, CameraPath]:
        reach, canvas = draw_canvas(portrait, request.width, request.height)
        height, width = canvas.shape[:2]
        face = portrait.faces[0] if portrait.faces else None
        subject = None
        flat = None
        if not options.parallax:
            flat = "Parallax was switched off: the picture moves as one plane."
        elif face is None:
            flat = "No face was found, so the picture moves as one plane, without parallax."
        elif request.num_frames > 1:
            shrink = min(1.0, SOFT_SIDE / max(width, height))
            size = (max(1, round(width * shrink)), max(1, round(height * shrink)))
            preview = cv2.resize(canvas, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
            try:
                placed = tuple(_placed(one, reach, size[0]) for one in portrait.faces)
                matte, trust = person_matte(preview, placed)
                refuse_unclear(matte, trust)
                refuse_patterned(preview, matte)
                subject = split(canvas, preview, matte)
            except MatteError as error:
                flat = f"The picture moves as one plane, without parallax: {error}."
        path = plan(
            crop=portrait.crop,
            reach=reach,
            num_frames=request.num_frames,
            fps=float(request.fps),
            focus=face.box.center if face else portrait.crop.center,
            keep=_head(face, portrait.crop) if face else None,
            options=options if subject else options.model_copy(update={"parallax": 0.0}),
            seed=request.seed,
        )
        self._info = replace(
            self._info,
            notes=(*NOTES, flat) if flat else NOTES,
            provenance=_provenance(path, options, request.seed, layered=subject is not None),
        )
        return Scene(area=reach, background=canvas, subject=subject), path


def _placed(face: Face, area: Box, width: int) -> Face:
    """``face`` in coordinates of a picture of ``area`` that is ``width`` pixels wide."""
    factor = width / area.width
    return replace(
        face,
        box=face.box.moved(-area.left, -area.top).scaled(factor),
        landmarks=tuple(
            ((x - area.left) * factor, (y - area.top) * factor) for x, y in face.landmarks
        ),
    )


def _head(face: Face, crop: Box) -> Box:
    """The face with hair and chin, as far as the crop shows it."""
    box = face.box
    left = max(crop.left, box.left - 0.25 * box.width)
    top = max(crop.top, box.top - 0.9 * box.height)
    right = min(crop.right, box.right + 0.25 * box.width)
    bottom = min(crop.bottom, box.bottom + 0.25 * box.height)
    return Box(left, top, max(0.0, right - left), max(0.0, bottom - top))


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
