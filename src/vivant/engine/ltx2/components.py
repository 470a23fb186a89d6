"""Diffusers' components of an LTX-2 model: from folders, one big file, fp8 checkpoints, or chance.

Weights go to their place one tensor at a time, adapters are added and matrices rounded to fp8 on
the way, so that host memory never holds a second copy. Every file's header is read first: a
missing, foreign or truncated file is an error before anything is loaded. Knows nothing of
requests.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vivant.engine.ltx2 import tiny
from vivant.engine.ltx2.decode import prepare
from vivant.engine.ltx2.fp8 import FLOAT8, Float8Linear, quantize_rows, skeleton
from vivant.engine.ltx2.lora import Adapter, fuse
from vivant.engine.ltx2.memory import release
from vivant.engine.ltx2.prompts import TextStack
from vivant.errors import MissingPartError, OutputError, WeightsError
from vivant.types import Observer, Progress, ignore_progress
from vivant.weights import Model, read_header

logging.getLogger("diffusers").setLevel(logging.ERROR)

FP8_FOLDER = "transformer-fp8"
SHARDS = 8
"""Files of an fp8 checkpoint: read side by side, since one reader does not fill a fast disk."""

Load = Callable[[], AbstractContextManager[TextStack]]


@dataclass(slots=True)
class Components:
    """A model, loaded.

    Attributes:
        transformer: its blocks' linear layers are fp8 where ``precision`` says so.
        upsampler: latents to twice the size, or None where it was not asked for.
        text: loads tokenizer, text encoder and connectors, and frees them on leaving.
        audio: latent channels and mel bins of the audio stream.
        identity: what the weights are, for the prompt cache and the report.
    """

    transformer: Any
    vae: Any
    upsampler: Any | None
    text: Load
    audio: tuple[int, int]
    identity: dict[str, str]
    precision: str
    image_crf: int = 33
    notes: list[str] = field(default_factory=list)


def random_components(
    *,
    small: bool,
    device: torch.device,
    store: torch.device,
    precision: str,
    two_stages: bool,
    adapters: tuple[Adapter, ...] = (),
    seed: int = 0,
) -> Components:
    """Random weights: tiny, or at real size to time with.

    Args:
        device: where they are drawn.
        store: where they stay.
    """
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    quantized = precision == "fp8"

    def make(cls: Any, tiny_config: Any, config: Any, **more: Any) -> Any:
        module = tiny.build(
            cls, tiny_config if small else config, device=device, dtype=dtype, seed=seed, **more
        )
        return module.to(store)

    transformer = make(
        LTX2VideoTransformer3DModel,
        tiny.TINY_TRANSFORMER,
        tiny.TRANSFORMER_2_0,
        quantize=quantized,
    )
    for adapter in adapters:
        fuse(transformer, adapter)
    vae = make(AutoencoderKLLTX2Video, tiny.TINY_VAE, tiny.VAE_2_0)
    prepare(vae)
    upsampler = None
    if two_stages:
        upsampler = make(LTX2LatentUpsamplerModel, tiny.TINY_UPSAMPLER, tiny.UPSAMPLER_2_0)
    audio = tiny.TINY_AUDIO if small else tiny.AUDIO_2_0
    text = _tiny_text(device, dtype, seed) if small else _no_text(seed)
    return Components(
        transformer=transformer,
        vae=vae,
        upsampler=upsampler,
        text=text,
        audio=(audio["latent_channels"], audio["mel_bins"]),
        identity={"model": "tiny" if small else "random", "seed": str(seed), "dtype": str(dtype)},
        precision=precision,
        notes=["The weights are random: the frames are noise, made as fast as real ones."],
    )


def _tiny_text(device: torch.device, dtype: torch.dtype, seed: int) -> Load:
    @contextmanager
    def load() -> Iterator[TextStack]:
        connectors = tiny.build(
            LTX2TextConnectors, tiny.TINY_CONNECTORS, device=device, dtype=dtype, seed=seed
        )
        encoder = tiny.tiny_text_encoder(seed).to(device, dtype)
        yield TextStack(tiny.TinyTokenizer(), encoder, connectors, max_tokens=16)

    return load


class _NoText(TextStack):
    """Random weights have no text encoder: each text gets noise of its own."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def encode(self, text: str) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(
            self.seed + sum(byte << (8 * (i % 6)) for i, byte in enumerate(text.encode()))
        )
        shape = (1, 1024, 3840)
        video = torch.randn(shape, generator=generator).to(torch.bfloat16)
        return video, torch.randn(shape, generator=generator).to(torch.bfloat16)


