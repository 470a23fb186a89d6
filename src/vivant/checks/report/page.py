"""Fill the page: pictures, plots and answers.

The clip is inside the page as base64 up to :data:`EMBED_LIMIT`, so that the page can be sent as
one file; a larger one is linked beside it, because browsers choke on data URLs of that size.
Frames are decoded again from the clip, only those that are shown.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final, TextIO

import cv2
import jinja2
import numpy as np

from vivant.checks.checklist import Answer, answers, group_title, title, unit_word, verdict_word
from vivant.checks.frame import clipped, reduced
from vivant.checks.report.plot import Plot, plot
from vivant.checks.report.summary import summary
from vivant.checks.sentences import reason, translated
from vivant.errors import OptionError, OutputError
from vivant.page_template import page_template
from vivant.picture.framing import crop_pixels
from vivant.types import Box, Group, Image, Portrait, Score, Verification
from vivant.video.reader import frames_at
from vivant.web.theme import report_theme

EMBED_LIMIT: Final = 32_000_000
"""Bytes of a clip that is put inside the page; the user's clips have about 20 MB."""

CLIP_MARK: Final = "\0clip\0"
"""Stands for the bytes of the clip: with them the text of a long clip's page takes 100 MB."""

PIECE: Final = 3 << 18
"""Bytes of the clip that are encoded at once; a multiple of three, so that base64 has no gaps."""

SHOWN_SIDE: Final = 960
"""Pixels; longest side of the pictures in the page."""

MOST_FRAMES: Final = 6
"""Frames shown beside the input."""

FEWEST_FRAMES: Final = 2
"""Frames shown of a clip without trouble."""

MOST_LINES: Final = 3
"""Answers under a frame that has no trouble."""

AROUND: Final = 2.2
"""How many times a region is the view around it."""

NEAREST_VIEW: Final = 0.45
"""Share of the frame that a view shows at least."""

_PLAIN: Final = ("frame_difference_max", "frame_difference_mean", "motion", "motion_speed")
"""Scores whose frame shows nothing."""

