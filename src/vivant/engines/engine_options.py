"""The options of an engine: a Pydantic model whose errors name value, limits, remedy."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from vivant.errors import OptionError
from vivant.types import Request


def _no_switch(value: Any) -> Any:
    # Pydantic takes True for 1
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 - Pydantic turns only ValueError into its own
    return value


def _no_text(value: Any) -> Any:
    # Pydantic reads no exponent ("1e1") as a whole number
    return float(value) if isinstance(value, str) else value


Number: TypeAlias = Annotated[float, BeforeValidator(_no_switch)]
"""A number, or one as text."""

WholeNumber: TypeAlias = Annotated[int, BeforeValidator(_no_text), BeforeValidator(_no_switch)]
"""A number without a fraction, or one as text."""


class EngineOptions(BaseModel):
    """``Request.options`` of one engine: a subclass has a field for each option.

    Attributes:
        engine: the engine's name, for errors.
        elsewhere: option of another engine → that engine, which the error then names.
        recipes: values that the option ``recipe`` may have; empty where the engine has none.
        max_sound_frames: most frames of a clip with the engine's own sound; None: as many as
            without.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    engine: ClassVar[str]
    elsewhere: ClassVar[Mapping[str, str]] = {}
    recipes: ClassVar[tuple[str, ...]] = ()
    max_sound_frames: ClassVar[int | None] = None

    @classmethod
    def from_request(cls, request: Request) -> Self:
        """The options of a request for this engine.

        Raises:
            OptionError: a name or value this engine does not have.
        """
        return cls.parse(request.options)

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Read ``Request.options``; values may come as text, as from a command line.

        Raises:
            OptionError: a name or value this engine does not have.
        """
        known = list(cls.model_fields)
        for name, value in options.items():
            if name not in known:
                other = cls.elsewhere.get(name)
                remedy = f"; the {other} engine has it: --engine {other}" if other else ""
                raise OptionError(
                    f"the {cls.engine} engine has no option {name!r}: "
                    f"it has {', '.join(known)}{remedy}",
                    param=str(name),
                )
            if value is None and cls.model_fields[name].default is None:
                raise OptionError(f"{name} has no value: give one, or leave it out", param=name)
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            raise OptionError(cls._refusal(name, first["input"]), param=name) from None

    @classmethod
    def _refusal(cls, name: str, value: Any) -> str:
        """The sentence for a value that the option cannot have."""
        kind, limits = cls._kind(name), cls._limits(name)
        if get_origin(kind) is Literal:
            choices = ", ".join(filter(None, get_args(kind)))
            return f"{name} {value!r} is not possible: choose one of {choices}"
        if kind is bool:
            return f"{name} {value!r} is not possible: use true or false"
        if limits is not None:
            low, high = limits
            return f"{name} {value!r} is not possible: use a number from {low:g} to {high:g}"
        if kind is int:
            return f"{name} {value!r} is not possible: use a whole number"
        return f"{name} {value!r} is not possible: use a number"

    @classmethod
    def _kind(cls, name: str) -> Any:
        """The option's type; of ``T | None``, T."""
        kind = cls.model_fields[name].annotation
        if NoneType in get_args(kind):
            kind = next(part for part in get_args(kind) if part is not NoneType)
        return get_args(kind)[0] if get_origin(kind) is Annotated else kind

    @classmethod
    def _limits(cls, name: str) -> tuple[float, float] | None:
        """Least and greatest value of the option, if it has both."""
        limits = {type(limit).__name__: limit for limit in cls.model_fields[name].metadata}
        return (limits["Ge"].ge, limits["Le"].le) if "Le" in limits else None