def _no_text(seed: int) -> Load:
    @contextmanager
    def load() -> Iterator[TextStack]:
        yield _NoText(seed)

    return load


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
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    notes: list[str] = []
    single = folder / model.single_file if model.single_file else None
    fp8_folder = folder / FP8_FOLDER
    use_fp8 = precision == "fp8" and fp8_folder.is_dir()
    if use_fp8 and adapters and (single or (folder / "transformer").is_dir()):
        use_fp8 = False  # an adapter is added before rounding, where the unrounded weights are
    source = fp8_folder if use_fp8 else single or folder / "transformer"
    transformer = _transformer(source, single is not None)
    if use_fp8 and adapters:
        notes.append(
            "The adapters were added to weights already rounded to fp8: pull the full model "
            "for the exact sum."
        )
    _fill(
        transformer,
        _transformer_tensors(source, single=single is not None and not use_fp8),
        dtype=dtype,
        device=device,
        store=store,
        quantize=precision == "fp8",
        adapters=() if use_fp8 else adapters,
        observe=observe,
    )
    if use_fp8:
        for adapter in adapters:
            fuse(transformer, adapter)
    vae = _vae(folder, single, dtype, device, store)
    prepare(vae)
    upsampler = None
    if two_stages:
        upsampler = _configured(
            LTX2LatentUpsamplerModel, folder / "latent_upsampler", dtype, device, store
        )
    return Components(
        transformer=transformer.eval().requires_grad_(requires_grad=False),
        vae=vae,
        upsampler=upsampler,
        text=_text(folder, single, dtype, device),
        audio=_audio(folder),
        identity={"model": model.name, "commits": " ".join(commits), "dtype": str(dtype)},
        precision=precision,
        image_crf=model.image_crf,
        notes=notes,
    )


def _files(folder: Path) -> list[Path]:
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise MissingPartError(f"{folder} holds no safetensors file: pull the model again")
    return files


def _config(folder: Path, default: dict[str, Any] | None = None) -> dict[str, Any]:
    path = folder / "config.json"
    if not path.is_file():
        if default is not None:
            return default
        raise MissingPartError(f"{path} is not there: pull the model again")
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError:
        raise WeightsError(f"{path} is not JSON: pull the model again") from None
    return {key: value for key, value in config.items() if not key.startswith("_")}


def _empty(cls: Any, config: dict[str, Any], where: Path) -> Any:
    try:
        with torch.device("meta"):
            return cls(**config)
    except TypeError as error:
        raise WeightsError(f"{where} describes another model than LTX-2 19B: {error}") from None


def _transformer(source: Path, single: bool) -> Any:
    if source.is_dir():
        return _empty(LTX2VideoTransformer3DModel, _config(source), source)
    assert single  # noqa: S101
    return _empty(LTX2VideoTransformer3DModel, _embedded(source, "transformer"), source)


def _embedded(path: Path, part: str) -> dict[str, Any]:
    """Diffusers' configuration of a part, where a single file carries one; LTX-2.0's otherwise."""
    metadata = read_header(path).get("__metadata__", {})
    if "diffusers_config" in metadata:
        return dict(json.loads(metadata["diffusers_config"])[part])
    return {
        "transformer": tiny.TRANSFORMER_2_0,
        "vae": tiny.VAE_2_0,
        "connectors": tiny.CONNECTORS_2_0,
    }[part]


def _read(path: Path) -> Iterator[tuple[str, Tensor]]:
    read_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                yield name, file.get_tensor(name)
    except SafetensorError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from None


def _read_side_by_side(files: list[Path]) -> Iterator[tuple[str, Tensor]]:
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


def _transformer_tensors(source: Path, *, single: bool) -> Iterator[tuple[str, Tensor]]:
    if not single:
        yield from _read_side_by_side(_files(source))
        return
    from diffusers.loaders.single_file_utils import convert_ltx2_transformer_to_diffusers

    connectors = ("video_embeddings_connector", "audio_embeddings_connector")
    for name, tensor in _read(source):
        if name.startswith("model.diffusion_model.") and not any(c in name for c in connectors):
            converted = convert_ltx2_transformer_to_diffusers({name: tensor})
            yield from converted.items()


