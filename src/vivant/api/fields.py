"""Form fields or JSON values → a Request, in the words of the Videos API and of its peers.

Knows nothing of how the fields arrived, nor of pictures.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from vivant.errors import OptionError
from vivant.grid import ASPECTS, check_fps, check_frames, check_size, frames_for, parse_size
from vivant.service.job import PRIORITIES
from vivant.settings import Settings
from vivant.types import DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT, Quality, Request

MAX_PROMPT = 2_000
MAX_OPTIONS = 50
MAX_SEED = 2**63 - 1
QUALITIES: tuple[Quality, ...] = ("draft", "standard", "high")

KNOWN = frozenset(
    {
        "prompt", "negative_prompt", "model", "recipe", "seconds", "num_frames", "fps", "aspect",
        "size", "width", "height", "seed", "quality", "upscaler", "guidance_scale",
        "num_inference_steps", "lora", "options", "currency", "priority",
        "until_pass", "budget", "batch",
    }
)  # fmt: skip

PEERS = {"num_inference_steps": "steps", "lora": "loras", "recipe": "recipe"}
"""Top-level fields of the API → options of the engine."""

BATCH = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

_NESTED = re.compile(r"(options|lora)\[([A-Za-z0-9_]{1,60})\]")
_PATH = re.compile(r"^[/~.\\]|\.\.|\\|://|^[A-Za-z]:")
_NTSC = {"23.976": Fraction(24000, 1001), "23.98": Fraction(24000, 1001),
         "29.97": Fraction(30000, 1001), "59.94": Fraction(60000, 1001)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request without its picture, and what else was asked for."""

    request: Request
    currency: str | None
    priority: str
    budget: str | None = None
    batch: str | None = None


def read_fields(fields: Mapping[str, Any], settings: Settings) -> Wanted:
    """Understand the fields.

    Raises:
        OptionError: naming the field that cannot be.
    """
    given = _nested(fields)
    for name in given:
        if name not in KNOWN:
            raise OptionError(
                f"field {name[:40]!r} is unknown: /docs lists them, and options of an engine go "
                "into options",
                code="unknown_field",
                param=name[:40],
            )
    engine = _text(given, "model", settings.default_engine, 100)
    if engine not in settings.engines:
        raise OptionError(
            f"model {engine[:40]!r} is unknown: choose one of {', '.join(settings.engines)}",
            code="unknown_model",
            param="model",
        )
    fps = _fps(given)
    width, height = _size(given)
    num_frames = _length(given, fps)
    check_size(width, height)
    check_fps(fps)
    check_frames(num_frames, settings.max_frames)
    quality = _choice(given, "quality", "standard", QUALITIES)
    currency = given.get("currency")
    if currency is not None:
        from vivant.cost import bill

        currency = _text(given, "currency", "", 8).upper()
        bill("cpu", 0.0, currency=currency, exchange=settings.exchange)
    request = Request(
        image=b"",
        prompt=_text(given, "prompt", DEFAULT_PROMPT, MAX_PROMPT),
        negative_prompt=_text(given, "negative_prompt", DEFAULT_NEGATIVE_PROMPT, MAX_PROMPT),
        num_frames=num_frames,
        fps=fps,
        width=width,
        height=height,
        seed=_whole(given, "seed", 0, 0, MAX_SEED),
        engine=engine,
        upscaler=_text(given, "upscaler", "auto", 100),
        quality=quality,
        options=_options(given),
    )
    priority = _choice(given, "priority", "normal", tuple(PRIORITIES))
    budget, batch = _budget(given, settings), given.get("batch")
    if batch is not None and not (isinstance(batch, str) and BATCH.fullmatch(batch)):
        raise OptionError(
            "batch is not 1…64 letters, digits, '-' and '_': any name of your own will do",
            param="batch",
        )
    return Wanted(request, currency, priority, budget, batch)


def _budget(given: Mapping[str, Any], settings: Settings) -> str | None:
    """``until_pass`` with its ``budget``; None where one clip is wanted, passed or not."""
    wanted = given.get("until_pass", False)
    if wanted not in (True, False, "true", "false"):
        raise OptionError("until_pass is neither true nor false", param="until_pass")
    if wanted not in (True, "true"):
        if "budget" in given:
            raise OptionError("budget is for until_pass: give both", param="budget")
        return None
    from vivant.runs.budget import Budget

    text = _text(given, "budget", "", 40)
    Budget.parse(text).check_currency(settings)
    return text


def _nested(fields: Mapping[str, Any]) -> dict[str, Any]:
    """``options[move]=orbit`` of a form → ``{"options": {"move": "orbit"}}``."""
    found: dict[str, Any] = {}
    for name, value in fields.items():
        match = _NESTED.fullmatch(name)
        if match is None:
            if name in found:
                raise OptionError(f"{name} is given in two ways", param=name)
            found[name] = value
            continue
        inner = found.setdefault(match[1], {})
        if not isinstance(inner, dict):
            raise OptionError(f"{match[1]} is given in two ways", param=match[1])
        inner[match[2]] = value
    return found


def _text(given: Mapping[str, Any], name: str, default: str, longest: int) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise OptionError(f"{name} is not text", param=name)
    if len(value) > longest:
        raise OptionError(
            f"{name} has {len(value)} characters, more than the {longest} allowed", param=name
        )
    if "\0" in value or any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise OptionError(f"{name} contains characters that are no text", param=name)
    return value


