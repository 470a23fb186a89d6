"""The options of engines and upscalers, checked before a job is accepted."""

from __future__ import annotations

from vivant.engines import options_of
from vivant.errors import OptionError
from vivant.types import Request
from vivant.upscalers import UPSCALERS


def check_options(request: Request) -> None:
    """Refuse options that the request's engine does not have, and unknown upscalers.

    Raises:
        OptionError: naming the option.
    """
    options_of(request.engine).from_request(request)
    if request.upscaler not in ("auto", *UPSCALERS):
        raise OptionError(
            f"upscaler {request.upscaler[:40]!r} is unknown: choose auto or one of "
            f"{', '.join(UPSCALERS)}",
            param="upscaler",
        )