_ORDER: Final = {"fail": 0, "warn": 1, "pass": 2, "not_measured": 3}
_MARKS: Final = {"pass": "✓", "warn": "!", "fail": "✕", "not_measured": "–"}
_GROUPS: Final[tuple[Group, ...]] = ("fidelity", "quality", "ai_feel", "delivery", "performance")


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame shown beside the input, with what is to be seen in it."""

    frame: int
    seconds: float
    picture: str
    before: str
    scores: tuple[Score, ...]
    region: tuple[float, float, float, float] | None


def check_page(path: Path) -> None:
    """Refuse a place for the page before any work: above all a clip or a picture in the way.

    Raises:
        OptionError: the name does not end in ``.html``.
        OutputError: its folder is not there.
    """
    if path.suffix.lower() not in (".html", ".htm") or path.is_dir():
        raise OptionError(
            f"{path} is no name of a page, and would be replaced by it: name a file that ends in "
            ".html",
            param="html",
        )
    if not path.parent.is_dir():
        raise OutputError(
            f"{path} cannot be written: there is no folder {path.parent}; choose another place "
            "for the page",
            param="html",
        )


def write_html(
    verification: Verification,
    portrait: Portrait,
    clip: Path,
    path: Path,
    *,
    name: str = "",
    href: str = "",
    reference: Image | None = None,
    frame: Callable[[int], Image | None] | None = None,
) -> None:
    """Write the page.

    Args:
        verification: what was found.
        portrait: the input picture.
        clip: the file that was verified.
        path: of the page; an existing one is replaced.
        name: shown as the page's title; the clip's file name where empty.
        href: where a clip too large to embed will be; its place now where empty.
        reference: the picture at the clip's size, where that is drawn already.
        frame: gives frames of the clip that are in memory; the others are decoded.

    Raises:
        ClipError: the clip cannot be read any more.
        OutputError: the page cannot be written.
    """
    if reference is None:
        facts = verification.facts
        reference = crop_pixels(portrait, facts.width, facts.height)
    text = render(verification, reference, clip, path.parent, name=name, href=href, frame=frame)
    before, mark, after = text.partition(CLIP_MARK)
    try:
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".vivant-", suffix=".html")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(before)
                if mark:
                    _write_base64(clip, file)
                file.write(after)
            Path(partial).chmod(0o644)
            Path(partial).replace(path)
        finally:
            Path(partial).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror}; choose another place for the page",
            param="html",
        ) from error


def render(
    verification: Verification,
    reference: Image,
    clip: Path,
    folder: Path,
    *,
    name: str = "",
    href: str = "",
    frame: Callable[[int], Image | None] | None = None,
) -> str:
    """The page as text; an embedded clip's bytes go where :data:`CLIP_MARK` is.

    ``folder`` is where the page will stand, for a link to a large clip.
    """
    facts = verification.facts
    found = answers(verification)
    chosen = _chosen(verification)
    embedded = facts.size_bytes <= EMBED_LIMIT
    counted = [answer for answer in found if answer.scores]
    with ThreadPoolExecutor(8, "vivant-page") as pool:  # a clip is waiting for its page
        pictures = {
            index: pixels
            for index in chosen
            if frame is not None and (pixels := frame(index)) is not None
        }
        decoding = pool.submit(frames_at, clip, chosen.keys() - pictures)
        poster = pool.submit(_jpeg, reference)
        if embedded:
            source = f"data:{_kind(clip)};base64,{CLIP_MARK}"
        else:
            source = _quoted(href) if href else _link(clip, folder)
        plots = _plots(found, facts.num_frames)
        shots = _shots(verification, chosen, pictures | decoding.result(), reference, pool)
    return _template().render(
        name=name or clip.name,
        verdict=verification.verdict,
        five=summary(found),
        knows_person=verification.knows_person,
        counts={v: sum(a.verdict == v for a in found) for v in _ORDER},
        measured=len(counted),
        groups=[
            (group, group_title(group), [a for a in found if a.group == group]) for group in _GROUPS
        ],
        plots=plots,
        shots=shots,
        video=source,
        embedded=embedded,
        poster=poster.result(),
        facts=facts,
        fps=float(facts.fps),
        warnings=[(text, translated(text, "ko")) for text in verification.warnings],
    )


def _plots(found: Iterable[Answer], num_frames: int) -> list[tuple[Score, Plot]]:
    out = []
    for answer in found:
        for score in answer.scores:
            if len(score.series) >= 3:
                limit = score.limit if isinstance(score.limit, int | float) else None
                out.append((score, plot(score.series, limit, score.frame, num_frames)))
    return out


def _chosen(verification: Verification) -> dict[int, list[Score]]:
    """The frames that answers point at: all that are troubled, else the two that are furthest."""
    by_frame: dict[int, list[Score]] = {}
    pointing = [s for s in verification.scores if s.frame is not None and s.name not in _PLAIN]
    pointing.sort(key=lambda s: (_ORDER[s.verdict], _marked(s) is None))
    for score in pointing:
        frame = score.frame or 0
        troubled = score.verdict in ("fail", "warn")
        most = MOST_FRAMES if troubled else FEWEST_FRAMES
        known = by_frame.get(frame, [])
        calm = not known or known[0].verdict not in ("fail", "warn")  # sorted: the worst is first
        room = troubled or (calm and len(known) < MOST_LINES)
        if (known or len(by_frame) < most) and room:
            by_frame.setdefault(frame, []).append(score)
    return by_frame


def _shots(
    verification: Verification,
    chosen: Mapping[int, list[Score]],
    pictures: Mapping[int, Image],
    reference: Image,
    pool: ThreadPoolExecutor,
) -> list[Shot]:
    """Each chosen frame beside the input, with what is to be seen in it."""
    width, height = verification.facts.width, verification.facts.height

    def shot(frame: int) -> tuple[Shot, Future[str], Future[str]]:
        scores = chosen[frame]
        box = next((box for s in scores if (box := _marked(s)) is not None), None)
        view = _around(box, width, height)
        left, top, right, bottom = clipped(view, width, height)
        region = None
        if box is not None:
            x, y = (box.left - left) / (right - left), (box.top - top) / (bottom - top)
            x, y = max(0.0, x), max(0.0, y)
            x_end = min(1.0, (box.right - left) / (right - left))
            y_end = min(1.0, (box.bottom - top) / (bottom - top))
            region = (100 * x, 100 * y, 100 * (x_end - x), 100 * (y_end - y))
        seconds = frame / float(verification.facts.fps)
        return (
            Shot(frame, seconds, "", "", tuple(scores), region),
            pool.submit(_jpeg, pictures[frame][top:bottom, left:right]),
            pool.submit(_jpeg, reference[top:bottom, left:right]),
        )

    drawn = [shot(frame) for frame in sorted(chosen) if frame in pictures]
    return [
        replace(one, picture=picture.result(), before=before.result())
        for one, picture, before in drawn
    ]


def _marked(score: Score) -> Box | None:
    """The region to mark: where the trouble is, or the face; not where there might be a seam."""
    troubled = score.verdict in ("fail", "warn")
    return score.region if troubled or score.group == "fidelity" else None


def _around(box: Box | None, width: int, height: int) -> Box:
    """A view of the clip's aspect around a region; the whole frame where there is none."""
    if box is None:
        return Box(0, 0, width, height)
    share = min(1.0, max(NEAREST_VIEW, AROUND * max(box.width / width, box.height / height)))
    wide, high = width * share, height * share
    x = min(max(box.center[0] - wide / 2, 0), width - wide)
    y = min(max(box.center[1] - high / 2, 0), height - high)
    return Box(x, y, wide, high)


def _jpeg(pixels: Image) -> str:
    small = np.ascontiguousarray(reduced(pixels, SHOWN_SIDE)[..., ::-1])
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 88])
    return _data_url(data.tobytes(), "image/jpeg")


def _data_url(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _write_base64(clip: Path, page: TextIO) -> None:
    with clip.open("rb") as file:
        while piece := file.read(PIECE):
            page.write(base64.b64encode(piece).decode("ascii"))


def _kind(clip: Path) -> str:
    kinds = {".webm": "video/webm", ".mkv": "video/x-matroska", ".mov": "video/quicktime"}
    return kinds.get(clip.suffix.lower(), "video/mp4")


def _link(clip: Path, folder: Path) -> str:
    """Relative to the page where that is possible, so that both can be moved together."""
    try:
        relative = os.path.relpath(clip.resolve(), folder.resolve())
    except ValueError:  # another drive
        return clip.resolve().as_uri()
    return "/".join(_quoted(part) for part in Path(relative).parts)


def _quoted(part: str) -> str:
    from urllib.parse import quote

    return quote(part)


def _number(value: float | str | None) -> str:
    """For people: three significant figures."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    return f"{value:.0f}" if value == 0 or abs(value) >= 100 else f"{value:.3g}"


def _korean(score: Score) -> str:
    return reason(score.facts, "ko") if "message" in score.facts else score.reason


@cache
def _template() -> jinja2.Template:
    return page_template(
        "vivant.checks",
        "page.html.j2",
        folder="report",
        filters={"number": _number, "korean": _korean},
        title=title,
        verdict_word=verdict_word,
        unit_word=unit_word,
        marks=_MARKS,
        theme=report_theme(),
    )
