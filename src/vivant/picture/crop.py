"""Choose the part of a picture to show: as large as the aspect allows, around the head.

Knows nothing of files or pixels, only of sides and face boxes.
"""

from __future__ import annotations

from vivant.grid import cover_crop
from vivant.types import Box, Face

HEAD_ABOVE = 0.75
"""Face boxes from the box's top to the top of the hair. Measured on seven portraits (the
demonstration one and six clips' first frames): 0.47, 0.50, 0.53, 0.57, 0.62, 0.63, 0.75."""

HEAD_BELOW = 0.2
"""Face boxes from the box's bottom to below the chin; measured 0.00 … 0.16 on the same."""

HEAD_SIDE = 0.4
"""Face boxes from the box's side to the outline of the hair; measured up to 0.39 on the same."""

ROOM_ABOVE, ROOM_BELOW = 0.2, 0.5
"""Face boxes of air above the hair and of shoulders below the chin, where the picture has them."""

EYE_LINE = 0.4
"""Eyes stand at this part of the frame's height where nothing speaks against it."""

NO_FACE_TOP = 0.4
"""Without a face, this part of what has to go is cut at the top: a little above the centre."""


def head(face: Face) -> Box:
    """Hair to chin, ear to ear, estimated from the face's box (brow to chin)."""
    box = face.box
    return Box(
        box.left - HEAD_SIDE * box.width,
        box.top - HEAD_ABOVE * box.height,
        box.width * (1 + 2 * HEAD_SIDE),
        box.height * (1 + HEAD_ABOVE + HEAD_BELOW),
    )


def choose_crop(
    width: int, height: int, faces: tuple[Face, ...], aspect: float
) -> tuple[Box, str | None]:
    """The largest box of ``aspect`` in ``width`` × ``height``, placed around the first face.

    One side of it is a side of the picture; along the other it slides on whole pixels, so that
    a crop of the clip's own size is shown untouched.

    Returns:
        The crop, and a sentence where it cuts the head that the picture shows.
    """
    crop = cover_crop(width, height, aspect)
    if not faces:
        top = _whole(NO_FACE_TOP * (height - crop.height), height - crop.height)
        left = _whole(crop.left, width - crop.width)
        return Box(left, top, crop.width, crop.height), None

    face = faces[0]
    whole = head(face)
    room = face.box.height
    eyes = sum(y for _, y in face.landmarks[:4]) / 4
    left, cut_across = _slide(
        width,
        crop.width,
        whole.center[0] - crop.width / 2,
        [(whole.left, whole.right), (face.box.left, face.box.right)],
    )
    top, cut_down = _slide(
        height,
        crop.height,
        eyes - EYE_LINE * crop.height,
        [
            (whole.top - ROOM_ABOVE * room, whole.bottom + ROOM_BELOW * room),
            (whole.top, whole.bottom),
            (face.box.top, whole.bottom),
        ],
    )
    warning = None
    if cut_across or cut_down:
        warning = (
            "the clip's shape cannot hold the whole head in this picture, so hair or chin is cut: "
            "use a picture with more space around the head, or another aspect"
        )
    return Box(left, top, crop.width, crop.height), warning


def _slide(
    span: float, inner: float, ideal: float, keep: list[tuple[float, float]]
) -> tuple[float, bool]:
    """Start of a window of length ``inner`` in ``0 … span``, and whether it cuts the head.

    ``keep`` names ever smaller parts; the first one that fits is kept whole, with the window as
    near to ``ideal`` as that allows, and where none fits the last one is centred. What lies
    outside the picture is nobody's loss. The head is the last but one.
    """
    inside = [(max(0.0, low), min(span, high)) for low, high in keep]
    for low, high in inside:
        if high - low <= inner:
            start = min(max(ideal, high - inner), low)
            break
    else:
        low, high = inside[-1]
        start = (low + high - inner) / 2
    start = _whole(start, span - inner)
    low, high = inside[-2]
    return start, low < start - 1 or high > start + inner + 1


def _whole(start: float, room: float) -> float:
    """``start`` on a whole pixel where there is room to move, within ``0 … room``."""
    return float(min(max(round(start), 0), int(room)))