@torch.no_grad()
def _fill(
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
    """Put ``tensors`` into ``module``, which is on the meta device."""
    if quantize:
        for block in module.transformer_blocks:
            skeleton(block)
    wanted = dict(module.named_parameters()) | dict(module.named_buffers())
    shapes = {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    kept = set(module.state_dict(keep_vars=True))
    missing = {name for name, tensor in wanted.items() if tensor.is_meta and name in kept}
    total = len(missing)
    done = 0
    for name, tensor in tensors:
        if name not in wanted:
            raise WeightsError(f"the weights hold {name}, which LTX-2 19B has not")
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
        if adapters and leaf == "weight":
            value = _adapted(value, owner, adapters)
        if isinstance(parent, Float8Linear) and leaf == "weight" and value.dtype != FLOAT8:
            value, scale = quantize_rows(value)
            _put(parent, "weight_scale", scale.to(store))
            missing.discard(f"{owner}.weight_scale")
            done += 1
        _put(parent, leaf, value.to(store))
        missing.discard(name)
        done += 1
        observe(Progress("load", min(done, total), total, "item"))
    if missing:
        raise WeightsError(
            f"the weights lack {len(missing)} tensors, {min(missing)} among them: "
            "they were cut off, or are another model's"
        )


def _adapted(weight: Tensor, owner: str, adapters: tuple[Adapter, ...]) -> Tensor:
    out_features, in_features = weight.shape[0], weight.shape[-1]
    for adapter in adapters:
        if owner in adapter.pairs:
            holder = nn.Module()
            linear = nn.Linear(in_features, out_features, bias=False, device="meta")
            linear.weight = nn.Parameter(weight.clone(), requires_grad=False)
            holder.add_module("layer", linear)
            fuse(holder, Adapter(adapter.path, adapter.scale, {"layer": adapter.pairs[owner]}))
            weight = linear.weight.data
    return weight


def _put(parent: nn.Module, leaf: str, value: Tensor) -> None:
    if leaf in parent._parameters:
        parent._parameters[leaf] = nn.Parameter(value, requires_grad=False)
    else:
        parent._buffers[leaf] = value


def _configured(
    cls: Any, folder: Path, dtype: torch.dtype, device: torch.device, store: torch.device
) -> Any:
    module = _empty(cls, _config(folder), folder)
    tensors = (item for path in _files(folder) for item in _read(path))
    _fill(module, tensors, dtype=dtype, device=device, store=store)
    return module.eval().requires_grad_(requires_grad=False)


def _vae(
    folder: Path,
    single: Path | None,
    dtype: torch.dtype,
    device: torch.device,
    store: torch.device,
) -> Any:
    if single is None:
        return _configured(AutoencoderKLLTX2Video, folder / "vae", dtype, device, store)
    from diffusers.loaders.single_file_utils import convert_ltx2_vae_to_diffusers

    module = _empty(AutoencoderKLLTX2Video, _embedded(single, "vae"), single)

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in _read(single):
            if name.startswith("vae."):
                yield from convert_ltx2_vae_to_diffusers({name: tensor}).items()

    _fill(module, tensors(), dtype=dtype, device=device, store=store)
    return module.eval().requires_grad_(requires_grad=False)


def _audio(folder: Path) -> tuple[int, int]:
    """Latent channels and mel bins; the audio VAE compresses mel bins by 4 (diffusers)."""
    config = _config(folder / "audio_vae", {"latent_channels": 8, "mel_bins": 64})
    return int(config["latent_channels"]), int(config["mel_bins"]) // 4


_CONNECTOR_RENAMES = (
    ("model.diffusion_model.", ""),
    ("video_embeddings_connector", "video_connector"),
    ("audio_embeddings_connector", "audio_connector"),
    ("transformer_1d_blocks", "transformer_blocks"),
    ("text_embedding_projection.aggregate_embed", "text_proj_in"),
    ("q_norm", "norm_q"),
    ("k_norm", "norm_k"),
)
"""Lightricks' names → diffusers', as in its ``convert_ltx2_to_diffusers`` script."""


def load_connectors(
    folder: Path, single: Path | None, dtype: torch.dtype, device: torch.device
) -> Any:
    """What stands between text encoder and transformer, from its folder or the single file."""
    if single is None:
        return _configured(LTX2TextConnectors, folder / "connectors", dtype, device, device)
    module = _empty(LTX2TextConnectors, _embedded(single, "connectors"), single)

    def tensors() -> Iterator[tuple[str, Tensor]]:
        for name, tensor in _read(single):
            if "embeddings_connector" in name or "text_embedding_projection" in name:
                for old, new in _CONNECTOR_RENAMES:
                    name = name.replace(old, new)
                yield name, tensor

    _fill(module, tensors(), dtype=dtype, device=device, store=device)
    return module.eval().requires_grad_(requires_grad=False)


def _text(folder: Path, single: Path | None, dtype: torch.dtype, device: torch.device) -> Load:
    @contextmanager
    def load() -> Iterator[TextStack]:
        from transformers import AutoTokenizer, Gemma3ForConditionalGeneration

        for part in ("tokenizer", "text_encoder"):
            if not (folder / part).is_dir():
                raise MissingPartError(
                    f"{folder / part} is not there, and a prompt is new: pull the model again"
                )
        for path in _files(folder / "text_encoder"):
            read_header(path)
        placing: dict[str, Any] = {}
        if device.type == "cuda":
            # whatever does not fit beside the other components computes from host memory
            free, _ = torch.cuda.mem_get_info(device)
            room = max(0, free - 3 * 2**30)
            placing = {"device_map": "auto", "max_memory": {0: room, "cpu": 64 * 2**30}}
        encoder = Gemma3ForConditionalGeneration.from_pretrained(
            folder / "text_encoder", dtype=dtype, local_files_only=True, **placing
        ).eval()
        try:
            yield TextStack(
                AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True),
                encoder,
                load_connectors(folder, single, dtype, device),
            )
        finally:
            del encoder
            release(device)

    return load


def save_fp8(transformer: Any, folder: Path, observe: Observer = ignore_progress) -> int:
    """Write a quantised transformer as an fp8 checkpoint; its bytes.

    Appears whole or not at all: it is written beside, then renamed.
    """
    draft = folder.with_name(folder.name + ".part")
    draft.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in transformer.config.items() if not key.startswith("_")}
    (draft / "config.json").write_text(json.dumps(config, indent=1), "utf-8")
    tensors = list(transformer.state_dict().items())
    total = sum(tensor.numel() * tensor.element_size() for _, tensor in tensors)
    written, shard, held, index = 0, {}, 0, 0
    for position, (name, tensor) in enumerate(tensors):
        shard[name] = tensor.cpu().contiguous()
        held += tensor.numel() * tensor.element_size()
        if held >= total / SHARDS or position == len(tensors) - 1:
            save_file(shard, draft / f"{index:05d}.safetensors")
            written += held
            observe(Progress("load", written, total, "byte"))
            shard, held, index = {}, 0, index + 1
    if folder.is_dir():
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    draft.rename(folder)
    return total


def quantize_folder(
    model: Model, folder: Path, observe: Observer = ignore_progress
) -> tuple[Path, int]:
    """Write a pulled model's transformer as an fp8 checkpoint; where, and its bytes.

    Matrices are rounded one at a time, on the GPU where there is one.

    Raises:
        MissingPartError: a file is not there.
        WeightsError: a file is corrupt, or another model's.
        OutputError: not enough disk.
    """
    single = folder / model.single_file if model.single_file else None
    source = single or folder / "transformer"
    transformer = _transformer(source, single is not None)
    count = sum(parameter.numel() for parameter in transformer.parameters())
    free = shutil.disk_usage(folder).free
    if count * 1.05 > free:
        raise OutputError(
            f"the fp8 checkpoint takes {count * 1.05 / 1e9:.0f} GB, and {free / 1e9:.1f} GB are "
            f"free in {folder}"
        )
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    _fill(
        transformer,
        _transformer_tensors(source, single=single is not None),
        dtype=torch.bfloat16,
        device=device,
        store=torch.device("cpu"),
        quantize=True,
        observe=observe,
    )
    target = folder / FP8_FOLDER
    return target, save_fp8(transformer, target, observe)
