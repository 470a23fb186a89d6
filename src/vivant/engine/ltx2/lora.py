"""Low-rank adapters: read, checked against the model, then added to its weights.

Fused, an adapter costs nothing at any step. Knows nothing of what an adapter is good for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vivant.engine.ltx2.fp8 import Float8Linear, quantize_rows
from vivant.errors import MissingPartError, WeightsError
from vivant.weights import read_header

_RENAMES = (
    ("audio_patchify_proj", "audio_proj_in"),
    ("patchify_proj", "proj_in"),
    ("av_ca_video_scale_shift_adaln_single", "av_cross_attn_video_scale_shift"),
    ("av_ca_a2v_gate_adaln_single", "av_cross_attn_video_a2v_gate"),
    ("av_ca_audio_scale_shift_adaln_single", "av_cross_attn_audio_scale_shift"),
    ("av_ca_v2a_gate_adaln_single", "av_cross_attn_audio_v2a_gate"),
    ("audio_adaln_single", "audio_time_embed"),
    ("adaln_single", "time_embed"),
)
"""Lightricks' names → diffusers', as in ``_convert_non_diffusers_ltx2_lora_to_diffusers``."""

_KEY = re.compile(
    r"^(?:diffusion_model\.|transformer\.|base_model\.model\.)?(?P<module>.+?)\."
    r"(?P<side>lora_A|lora_B|lora_down|lora_up)(?:\.default)?\.weight$"
)
_ALPHA = re.compile(r"^(?:diffusion_model\.|transformer\.)?(?P<module>.+?)\.alpha$")


@dataclass(frozen=True, slots=True)
class Pair:
    """``down`` ``[rank, in]`` and ``up`` ``[out, rank]`` of one linear layer, by their keys."""

    down: str
    up: str
    rank: int
    alpha: str | None


@dataclass(frozen=True, slots=True)
class Adapter:
    """A checked file: module name → its pair."""

    path: Path
    scale: float
    pairs: dict[str, Pair]


def find_file(source: str, cache: Path | None = None, *, offline: bool = False) -> Path:
    """The file of ``source``: a path, or ``owner/repository`` with one safetensors file.

    Raises:
        MissingPartError: neither a file nor a repository that can be had.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return path
    if path.suffix or source.count("/") != 1 or source.startswith((".", "/", "~")):
        raise MissingPartError(f"LoRA file {source} is not there")
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if offline:
        raise MissingPartError(
            f"LoRA {source} is a repository, and offline mode is on: give its file instead"
        )
    try:
        names = [name for name in HfApi().list_repo_files(source) if name.endswith(".safetensors")]
        if len(names) != 1:
            raise MissingPartError(
                f"repository {source} has {len(names)} safetensors files, not one: download the "
                "one you want and give its path"
            )
        return Path(hf_hub_download(source, names[0], cache_dir=cache))
    except (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise MissingPartError(
            f"LoRA {source} is neither a file nor a repository that can be reached "
            f"({type(error).__name__})"
        ) from None


def inspect(path: Path, scale: float, shapes: dict[str, tuple[int, int]]) -> Adapter:
    """Read an adapter's header and hold it against the model's linear layers.

    Args:
        shapes: module name → ``(out, in)``.

    Raises:
        WeightsError: not an adapter, for another model, or ranks that do not match.
    """
    header = read_header(path)
    sides: dict[str, dict[str, str]] = {}
    alphas: dict[str, str] = {}
    for key in header:
        if match := _KEY.match(key):
            side = "down" if match["side"] in ("lora_A", "lora_down") else "up"
            sides.setdefault(_rename(match["module"]), {})[side] = key
        elif match := _ALPHA.match(key):
            alphas[_rename(match["module"])] = key
    if not sides:
        raise WeightsError(f"{path.name} is not a LoRA: it has no lora_A and lora_B weights")
    pairs = {}
    unknown = [name for name in sides if name not in shapes]
    connectors = [name for name in unknown if "connector" in name or "text_" in name]
    if len(unknown) > len(connectors):
        name = next(name for name in unknown if name not in connectors)
        raise WeightsError(
            f"{path.name} is made for another model: it changes {name}, which LTX-2 19B has not"
        )
    for name, found in sides.items():
        if name in connectors:
            continue
        if set(found) != {"up", "down"}:
            raise WeightsError(f"{path.name} has only one half of {name}: it was cut off")
        down = tuple(header[found["down"]]["shape"])
        up = tuple(header[found["up"]]["shape"])
        wide = shapes[name]
        if len(down) != 2 or len(up) != 2 or (up[0], down[1]) != wide:
            raise WeightsError(
                f"{path.name} does not fit {name}: it would change {up[0]}×{down[-1]} weights, "
                f"the model has {wide[0]}×{wide[1]}"
            )
        if down[0] != up[1]:
            raise WeightsError(
                f"{path.name} has mismatched ranks at {name}: {down[0]} down, {up[1]} up"
            )
        pairs[name] = Pair(found["down"], found["up"], down[0], alphas.get(name))
    if not pairs:
        raise WeightsError(f"{path.name} changes only the text connectors, which are cached")
    return Adapter(path, scale, pairs)


def _rename(module: str) -> str:
    for old, new in _RENAMES:
        if old in module:
            return module.replace(old, new)
    return module


def linear_shapes(transformer: nn.Module) -> dict[str, tuple[int, int]]:
    """Name → ``(out, in)`` of every linear layer; works on the meta device."""
    return {
        name: (module.out_features, module.in_features)
        for name, module in transformer.named_modules()
        if isinstance(module, nn.Linear | Float8Linear)
    }


@torch.no_grad()
def fuse(transformer: nn.Module, adapter: Adapter) -> None:
    """Add ``scale · alpha / rank · up @ down`` to every layer the adapter changes.

    Where the layer is fp8 already, it is widened, changed and rounded again.

    Raises:
        WeightsError: a weight is not finite, or the file cannot be read.
    """
    try:
        with safe_open(adapter.path, framework="pt") as file:
            for name, pair in adapter.pairs.items():
                _fuse_one(transformer.get_submodule(name), file, adapter, name, pair)
    except SafetensorError as error:
        raise WeightsError(f"{adapter.path.name} cannot be read: {error}") from None


def _fuse_one(module: Any, file: Any, adapter: Adapter, name: str, pair: Pair) -> None:
    device = module.weight.device
    down: Tensor = file.get_tensor(pair.down).to(device, torch.float32)
    up: Tensor = file.get_tensor(pair.up).to(device, torch.float32)
    alpha = float(file.get_tensor(pair.alpha)) if pair.alpha else float(pair.rank)
    delta = (up @ down) * (adapter.scale * alpha / pair.rank)
    if not bool(torch.isfinite(delta).all()):
        raise WeightsError(f"{adapter.path.name} holds values at {name} that are not finite")
    if isinstance(module, Float8Linear):
        weight, scale = quantize_rows(module.dequantized(torch.float32) + delta)
        module.weight.copy_(weight)
        module.weight_scale.copy_(scale)
    else:
        module.weight.copy_((module.weight.float() + delta).to(module.weight.dtype))
