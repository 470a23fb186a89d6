"""Names under which browsers save a clip's files: the picture's name, the mood, and the seed."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from vivant.service.job import Job

LONGEST: Final = 60
"""Characters of the picture's name."""

ENDINGS: Final = {
    "video": ".mp4",
    "thumbnail": "-thumbnail.jpg",
    "contact_sheet": "-frames.jpg",
    "spritesheet": "-frames.jpg",
    "reference": "-picture.jpg",
    "report": "-report.json",
    "report_html": "-report.html",
    "source": "-original",
}

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|%;\s]+')
"""Not allowed in a file name of some system, or awkward in one."""


def file_stem(job: Job) -> str:
    """For example ``eileen-collins-warm-7``, without an ending."""
    options = job.request["options"]
    picture = PurePath(job.picture.get("name") or "").stem
    picture = _FORBIDDEN.sub("-", picture)[:LONGEST].strip("-.") or "vivant"
    mood = str(options.get("preset") or options.get("move") or "auto")
    parts = [picture, _FORBIDDEN.sub("-", mood)[:LONGEST], str(job.request["seed"])]
    return "-".join(part for part in parts if part != "auto")


def disposition(job: Job, variant: str) -> str:
    """``Content-Disposition`` of a file to save; names in other scripts as RFC 6266 writes them."""
    name = file_stem(job) + ENDINGS[variant]
    plain = name.encode("ascii", "ignore").decode().strip("-. ") or f"{job.id}{ENDINGS[variant]}"
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
