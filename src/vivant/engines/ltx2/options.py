"""What a request may ask of the LTX-2 engine, checked before any GPU work.

Knows the ranges, not the machine: whether a file is there or memory suffices is found out later.
Values may be strings, as the command line gives them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from vivant.engines.ltx2.recipes import (
    MAX_FRAMES,
    RECIPES,
    Recipe,
    check_grid,
    check_sigmas,
    grid_for,
    sigmas_for,
)
from vivant.engines.ltx2.segments import check_frames, segments_of
from vivant.errors import OptionError
from vivant.grid import parse_size
from vivant.types import Request
from vivant.weights import find_model

TIERS = ("auto", "resident", "fp8", "swap")
PRECISIONS = ("auto", "bf16", "fp8")
ATTENTION = ("auto", "cudnn", "flash", "fa3", "fa3-fp8", "math")
WEIGHTS = ("hub", "random", "tiny")
GPUS = (1, 2, 4, 8)
"""GPUs of one machine that can make a clip together: they share the model's 32 heads."""


@dataclass(frozen=True, slots=True)
class Lora:
    """A low-rank adapter and its scale.

    The source is a file, a registered adapter (``camera-static``), or ``owner/repository`` or
    ``owner/repository/FILE`` on the Hub.
    """

    source: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LTX2Options:
    """The engine's options, complete.

    Attributes:
        recipe: the recipe, with the options' steps, sigmas, model and LoRA laid over it.
        width: of the grid that is generated on, pixels.
        height: of the grid.
        nag: guide away from the negative prompt (NAG); off, it has no effect at all.
        nag_scale: 1 … 20; 1 is off. 5 is the NAG authors' setting.
        nag_tau: 1 … 10, most the guided attention may grow.
        nag_alpha: 0 … 1, share of the guided attention.
        nag_from_sigma: 0 … 1, guided at this noise level and above.
        nag_to_sigma: 0 … 1, guided up to this noise level; not below ``nag_from_sigma``.
        image_strength: 0 … 1, how firmly frame 0 is held to the picture; lower drifts.
        image_crf: 0 … 51, H.264 quality the picture is shown to the model with; None is the
            model's own (33). Lower keeps facial detail and moves less; 0 is untouched.
        end_anchor: 0 … 1, strength of the same picture, or of ``Request.last``, as last frame; 0
            is off. 1 where a last picture is given.
        motion_speed: 0.1 … 4, of real time.
        loras: adapters, fused in order.
        tier: where components live; ``auto`` by the GPU's memory.
        precision: of the transformer's matrices; ``auto`` is fp8 where the GPU has it.
        attention: backend; ``fa3-fp8`` is faster and not exact.
        compile: compile the transformer block (CUDA only); None: where it has kernels of its own,
            not for the first clip of a size.
        chunk: frames per decoded piece, about.
        gpus: that make the clip together, 1, 2, 4 or 8; None: what the setting ``gpus`` says.
        weights: ``hub`` for real ones; ``random`` (real size) and ``tiny`` draw noise.
        sound: decode the sound that the model makes; asked for by ``Request.sound``.
    """

    recipe: Recipe
    width: int
    height: int
    nag: bool = True
    nag_scale: float = 5.0
    nag_tau: float = 2.5
    nag_alpha: float = 0.25
    nag_from_sigma: float = 0.725
    nag_to_sigma: float = 1.0
    image_strength: float = 1.0
    image_crf: int | None = None
    end_anchor: float = 0.0
    motion_speed: float = 1.0
    loras: tuple[Lora, ...] = ()
    tier: str = "auto"
    precision: str = "auto"
    attention: str = "auto"
    compile: bool | None = None
    chunk: int = 16
    gpus: int | None = None
    weights: str = "hub"
    sound: bool = False

    @property
    def guided_steps(self) -> int:
        """Steps that NAG would guide, if it is on."""
        sigmas = (*self.recipe.sigmas, *self.recipe.refine_sigmas)
        return sum(self.nag_from_sigma <= sigma <= self.nag_to_sigma for sigma in sigmas)

    @classmethod
    def from_request(cls, request: Request) -> LTX2Options:
        """Options of a request.

        Raises:
            OptionError: an unknown option, or a value that is not possible.
        """
        given = dict(request.options)
        check_frames(request.num_frames, request.fps)
        recipe = _recipe(given)
        width, height = _grid(given, recipe, request)
        values: dict[str, Any] = {}
        for name, (low, high) in _RANGES.items():
            if name in given:
                values[name] = _number(name, given.pop(name), low, high)
        for name in ("image_crf", "chunk"):
            if name in values:
                if values[name] != int(values[name]):
                    raise OptionError(f"{name} {values[name]:g} is not a whole number", param=name)
                values[name] = int(values[name])
        if "gpus" in given:
            values["gpus"] = _gpus(given.pop("gpus"))
        for name in ("nag", "compile"):
            if name in given:
                given_value = given.pop(name)
                if (name, given_value) != ("compile", "auto"):
                    values[name] = _switch(name, given_value)
        for name, allowed in _CHOICES.items():
            if name in given:
                values[name] = _choice(name, given.pop(name), allowed)
        if "loras" in given:
            values["loras"] = _loras(given.pop("loras"))
        if given:
            name = min(given)
            raise OptionError(
                f"engine ltx2 has no option {name!r}: it has {', '.join(option_names())}",
                param=name,
            )
        if not request.negative_prompt.strip():
            values["nag"] = False
        if request.last is not None:
            values.setdefault("end_anchor", 1.0)
            if not values["end_anchor"]:
                raise OptionError(
                    "end_anchor 0 leaves the last picture out: give 0.5 … 1, or leave out --last",
                    param="end_anchor",
                )
        sound = request.sound is True
        options = cls(recipe=recipe, width=width, height=height, sound=sound, **values)
        if options.sound and options.motion_speed != 1:
            raise OptionError(
                f"motion_speed {options.motion_speed:g} would change the pitch of the sound: leave "
                "out one of the two",
                param="motion_speed",
            )
        if options.sound and len(segments_of(request.num_frames)) > 1:
            raise OptionError(
                f"LTX-2 makes the sound of one pass of at most {MAX_FRAMES} frames, not of "
                f"{request.num_frames}: make a shorter clip, or one without its own sound (a music "
                "or voice file may be as long as the clip)",
                param="num_frames",
            )
        if options.nag_to_sigma < options.nag_from_sigma:
            raise OptionError(
                f"nag_to_sigma {options.nag_to_sigma:g} is below nag_from_sigma "
                f"{options.nag_from_sigma:g}: no step would be guided (nag=off says so)",
                param="nag_to_sigma",
            )
        return options


