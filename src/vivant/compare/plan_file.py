"""Reads a :class:`vivant.compare.plan.ComparisonPlan` from TOML: a user's file or a preset.

Options of an engine are not checked here: the engine does that before its first clip.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

from vivant.checks.checklist import Words
from vivant.checks.limits import limits
from vivant.compare.plan import DECIDING_SCORES, ComparisonPlan, Variant, check_variants
from vivant.engines import ENGINES
from vivant.errors import InputError, OptionError
from vivant.grid import check_fps, check_seed, check_size, parse_size
from vivant.upscalers import FILES, UPSCALERS

PRESETS = ("lora", "lora-dev", "steps", "nag", "recipes", "upscalers", "fp8", "anchors")
"""Names of the files in ``compare/presets``."""

DEFAULT_SEEDS, MAX_SEEDS = 5, 1000

MAX_NAME, MAX_TITLE, MAX_NOTE = 40, 200, 1000
"""Characters."""


def preset(name: str) -> ComparisonPlan:
    """A ready comparison.

    Raises:
        OptionError: no preset of that name.
    """
    if name not in PRESETS:
        raise OptionError(
            f"preset {name!r} is unknown: choose one of {', '.join(PRESETS)}, "
            "or write a file for --variants",
            param="preset",
        )
    source = files("vivant.compare").joinpath("presets", f"{name}.toml")
    return parse_plan(source.read_text("utf-8"), name)


def read_plan(path: Path) -> ComparisonPlan:
    """The comparison a TOML file describes.

    Raises:
        InputError: the file cannot be read.
        OptionError: something in it cannot be; the message names it.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise InputError(f"variants file {path} cannot be read: {why}", param="variants") from None
    return parse_plan(text, path.name)


def parse_plan(text: str, name: str) -> ComparisonPlan:
    """:func:`read_plan` of a text; ``name`` is for messages and the title."""
    try:
        body = tomllib.loads(text)
    except ValueError as error:  # also of numbers with too many digits
        raise OptionError(f"{name} is not TOML: {error}", param="variants") from None
    except RecursionError:
        raise OptionError(f"{name} is nested too deeply", param="variants") from None
    return build_plan(body, name)


def build_plan(body: Mapping[str, Any], name: str) -> ComparisonPlan:
    """:func:`parse_plan` of tables that were read already."""
    _only(body, ("compare", "variant"), name, "table")
    common = _table(body.get("compare", {}), "[compare]", name)
    _only(common, tuple(_COMMON), f"{name} [compare]", "key")
    tables = body.get("variant", [])
    if not isinstance(tables, list):
        raise OptionError(f"{name}: write each variant as [[variant]]", param="variants")
    shared = {key: common[key] for key in _SHARED if key in common}
    variants = tuple(_variant(table, shared, number, name) for number, table in enumerate(tables))
    plan = ComparisonPlan(
        title=_words(common.get("title", name.removesuffix(".toml")), "title", MAX_TITLE),
        variants=variants,
        seeds=read_seeds(common.get("seeds", DEFAULT_SEEDS)),
        judged=_judged(common.get("scores", DECIDING_SCORES)),
        note=_words(common["note"], "note", MAX_NOTE) if "note" in common else {},
        **_shape(common),
    )
    check_variants(plan, name)
    return plan


def restore_plan(data: Mapping[str, Any]) -> ComparisonPlan:
    """The inverse of :func:`vivant.report.plain` for plans."""
    tuples = {name: tuple(data[name]) for name in ("seeds", "judged")}
    variants = tuple(Variant(**variant) for variant in data["variants"])
    return ComparisonPlan(**{**data, **tuples, "variants": variants, "fps": Fraction(data["fps"])})


def read_seeds(value: Any) -> tuple[int, ...]:
    """``5`` → seeds 0 … 4; ``[3, 8]`` → these.

    Raises:
        OptionError: not whole numbers, none, twice the same, or too many.
    """
    numbers = range(value) if _whole(value) else value
    if isinstance(value, int) and not 1 <= value <= MAX_SEEDS:
        raise OptionError(f"{value} seeds: a comparison needs 1…{MAX_SEEDS}", param="seeds")
    if not isinstance(numbers, range | list | tuple) or not all(map(_whole, numbers)):
        raise OptionError(
            f"seeds {value!r} is neither a number nor a list of whole numbers", param="seeds"
        )
    if not 1 <= len(numbers) <= MAX_SEEDS or len(set(numbers)) < len(numbers):
        raise OptionError(f"seeds {value!r}: give 1…{MAX_SEEDS} of them, none twice", param="seeds")
    for seed in numbers:
        check_seed(seed)
    return tuple(numbers)


