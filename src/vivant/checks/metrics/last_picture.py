"""Is the person at the end the one in the picture that was given for the last frame."""

from __future__ import annotations

from typing import Final

from vivant.checks.face_tracker import faces_in_frame
from vivant.checks.limits import limits
from vivant.checks.metric import CannotMeasure, Spec, judged, unmeasured
from vivant.picture.faces import FaceReader, distance
from vivant.picture.framing import crop_pixels, face_in_frame
from vivant.types import Image, Portrait, Score

LAST_PICTURE: Final = Spec("identity_last_picture", "fidelity")


def last_picture_score(frame: Image, index: int, last: Portrait, reader: FaceReader) -> Score:
    """The finished last frame beside its picture, by the limits of the first frame and its own.

    Args:
        frame: the last one, ``[H, W, 3]``.
        index: its number.
        last: the picture it was made towards.
        reader: used by this thread alone.
    """
    height, width = frame.shape[:2]
    known = [face for face in last.faces if not face.covered]
    if not known:
        return unmeasured(LAST_PICTURE, CannotMeasure("no_face_in_picture"))
    wanted = face_in_frame(known[0], last.crop, width, height)
    expected = reader.embed(crop_pixels(last, width, height), wanted)
    faces = faces_in_frame(reader, frame)
    if not faces:
        return unmeasured(LAST_PICTURE, CannotMeasure("no_face_in_last_frame"))
    face = max(faces, key=lambda one: one.box.shared_area(wanted.box))
    found = reader.embed(frame, face)
    return judged(
        LAST_PICTURE,
        1 - distance(expected, found),
        frame=index,
        region=face.box,
        limit=limits()["identity_first_frame"],
    )
