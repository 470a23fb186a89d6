"""The options of engines and upscalers, checked before a job is accepted."""

from __future__ import annotations

from vivant.errors import OptionError
from vivant.types import Request
from vivant.upscalers import UPSCALERS


def recipes(engine: str) -> list[str]:
    """Names that the option ``recipe`` may have."""
    if engine != "ltx2":
        return []
    from vivant.engines.ltx2.recipes import RECIPES

    return list(RECIPES)


def sound_frames(engine: str) -> int | None:
    """Most frames of a clip with the engine's own sound; None: as many as without."""
    if engine != "ltx2":
        return None
    from vivant.engines.ltx2.recipes import MAX_FRAMES

    return MAX_FRAMES


def check_options(request: Request) -> None:
    """Refuse options that the request's engine does not have, and unknown upscalers.

    Raises:
        OptionError: naming the option.
    """
    if request.engine == "living":
        from vivant.engines.living.options import LivingOptions

        LivingOptions.parse(request.options)
    elif request.engine == "camera":
        from vivant.engines.camera.options import CameraOptions

        CameraOptions.parse(request.options)
    elif request.engine == "ltx2":
        from vivant.engines.ltx2.options import LTX2Options

        LTX2Options.from_request(request)
    elif request.engine == "fake":
        from vivant.engines.fake import FakeOptions

        FakeOptions.parse(request.options)
    if request.upscaler not in ("auto", *UPSCALERS):
        raise OptionError(
            f"upscaler {request.upscaler[:40]!r} is unknown: choose auto or one of "
            f"{', '.join(UPSCALERS)}",
            param="upscaler",
        )
