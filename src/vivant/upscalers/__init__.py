"""Upscalers by name: pixels to more pixels, after decoding. Listing them loads none.

::

    lanczos.py       on the CPU, the default
    cubic.py         softer, on the CPU
    torch_resize.py  Lanczos on the GPU
    torch_yuv.py     and from there to YUV, as the encoder does
    dnn.py           networks of OpenCV's dnn_superres
    network.py       networks from files, by torch
    edsr.py          one of them: EDSR
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

from vivant.errors import MissingPartError, OptionError
from vivant.types import Upscaler

FILES = (".pb", ".pt", ".pth", ".safetensors")
"""Endings of files that hold an upscaling network."""


def _lanczos() -> Upscaler:
    from vivant.upscalers.lanczos import LanczosUpscaler

    return LanczosUpscaler()


def _cubic() -> Upscaler:
    from vivant.upscalers.cubic import CubicUpscaler

    return CubicUpscaler()


def _lanczos_gpu() -> Upscaler:
    if find_spec("torch") is None:
        raise MissingPartError("upscaler lanczos-gpu needs torch: uv sync --extra ltx2")
    from vivant.upscalers.torch_resize import TorchLanczosUpscaler

    return TorchLanczosUpscaler()


UPSCALERS: Mapping[str, Callable[[], Upscaler]] = {
    "lanczos": _lanczos,
    "cubic": _cubic,
    "lanczos-gpu": _lanczos_gpu,
}
"""Name → factory."""


def _from_file(path: Path) -> Upscaler:
    """A network in a file: ``.pb`` for OpenCV, anything else for torch."""
    if path.suffix == ".pb":
        from vivant.upscalers.dnn import DnnUpscaler

        return DnnUpscaler(path)
    if find_spec("torch") is None:
        raise MissingPartError("upscaler files need torch: uv sync --extra ltx2")
    from vivant.upscalers.network import load_network

    return load_network(path)


def _on_gpu() -> bool:
    """Whether an engine has brought a GPU: torch is never imported to find out."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_available())


def upscaler_name(name: str) -> str:
    """``name``; for ``auto`` the one that it means now: an engine may have brought a GPU."""
    if name != "auto":
        return name
    return "lanczos-gpu" if _on_gpu() else "lanczos"


def load_upscaler(name: str) -> Upscaler:
    """The upscaler called ``name``, or in the file of that name (``EDSR_x2.pb``, ``4x.pth``).

    ``auto`` is the best one that needs no weights: on the GPU where an engine uses one.

    Raises:
        OptionError: no upscaler of that name.
        MissingPartError: its packages or weights are not installed.
    """
    name = upscaler_name(name)
    if Path(name).suffix in FILES:
        return _from_file(Path(name).expanduser())
    if name not in UPSCALERS:
        raise OptionError(
            f"upscaler {name!r} is unknown: choose auto, one of {', '.join(UPSCALERS)}, or a "
            f"file of weights ({', '.join(FILES)})",
            param="upscaler",
        )
    return UPSCALERS[name]()
