"""Two sample portraits: the sharp one of ``vivant demo`` and of the page, and a small one."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from vivant.errors import MissingPartError

DEMO_AUTHORS: Final = "Ruby Mizrahi / Wikimedia Foundation"
DEMO_SOURCE: Final = "https://commons.wikimedia.org/wiki/File:Christophe_Henner_-_June_2016.jpg"
DEMO_LICENCE: Final = ("CC BY-SA 3.0", "https://creativecommons.org/licenses/by-sa/3.0/")
DEMO_CREDIT: Final = f"Christophe Henner, photo {DEMO_AUTHORS}, {DEMO_LICENCE[0]}"


@cache
def demo_picture() -> bytes:
    """A JPEG of 2400×1600 pixels: a clip of 1920×1080 does not enlarge it (see NOTICE).

    Raises:
        MissingPartError: its file is not there.
    """
    path = Path(__file__).parent / "samples" / "portrait.jpg"
    if not path.is_file():
        raise MissingPartError(f"{path.name} is missing: reinstall Vivant, it is part of it")
    return path.read_bytes()


@cache
def sample_picture() -> bytes:
    """A PNG of 512×512 pixels: Eileen Collins (NASA, public domain), which ships in scikit-image.

    Read as a file: importing scikit-image takes half a second.

    Raises:
        MissingPartError: scikit-image is not installed, or without its data.
    """
    found = find_spec("skimage")
    for folder in found.submodule_search_locations or () if found else ():
        path = Path(folder) / "data" / "astronaut.png"
        if path.is_file():
            return path.read_bytes()
    raise MissingPartError(
        "the demonstration portrait is missing: install scikit-image, or give a picture of your own"
    )
