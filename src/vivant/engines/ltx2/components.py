"""Diffusers' components of an LTX-2 model: from folders, one big file or an fp8 checkpoint."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vivant.engines.ltx2.architecture import ARCHITECTURES
from vivant.engines.ltx2.checkpoint import (
    config_of,
    configured,
    diffusers_config,
    embedded,
    empty,
    files_of,
    fill,
    read_component,
    read_side_by_side,
    read_tensors,
)
from vivant.engines.ltx2.decode import prepare
from vivant.engines.ltx2.diffusers_classes import (
    AutoencoderKLLTX2Video,
    LTX2LatentUpsamplerModel,
    LTX2TextConnectors,
    LTX2VideoTransformer3DModel,
)
from vivant.engines.ltx2.direct_read import drop_early
from vivant.engines.ltx2.lora import Adapter, fuse, text_digest
from vivant.engines.ltx2.names import renamed_in_connectors, transformer_name, vae_name
from vivant.engines.ltx2.prompts import EncodeTexts, PromptEncoder
from vivant.engines.ltx2.text_encoder import streamed_text_encoder
from vivant.engines.ltx2.transformer import check_supported
from vivant.engines.ltx2.versions import check_parts, refuse_unsupported, version_of_header
from vivant.errors import MissingPartError, WeightsError
from vivant.types import Observer, ignore_progress
from vivant.weights import FP8_FOLDER, Model, read_header

logging.getLogger("diffusers").setLevel(logging.ERROR)


@dataclass(slots=True)
class Components:
    """A model, loaded.

    Attributes:
        transformer: its blocks' linear layers are fp8 where ``precision`` says so.
        upsampler: latents to twice the size, or None where it was not asked for.
        text: encodes prompts; loads what that needs, and frees it.
        audio: latent channels and mel bins of the audio stream.
        identity: what the weights are, for the prompt cache and the report.
    """

    transformer: Any
    vae: Any
    upsampler: Any | None
    text: EncodeTexts
    audio: tuple[int, int]
    identity: dict[str, str]
    precision: str
    image_crf: int = 33
    notes: list[str] = field(default_factory=list)


def load_components(
    model: Model,
    folder: Path,
    *,
    device: torch.device,
    store: torch.device,
    precision: str,
    two_stages: bool,
    adapters: tuple[Adapter, ...] = (),
    commits: tuple[str, ...] = (),
    observe: Observer = ignore_progress,
) -> Components:
    """Read a pulled model.

    Args:
        device: where it computes (and where matrices are rounded to fp8).
        store: where it stays.
        precision: ``bf16`` or ``fp8``.

    Raises:
        MissingPartError: a file is not there.
        WeightsError: a file is corrupt, or another model's.
    """
    check_parts(model, folder, two_stages=two_stages)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    notes = [note for adapter in adapters for note in adapter.notes()]
    single = folder / model.single_file if model.single_file else None
    fp8_folder = folder / FP8_FOLDER
    use_fp8 = precision == "fp8" and fp8_folder.is_dir()
    if use_fp8 and adapters and (single or (folder / "transformer").is_dir()):
        use_fp8 = False  # an adapter is added before rounding, where the unrounded weights are
    direct = use_fp8 and store.type == "cuda"
    drop_early(but=fp8_folder if direct else None)
    source = fp8_folder if use_fp8 else single or folder / "transformer"
    transformer = empty_transformer(source, single is not None)
    if use_fp8 and adapters:
        notes.append(
            "The adapters were added to weights already rounded to fp8: pull the full model "
            "for the exact sum."
        )
    fill(
        transformer,
        read_component(files_of(source), device, store)
        if direct
        else transformer_tensors(source, single=single is not None and not use_fp8),
        dtype=dtype,
        device=device,
        store=store,
        quantize=precision == "fp8",
        adapters=() if use_fp8 else adapters,
        observe=observe,
    )
    if use_fp8:
        fuse(transformer, adapters)
    vae = _vae(folder, single, dtype, device, store)
    prepare(vae)
    upsampler = None
    if two_stages:
        upsampler = _upsampler(model, folder, dtype, device, store)
    return Components(
        transformer=transformer.eval().requires_grad_(requires_grad=False),
        vae=vae,
        upsampler=upsampler,
        text=_prompt_encoder(folder, single, dtype, device, adapters),
        audio=_audio(folder),
        identity=named(
            {"model": model.name, "commits": " ".join(commits), "dtype": str(dtype)}, adapters
        ),
        precision=precision,
        image_crf=model.image_crf,
        notes=notes,
    )


def named(identity: dict[str, str], adapters: tuple[Adapter, ...]) -> dict[str, str]:
    """``identity``, and what adapters make of the text: prompts are cached by it."""
    digest = text_digest(adapters)
    return {**identity, "text_adapters": digest} if digest else identity


def empty_transformer(source: Path, single: bool) -> Any:
    """The transformer of a folder or single file, on the meta device.

    Raises:
        WeightsError: it is a later model's.
    """
    if single and source.is_file():
        refuse_unsupported(version_of_header(read_header(source)), source)
    config = embedded(source, "transformer") if single and source.is_file() else config_of(source)
    transformer = empty(LTX2VideoTransformer3DModel, config, source)
    check_supported(transformer.config)
    return transformer


def transformer_tensors(source: Path, *, single: bool) -> Iterator[tuple[str, Tensor]]:
    """The transformer's weights under diffusers' names."""
    if not single:
        yield from read_side_by_side(files_of(source))
        return
    yield from _renamed(source, transformer_name)


def _renamed(source: Path, rename: Callable[[str], str | None]) -> Iterator[tuple[str, Tensor]]:
    """A part's tensors of a file that holds all parts, under diffusers' names."""
    yield from _named(read_tensors(source, lambda name: rename(name) is not None), rename)


def _named(
    tensors: Iterator[tuple[str, Tensor]], rename: Callable[[str], str | None]
) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors:
        renamed = rename(name)
        assert renamed is not None  # noqa: S101 - only such are read
        yield renamed, tensor


def _vae(
    folder: Path,
    single: Path | None,
    dtype: torch.dtype,
    device: torch.device,
    store: torch.device,
) -> Any:
    if single is None:
        return configured(AutoencoderKLLTX2Video, folder / "vae", dtype, device, store)
    module = empty(AutoencoderKLLTX2Video, embedded(single, "vae"), single)
    tensors = read_component([single], device, store, lambda name: vae_name(name) is not None)
    fill(module, _named(tensors, vae_name), dtype=dtype, device=device, store=store)
    return module.eval().requires_grad_(requires_grad=False)


def _upsampler(
    model: Model, folder: Path, dtype: torch.dtype, device: torch.device, store: torch.device
) -> Any:
    if model.upsampler_file is None:
        return configured(
            LTX2LatentUpsamplerModel, folder / "latent_upsampler", dtype, device, store
        )
    path = folder / model.upsampler_file
    architecture = ARCHITECTURES[model.version]
    config = diffusers_config(read_header(path), path) or architecture.upsampler
    module = empty(LTX2LatentUpsamplerModel, config, path)
    tensors = read_component([path], device, store)
    fill(module, tensors, dtype=dtype, device=device, store=store)
    return module.eval().requires_grad_(requires_grad=False)


def _audio(folder: Path) -> tuple[int, int]:
    """Latent channels and mel bins; the audio VAE compresses mel bins by 4 (diffusers)."""
    config = config_of(folder / "audio_vae", {"latent_channels": 8, "mel_bins": 64})
    return int(config["latent_channels"]), int(config["mel_bins"]) // 4


def load_connectors(
    folder: Path,
    single: Path | None,
    dtype: torch.dtype,
    device: torch.device,
    adapters: tuple[Adapter, ...] = (),
) -> Any:
    """What stands between text encoder and transformer, from its folder or the single file."""
    if single is None:
        module = configured(LTX2TextConnectors, folder / "connectors", dtype, device, device)
        fuse(module, adapters, text=True)
        return module
    module = empty(LTX2TextConnectors, embedded(single, "connectors"), single)
    fill(module, _renamed(single, renamed_in_connectors), dtype=dtype, device=device, store=device)
    fuse(module, adapters, text=True)
    return module.eval().requires_grad_(requires_grad=False)


def _prompt_encoder(
    folder: Path,
    single: Path | None,
    dtype: torch.dtype,
    device: torch.device,
    adapters: tuple[Adapter, ...],
) -> PromptEncoder:
    return PromptEncoder(
        tokenizer=partial(_tokenizer, folder / "tokenizer"),
        text_encoder=partial(streamed_text_encoder, folder / "text_encoder", dtype, device),
        connectors=partial(load_connectors, folder, single, dtype, device, adapters),
        device=device,
    )


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    if not folder.is_dir():
        raise MissingPartError(f"{folder} is not there, and a prompt is new: pull the model again")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder} holds no tokenizer: {error}") from None
