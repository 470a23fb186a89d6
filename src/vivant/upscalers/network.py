"""Super-resolution networks from files: EDSR, and whatever spandrel knows.

Every frame is enlarged by the network's own factor, then cropped and resampled to the size
asked for.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vivant.errors import MissingPartError, OutOfMemoryError, WeightsError
from vivant.grid import cover_crop
from vivant.types import Box, Clip, Frames, Observer, Progress
from vivant.upscalers.edsr import from_state
from vivant.upscalers.torch_resize import Resampler, fetch, to_device, to_frames
from vivant.weights import read_header

Network = Callable[[Tensor], Tensor]


class NetworkUpscaler:
    """Frames through a network, one at a time.

    Args:
        network: ``[B, 3, H, W]`` in 0 … 1 → ``scale`` times as many pixels each way.
        scale: its factor.
        name: as in the report.
        device: where it computes.
        dtype: in which it computes.
    """

    def __init__(
        self,
        network: Network,
        scale: int,
        name: str,
        device: torch.device,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.network = network
        self.scale = scale
        self.name = name
        self.device = device
        self.dtype = dtype

    def upscale(self, clip: Clip, *, width: int, height: int, observe: Observer) -> Clip:
        """See :class:`vivant.types.Upscaler`."""
        return Clip(
            num_frames=clip.num_frames,
            fps=clip.fps,
            width=width,
            height=height,
            chunks=self._enlarge(clip, width, height, observe),
        )

    def _enlarge(self, clip: Clip, width: int, height: int, observe: Observer) -> Iterator[Frames]:
        scale = self.scale
        crop = cover_crop(clip.width, clip.height, width / height).scaled(scale)
        wide, high = clip.width * scale, clip.height * scale
        same = crop == Box(0, 0, wide, high) and (wide, high) == (width, height)
        resample = None if same else Resampler(wide, high, crop, width, height, self.device)
        done = 0
        for chunk in clip.chunks:
            frames = []
            for frame in chunk:
                with torch.inference_mode():
                    pixels = to_device(frame[None], self.device).permute(0, 3, 1, 2)
                    try:
                        out = self.network(pixels.to(self.dtype) / 255).float() * 255
                    except torch.OutOfMemoryError:
                        raise OutOfMemoryError(
                            f"upscaler {self.name} does not fit into GPU memory at "
                            f"{clip.width}x{clip.height}: use upscaler lanczos-gpu"
                        ) from None
                    except RuntimeError as error:
                        raise WeightsError(
                            f"upscaler {self.name} failed on a frame of {clip.width}x"
                            f"{clip.height}: {str(error).splitlines()[0][:120]}"
                        ) from None
                    frames.append(to_frames(out if resample is None else resample(out)))
                done += 1
                observe(Progress("upscale", done, clip.num_frames))
            yield fetch(torch.cat(frames))


def load_network(path: Path, device: torch.device | str | None = None) -> NetworkUpscaler:
    """The upscaler in a weight file (``.pt``, ``.pth``, ``.safetensors``).

    Raises:
        MissingPartError: no such file, or spandrel is not installed.
        WeightsError: no network that is known.
    """
    if not path.is_file():
        raise MissingPartError(f"upscaler file {path} is not there")
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = torch.bfloat16 if place.type == "cuda" else torch.float32
    state = _read(path)
    network: Any = from_state(state, path.name)
    scale, name = 0, path.stem
    if network is not None:
        scale, name = network.scale, f"edsr ({path.stem})"
    else:
        network, scale, half = _spandrel(state, path)
        if not half:
            dtype = torch.float32
    module: Any = network if isinstance(network, torch.nn.Module) else network.model
    module.to(place, dtype, memory_format=torch.channels_last).eval()
    return NetworkUpscaler(network, scale, name, place, dtype)


def _read(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        read_header(path)
        return dict(load_file(path))
    try:
        # weights only: a pickle may otherwise run whatever it likes
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        pickle.UnpicklingError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
    ) as error:
        raise WeightsError(
            f"{path.name} is not a file of weights: {str(error).splitlines()[0][:120]}"
        ) from None
    for key in ("params_ema", "params", "state_dict"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(f"{path.name} holds no table of weights")
    return dict(state)


def _spandrel(state: dict[str, Tensor], path: Path) -> tuple[Any, int, bool]:
    """The network with its own padding around it, its factor, and whether it takes bf16."""
    try:
        from spandrel import ImageModelDescriptor, ModelLoader
        from spandrel import UnsupportedModelError as Unsupported
    except ImportError:
        raise MissingPartError("upscaler files need spandrel: uv sync --extra ltx2") from None
    try:
        found = ModelLoader(device="cpu").load_from_state_dict(dict(state))
    except (Unsupported, RuntimeError, KeyError) as error:
        raise WeightsError(
            f"{path.name} is no super-resolution network that is known ({type(error).__name__})"
        ) from None
    if not isinstance(found, ImageModelDescriptor) or found.input_channels != 3:
        raise WeightsError(f"{path.name} does not take and give RGB pictures")
    return found, found.scale, found.supports_bfloat16
