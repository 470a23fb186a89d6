"""Small, quick clips of one portrait, one for each preset, to choose a preset by."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Final

import cv2
import numpy as np

from vivant.engines.living.options import PRESET_AMOUNTS, LivingOptions
from vivant.engines.living.people import find_people
from vivant.engines.living.puppets import make_puppets
from vivant.engines.living.renderer import make_renderer
from vivant.errors import EngineError
from vivant.picture.face_mesh import MeshReader
from vivant.types import Frames, Portrait, Request

PLATE_SIDE: Final = 160
"""Pixels of the longer side of the background while it is painted on behind the people."""


class Sketches:
    """The people of a portrait, analysed once and then moved by any preset.

    The face mesh does not measure beforehand how closed eyes and the turn will look, as it does for
    :class:`LivingEngine`.

    Args:
        clip: the one that the sketches are of; its width decides who lives.
        size: ``(width, height)`` that the planes are made for, pixels.
        reader: finds the points of the faces.

    Raises:
        EngineError: the picture cannot be drawn.
    """

    def __init__(
        self, portrait: Portrait, clip: Request, size: tuple[int, int], reader: MeshReader
    ) -> None:
        self._portrait, self._size = portrait, size
        people, _ = find_people(portrait, clip.width, reader)
        try:
            self._puppets = (
                make_puppets(portrait, people, *size, plate_side=PLATE_SIDE) if people else None
            )
        except cv2.error as error:
            raise EngineError(f"the living engine could not draw the picture: {error}") from error
        if self._puppets is not None:
            eyes = self._puppets.eyes
            closing = [one if all(eye.can_close for eye in one) else () for one in eyes]
            self._puppets = replace(self._puppets, eyes=closing)

    @property
    def lives(self) -> bool:
        """Whether anybody lives."""
        return self._puppets is not None

    def draw(self, preset: str, size: tuple[int, int], *, num_frames: int, fps: Fraction) -> Frames:
        """A loop, ``[T, H, W, 3]`` uint8 of ``size``; several threads may draw at a time.

        Raises:
            EngineError: nobody lives, or the picture cannot be drawn.
        """
        if self._puppets is None:
            raise EngineError("no face of this picture can be brought to life")
        width, height = self._size
        request = Request(image=b"", width=width, height=height, num_frames=num_frames, fps=fps)
        renderer = make_renderer(
            self._puppets.copy(),
            self._portrait,
            request,
            LivingOptions(loop=True),
            PRESET_AMOUNTS[preset],
        )
        frames = np.empty((num_frames, size[1], size[0], 3), np.uint8)
        try:
            for number, frame in enumerate(frames):
                renderer.draw(frame, number)
        except cv2.error as error:
            raise EngineError(f"the living engine could not draw the picture: {error}") from error
        return frames
