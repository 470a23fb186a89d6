"""A picture to try the page with: the portrait of Eileen Collins that ships in scikit-image.

NASA, public domain. Read as a file: importing scikit-image takes seconds.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from vivant.web.files import Asset


@cache
def sample() -> Asset | None:
    """The picture, None where it is not installed."""
    found = find_spec("skimage")
    for folder in found.submodule_search_locations or () if found else ():
        path = Path(folder) / "data" / "astronaut.png"
        if path.is_file():
            body = path.read_bytes()
            return Asset(body, "image/png", f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return None
