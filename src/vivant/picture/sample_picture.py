"""The picture of ``vivant demo``: the portrait of Eileen Collins that ships in scikit-image.

NASA, public domain. Read as a file: importing scikit-image takes half a second.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from vivant.errors import MissingPartError


@cache
def sample_picture() -> bytes:
    """A PNG of 512×512 pixels.

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
