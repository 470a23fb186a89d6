"""What a request may ask of the LTX-2 engine, checked before any GPU work.

Knows the ranges, not the machine: whether a file is there or memory suffices is found out later.
Values may be strings, as the command line gives them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, get_args, get_origin

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from vivant.engines.engine_options import EngineOptions, Number, WholeNumber
from vivant.engines.ltx2.recipes import (
    MAX_FRAMES,
    RECIPES,
    SEED,
    Recipe,
    check_grid,
    check_sigmas,
    grid_for,
    sigmas_for,
)
from vivant.engines.ltx2.segments import check_length
from vivant.errors import OptionError
from vivant.grid import parse_size
from vivant.types import Request
from vivant.weights import find_model

Tier: TypeAlias = Literal["auto", "resident", "fp8", "swap"]
Precision: TypeAlias = Literal["auto", "bf16", "fp8"]
Attention: TypeAlias = Literal["auto", "cudnn", "flash", "fa3", "fa3-fp8", "math"]
WeightsSource: TypeAlias = Literal["hub", "random", "tiny"]

GPUS = (1, 2, 4, 8)
"""GPUs of one machine that can make a clip together: they share the model's 32 heads."""


@dataclass(frozen=True, slots=True)
class Lora:
    """A low-rank adapter and its scale, -4 … 4.

    The source is a file, a registered adapter (``camera-static``), or ``owner/repository`` or
    ``owner/repository/FILE`` on the Hub.
    """

    source: str
    scale: float = 1.0


def _recipe_named(name: Any) -> Recipe:
    if not isinstance(name, str) or name not in RECIPES:
        raise OptionError(
            f"recipe {name!r} is unknown: choose {', '.join(RECIPES)}", param="recipe"
        )
    return RECIPES[name]


def _model(name: Any) -> str:
    model = find_model(str(name))
    if model.kind != "model":
        raise OptionError(
            f"{model.name} is an adapter, not a model: give it as loras={model.name}",
            param="model",
        )
    return model.name


def _list_of_sigmas(value: Any) -> Any:
    if isinstance(value, str):
        return value.split(",")
    if isinstance(value, int | float):
        return [value]
    if not isinstance(value, list | tuple):
        raise OptionError(f"sigmas {value!r} is not a list of numbers", param="sigmas")
    return value


def _grid(value: Any) -> tuple[int, int]:
    return parse_size(str(value))


def _auto_as_none(value: Any) -> Any:
    return None if value == "auto" else value


def _checked_sigmas(sigmas: tuple[float, ...] | None) -> tuple[float, ...] | None:
    check_sigmas(sigmas or ())
    return sigmas


def _checked_gpus(gpus: int | None) -> int | None:
    if gpus not in GPUS:
        raise OptionError(
            f"gpus {gpus} cannot share a clip: choose {', '.join(map(str, GPUS))}", param="gpus"
        )
    return gpus


