"""What ``bench/living.py`` found: a line of JSON for each clip, and the table of all of them."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Found:
    """What was measured in one clip.

    Attributes:
        verdict: of ``vivant verify``'s checks.
        failed: names of the checks that failed or warned.
        lids: smallest gap between the lids over the first frame's, left and right eye; None
            without a blink. It is the gap that the picture shows (``FaceMesh.lid_gaps``).
        apertures: the same of ``FaceMesh.apertures``, which count depth: shut eyes of people
            have 0.3 to 0.4 of their open value.
        open_again: the same in the last frame.
        turn: largest change of the head's yaw, degrees.
        rise: of the shoulders, percent of the picture's height.
        identity: mean of the check ``identity_mean``.
        notes: of the engine, without the general ones.
    """

    verdict: str
    failed: tuple[str, ...]
    lids: tuple[float, float] | None
    apertures: tuple[float, float] | None
    open_again: tuple[float, float] | None
    turn: float | None
    rise: float | None
    identity: float | None
    notes: tuple[str, ...]
    seconds: float

    def row(self) -> list[str]:
        """As cells of a table."""

        def pair(values: tuple[float, float] | None) -> str:
            return "–" if values is None else f"{values[0]:.2f} / {values[1]:.2f}"

        def number(value: float | None, form: str) -> str:
            return "–" if value is None else format(value, form)

        verdict = self.verdict + (f" ({', '.join(self.failed)})" if self.failed else "")
        return [
            verdict, pair(self.lids), pair(self.open_again),
            number(self.turn, ".1f"), number(self.rise, ".2f"), number(self.identity, ".2f"),
            " ".join(self.notes),
        ]  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """One line of the results: a picture of the list, and what was found, or why not."""

    number: int
    group: str
    name: str
    found: Found | None
    error: str = ""

    def json(self) -> str:
        """In one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def of(cls, line: str) -> Clip:
        """From :meth:`json`."""
        values: dict[str, Any] = json.loads(line)
        found = values.pop("found")
        return cls(found=Found(**found) if found else None, **values)


def table(clips: list[Clip]) -> str:
    """The clips in Markdown: a summary, and a row for each."""
    measured = [(clip, clip.found) for clip in clips if clip.found]
    lids = [sum(found.lids) / 2 for _, found in measured if found.lids]
    turns = [found.turn for _, found in measured if found.turn is not None]
    rises = [found.rise for _, found in measured if found.rise is not None]
    alike = [found.identity for _, found in measured if found.identity is not None]
    verdicts = [found.verdict for _, found in measured]
    good = len(clips) - verdicts.count("fail") - (len(clips) - len(measured))
    summary = [
        ("no check fails",
         f"{good} of {len(clips)} ({100 * good / max(1, len(clips)):.1f} %); "
         f"{verdicts.count('pass')} pass, "
         f"{good - verdicts.count('pass')} with something to look at"),
        ("lids, gap over the open eye's, mean of both eyes",
         f"{_median(lids, '.2f')}; under 0.25 in "
         f"{sum(value < 0.25 for value in lids)} of {len(lids)} that blink"),
        ("turn of the head", f"{_median(turns, '.1f')}°; at least 1.5° in "
         f"{sum(value >= 1.5 for value in turns)} of {len(turns)}"),
        ("shoulders rise, percent of the height", f"{_median(rises, '.2f')}; at least 0.3 in "
         f"{sum(value >= 0.3 for value in rises)} of {len(rises)}"),
        ("identity, mean of the clip", f"{_median(alike, '.2f')}; at least 0.75 in "
         f"{sum(value >= 0.75 for value in alike)} of {len(alike)}"),
    ]  # fmt: skip
    lines = ["| | |", "|---|---|", *(f"| {what} | {value} |" for what, value in summary), ""]
    lines.append("| # | group | package, file | checks | lids, left / right | lids at the end "
                 "| turn, ° | rise, % | identity | notes |")  # fmt: skip
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    for clip in clips:
        cells = clip.found.row() if clip.found else [f"not made ({clip.error})", *[""] * 6]
        lines.append(f"| {clip.number} | {clip.group} | {clip.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _median(values: list[float], form: str) -> str:
    return "median " + (format(statistics.median(values), form) if values else "–")
