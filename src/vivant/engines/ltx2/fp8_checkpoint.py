"""A pulled model's transformer, rounded to fp8 once: later starts read half the bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from vivant.engines.ltx2.checkpoint import SHARDS, fill
from vivant.engines.ltx2.components import empty_transformer, transformer_tensors
from vivant.errors import OptionError, OutputError
from vivant.types import Observer, Progress, ignore_progress
from vivant.weights import FP8_FOLDER, SUMS, Model, hash_file


def save_fp8(transformer: Any, folder: Path, observe: Observer = ignore_progress) -> int:
    """Write a quantised transformer as an fp8 checkpoint; its bytes.

    Appears whole or not at all: it is written beside, then renamed. A list of its files' hashes
    goes with it, for ``vivant weights verify``.

    Raises:
        OutputError: it cannot be written.
    """
    draft = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        total = _write(transformer, draft, observe)
        if folder.is_dir():
            shutil.rmtree(folder)
        draft.rename(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise OutputError(f"the fp8 checkpoint cannot be written to {draft}: {error}") from None
    return total


def _write(transformer: Any, draft: Path, observe: Observer) -> int:
    config = {key: value for key, value in transformer.config.items() if not key.startswith("_")}
    (draft / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
    tensors = list(transformer.state_dict().items())
    total = sum(tensor.numel() * tensor.element_size() for _, tensor in tensors)
    written, shard, held, index = 0, {}, 0, 0
    hashes = {}
    for position, (name, tensor) in enumerate(tensors):
        shard[name] = tensor.cpu().contiguous()
        held += tensor.numel() * tensor.element_size()
        if held >= total / SHARDS or position == len(tensors) - 1:
            path = draft / f"{index:05d}.safetensors"
            save_file(shard, path)
            hashes[path.name] = hash_file(path)
            written += held
            observe(Progress("load", written, total, "byte"))
            shard, held, index = {}, 0, index + 1
    (draft / SUMS).write_text(json.dumps(hashes, indent=1), "utf-8")
    return total


def quantize_folder(
    model: Model, folder: Path, observe: Observer = ignore_progress
) -> tuple[Path, int]:
    """Write a pulled model's transformer as an fp8 checkpoint; where, and its bytes.

    Matrices are rounded one at a time, on the GPU where there is one.

    Raises:
        OptionError: it is an adapter.
        MissingPartError: a file is not there.
        WeightsError: a file is corrupt, or another model's.
        OutputError: not enough disk.
    """
    if model.kind != "model":
        raise OptionError(f"{model.name} is an adapter: only models are quantized", param="model")
    single = folder / model.single_file if model.single_file else None
    source = single or folder / "transformer"
    transformer = empty_transformer(source, single is not None)
    count = sum(parameter.numel() for parameter in transformer.parameters())
    free = shutil.disk_usage(folder).free
    if count * 1.05 > free:
        raise OutputError(
            f"the fp8 checkpoint takes {count * 1.05 / 1e9:.0f} GB, and {free / 1e9:.1f} GB are "
            f"free in {folder}"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    fill(
        transformer,
        transformer_tensors(source, single=single is not None),
        dtype=torch.bfloat16,
        device=device,
        store=torch.device("cpu"),
        quantize=True,
        observe=observe,
    )
    target = folder / FP8_FOLDER
    return target, save_fp8(transformer, target, observe)
