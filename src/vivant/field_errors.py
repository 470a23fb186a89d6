"""What is wrong with a value that a user gave, in our own words instead of Pydantic's.

Command line, CSV rows, settings and HTTP API use the same sentences.
"""

from __future__ import annotations

from pydantic_core import ErrorDetails

LONGEST = 40
"""Characters of a value that an error quotes."""


def quoted(value: object) -> str:
    """A value as an error may quote it: at most 40 characters."""
    try:
        short = isinstance(value, str) and len(value) <= LONGEST
        return repr(value if short else str(value)[:LONGEST])
    except ValueError:  # Python refuses to print integers of more than 4,300 digits
        return "a number of thousands of digits"


def _bare(value: object) -> str:
    """A number without the quotes that text has."""
    return f"{value:g}" if isinstance(value, float) else quoted(value).strip("'")


def what_is_wrong(found: ErrorDetails) -> str:
    """What is wrong with one value, to be said after the field's name.

    Args:
        found: one of ``ValidationError.errors()``.
    """
    context, value = found.get("ctx", {}), found.get("input")
    match found["type"]:
        case "field":
            return str(context["sentence"])
        case "value_error":  # of a validator of ours, which names the value itself
            return str(context["error"])
        case "missing":
            return "is missing: give it"
        case "literal_error" | "enum":
            choices = str(context["expected"]).replace("'", "")
            return f"{quoted(value)} is unknown: choose {choices}"
        case "string_type":
            return "is not text"
        case "string_unicode":
            return "contains characters that are no text"
        case "string_too_long":
            limit = context["max_length"]
            return f"has {len(str(value))} characters, more than the {limit} allowed"
        case "string_too_short" | "too_short":
            return f"{quoted(value)} is too short: give at least {context['min_length']}"
        case "string_pattern_mismatch":
            return f"{quoted(value)} has another form than {context['pattern']}"
        case "bool_parsing" | "bool_type":
            return "is neither true nor false"
        case "greater_than_equal":
            return f"{_bare(value)} is too small: give {context['ge']} or more"
        case "greater_than":
            return f"{_bare(value)} is too small: give more than {context['gt']}"
        case "less_than_equal":
            return f"{_bare(value)} is too large: give {context['le']} or less"
        case "less_than":
            return f"{_bare(value)} is too large: give less than {context['lt']}"
        case "dict_type" | "model_type" | "mapping_type":
            return f"{quoted(value)} is not an object of names and values"
        case "list_type" | "tuple_type":
            return f"{quoted(value)} is not a list"
        case kind if kind.startswith("int_"):
            return f"{quoted(value)} is not a whole number"
        case kind if kind.startswith("float_") or kind == "finite_number":
            return f"{quoted(value)} is not a number"
        case kind if kind.startswith("path_"):
            return f"{quoted(value)} is not a path"
        case _:
            return f"{quoted(value)} cannot be used here"
