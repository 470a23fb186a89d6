"""What is said of a number on the command line that is none, or outside of its range.

Typer reports them in Pydantic's English, without the value.
"""

from __future__ import annotations

from typing import Any, Final

import typer

from vivant.cli.language import say
from vivant.field_errors import quoted

NOUNS: Final[dict[Any, str]] = {int: "noun_whole", float: "noun_number"}

EXAMPLES: Final = {"frames": 97, "seconds": 4, "label_seconds": 3, "rotate": 90}
"""Option without declared limits → a usual value."""


def refused_value(error: typer.TyperException) -> str | None:
    """Value, limits and remedy of a refused option; None for any other mistake on the line."""
    parameter: Any = getattr(error, "param", None)
    errors: Any = getattr(error.__cause__, "errors", None)
    if errors is None or parameter.type_descriptor.annotation not in NOUNS:
        return None
    facts: dict[str, Any] = {
        "option": parameter.opts[-1],
        "value": quoted(errors()[0].get("input")),
        "noun": say(NOUNS[parameter.type_descriptor.annotation]),
        "low": parameter.min,
        "high": parameter.max,
        "example": EXAMPLES.get(parameter.name, parameter.default),
    }
    if parameter.min is not None and parameter.max is not None:
        return say("refused_range", **facts)
    if parameter.min is not None:
        return say("refused_low", **facts)
    return say("refused" if facts["example"] is None else "refused_example", **facts)
