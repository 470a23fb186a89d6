"""Choose the part of a picture to show: as large as the aspect allows, around the heads."""

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

AIR = 0.1
"""Heights of the crop above a head whose face was not found."""

COMPANION = 0.35
"""Height of the largest face from which another one belongs to the people of the picture; smaller
ones are in the background, or on a wall."""


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
    width: int,
    height: int,
    faces: tuple[Face, ...],
    aspect: float,
    head_at: tuple[float, float] | None = None,
) -> tuple[Box, str | None]:
    """The largest box of ``aspect`` in ``width`` × ``height``, placed around the faces.

    One side of it is a side of the picture; along the other it slides on whole pixels, so that
    a crop of the clip's own size is shown untouched. It holds the head of the first face and, of
    the others (see :data:`COMPANION`), as many as the shape can hold.

    Args:
        width: of the picture, pixels.
        height: of the picture, pixels.
        faces: in pixels of the picture, the largest first.
        aspect: width of the crop over its height.
        head_at: where no face was found, the middle and the highest point of a head (see
            :func:`vivant.picture.matte.head_place`).

    Returns:
        The crop, and a sentence where it cuts a head that the picture shows.
    """
    crop = cover_crop(width, height, aspect)
    if not faces:
        return _without_a_face(width, height, crop, head_at), None

    face = faces[0]
    people = [one for one in faces if one.box.height >= COMPANION * face.box.height]
    held = _held(people, width, height, crop)
    group = _union([head(one) for one in held])
    whole = head(face)
    room = face.box.height
    eyes = sum(y for _, y in face.landmarks[:4]) / 4
    left, cut_across = _slide(
        width,
        crop.width,
        group.center[0] - crop.width / 2,
        [(group.left, group.right), (whole.left, whole.right), (face.box.left, face.box.right)],
    )
    top, cut_down = _slide(
        height,
        crop.height,
        eyes - EYE_LINE * crop.height,
        [
            (group.top - ROOM_ABOVE * room, group.bottom + ROOM_BELOW * room),
            (group.top, group.bottom),
            (whole.top, whole.bottom),
            (face.box.top, whole.bottom),
        ],
    )
    placed = Box(left, top, crop.width, crop.height)
    if cut_across or cut_down:
        return placed, (
            "the clip's shape cannot hold the whole head in this picture, so hair or chin is cut: "
            "use a picture with more space around the head, or another aspect"
        )
    outside = sum(not _shows(placed, one.box, width, height) for one in people[1:])
    if outside:
        return placed, (
            f"the clip's shape cannot hold all {len(people)} faces, so {outside} of them "
            f"{'is' if outside == 1 else 'are'} cut or left out: use another aspect, or crop the "
            "picture yourself"
        )
    return placed, None


def _without_a_face(width: int, height: int, crop: Box, head_at: tuple[float, float] | None) -> Box:
    """Around the head of a person.

    Without one: the top of a tall picture, where heads are; of others a little above the middle.
    """
    if head_at is not None:
        x, y = head_at
        left = _whole(x - crop.width / 2, width - crop.width)
        top = _whole(y - AIR * crop.height, height - crop.height)
        return Box(left, top, crop.width, crop.height)
    share = 0.0 if height > width else NO_FACE_TOP
    top = _whole(share * (height - crop.height), height - crop.height)
    return Box(_whole(crop.left, width - crop.width), top, crop.width, crop.height)


def _held(people: list[Face], width: int, height: int, crop: Box) -> list[Face]:
    """The first face, and those others whose heads fit into the crop together with it."""
    held = people[:1]
    for face in people[1:]:
        group = _union([head(one) for one in [*held, face]])
        across = min(group.right, width) - max(group.left, 0)
        down = min(group.bottom, height) - max(group.top, 0)
        if across <= crop.width and down <= crop.height:
            held.append(face)
    return held


def _union(boxes: list[Box]) -> Box:
    """The smallest box around all."""
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
    return Box(left, top, right - left, bottom - top)


def _shows(crop: Box, face: Box, width: int, height: int) -> bool:
    """Whether the crop holds all of a face that the picture has, up to a pixel."""
    return (
        crop.left - 1 <= max(face.left, 0)
        and min(face.right, width) <= crop.right + 1
        and crop.top - 1 <= max(face.top, 0)
        and min(face.bottom, height) <= crop.bottom + 1
    )


def _slide(
    span: float, inner: float, ideal: float, keep: list[tuple[float, float]]
) -> tuple[float, bool]:
    """Start of a window of length ``inner`` in ``0 … span``, and whether it cuts the head.

    ``keep`` names ever smaller parts. The first one that fits is kept whole, with the window as
    near to ``ideal`` as that allows. Where none fits, the last one is centred. What lies outside
    the picture does not count. The head of the first face is the last but one.
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
