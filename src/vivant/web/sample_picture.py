"""A picture to try the page with: the one of ``vivant demo``."""

from __future__ import annotations

import hashlib
from functools import cache

from vivant.errors import MissingPartError
from vivant.picture.sample import demo_image
from vivant.web.files import Asset


@cache
def sample() -> Asset | None:
    """The picture, None where it is not installed."""
    try:
        body = demo_image()
    except MissingPartError:
        return None
    return Asset(body, "image/png", f'"{hashlib.sha256(body).hexdigest()[:32]}"')