def _choice(given: Mapping[str, Any], name: str, default: Any, allowed: tuple[Any, ...]) -> Any:
    value = given.get(name, default)
    if not isinstance(value, str) or value not in allowed:
        raise OptionError(
            f"{name} {str(value)[:40]!r} is unknown: choose {', '.join(allowed)}", param=name
        )
    return value


def _number(name: str, value: Any) -> float:
    if isinstance(value, str):
        try:
            value = float(value) if len(value) < 40 else math.nan
        except ValueError:
            value = math.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OptionError(f"{name} is not a number", param=name)
    if isinstance(value, int) and abs(value) > MAX_SEED:
        raise OptionError(f"{name} {str(value)[:30]} is too large", param=name)
    if not math.isfinite(value):
        raise OptionError(f"{name} is not a number", param=name)
    return value


def _whole(given: Mapping[str, Any], name: str, default: int, low: int, high: int) -> int:
    value = given.get(name, default)
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value, re.ASCII):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise OptionError(f"{name} {str(value)[:40]!r} is not a whole number", param=name)
    if not low <= value <= high:
        raise OptionError(f"{name} {str(value)[:40]} is outside {low}…{high}", param=name)
    return value


def _fps(given: Mapping[str, Any]) -> Fraction:
    value = given.get("fps", 24)
    if isinstance(value, str) and value in _NTSC:
        return _NTSC[value]
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,7}/[1-9][0-9]{0,4}", value, re.ASCII):
        return Fraction(value)
    return Fraction(_number("fps", value)).limit_denominator(1001)


def _size(given: Mapping[str, Any]) -> tuple[int, int]:
    aspect = _choice(given, "aspect", "", tuple(ASPECTS)) if "aspect" in given else None
    sides = [name for name in ("width", "height") if name in given]
    if "size" in given and sides:
        raise OptionError("give size, or width and height, not both", param="size")
    if sides == ["width"] or sides == ["height"]:
        raise OptionError("give width and height, or neither", param=sides[0])
    if sides:
        size = tuple(_whole(given, name, 0, 1, 100_000) for name in ("width", "height"))
    elif "size" in given:
        text = given["size"]
        if not isinstance(text, str) or len(text) > 20:
            raise OptionError('size is not text like "1920x1080"', param="size")
        size = parse_size(text)
    else:
        return ASPECTS[aspect or "16:9"]
    if aspect is not None:
        across, down = (int(part) for part in aspect.split(":"))
        if size[0] * down != size[1] * across:
            raise OptionError(
                f"size {size[0]}x{size[1]} is not {aspect}: give only one of them", param="size"
            )
    return size[0], size[1]


def _length(given: Mapping[str, Any], fps: Fraction) -> int:
    if "num_frames" in given:
        if "seconds" in given:
            raise OptionError("give num_frames or seconds, not both", param="num_frames")
        return _whole(given, "num_frames", 97, 1, 10**9)
    seconds = _number("seconds", given.get("seconds", 4))
    if not 0 < seconds < 86_400:
        raise OptionError(f"{seconds:g} seconds is not a length: 4 is usual", param="seconds")
    return frames_for(seconds, fps)


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    value = given.get("options", {})
    if not isinstance(value, dict):
        raise OptionError('options is not an object like {"move": "orbit"}', param="options")
    options = dict(value)
    for name, option in PEERS.items():
        if name in given:
            if option in options:
                raise OptionError(f"{name} is given twice", param=name)
            options[option] = _lora(given[name]) if name == "lora" else given[name]
    if "guidance_scale" in given and _number("guidance_scale", given["guidance_scale"]) != 1:
        raise OptionError(
            "guidance_scale other than 1 has no effect on distilled models: guide with the "
            "negative prompt and options.nag_scale instead",
            param="guidance_scale",
        )
    if len(options) > MAX_OPTIONS:
        raise OptionError(f"more than {MAX_OPTIONS} options", param="options")
    _check_value(options, "options", 0)
    return options


def _lora(value: Any) -> Any:
    """``{"name": …, "scale": …}`` of peers, or a name, or a list of them."""
    if isinstance(value, dict) and ("name" in value or "path" in value):
        source = value.get("path") or value.get("name")
        return [{"source": source, "scale": value.get("scale", 1.0)}]
    return value


def _check_value(value: Any, name: str, depth: int) -> None:
    """Options are numbers, texts, booleans, and short lists and objects of them."""
    if depth > 4:
        raise OptionError(f"{name} is nested too deeply", param=name)
    if isinstance(value, dict):
        if len(value) > MAX_OPTIONS:
            raise OptionError(f"{name} has too many entries", param=name)
        for key, inner in value.items():
            _text({"key": key}, "key", "", 100)
            _check_value(inner, str(key)[:60], depth + 1)
    elif isinstance(value, list):
        if len(value) > 200:
            raise OptionError(f"{name} has too many entries", param=name)
        for inner in value:
            _check_value(inner, name, depth + 1)
    elif isinstance(value, str):
        _text({name: value}, name, "", MAX_PROMPT)
        if _PATH.search(value):
            raise OptionError(
                f"{name} looks like a path, and files of the server cannot be named here: "
                "use a name or owner/repository",
                param=name,
            )
    elif value is not None and not isinstance(value, bool):
        _number(name, value)