_RANGES: dict[str, tuple[float, float]] = {
    "nag_scale": (1, 20),
    "nag_tau": (1, 10),
    "nag_alpha": (0, 1),
    "nag_from_sigma": (0, 1),
    "nag_to_sigma": (0, 1),
    "image_strength": (0, 1),
    "image_crf": (0, 51),
    "end_anchor": (0, 1),
    "motion_speed": (0.1, 4),
    "chunk": (1, 64),
}
_CHOICES = {
    "tier": TIERS,
    "precision": PRECISIONS,
    "attention": ATTENTION,
    "weights": WEIGHTS,
}


def option_names() -> tuple[str, ...]:
    """Everything ``Request.options`` may hold for this engine."""
    own = [f.name for f in fields(LTX2Options) if f.name not in ("width", "height", "sound")]
    return tuple(sorted({*own, "steps", "sigmas", "model", "grid"}))


def _recipe(given: dict[str, Any]) -> Recipe:
    from dataclasses import replace

    name = _choice("recipe", given.pop("recipe", "seed"), tuple(RECIPES))
    recipe = RECIPES[name]
    if "model" in given:
        model = find_model(str(given.pop("model")))
        if model.kind != "model":
            raise OptionError(
                f"{model.name} is an adapter, not a model: give it as loras={model.name}",
                param="model",
            )
        recipe = replace(recipe, model=model.name)
    if "steps" in given and "sigmas" in given:
        raise OptionError("give steps or sigmas, not both", param="sigmas")
    if "steps" in given:
        steps = _number("steps", given.pop("steps"), 1, 50)
        if steps != int(steps):
            raise OptionError(f"steps {steps:g} is not a whole number", param="steps")
        recipe = replace(recipe, sigmas=sigmas_for(int(steps)))
    if "sigmas" in given:
        sigmas = _numbers("sigmas", given.pop("sigmas"))
        check_sigmas(sigmas)
        recipe = replace(recipe, sigmas=sigmas)
    return recipe


def _grid(given: dict[str, Any], recipe: Recipe, request: Request) -> tuple[int, int]:
    if "grid" in given:
        width, height = parse_size(str(given.pop("grid")))
    else:
        width, height = grid_for(recipe, request.width, request.height)
    check_grid(width, height, recipe.stages)
    return width, height


def _number(name: str, value: Any, low: float, high: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise OptionError(f"{name} {value!r} is not a number", param=name) from None
    if isinstance(value, bool) or not math.isfinite(number) or not low <= number <= high:
        raise OptionError(f"{name} {value} is outside {low:g}…{high:g}", param=name)
    return number


def _gpus(value: Any) -> int:
    count = _number("gpus", value, 1, GPUS[-1])
    if count not in GPUS:
        raise OptionError(
            f"gpus {value} cannot share a clip: choose {', '.join(map(str, GPUS))}", param="gpus"
        )
    return int(count)


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if isinstance(items, int | float):
        items = (items,)
    if not isinstance(items, list | tuple):
        raise OptionError(f"{name} {value!r} is not a list of numbers", param=name)
    return tuple(_number(name, item, -math.inf, math.inf) for item in items)


def _switch(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "on", "yes"):
        return True
    if text in ("0", "false", "off", "no"):
        return False
    raise OptionError(f"{name} {value!r} is neither on nor off", param=name)


def _choice(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise OptionError(f"{name} {value!r} is unknown: choose {', '.join(allowed)}", param=name)
    return str(value)


def _loras(value: Any) -> tuple[Lora, ...]:
    """``"a.safetensors:0.8,owner/repo"``, or a list of such strings, pairs or mappings."""
    items = [part for part in value.split(",") if part] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise OptionError(f"loras {value!r} is not a list", param="loras")
    loras = []
    for item in items:
        scale: Any = 1.0
        if isinstance(item, Mapping):
            source, scale = item.get("source"), item.get("scale", 1.0)
        elif isinstance(item, list | tuple) and len(item) == 2:
            source, scale = item
        elif isinstance(item, str):
            head, colon, tail = item.rpartition(":")
            # a path may hold a colon of its own: only a number after it is a scale
            source, scale = (head, tail) if colon and _is_number(tail) else (item, 1.0)
        else:
            source = None
        if not isinstance(source, str) or not source.strip():
            raise OptionError(
                f"lora {item!r} is not a file or owner/repository, with :SCALE if wanted",
                param="loras",
            )
        loras.append(Lora(source.strip(), _number("lora scale", scale, -4, 4)))
    return tuple(loras)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
