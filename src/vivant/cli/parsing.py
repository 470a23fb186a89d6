"""What people write on the command line and in CSV rows → requests, or a clear error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vivant.errors import OptionError

if TYPE_CHECKING:
    from vivant.settings import Settings
    from vivant.types import Request


def parse_options(pairs: Iterable[str]) -> dict[str, Any]:
    """``["move=orbit", "strength=0.5"]`` → ``{"move": "orbit", "strength": 0.5}``.

    Values are numbers and booleans where they look like it.

    Raises:
        OptionError: no ``=``, or a key twice.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise OptionError(f"--set {pair!r} is not KEY=VALUE", param="set")
        if key in found:
            raise OptionError(f"--set {key} is given twice", param=key)
        found[key] = _value(text)
    return found


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def command_request(image: Path | bytes, settings: Settings, **values: Any) -> Request:
    """A request from the options of a command; None is an option that was not given.

    Raises:
        OptionError: a value that is not possible.
    """
    from vivant.request_fields import CommandFields

    given = {name: value for name, value in values.items() if value is not None}
    return CommandFields.read(given).to_request(image, settings)


def row_request(
    picture: Path, given: Mapping[str, str], own: Mapping[str, str], settings: Settings
) -> Request:
    """A request from a CSV row's own values, and the command's where it has none.

    Raises:
        OptionError: a value that is not possible.
    """
    row = {**given, **own}
    if own.get("size") or own.get("aspect"):  # a row's shape replaces the command's as a whole
        row = {**row, "size": own.get("size", ""), "aspect": own.get("aspect", "")}
    if own.get("crop") or own.get("focus"):
        row = {**row, "crop": own.get("crop", ""), "focus": own.get("focus", "")}
    if own.get("seconds") and not own.get("frames"):
        row["frames"] = ""
    pairs = {
        pair.partition("=")[0].strip(): pair.strip()
        for text in (given.get("options", ""), own.get("options", ""))
        for pair in text.split(";")
        if pair.strip()
    }
    row["options"] = ""
    values: dict[str, Any] = {name: text for name, text in row.items() if text}
    return command_request(picture, settings, **values, options=parse_options(pairs.values()))
