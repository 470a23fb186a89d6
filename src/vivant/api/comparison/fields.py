"""The fields of a comparison → a plan whose clips this service can make.

A variant is checked like the fields of a single clip: :class:`vivant.api.schemas.VideoFields`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vivant.api.engine_options import check_options
from vivant.api.schemas import MAX_PICTURES, ComparisonFields, VideoFields
from vivant.errors import OptionError, printable
from vivant.request_fields import whole_number
from vivant.service.adapters import check_adapters
from vivant.settings import Settings
from vivant.types import Request

LONGEST_MESSAGE = 300
"""Characters of an error, which may quote what was sent."""


@dataclass(frozen=True, slots=True)
class PlannedComparison:
    """A comparison without its pictures.

    Attributes:
        plan: a :class:`vivant.compare.plan.ComparisonPlan`.
        requests: variant → the request for its clips, whose seed is not set.
    """

    plan: Any
    requests: Mapping[str, Request]
    currency: str | None
    priority: str

    @property
    def clips(self) -> int:
        """Of each picture."""
        return len(self.requests) * len(self.plan.seeds)


def read_plan(values: Mapping[str, Any], settings: Settings) -> PlannedComparison:
    """Check the fields.

    Raises:
        OptionError: naming the field, or the key of a variant.
    """
    try:
        return _read(values, settings)
    except OptionError as error:
        message = _shown(error.message, LONGEST_MESSAGE)
        param = None if error.param is None else _shown(error.param, 60)
        raise OptionError(message, code=error.error_code, param=param) from None


def _read(values: Mapping[str, Any], settings: Settings) -> PlannedComparison:
    from vivant.compare import plan_file  # brings OpenCV

    fields = ComparisonFields.read(values)
    plan = _plan(fields, plan_file)
    if fields.seeds is not None:
        plan = replace(plan, seeds=plan_file.read_seeds(_decoded(fields.seeds)))
    clip = VideoFields.read(
        {
            "num_frames": plan.num_frames if fields.num_frames is None else fields.num_frames,
            "size": fields.size or f"{plan.width}x{plan.height}",
            "currency": fields.currency,
        }
    ).to_request(b"", settings)
    plan = replace(plan, num_frames=clip.num_frames, width=clip.width, height=clip.height)
    requests = {v.name: _request(plan, v, settings) for v in plan.variants}
    return PlannedComparison(plan, requests, fields.currency, fields.priority)


def _plan(fields: ComparisonFields, plan_file: Any) -> Any:
    """The preset, or what ``variants`` says: TOML or JSON as text, or a JSON object."""
    inline = _decoded(fields.variants)
    if (fields.preset is None) == (inline is None):
        raise OptionError(
            "give either a preset or variants: /v1/comparisons/presets lists the presets",
            code="missing_field" if inline is None else None,
            param="preset",
        )
    if fields.preset is not None:
        return plan_file.preset(fields.preset)
    if isinstance(inline, str):
        plan = plan_file.parse_plan(inline, "variants")
    elif isinstance(inline, Mapping):
        plan = plan_file.build_plan(inline, "variants")
    else:
        raise OptionError(
            'variants is neither TOML nor an object {"compare": {…}, "variant": [{…}, {…}]}',
            param="variants",
        )
    if plan.title["en"] == "variants":  # it has no title of its own
        words = [plan.called(v.name) for v in plan.variants]
        title = {code: " / ".join(w[code] for w in words)[:200] for code in ("en", "ko")}
        plan = replace(plan, title=title)
    return plan


def _request(plan: Any, variant: Any, settings: Settings) -> Request:
    """The request for a variant's clips, checked like one for a single clip."""
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
        request = VideoFields.read(fields).to_request(b"", settings)
        check_options(request)
        check_adapters(request, settings)
    except OptionError as error:
        param = "engine" if error.param == "model" else error.param
        raise OptionError(
            f"variant {variant.name!r}: {error.message}", code=error.error_code, param=param
        ) from None
    return request


def picture_count(fields: dict[str, Any], sent: int) -> int:
    """How many pictures an estimate is for: those it came with, or its field ``pictures``.

    Args:
        fields: ``pictures`` is taken out.
        sent: pictures it came with.

    Raises:
        OptionError: outside 1…20.
    """
    given = fields.pop("pictures", sent or 1)
    try:
        count = whole_number(given)
    except ValueError:
        count = 0
    if not isinstance(count, int) or not 1 <= count <= MAX_PICTURES:
        raise OptionError(f"pictures is not a number within 1…{MAX_PICTURES}", param="pictures")
    return count


def _decoded(value: Any) -> Any:
    """Forms bring text: JSON in it is decoded, all else (TOML) stays text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _shown(text: str, longest: int) -> str:
    shown = printable(text[:longest])
    return shown if len(text) <= longest else f"{shown}…"