_SHARED = ("engine", "upscaler", "quality", "prompt", "negative_prompt", "options")
_COMMON = ("title", "note", "seeds", "frames", "fps", "size", "scores", *_SHARED)


def _variant(table: Any, shared: Mapping[str, Any], number: int, name: str) -> Variant:
    table = _table(table, f"variant {number + 1}", name)
    words = _words(
        table.get("name", f"variant {number + 1}"), f"{name}: a variant's name", MAX_NAME
    )
    called = words["en"]
    where = f"{name}, variant {called!r}"
    _only(table, tuple(f.name for f in fields(Variant) if f.name != "words"), where, "key")
    given = {**shared, **table, "name": called, "words": words}
    given["options"] = {
        **_table(shared.get("options", {}), "options", name),
        **_table(table.get("options", {}), "options", where),
    }
    for key in ("engine", "upscaler", "quality", "prompt", "negative_prompt"):
        if key in given:
            given[key] = _text(given[key], f"{where}: {key}")
    variant = Variant(**given)
    _one_of(variant.engine, tuple(ENGINES), f"{where}: engine", "engine")
    if not variant.upscaler.endswith(FILES):
        _one_of(variant.upscaler, ("auto", *UPSCALERS), f"{where}: upscaler", "upscaler")
    _one_of(variant.quality, ("draft", "standard", "high"), f"{where}: quality", "quality")
    return variant


def _shape(common: Mapping[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any] = {}
    if "frames" in common:
        if not _whole(common["frames"]):
            raise OptionError(f"frames {common['frames']!r} is no whole number", param="frames")
        shape["num_frames"] = common["frames"]
    if "fps" in common:
        try:
            shape["fps"] = Fraction(str(common["fps"])).limit_denominator(1001)
        except (ValueError, ZeroDivisionError):
            raise OptionError(
                f'fps {common["fps"]!r} is not a number: write 24 or "30000/1001"', param="fps"
            ) from None
        check_fps(shape["fps"])
    if "size" in common:
        shape["width"], shape["height"] = parse_size(_text(common["size"], "size"))
        check_size(shape["width"], shape["height"])
    return shape


def _judged(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not value:
        raise OptionError("scores is a list of one or more scores' names", param="scores")
    for name in value:
        if not isinstance(name, str) or name not in limits():
            raise OptionError(
                f"score {name!r} is unknown or has no better side: "
                f"choose from {', '.join(sorted(limits()))}",
                param="scores",
            )
    return tuple(dict.fromkeys(value))


def _only(table: Mapping[str, Any], known: tuple[str, ...], where: str, kind: str) -> None:
    for key in table:
        if key not in known:
            raise OptionError(
                f"{where}: unknown {kind} {key!r} (known: {', '.join(known)})", param=str(key)
            )


def _table(value: Any, what: str, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise OptionError(f"{where}: {what} is not a table", param=what)
    return dict(value)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise OptionError(f"{what} {value!r} is not text: put it in quotes", param=what)
    if "\0" in value or any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        raise OptionError(f"{what} contains characters that are no text", param=what)
    return value


def _words(value: Any, what: str, longest: int) -> Words:
    """``"Skin"``, or ``{ en = "Skin", ko = "피부" }``."""
    given = value if isinstance(value, Mapping) else _both(value)
    if set(given) != {"en", "ko"}:
        raise OptionError(
            f"{what} is neither text nor {{ en = …, ko = … }}", param=what.split()[-1]
        )
    found: Words = {
        "en": _text(given["en"], what).strip(),
        "ko": _text(given["ko"], what).strip(),
    }
    if not all(0 < len(text) <= longest for text in found.values()):
        raise OptionError(f"{what} has 1…{longest} characters", param=what.split()[-1])
    return found


def _both(text: Any) -> Any:
    return {"en": text, "ko": text}


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_of(value: str, known: tuple[str, ...], where: str, param: str) -> None:
    if value not in known:
        raise OptionError(f"{where} {value!r} is unknown: choose {', '.join(known)}", param=param)
