"""Form fields or JSON values → a plan of a comparison that this service can make.

What a variant may be is decided where it is decided for a single clip: :mod:`vivant.api.fields`.
Knows nothing of how the fields arrived, nor of pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from vivant.api.fields import read_fields
from vivant.api.models import check_options
from vivant.errors import OptionError, printable
from vivant.service.adapters import check_adapters
from vivant.settings import Settings
from vivant.types import Request

T = TypeVar("T")

KNOWN = frozenset(
    {"preset", "variants", "seeds", "num_frames", "size", "currency", "priority", "pictures"}
)

SHARED = ("num_frames", "size", "currency", "priority")
"""Fields that are those of a single clip."""

LONGEST_MESSAGE = 300
"""Characters of an error; what was sent may be much longer."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A comparison without its pictures.

    Attributes:
        plan: a :class:`vivant.compare.plan.Plan`.
        requests: variant → what its clips are, but for the seed.
    """

    plan: Any
    requests: Mapping[str, Request]
    currency: str | None
    priority: str

    @property
    def clips(self) -> int:
        """Of each picture."""
        return len(self.requests) * len(self.plan.seeds)


def read_plan(given: Mapping[str, Any], settings: Settings) -> Asked:
    """Understand the fields.

    Raises:
        OptionError: naming the field or the key of a variant that cannot be.
    """
    return _tidily(lambda: _read(given, settings))


def _read(given: Mapping[str, Any], settings: Settings) -> Asked:
    from vivant.compare import plan_file  # brings OpenCV

    for name in given:
        if name not in KNOWN:
            raise OptionError(
                f"field {name!r} is unknown: what is compared goes into preset or variants",
                code="unknown_field",
                param=name,
            )
    plan = _plan(given, plan_file)
    if "seeds" in given:
        plan = replace(plan, seeds=plan_file.read_seeds(_decoded(given["seeds"])))
    common = read_fields(
        {"num_frames": plan.num_frames, "size": f"{plan.width}x{plan.height}"}
        | {name: given[name] for name in SHARED if name in given},
        settings,
    )
    shape = common.request
    plan = replace(plan, num_frames=shape.num_frames, width=shape.width, height=shape.height)
    requests = {v.name: _request(plan, v, settings) for v in plan.variants}
    return Asked(plan, requests, common.currency, common.priority)


def _plan(given: Mapping[str, Any], plan_file: Any) -> Any:
    """The preset, or what ``variants`` says: TOML or JSON as text, or JSON as it is."""
    asked, inline = given.get("preset"), given.get("variants")
    if (asked is None) == (inline is None):
        raise OptionError(
            "give either a preset or variants: /v1/comparisons/presets lists the presets",
            code="missing_field" if asked is None else None,
            param="preset",
        )
    if asked is not None:
        if not isinstance(asked, str):
            raise OptionError("preset is not text", param="preset")
        return plan_file.preset(asked)
    inline = _decoded(inline)
    if isinstance(inline, str):
        plan = plan_file.parse_plan(inline, "variants")
    elif isinstance(inline, Mapping):
        plan = plan_file.build_plan(inline, "variants")
    else:
        raise OptionError(
            'variants is neither TOML nor an object {"compare": {…}, "variant": [{…}, {…}]}',
            param="variants",
        )
    if plan.title["en"] == "variants":  # nobody gave it one
        words = [plan.called(v.name) for v in plan.variants]
        title = {code: " / ".join(w[code] for w in words)[:200] for code in ("en", "ko")}
        plan = replace(plan, title=title)
    return plan


def _request(plan: Any, variant: Any, settings: Settings) -> Request:
    """What a variant's clips are, held to what single clips are held to."""
    fields = {
        "model": variant.engine,
        "upscaler": variant.upscaler,
        "quality": variant.quality,
        "prompt": variant.prompt,
        "negative_prompt": variant.negative_prompt,
        "options": dict(variant.options),
        "num_frames": plan.num_frames,
        "fps": str(plan.fps),
        "size": f"{plan.width}x{plan.height}",
    }
    try:
        request = read_fields(fields, settings).request
        check_options(request)
        check_adapters(request, settings)
    except OptionError as error:
        param = "engine" if error.param == "model" else error.param
        raise OptionError(
            f"variant {variant.name!r}: {error.message}", code=error.error_code, param=param
        ) from None
    return request


def _decoded(value: Any) -> Any:
    """Forms bring text: JSON in it is what it says, all else (TOML) stays text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _tidily(work: Callable[[], T]) -> T:
    """Errors may quote what was sent: no longer than is useful, and printable."""
    try:
        return work()
    except OptionError as error:
        message = _shown(error.message, LONGEST_MESSAGE)
        param = None if error.param is None else _shown(error.param, 60)
        raise OptionError(message, code=error.error_code, param=param) from None


def _shown(text: str, longest: int) -> str:
    shown = printable(text[:longest])
    return shown if len(text) <= longest else f"{shown}…"
