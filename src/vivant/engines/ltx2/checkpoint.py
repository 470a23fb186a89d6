"""Weight files → modules, one tensor at a time.

Weights go to their place one by one, adapters are added and matrices rounded to fp8 on the way,
so that host memory never holds a second copy. Every file's header is read first: a missing,
foreign or truncated file is an error before anything is loaded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vivant.engines.ltx2.architecture import ARCHITECTURES
from vivant.engines.ltx2.direct_read import read_to
from vivant.engines.ltx2.fp8 import FLOAT8, Float8Linear, quantize_rows, skeleton
from vivant.engines.ltx2.lora import Adapter, WeightDeltas
from vivant.engines.ltx2.memory import pinned
from vivant.engines.ltx2.versions import version_of_header
from vivant.engines.ltx2.without_compiler import without_compiler
from vivant.errors import MissingPartError, WeightsError
from vivant.types import Observer, Progress, ignore_progress
from vivant.weights import read_header

SHARDS = 8
"""Files of an fp8 checkpoint: read side by side, since one reader does not fill a fast disk."""


def files_of(folder: Path) -> list[Path]:
    """The safetensors files of a folder: those its index names, where it has one.

    Repositories keep the same weights twice, whole and in shards: the index tells which belong
    together.

    Raises:
        MissingPartError: there is none, or one the index names is not there.
        WeightsError: the index cannot be read.
    """
    files = sorted(folder.glob("*.safetensors"))
    indices = sorted(folder.glob("*.safetensors.index.json"))
    if indices:
        try:
            named = set(json.loads(indices[0].read_text("utf-8"))["weight_map"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise WeightsError(
                f"{indices[0]} is not an index of weights: pull the model again"
            ) from None
        files = sorted(folder / Path(str(name)).name for name in named)
        missing = [path for path in files if not path.is_file()]
        if missing:
            raise MissingPartError(f"weight file {missing[0]} is not there: pull the model again")
    if not files:
        raise MissingPartError(f"{folder} holds no safetensors file: pull the model again")
    return files


def config_of(folder: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    """A folder's ``config.json`` without diffusers' own fields; ``default`` where there is none."""
    path = folder / "config.json"
    if not path.is_file():
        if default is not None:
            return default
        raise MissingPartError(f"{path} is not there: pull the model again")
    try:
        config = json.loads(path.read_text("utf-8"))
        return {key: value for key, value in config.items() if not key.startswith("_")}
    except (ValueError, AttributeError):
        raise WeightsError(f"{path} is not a configuration: pull the model again") from None


class _SkipInit(TorchFunctionMode):
    """Leaves out the first values of weights, which are read afterwards.

    On the meta device they are never computed, but cost 3 s for a model of 19B, and import SymPy.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else named["tensor"]
        if func is torch.Tensor.div and not isinstance(args[1], Tensor):
            return args[0]  # random numbers that are scaled
        return (torch.empty if func is torch.randn else func)(*args, **named)


def empty(cls: Any, config: Mapping[str, Any], where: Path) -> Any:
    """A module on the meta device; ``where`` is to blame if ``config`` does not fit."""

    def made() -> Any:
        with torch.device("meta"), _SkipInit():
            return cls(**config)

    try:
        return without_compiler(made)
    except TypeError as error:
        raise WeightsError(
            f"{where} describes another model than LTX-2.0 or 2.3: {error}"
        ) from None


def embedded(path: Path, part: str) -> Mapping[str, Any]:
    """Diffusers' configuration of a part of a single file: its own, or that of its version."""
    header = read_header(path)
    own = diffusers_config(header, path)
    if own is not None:
        if not isinstance(own.get(part), dict):
            raise WeightsError(f"{path} does not say how its {part} is made")
        return dict(own[part])
    config: Mapping[str, Any] = getattr(ARCHITECTURES[version_of_header(header)], part)
    return config


def diffusers_config(header: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """The configuration in diffusers' terms that a file carries, if it does.

    Raises:
        WeightsError: it is none.
    """
    text = (header.get("__metadata__") or {}).get("diffusers_config")
    if text is None:
        return None
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):
        raise WeightsError(f"{path} does not say how it is made") from None


