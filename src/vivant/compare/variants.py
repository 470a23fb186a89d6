"""What to compare: a TOML file, or one of the presets, becomes a :class:`Plan`.

Knows nothing of pictures; whether an engine takes an option is found out by that engine.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

from vivant.checks.checklist import Words
from vivant.checks.limits import limits
from vivant.engines import ENGINES
from vivant.errors import InputError, OptionError
from vivant.grid import check_fps, check_seed, check_size, parse_size
from vivant.types import DEFAULT_NEGATIVE_PROMPT, DEFAULT_PROMPT, Quality, Request
from vivant.upscalers import FILES, UPSCALERS, load_upscaler

PRESETS = ("lora", "lora-dev", "steps", "nag", "recipes", "upscalers", "fp8", "anchors")
"""Names of the files in ``compare/presets``."""

JUDGED = (
    "identity_mean",
    "face_deformation",
    "face_wobble",
    "flicker",
    "detail",
    "face_sharpness",
    "noise",
    "plastic_skin",
)
"""Scores that decide, where a file names none: one or two of every heading of the checklist.

Every further score that decides costs evidence: all of them are judged together (Holm).
"""

MAX_SEEDS, MAX_VARIANTS = 1000, 12

DEFAULT_SEEDS = 5

MAX_NAME, MAX_TITLE, MAX_NOTE = 40, 200, 1000
"""Characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to make a clip; everything else is the same for all.

    Attributes:
        words: its name for people, in both languages.
    """

    name: str
    engine: str = "camera"
    upscaler: str = "auto"
    quality: Quality = "standard"
    prompt: str = DEFAULT_PROMPT
    negative_prompt: str = DEFAULT_NEGATIVE_PROMPT
    options: Mapping[str, Any] = field(default_factory=dict)
    words: Words = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A comparison before any clip is made.

    Attributes:
        title: for the page, in both languages.
        variants: the first is the baseline every other one is held against.
        seeds: each picture is animated with each of them, by each variant.
        judged: names of the scores that decide.
        note: what the reader must know of this comparison, in both languages; empty for nothing.
    """

    title: Words
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...]
    num_frames: int = 97
    fps: Fraction = Fraction(24)
    width: int = 1920
    height: int = 1080
    judged: tuple[str, ...] = JUDGED
    note: Words = field(default_factory=dict)

    @property
    def baseline(self) -> Variant:
        """The first variant."""
        return self.variants[0]

    def called(self, name: str) -> Words:
        """A variant's name for people."""
        return next(v.words for v in self.variants if v.name == name) or _both(name)

    def request(self, variant: Variant, image: Path | bytes, seed: int) -> Request:
        """What one clip of this comparison is."""
        return Request(
            image=image,
            prompt=variant.prompt,
            negative_prompt=variant.negative_prompt,
            num_frames=self.num_frames,
            fps=self.fps,
            width=self.width,
            height=self.height,
            seed=seed,
            engine=variant.engine,
            upscaler=variant.upscaler,
            quality=variant.quality,
            options=variant.options,
        )


def preset(name: str) -> Plan:
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


def read_plan(path: Path) -> Plan:
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


def parse_plan(text: str, name: str) -> Plan:
    """:func:`read_plan` of a text; ``name`` is for messages and the title."""
    try:
        body = tomllib.loads(text)
    except ValueError as error:  # also of numbers with too many digits
        raise OptionError(f"{name} is not TOML: {error}", param="variants") from None
    except RecursionError:
        raise OptionError(f"{name} is nested too deeply", param="variants") from None
    return build_plan(body, name)


def build_plan(body: Mapping[str, Any], name: str) -> Plan:
    """:func:`parse_plan` of tables that were read already."""
    _only(body, ("compare", "variant"), name, "table")
    common = _table(body.get("compare", {}), "[compare]", name)
    _only(common, tuple(_COMMON), f"{name} [compare]", "key")
    tables = body.get("variant", [])
    if not isinstance(tables, list):
        raise OptionError(f"{name}: write each variant as [[variant]]", param="variants")
    shared = {key: common[key] for key in _SHARED if key in common}
    variants = tuple(_variant(table, shared, number, name) for number, table in enumerate(tables))
    plan = Plan(
        title=_words(common.get("title", name.removesuffix(".toml")), "title", MAX_TITLE),
        variants=variants,
        seeds=parse_seeds(common.get("seeds", DEFAULT_SEEDS)),
        judged=_judged(common.get("scores", JUDGED)),
        note=_words(common["note"], "note", MAX_NOTE) if "note" in common else {},
        **_shape(common),
    )
    check_variants(plan, name)
    return plan


def restore_plan(data: Mapping[str, Any]) -> Plan:
    """The inverse of :func:`vivant.report.plain` for plans."""
    tuples = {name: tuple(data[name]) for name in ("seeds", "judged")}
    variants = tuple(Variant(**variant) for variant in data["variants"])
    return Plan(**{**data, **tuples, "variants": variants, "fps": Fraction(data["fps"])})


def check_variants(plan: Plan, name: str) -> None:
    """Refuse comparisons that compare nothing.

    Raises:
        OptionError: fewer than two variants, two of one name, or two that do not differ.
    """
    count = len(plan.variants)
    if not 2 <= count <= MAX_VARIANTS:
        raise OptionError(
            f"{name} has {count} variant{'' if count == 1 else 's'}: "
            f"a comparison needs 2…{MAX_VARIANTS}",
            param="variants",
        )
    seen: dict[str, Variant] = {}
    for variant in plan.variants:
        if variant.name in seen:
            raise OptionError(f"{name}: two variants are called {variant.name!r}", param="variants")
        for other in seen.values():
            if _substance(other) == _substance(variant):
                raise OptionError(
                    f"{name}: variants {other.name!r} and {variant.name!r} do not differ: "
                    "change an option of one of them",
                    param="variants",
                )
        seen[variant.name] = variant


def parse_seeds(value: Any) -> tuple[int, ...]:
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


def _substance(variant: Variant) -> Variant:
    """The variant without its name, ``auto`` spelled out."""
    upscaler = load_upscaler("auto").name if variant.upscaler == "auto" else variant.upscaler
    return replace(variant, name="", words={}, upscaler=upscaler, options=dict(variant.options))


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
