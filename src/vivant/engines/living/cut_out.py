"""The people and the background of a picture as two planes, as far as the matte allows."""

from __future__ import annotations

from dataclasses import dataclass

from vivant.engines.camera.canvas import preview_of
from vivant.engines.camera.layers import PLATE_SIDE, Subject, split
from vivant.picture.hair_strands import with_strands
from vivant.picture.matte import (
    Matte,
    MatteError,
    person_matte,
    refuse_patterned,
    refuse_unclear,
)
from vivant.types import Box, Frames, Portrait


@dataclass(frozen=True, slots=True, eq=False)
class CutOut:
    """The people's plane, and what is known about it.

    Attributes:
        subject: None where the picture moves as one plane.
        trust: in the matte; None as above.
        shifts: whether the background may shift against the people.
        note: a sentence for the report if something was not possible, else empty.
    """

    subject: Subject | None
    trust: Matte | None
    shifts: bool
    note: str


def cut_out(
    canvas: Frames, portrait: Portrait, area: Box, *, plate_side: int = PLATE_SIDE
) -> CutOut:
    """Lift the people out of ``canvas``, which becomes the background in place.

    Args:
        canvas: ``[H, W, 3]`` uint8.
        portrait: what the canvas was drawn from.
        area: the part of the picture that the canvas shows, in the picture's pixels.
        plate_side: see :func:`vivant.engines.camera.layers.plate`.
    """
    preview, faces = preview_of(canvas, portrait, area)
    try:
        matte, trust = person_matte(preview, faces)
        subject = split(canvas, preview, with_strands(preview, matte), plate_side)
    except MatteError as error:
        return CutOut(None, None, False, f"The background moves with the person: {error}.")
    try:
        refuse_unclear(matte, trust)
    except MatteError:
        note = (
            "Parts of the outline are unclear: they keep still, and the background does not shift."
        )
        return CutOut(subject, trust, False, note)
    try:
        refuse_patterned(preview, matte)
    except MatteError as error:
        return CutOut(subject, trust, False, f"The background does not shift: {error}.")
    return CutOut(subject, trust, True, "")