def _outside(name: str, value: Any, low: float, high: float) -> str:
    """The sentence for a value that is no number within ``low`` … ``high``, or empty."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return f"{name} {value!r} is not a number"
    if isinstance(value, bool) or not math.isfinite(number) or not low <= number <= high:
        return f"{name} {value} is outside {low:g}…{high:g}"
    return ""


def _loras(value: Any) -> tuple[Lora, ...]:
    """``"a.safetensors:0.8,owner/repo"``, or a list of such strings, pairs or mappings."""
    items = [part for part in value.split(",") if part] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise OptionError(f"loras {value!r} is not a list", param="loras")
    return tuple(_lora(item) for item in items)


def _lora(item: Any) -> Lora:
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
    refusal = _outside("lora scale", scale, -4, 4)
    if refusal:
        raise OptionError(refusal, param="lora scale")
    return Lora(source.strip(), float(scale))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


class LTX2Fields(EngineOptions):
    """``Request.options`` of the LTX-2 engine, as given.

    Attributes:
        recipe: given by its name.
        model: name of a model; None for the recipe's.
        steps: 1 … 50, of the first stage; None for the recipe's.
        sigmas: of the first stage, falling, in 0 … 1; None for the recipe's. Not with ``steps``.
        grid: width and height to generate at, pixels; None for what suits the clip's size.
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
    """

    engine: ClassVar[str] = "ltx2"

    recipe: Annotated[Recipe, BeforeValidator(_recipe_named)] = SEED
    model: Annotated[str | None, BeforeValidator(_model)] = None
    steps: WholeNumber | None = Field(default=None, ge=1, le=50)
    sigmas: Annotated[
        tuple[Number, ...] | None, BeforeValidator(_list_of_sigmas), AfterValidator(_checked_sigmas)
    ] = None
    grid: Annotated[tuple[int, int] | None, BeforeValidator(_grid)] = None
    nag: bool = True
    nag_scale: Number = Field(default=5.0, ge=1, le=20)
    nag_tau: Number = Field(default=2.5, ge=1, le=10)
    nag_alpha: Number = Field(default=0.25, ge=0, le=1)
    nag_from_sigma: Number = Field(default=0.725, ge=0, le=1)
    nag_to_sigma: Number = Field(default=1.0, ge=0, le=1)
    image_strength: Number = Field(default=1.0, ge=0, le=1)
    image_crf: WholeNumber | None = Field(default=None, ge=0, le=51)
    end_anchor: Number = Field(default=0.0, ge=0, le=1)
    motion_speed: Number = Field(default=1.0, ge=0.1, le=4)
    loras: Annotated[tuple[Lora, ...], BeforeValidator(_loras)] = ()
    tier: Tier = "auto"
    precision: Precision = "auto"
    attention: Attention = "auto"
    compile: Annotated[bool | None, BeforeValidator(_auto_as_none)] = None
    chunk: WholeNumber = Field(default=16, ge=1, le=64)
    gpus: Annotated[WholeNumber | None, AfterValidator(_checked_gpus)] = Field(
        default=None, ge=1, le=8
    )
    weights: WeightsSource = "hub"

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.steps is not None and self.sigmas is not None:
            raise OptionError("give steps or sigmas, not both", param="sigmas")
        if self.nag_to_sigma < self.nag_from_sigma:
            raise OptionError(
                f"nag_to_sigma {self.nag_to_sigma:g} is below nag_from_sigma "
                f"{self.nag_from_sigma:g}: no step would be guided (nag=off says so)",
                param="nag_to_sigma",
            )
        return self

    @classmethod
    def _refusal(cls, name: str, value: Any) -> str:
        kind, limits = cls._kind(name), cls._limits(name)
        if get_origin(kind) is Literal:
            return f"{name} {value!r} is unknown: choose {', '.join(get_args(kind))}"
        if kind is bool:
            return f"{name} {value!r} is neither on nor off"
        if limits is None:
            return f"{name} {value!r} is not a number"
        return _outside(name, value, *limits) or f"{name} {float(value):g} is not a whole number"


class LTX2Options(LTX2Fields):
    """The engine's options, complete: what the request leaves open is filled in.

    Attributes:
        recipe: with the options' steps, sigmas and model laid over it.
        width: of the grid that is generated on, pixels.
        height: of the grid.
        sound: decode the sound that the model makes; asked for by ``Request.sound``.
    """

    recipes: ClassVar[tuple[str, ...]] = tuple(RECIPES)
    max_sound_frames: ClassVar[int | None] = MAX_FRAMES

    width: int
    height: int
    sound: bool = False

    @property
    def guided_steps(self) -> int:
        """Steps that NAG would guide, if it is on."""
        sigmas = (*self.recipe.sigmas, *self.recipe.refine_sigmas)
        return sum(self.nag_from_sigma <= sigma <= self.nag_to_sigma for sigma in sigmas)

    @classmethod
    def from_request(cls, request: Request) -> Self:
        """Options of a request.

        Raises:
            OptionError: an unknown option, or a value that is not possible.
        """
        check_length(request)
        given = LTX2Fields.parse(request.options)
        recipe = _chosen_recipe(given)
        width, height = given.grid or grid_for(recipe, request.width, request.height)
        check_grid(width, height, recipe.stages)
        sound = request.sound is True
        if sound and given.motion_speed != 1:
            raise OptionError(
                f"motion_speed {given.motion_speed:g} would change the pitch of the sound: leave "
                "out one of the two",
                param="motion_speed",
            )
        values = {
            **dict(given),
            "recipe": recipe,
            "width": width,
            "height": height,
            "nag": given.nag and bool(request.negative_prompt.strip()),
            "end_anchor": _end_anchor(given, request),
            "sound": sound,
        }
        # every value is checked already
        return cls.model_construct(**values)


def _chosen_recipe(given: LTX2Fields) -> Recipe:
    recipe = given.recipe
    if given.model is not None:
        recipe = replace(recipe, model=given.model)
    if given.steps is not None:
        recipe = replace(recipe, sigmas=sigmas_for(given.steps))
    if given.sigmas is not None:
        recipe = replace(recipe, sigmas=given.sigmas)
    return recipe


def _end_anchor(given: LTX2Fields, request: Request) -> float:
    if request.last is None:
        return given.end_anchor
    if "end_anchor" not in given.model_fields_set:
        return 1.0
    if not given.end_anchor:
        raise OptionError(
            "end_anchor 0 leaves the last picture out: give 0.5 … 1, or leave out --last",
            param="end_anchor",
        )
    return given.end_anchor
