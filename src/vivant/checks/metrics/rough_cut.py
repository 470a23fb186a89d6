"""The person cut out of a frame, computed once for all checks of one thread that ask for it."""

from __future__ import annotations

from typing import Final

from vivant.checks.frame import AnalyzedFrame, Reference, reduced
from vivant.picture.matte import Matte, rough_matte

CUT_FROM: Final = 512
"""Pixels; longest side of the frames that the person is cut out of."""

PERSON: Final = 0.2
"""Of the matte, from which a place may show the person."""


def rough_cut(frame: AnalyzedFrame) -> Matte:
    """The matte of a frame, square; kept in the frame's cache."""
    if "rough_cut" not in frame.cache:
        frame.cache["rough_cut"] = rough_matte(reduced(frame.halved, CUT_FROM))
    found: Matte = frame.cache["rough_cut"]
    return found


def picture_cut(reference: Reference) -> Matte:
    """The matte of the picture, made as a frame's is."""
    return rough_matte(reduced(reference.halved, CUT_FROM))
