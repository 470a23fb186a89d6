"""Engines by name. Importing this loads none of them, and no torch.

::

    living/   the person breathes, blinks and turns: the default, on the CPU
    camera/   a camera move, on the CPU
    ltx2/     Lightricks LTX-2, on GPUs
    fake.py   for tests
    drawn_frames.py     frames of living and camera, in chunks
    engine_options.py   the base of every engine's options
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vivant.errors import MissingPartError, OptionError
from vivant.types import Engine

if TYPE_CHECKING:  # settings bring pydantic, 0.3 s that a list of names does not need
    from vivant.settings import Settings


def _camera(_: Settings) -> Engine:
    from vivant.engines.camera import CameraEngine

    return CameraEngine()


def _living(_: Settings) -> Engine:
    from vivant.engines.living import LivingEngine

    return LivingEngine()


def _fake(_: Settings) -> Engine:
    from vivant.engines.fake import FakeEngine

    return FakeEngine()


def _ltx2_folder(settings: Settings) -> Path:
    """Of the default model, which most clips use."""
    from vivant.weights import Library

    library = Library(settings.weights_path)
    return library.folder(library.default_model())


_reading: set[Path] = set()
"""Models whose files this process has begun to read."""


def _start_ltx2(settings: Settings) -> None:
    from vivant.engines.ltx2.readahead import read_ahead
    from vivant.weights import FP8_FOLDER

    folder = _ltx2_folder(settings)
    if folder not in _reading:
        _reading.add(folder)
        read_ahead([folder / FP8_FOLDER, folder / "vae"])


def start_engine(name: str, settings: Settings) -> None:
    """Let the disk begin with what loading an engine reads, before anything is imported.

    For a process that will load it: imports and reading then take their time side by side.
    """
    if name == "ltx2" and find_spec("torch") is not None:
        _start_ltx2(settings)


def _ltx2(settings: Settings) -> Engine:
    missing = [name for name in ("torch", "diffusers", "transformers") if find_spec(name) is None]
    if missing:
        raise MissingPartError(
            f"engine ltx2 needs {', '.join(missing)}: uv sync --extra ltx2", param="engine"
        )
    from vivant.weights import FP8_FOLDER

    _start_ltx2(settings)
    # torch is here, and takes the transformer to the GPU while the rest is imported
    from vivant.engines.ltx2.memory import begin_loading

    begin_loading(_ltx2_folder(settings) / FP8_FOLDER, settings.cache_dir / "compiled")
    from vivant.engines.ltx2.engine import LTX2Engine

    return LTX2Engine(settings)


ENGINES: Mapping[str, Callable[[Settings], Engine]] = {
    "living": _living,
    "camera": _camera,
    "ltx2": _ltx2,
    "fake": _fake,
}
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


def _ltx2_frames(num_frames: int) -> int:
    from vivant.engines.ltx2.segments import segments_of

    return sum(segment.num_frames for segment in segments_of(num_frames))


GENERATED_FRAMES: Mapping[str, Callable[[int], int]] = {"ltx2": _ltx2_frames}
"""Name → frames it makes for a clip of so many; engines that make each frame once are left out.

A table beside the factories, because estimates are wanted where no engine is loaded."""


def generated_frames(name: str, num_frames: int) -> int:
    """Frames that an engine makes for a clip: some are made twice where passes are joined."""
    count = GENERATED_FRAMES.get(name)
    return num_frames if count is None else count(num_frames)
