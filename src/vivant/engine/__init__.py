"""Engines by name. Importing this loads none of them, and no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vivant.errors import OptionError
from vivant.types import Engine

if TYPE_CHECKING:  # settings bring pydantic, which no engine needs: 0.3 s
    from vivant.settings import Settings


def _camera(_: Settings) -> Engine:
    from vivant.engine.camera import CameraEngine

    return CameraEngine()


def _fake(_: Settings) -> Engine:
    from vivant.engine.fake import FakeEngine

    return FakeEngine()


ENGINES: Mapping[str, Callable[[Settings], Engine]] = {"camera": _camera, "fake": _fake}
"""Name → factory. The factory loads what the engine needs; listing the names does not."""


def load_engine(name: str, settings: Settings) -> Engine:
    """The engine called ``name``, loaded.

    Raises:
        OptionError: no engine of that name.
        MissingPartError: its packages or weights are not installed.
    """
    if name not in ENGINES:
        raise OptionError(
            f"engine {name!r} is unknown: choose one of {', '.join(ENGINES)}", param="engine"
        )
    return ENGINES[name](settings)