def read_tensors(
    path: Path, wanted: Callable[[str], bool] = lambda _: True
) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a file, one at a time; of those ``wanted``."""
    read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                if wanted(name):
                    yield name, file.get_tensor(name)
    except SafetensorError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from None


def read_component(
    files: list[Path],
    device: torch.device,
    store: torch.device,
    wanted: Callable[[str], bool] | None = None,
) -> Iterator[tuple[str, Tensor]]:
    """Tensors of a part that fits on the GPU as it is: straight there, if that is its place."""
    if store.type == "cuda" and device.type == "cuda":
        yield from read_to(device, files, wanted)
        return
    for path in files:
        yield from read_tensors(path, wanted or (lambda _: True))


def read_side_by_side(files: list[Path]) -> Iterator[tuple[str, Tensor]]:
    """Tensors of several files, read by as many threads: page faults are what loading waits for."""
    handles = threading.local()

    def touch(item: tuple[Path, str]) -> tuple[str, Tensor]:
        path, name = item
        opened = handles.__dict__.setdefault("files", {})
        if path not in opened:
            opened[path] = safe_open(path, framework="pt").__enter__()
        # the copy is what reads the file; without it the reader after us would
        return name, opened[path].get_tensor(name).clone()

    names = [[n for n in read_header(path) if n != "__metadata__"] for path in files]
    # round robin over the files, so that their reads overlap
    items = [
        (path, some[index])
        for index in range(max(map(len, names)))
        for path, some in zip(files, names, strict=True)
        if index < len(some)
    ]
    with ThreadPoolExecutor(SHARDS) as pool:
        waiting = []
        try:
            for item in items:
                waiting.append(pool.submit(touch, item))
                if len(waiting) > 4 * SHARDS:
                    yield waiting.pop(0).result()
            for future in waiting:
                yield future.result()
        except SafetensorError as error:
            raise WeightsError(f"{files[0].parent} cannot be read: {error}") from None


@torch.no_grad()
def fill(
    module: Any,
    tensors: Iterator[tuple[str, Tensor]],
    *,
    dtype: torch.dtype,
    device: torch.device,
    store: torch.device,
    quantize: bool = False,
    adapters: tuple[Adapter, ...] = (),
    observe: Observer = ignore_progress,
) -> None:
    """Put ``tensors`` into ``module``, which is on the meta device.

    In host memory they are pinned at once: pinned later, both copies of a model would stay in the
    process, since the C library keeps what is freed in small pieces.
    """

    def stored(value: Tensor) -> Tensor:
        value = value.to(store)
        return pinned(value, device) if store.type == "cpu" else value

    if quantize:
        for block in module.transformer_blocks:
            skeleton(block)
    wanted = dict(module.named_parameters()) | dict(module.named_buffers())
    shapes = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    kept = set(module.state_dict(keep_vars=True))
    missing = {name for name, tensor in wanted.items() if tensor.is_meta and name in kept}
    total = len(missing)
    done = 0
    with WeightDeltas(adapters) as deltas:
        for name, tensor in tensors:
            if name not in wanted:
                raise WeightsError(f"the weights hold {name}, which this version of LTX-2 has not")
            if tuple(tensor.shape) != shapes[name]:
                raise WeightsError(
                    f"{name} has shape {tuple(tensor.shape)} in the weights, and {shapes[name]} in "
                    "the model: another model's file"
                )
            owner, _, leaf = name.rpartition(".")
            parent = module.get_submodule(owner)
            exact = tensor.dtype in (FLOAT8, torch.float32) and (
                leaf == "weight_scale" or tensor.dtype == FLOAT8
            )
            value = tensor if exact else tensor.to(device, dtype)
            delta = deltas.of(owner, value.device) if leaf == "weight" else None
            if delta is not None:
                value = (value.float() + delta).to(value.dtype)
            if isinstance(parent, Float8Linear) and leaf == "weight" and value.dtype != FLOAT8:
                value, scale = quantize_rows(value)
                put_tensor(module, f"{owner}.weight_scale", stored(scale))
                missing.discard(f"{owner}.weight_scale")
                done += 1
            put_tensor(module, name, stored(value))
            missing.discard(name)
            done += 1
            observe(Progress("load", min(done, total), total, "item"))
    if missing:
        raise WeightsError(
            f"the weights lack {len(missing)} tensors, {min(missing)} among them: "
            "they were cut off, or are another model's"
        )


def put_tensor(module: nn.Module, name: str, value: Tensor) -> None:
    """Give ``module`` the parameter or buffer ``name``, whatever device it was on."""
    owner, _, leaf = name.rpartition(".")
    parent = module.get_submodule(owner)
    if leaf in parent._parameters:
        parent._parameters[leaf] = nn.Parameter(value, requires_grad=False)
    else:
        parent._buffers[leaf] = value


def configured(
    cls: Any, folder: Path, dtype: torch.dtype, device: torch.device, store: torch.device
) -> Any:
    """A component from its folder."""
    module = empty(cls, config_of(folder), folder)
    tensors = read_component(files_of(folder), device, store)
    fill(module, tensors, dtype=dtype, device=device, store=store)
    return module.eval().requires_grad_(requires_grad=False)
