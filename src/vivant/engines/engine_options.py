"""The options of the embedded engines: a Pydantic model whose errors name value, limits, remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, TypeAlias, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from vivant.errors import OptionError


def _no_switch(value: Any) -> Any:
    # Pydantic takes True for 1
    if isinstance(value, bool):
        raise ValueError("not a number")  # noqa: TRY004 - Pydantic turns only ValueError into its own
    return value


Number: TypeAlias = Annotated[float, BeforeValidator(_no_switch)]
"""A number, or one as text."""


class EngineOptions(BaseModel):
    """``Request.options`` of one engine: a subclass has a field for each option.

    Attributes:
        engine: the engine's name, for errors.
        elsewhere: option of another engine → that engine, which the error then names.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    engine: ClassVar[str]
    elsewhere: ClassVar[Mapping[str, str]] = {}

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Read ``Request.options``; values may come as text, as from a command line.

        Raises:
            OptionError: a name or value this engine does not have.
        """
        known = list(cls.model_fields)
        for name in options:
            if name not in known:
                other = cls.elsewhere.get(name)
                remedy = f"; the {other} engine has it: --engine {other}" if other else ""
                raise OptionError(
                    f"the {cls.engine} engine has no option {name!r}: "
                    f"it has {', '.join(known)}{remedy}",
                    param=str(name),
                )
        try:
            return cls.model_validate(dict(options))
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise OptionError(cls._refusal(name, options[name]), param=name) from None

    @classmethod
    def _refusal(cls, name: str, value: Any) -> str:
        field = cls.model_fields[name]
        if get_origin(field.annotation) is Literal:
            choices = ", ".join(filter(None, get_args(field.annotation)))
            return f"{name} {value!r} is not possible: choose one of {choices}"
        if field.annotation is bool:
            return f"{name} {value!r} is not possible: use true or false"
        limits = {type(limit).__name__: limit for limit in field.metadata}
        if "Le" in limits:
            low, high = limits["Ge"].ge, limits["Le"].le
            return f"{name} {value!r} is not possible: use a number from {low:g} to {high:g}"
        kind = "whole number" if field.annotation is int else "number"
        return f"{name} {value!r} is not possible: use a {kind}"
