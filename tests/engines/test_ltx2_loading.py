"""Real loading code on small files: folders, one file, fp8, adapters, and everything broken."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel
from safetensors.torch import load_file, save_file
from torch import Tensor

import ltx2_tiny as small
from vivant.engines.ltx2 import attention, direct_read, lora, tiny
from vivant.engines.ltx2.architecture import TINY, TINY_2_0
from vivant.engines.ltx2.attention import choose_backend
from vivant.engines.ltx2.block import TransformerBlock
from vivant.engines.ltx2.checkpoint import empty
from vivant.engines.ltx2.components import load_components, load_connectors
from vivant.engines.ltx2.direct_read import read_to
from vivant.engines.ltx2.first_uses import begin_first_uses, use_libraries
from vivant.engines.ltx2.fp8 import FLOAT8, Float8Linear, needs_widening, quantize_rows
from vivant.engines.ltx2.fp8_checkpoint import quantize_folder
from vivant.engines.ltx2.tiers import FA3_MODULES
from vivant.errors import MissingPartError, OptionError, OutputError, VivantError, WeightsError
from vivant.types import ignore_progress
from vivant.weights import FP8_FOLDER, LOCK, Library, Model, Part, hash_file

CPU = torch.device("cpu")
MODEL = Model(name="ltx-2-19b-distilled", parts=(Part(repo="a/b", patterns=("*",)),), size=1)
SINGLE = Model(
    name="ltx-2-19b-distilled-file",
    parts=(Part(repo="a/b", patterns=("*",)),),
    size=1,
    single_file="one.safetensors",
)


def built(version: str = "2.0") -> dict[str, Any]:
    architecture = TINY[version]
    return {
        "transformer": tiny.build(LTX2VideoTransformer3DModel, architecture.transformer),
        "vae": tiny.build(AutoencoderKLLTX2Video, architecture.vae),
        "latent_upsampler": tiny.build(LTX2LatentUpsamplerModel, architecture.upsampler),
    }


def write_folder(folder: Path) -> dict[str, Any]:
    parts = built()
    for name, module in parts.items():
        (folder / name).mkdir(parents=True)
        config = {key: value for key, value in module.config.items() if not key.startswith("_")}
        (folder / name / "config.json").write_text(json.dumps(config), "utf-8")
        state = module.state_dict()
        keys = sorted(state)
        half = len(keys) // 2
        for index, some in enumerate((keys[:half], keys[half:])):
            save_file(
                {key: state[key].contiguous() for key in some},
                folder / name / f"model-{index}.safetensors",
            )
    return parts


TO_ORIGINAL = {
    "av_cross_attn_video_scale_shift": "av_ca_video_scale_shift_adaln_single",
    "av_cross_attn_video_a2v_gate": "av_ca_a2v_gate_adaln_single",
    "av_cross_attn_audio_scale_shift": "av_ca_audio_scale_shift_adaln_single",
    "av_cross_attn_audio_v2a_gate": "av_ca_v2a_gate_adaln_single",
    "video_a2v_cross_attn_scale_shift_table": "scale_shift_table_a2v_ca_video",
    "audio_a2v_cross_attn_scale_shift_table": "scale_shift_table_a2v_ca_audio",
    "audio_time_embed.": "audio_adaln_single.",
    "time_embed.": "adaln_single.",
    "audio_proj_in": "audio_patchify_proj",
    "proj_in": "patchify_proj",
    "audio_prompt_adaln.": "audio_prompt_adaln_single.",
    "prompt_adaln.": "prompt_adaln_single.",
    "norm_q": "q_norm",
    "norm_k": "k_norm",
}
VAE_TO_ORIGINAL = {
    "encoder.down_blocks.{}.downsamplers.0": "encoder.down_blocks.{}",
    "encoder.down_blocks.{}.": "encoder.down_blocks.{}.",
}


def original_name(name: str) -> str:
    """diffusers' transformer name → Lightricks'."""
    for ours, theirs in TO_ORIGINAL.items():
        if ours in name:
            name = name.replace(ours, theirs)
            if "adaln" in theirs or "proj" in theirs:
                break
    return f"model.diffusion_model.{name}"


def original_vae_name(name: str) -> str:
    """diffusers' VAE name → Lightricks'."""
    parts = name.split(".")
    if name in ("latents_mean", "latents_std"):
        what = "mean-of-means" if name.endswith("mean") else "std-of-means"
        return f"vae.per_channel_statistics.{what}"
    if parts[1] == "mid_block":
        block = "down_blocks.8" if parts[0] == "encoder" else "up_blocks.0"
        rest = parts[2:]
    elif parts[1] in ("down_blocks", "up_blocks"):
        index, inner = int(parts[2]), parts[3:]
        sampler = inner[0] in ("downsamplers", "upsamplers")
        place = 2 * index + (1 if sampler else 0)
        if parts[1] == "up_blocks":
            place = 2 * index + (1 if sampler else 2)
        block, rest = f"{parts[1]}.{place}", inner[2:] if sampler else inner
    else:
        return "vae." + name
    return ".".join(["vae", parts[0], block, *rest]).replace("resnets", "res_blocks")


LIGHTRICKS_CONNECTORS = (
    ("text_proj_in", "text_embedding_projection.aggregate_embed"),
    ("video_text_proj_in", "text_embedding_projection.video_aggregate_embed"),
    ("audio_text_proj_in", "text_embedding_projection.audio_aggregate_embed"),
    ("transformer_blocks", "transformer_1d_blocks"),
    ("video_connector", "model.diffusion_model.video_embeddings_connector"),
    ("audio_connector", "model.diffusion_model.audio_embeddings_connector"),
    ("norm_q", "q_norm"),
    ("norm_k", "k_norm"),
)


def original_connector_name(name: str) -> str:
    """diffusers' name of a tensor of the text connectors → Lightricks'."""
    for ours, theirs in LIGHTRICKS_CONNECTORS:
        if name.startswith(ours) or ours in ("transformer_blocks", "norm_q", "norm_k"):
            name = name.replace(ours, theirs)
    return name


def write_single(path: Path, version: str = "2.0") -> dict[str, Any]:
    """A file as Lightricks writes it, of all parts but upsampler and text encoder."""
    parts = built(version)
    parts["connectors"] = tiny.build(LTX2TextConnectors, TINY[version].connectors)
    state: dict[str, Tensor] = {
        original_name(name): tensor.contiguous()
        for name, tensor in parts["transformer"].state_dict().items()
    }
    for name, tensor in parts["vae"].state_dict().items():
        state[original_vae_name(name)] = tensor.contiguous()
    for name, tensor in parts["connectors"].state_dict().items():
        state[original_connector_name(name)] = tensor.contiguous()
    # what a real file also holds, and diffusers' converters drop
    state["audio_vae.decoder.conv_in.conv.weight"] = torch.ones(1)
    state["vocoder.conv_pre.weight"] = torch.ones(1)
    state["vae.per_channel_statistics.mean-of-stds"] = torch.ones(1)
    path.parent.mkdir(parents=True, exist_ok=True)
    architecture = TINY[version]
    configs = {
        "transformer": architecture.transformer,
        "vae": architecture.vae,
        "connectors": architecture.connectors,
    }
    save_file(state, path, metadata={"diffusers_config": json.dumps(configs)})
    return parts


def load(model: Model, folder: Path, precision: str = "bf16", **options: Any) -> Any:
    return load_components(
        model,
        folder,
        **{
            "device": CPU,
            "store": CPU,
            "precision": precision,
            "two_stages": False,
            **options,
        },
    )


def assert_same(ours: Any, theirs: Any) -> None:
    mine, yours = ours.state_dict(), theirs.state_dict()
    assert set(mine) == set(yours)
    for name in mine:
        torch.testing.assert_close(mine[name], yours[name], atol=0, rtol=0, msg=name)


def test_folder_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    parts = write_folder(tmp_path)
    seen: list[int] = []
    loaded = load(MODEL, tmp_path, two_stages=True, observe=lambda p: seen.append(p.done))
    assert_same(loaded.transformer, parts["transformer"])
    assert_same(loaded.vae, parts["vae"])
    assert_same(loaded.upsampler, parts["latent_upsampler"])
    assert seen == sorted(seen)
    assert len(seen) == len(parts["transformer"].state_dict())


def test_of_weights_kept_twice_the_index_tells_which(tmp_path: Path) -> None:
    parts = write_folder(tmp_path)
    folder = tmp_path / "vae"
    shards = {path.name: load_file(path) for path in folder.glob("*.safetensors")}
    stale = {key: value + 1 for state in shards.values() for key, value in state.items()}
    save_file(stale, folder / "whole.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(
        json.dumps({"weight_map": {key: name for name, state in shards.items() for key in state}})
    )
    assert_same(load(MODEL, tmp_path).vae, parts["vae"])
    (folder / "model-1.safetensors").unlink()
    with pytest.raises(MissingPartError, match=r"model-1\.safetensors is not there"):
        load(MODEL, tmp_path)
    index.write_text("[]")
    with pytest.raises(WeightsError, match="not an index"):
        load(MODEL, tmp_path)


@pytest.mark.parametrize("version", ["2.0", "2.3"])
def test_one_file_is_loaded_under_lightricks_names(tmp_path: Path, version: str) -> None:
    path = tmp_path / "one.safetensors"
    parts = write_single(path, version)
    names = set(load_file(path))
    assert "model.diffusion_model.adaln_single.linear.weight" in names
    assert "vae.encoder.down_blocks.1.conv.conv.weight" in names
    assert ("vae.decoder.up_blocks.8.res_blocks.0.conv1.conv.weight" in names) == (version == "2.3")
    model = replace(SINGLE, version=version, upsampler_file="up.safetensors")
    upsampler = parts["latent_upsampler"]
    save_file(
        {name: value.contiguous() for name, value in upsampler.state_dict().items()},
        tmp_path / "up.safetensors",
        metadata={"diffusers_config": json.dumps(TINY[version].upsampler)},
    )
    loaded = load(model, tmp_path, two_stages=True)
    assert_same(loaded.transformer, parts["transformer"])
    assert_same(loaded.vae, parts["vae"])
    assert_same(loaded.upsampler, upsampler)
    connectors = load_connectors(tmp_path, path, torch.float32, CPU)
    assert_same(connectors, parts["connectors"])

    # rounded once, it is read under diffusers' names
    quantize_folder(model, tmp_path)
    rounded = load(model, tmp_path, precision="fp8").transformer
    first = rounded.transformer_blocks[0].attn1
    assert isinstance(first.to_q, Float8Linear)
    if version == "2.3":  # gates are not rounded
        assert isinstance(first.to_gate_logits, torch.nn.Linear)
        exact = parts["transformer"].transformer_blocks[0].attn1.to_gate_logits.weight
        torch.testing.assert_close(first.to_gate_logits.weight, exact, atol=0.01, rtol=0.01)


def test_fp8_checkpoint_equals_rounding_at_load(tmp_path: Path) -> None:
    write_folder(tmp_path)
    at_load = load(MODEL, tmp_path, precision="fp8")
    # the checkpoint rounds from bf16, so let loading do so too
    target, size = quantize_folder(MODEL, tmp_path)
    assert target == tmp_path / FP8_FOLDER
    assert size < sum(p.stat().st_size for p in (tmp_path / "transformer").iterdir())
    from_file = load(MODEL, tmp_path, precision="fp8")
    first = from_file.transformer.transformer_blocks[0].attn1.to_q
    assert isinstance(first, Float8Linear)
    other = at_load.transformer.transformer_blocks[0].attn1.to_q
    exact, rounded = other.dequantized(torch.float32), first.dequantized(torch.float32)
    assert (exact - rounded).norm() / exact.norm() < 0.03
    assert not list(tmp_path.glob("*.part"))
    assert quantize_folder(MODEL, tmp_path)[1] == size  # again, over the first
    adapter_only = replace(MODEL, name="x", kind="lora")
    with pytest.raises(OptionError, match="x is an adapter"):
        quantize_folder(adapter_only, tmp_path)


def test_an_fp8_checkpoint_is_verified_and_falls_with_what_it_was_made_of(tmp_path: Path) -> None:
    name = "ltx-2-19b-distilled"
    folder = tmp_path / name
    write_folder(folder)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    entries = {
        str(path.relative_to(folder)): {
            "repo": "a/b",
            "commit": "c",
            "size": path.stat().st_size,
            "sha256": hash_file(path),
        }
        for path in paths
    }
    (folder / LOCK).write_text(json.dumps({"model": name, "files": entries}))
    books = Library(tmp_path)
    quantize_folder(MODEL, folder)
    assert books.state(name).fp8
    assert books.verify(name) > len(entries)
    shard = next((folder / FP8_FOLDER).glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match=f"run `vivant weights quantize {name}`"):
        books.verify(name)
    shard.unlink()
    with pytest.raises(MissingPartError, match=f"run `vivant weights quantize {name}`"):
        books.verify(name)


def test_an_fp8_checkpoint_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path)
    (tmp_path / (FP8_FOLDER + ".part")).mkdir()
    (tmp_path / (FP8_FOLDER + ".part") / "old.safetensors").write_text("of a killed run")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vivant.engines.ltx2.fp8_checkpoint.save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        quantize_folder(MODEL, tmp_path)
    assert not list(tmp_path.glob("transformer-fp8*"))
    monkeypatch.undo()
    target, _ = quantize_folder(MODEL, tmp_path)
    assert not (target / "old.safetensors").exists()


def test_gpus_that_hold_fp8_and_cannot_multiply_it_widen_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vivant.engines.ltx2 import block_kernels
    from vivant.engines.ltx2.transformer import Denoiser

    ampere = torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 6))
    assert needs_widening(ampere)
    assert not block_kernels.available(ampere)
    assert choose_backend(ampere) == "flash"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 9))
    assert not needs_widening(ampere)
    assert not needs_widening(CPU)

    model = tiny.build(LTX2VideoTransformer3DModel, TINY_2_0.transformer, quantize=True)
    layer = model.transformer_blocks[0].attn1.to_q
    x = torch.randn(5, 32)
    exact = torch.nn.functional.linear(x, layer.dequantized(torch.float32), layer.bias)
    assert not torch.equal(layer(x), exact)  # activations are rounded
    monkeypatch.setattr("vivant.engines.ltx2.transformer.needs_widening", lambda _: True)
    Denoiser(model)
    torch.testing.assert_close(layer(x), exact)
    whole: Any = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(x), exact)


def test_an_empty_module_is_what_its_constructor_makes_without_the_numbers() -> None:
    """Names, shapes and dtypes, on the meta device; nothing is drawn for it."""

    def described(module: Any) -> dict[str, Any]:
        tensors = (*module.named_parameters(), *module.named_buffers())
        return {name: (t.shape, t.dtype, t.device, t.requires_grad) for name, t in tensors}

    config = TINY["2.0"].transformer
    with torch.device("meta"):
        whole = LTX2VideoTransformer3DModel(**config)
    state = torch.get_rng_state()
    made = empty(LTX2VideoTransformer3DModel, config, Path("config.json"))
    assert described(made) == described(whole)
    assert torch.equal(torch.get_rng_state(), state)


# -- straight to the GPU -------------------------------------------------------------------


@pytest.mark.parametrize("columns", [77, 76])  # tensors begin anywhere; at multiples of 16 bytes
def test_pieces_read_side_by_side_are_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("vivant.engines.ltx2.direct_read.PIECE", 1000)
    monkeypatch.setattr("vivant.engines.ltx2.direct_read.SPAN", 3000)
    kept = {
        "a": torch.randn(33, columns),
        "b": torch.randn(8, columns - 68).bfloat16(),
        "c": torch.randn(4096).to(FLOAT8),
        "empty": torch.zeros(0, 3),
        "one": torch.tensor(3.5).to(FLOAT8) if columns == 76 else torch.tensor(3.5),
    }
    path = tmp_path / "model.safetensors"
    save_file(kept, path)
    read = dict(read_to(CPU, [path]))
    shared = {tensor.untyped_storage().data_ptr() for tensor in read.values() if tensor.numel()}
    assert len(shared) == (1 if columns == 76 else 4)
    assert list(read) == list(load_file(path))
    for name, tensor in kept.items():
        assert read[name].dtype == tensor.dtype
        torch.testing.assert_close(read[name].float(), tensor.float(), rtol=0, atol=0)
    assert list(dict(read_to(CPU, [path], lambda name: name == "b"))) == ["b"]


def test_files_read_early_are_taken_once_or_let_go(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save_file({name: torch.randn(100)}, tmp_path / name / "model.safetensors")
    files = [tmp_path / "a" / "model.safetensors"]
    direct_read.read_early(CPU, tmp_path / "a")
    (early,) = direct_read._early
    early._thread.join()
    assert early._reading is not None
    ((_, waiting),) = early._reading.tensors()
    ((_, taken),) = read_to(CPU, files)
    ((_, again),) = read_to(CPU, files)
    assert taken.data_ptr() == waiting.data_ptr()
    assert again.data_ptr() != waiting.data_ptr()

    direct_read.read_early(CPU, tmp_path / "a")
    direct_read.drop_early(but=tmp_path / "a")
    assert len(direct_read._early) == 1
    direct_read.read_early(CPU, tmp_path / "b")  # instead of the first
    direct_read.drop_early(but=tmp_path / "a")
    assert not direct_read._early

    files[0].write_bytes(b"nothing")
    direct_read.read_early(CPU, tmp_path / "a")
    with pytest.raises(WeightsError, match="not a safetensors file"):
        list(read_to(CPU, files))


def test_a_process_that_ends_does_not_wait_for_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.randn(100)}, path)
    monkeypatch.setattr("threading.main_thread", lambda: threading.Thread())
    with pytest.raises(WeightsError, match="the process is ending"):
        list(read_to(CPU, [path]))


def test_a_file_of_another_kind_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    header = json.dumps({"a": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"1234")
    with pytest.raises(WeightsError, match="holds a as F4"):
        list(read_to(CPU, [path]))


# -- attention -----------------------------------------------------------------------------


class FlashAttention3:
    """``flash_attn_func`` with the signature of the real one, by torch's own attention."""

    @staticmethod
    def flash_attn_func(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        softmax_scale: float | None = None,  # noqa: ARG004
        causal: bool = False,  # noqa: ARG004
        qv: Tensor | None = None,  # noqa: ARG004
        q_descale: Tensor | None = None,
        k_descale: Tensor | None = None,
        v_descale: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        fp8 = q.dtype == FLOAT8
        parts = []
        for x, scale in ((q, q_descale), (k, k_descale), (v, v_descale)):
            assert (scale is not None) == fp8
            if scale is not None:
                assert scale.shape == (x.shape[0], x.shape[2])
                x = x.float() * scale[:, None, :, None]
            parts.append(x)
        out = attention.attend(parts[0], parts[1], parts[2])
        return (out.bfloat16() if fp8 else out), None


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """A device that says it is a Hopper GPU, and no FlashAttention 3 yet."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    for name in FA3_MODULES:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(attention, "_fa3_package", attention._fa3_package.__wrapped__)
    return torch.device("cuda")


@pytest.mark.parametrize("module", FA3_MODULES)
def test_flash_attention_3_is_used_where_it_works(
    monkeypatch: pytest.MonkeyPatch, hopper: torch.device, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, FlashAttention3)
    assert choose_backend(hopper) == "fa3"
    assert choose_backend(hopper, "fa3-fp8") == "fa3-fp8"
    q, k = torch.randn(1, 6, 2, 8), torch.randn(1, 4, 2, 8)
    for attend in (
        attention.attend,
        torch.compile(attention.attend, backend="eager", fullgraph=True),
    ):
        torch.testing.assert_close(attend(q, k, k, "fa3"), attention.attend(q, k, k))


@pytest.mark.parametrize("wanted", ["fa3", "fa3-fp8"])
def test_flash_attention_3_for_another_torch_is_told_and_not_used(
    hopper: torch.device, wanted: str
) -> None:
    assert choose_backend(hopper) == "cudnn"
    with pytest.raises(MissingPartError, match=r"needs a Hopper GPU .* --extra hopper") as caught:
        choose_backend(hopper, wanted)
    assert caught.value.param == "attention"


def test_fp8_attention_smooths_the_keys_and_scales_each_head(
    monkeypatch: pytest.MonkeyPatch, hopper: torch.device
) -> None:
    monkeypatch.setitem(sys.modules, "fa3_fwd_interface", FlashAttention3)
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 64, 4, 32) for _ in range(3))
    k = k + 20 * torch.randn(1, 1, 4, 32)  # a mean that rounding to three bits would drown keys in
    v = v * torch.tensor([0.01, 1.0, 10.0, 100.0])[:, None]
    exact = attention.attend(q, k, v)
    for attend in (
        attention.attend,
        torch.compile(attention.attend, backend="eager", fullgraph=True),
    ):
        out = attend(q, k, v, "fa3-fp8")
        error = (out - exact).square().sum((0, 1, 3)) / exact.square().sum((0, 1, 3))
        assert out.dtype == q.dtype
        assert error.max() < 0.06**2
    torch.testing.assert_close(
        attention.attend(q, attention.smoothed(k), v), exact, rtol=1e-3, atol=1e-3
    )


def test_only_attention_of_the_picture_to_itself_is_fp8(
    monkeypatch: pytest.MonkeyPatch, hopper: torch.device
) -> None:
    used: list[tuple[int, str]] = []
    plain = attention.attend

    def attend(q: Tensor, k: Tensor, v: Tensor, kernel: str = "sdpa") -> Tensor:
        used.append((q.shape[1] if q.shape[1] == k.shape[1] else 0, kernel))
        return plain(q, k, v)

    monkeypatch.setattr("vivant.engines.ltx2.block.attend", attend)
    model = tiny.build(LTX2VideoTransformer3DModel, TINY_2_0.transformer)
    block = TransformerBlock(model.transformer_blocks[0], eps=1e-6, kernel="fa3-fp8")
    x, rotary = torch.randn(1, 5, 32), None
    for attn in (block.attn1, block.audio_attn1):
        width = attn.to_q.in_features
        block._attend(attn, x[..., :width], x[..., :width], rotary, rotary)  # type: ignore[arg-type]
    assert used == [(5, "fa3-fp8"), (5, "sdpa")]


def test_rounding_error_is_that_of_e4m3() -> None:
    x = torch.randn(64, 256)
    values, scale = quantize_rows(x)
    back = values.float() * scale
    # three mantissa bits: half a step of 2⁻³ at most, relative, above the subnormals
    large = x.abs() > x.abs().amax(-1, keepdim=True) / 448 * 2**-6 * 4
    assert ((back - x).abs() / x.abs())[large].max() <= 2**-4 + 1e-6
    zero = quantize_rows(torch.zeros(2, 16))
    assert torch.equal(zero[0].float(), torch.zeros(2, 16))


def replace_tensor(folder: Path, change: Any) -> None:
    path = folder / "transformer" / "model-0.safetensors"
    state = load_file(path)
    change(state)
    save_file(state, path)


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda s: s.pop(sorted(s)[0]), WeightsError, "lack 1 tensors"),  # noqa: FURB192
        (
            lambda s: s.update(extra=torch.ones(2)),
            WeightsError,
            "which this version of LTX-2 has not",
        ),
        (
            lambda s: s.update({sorted(s)[0]: torch.ones(3, 3)}),  # noqa: FURB192
            WeightsError,
            "another model's file",
        ),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, change: Any, kind: Any, words: str) -> None:
    write_folder(tmp_path)
    replace_tensor(tmp_path, change)
    with pytest.raises(kind, match=words):
        load(MODEL, tmp_path)


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-10]), WeightsError, "cut off"),
        (lambda p: p.write_bytes(b"not weights at all"), WeightsError, "not a safetensors"),
        (lambda p: p.write_bytes(b""), WeightsError, "not a safetensors"),
        (lambda p: p.write_bytes(p.read_bytes() + b"more"), WeightsError, "promises"),
    ],
)
def test_files_that_are_broken(tmp_path: Path, damage: Any, kind: Any, words: str) -> None:
    write_folder(tmp_path)
    damage(tmp_path / "vae" / "model-1.safetensors")
    with pytest.raises(kind, match=words):
        load(MODEL, tmp_path)


def test_parts_that_are_missing(tmp_path: Path) -> None:
    write_folder(tmp_path)
    for path in (tmp_path / "vae").glob("*.safetensors"):
        path.unlink()
    with pytest.raises(MissingPartError, match="no safetensors file"):
        load(MODEL, tmp_path)
    (tmp_path / "transformer" / "config.json").unlink()
    with pytest.raises(MissingPartError, match=r"config\.json is not there"):
        load(MODEL, tmp_path)


def test_transformer_of_a_later_model_is_refused(tmp_path: Path) -> None:
    from vivant.engines.ltx2.transformer import Denoiser

    later = tiny.build(LTX2VideoTransformer3DModel, {**TINY_2_0.transformer, "gated_attn": True})
    with pytest.raises(WeightsError, match="gated_attn, which belongs to another LTX"):
        Denoiser(later)
    write_folder(tmp_path)
    path = tmp_path / "transformer" / "config.json"
    plain = json.loads(path.read_text())
    # by the configuration alone, before 38 GB are read
    read: list[Any] = []
    for change, words in (
        ({"new_part": 1}, "describes another model"),
        ({"gated_attn": True}, "gated_attn, which belongs to another LTX"),
        ({"rope_type": "interleaved"}, "rope_type='interleaved'"),
    ):
        path.write_text(json.dumps({**plain, **change}))
        with pytest.raises(WeightsError, match=words):
            load(MODEL, tmp_path, observe=read.append)
    path.write_text("[]")
    with pytest.raises(WeightsError, match="is not a configuration"):
        load(MODEL, tmp_path, observe=read.append)
    assert not read
    save_file({}, tmp_path / "one.safetensors", metadata={"diffusers_config": "{}"})
    with pytest.raises(WeightsError, match="does not say how its transformer is made"):
        load(SINGLE, tmp_path)
    (tmp_path / "one.safetensors").unlink()
    with pytest.raises(MissingPartError, match=r"one\.safetensors.* is not there"):
        load(SINGLE, tmp_path)


# -- versions ------------------------------------------------------------------------------


NEWER = replace(SINGLE, name="ltx-2.3", version="2.3", upsampler_file="up.safetensors")


def test_parts_of_two_versions_are_refused_before_loading(tmp_path: Path) -> None:
    def refused(model: Model, folder: Path, *words: str) -> None:
        read: list[Any] = []
        with pytest.raises(WeightsError) as caught:
            load(model, folder, two_stages=True, observe=read.append)
        assert not read
        for word in words:
            assert word in str(caught.value)

    write_single(tmp_path / "one.safetensors", "2.3")
    old = built("2.0")
    # 2.0's upsampler, in a file and in a folder, VAE and connectors beside 2.3's transformer
    save_file(
        {name: value.contiguous() for name, value in old["latent_upsampler"].state_dict().items()},
        tmp_path / "up.safetensors",
    )
    refused(NEWER, tmp_path, "up.safetensors is the upsampler of LTX-2.0", "LTX-2.3")
    (tmp_path / "up.safetensors").unlink()
    # the whole file is of another version than its name in the registry
    refused(SINGLE, tmp_path, "is of LTX-2.3", "ltx-2-19b-distilled-file is LTX-2.0")
    for part, config in (
        ("vae", old["vae"].config),
        ("connectors", TINY["2.0"].connectors),
        ("latent_upsampler", TINY["2.0"].upsampler),
    ):
        folder = tmp_path / "folders"
        newer = built("2.3")["transformer"].config
        for name, body in (("transformer", newer), (part, config)):
            (folder / name).mkdir(parents=True)
            plain = {key: value for key, value in body.items() if not key.startswith("_")}
            (folder / name / "config.json").write_text(json.dumps(plain))
        wanted = replace(MODEL, name="x", version="2.3")
        refused(wanted, folder, "of LTX-2.0", "the transformer of LTX-2.3")
        shutil.rmtree(folder)


def test_a_later_version_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    write_single(path, "2.3")
    state = load_file(path)
    without = {name: value for name, value in state.items() if not name.endswith(".ff.net.2.bias")}
    save_file(without, path)
    with pytest.raises(WeightsError, match=r"of LTX-2.5, which is not supported yet.* Gemma 4"):
        load(replace(SINGLE, version="2.3"), tmp_path)
    with pytest.raises(WeightsError, match=r"LTX-2.5"):
        quantize_folder(replace(SINGLE, version="2.3"), tmp_path)
    write_folder(tmp_path / "model")
    (tmp_path / "model" / "text_encoder").mkdir()
    config = tmp_path / "model" / "text_encoder" / "config.json"
    config.write_text('{"model_type": "gemma4_unified"}')
    with pytest.raises(WeightsError, match=r"text_encoder is of LTX-2.5"):
        load(MODEL, tmp_path / "model")


@pytest.mark.parametrize(
    ("name", "changes", "version", "why"),
    [
        ("ltx-2-19b-lora-camera-control-static", {}, "2.0", "its name"),
        ("ltx-2.3-22b-lora-style", {}, "2.3", "its name"),
        ("style", {"name": "caption_projection.linear_1", "wide": (32, 16)}, "2.0", "layers"),
        (
            "style",
            {"name": "transformer_blocks.0.attn1.to_gate_logits", "wide": (4, 32)},
            "2.3",
            "layers",
        ),
        ("style", {}, None, ""),
    ],
)
def test_adapters_of_another_version_are_refused(
    tmp_path: Path, name: str, changes: Any, version: str | None, why: str
) -> None:
    path = adapter(tmp_path / f"{name}.safetensors", **changes)
    for model in ("2.0", "2.3"):
        found, text = lora.model_shapes(TINY[model])
        if version in (None, model):
            checked = lora.inspect(path, 1.0, found, text, version=model)
            assert checked.version == version
            assert any("Nothing in" in note for note in checked.notes()) == (version is None)
        else:
            words = rf"made for LTX-{version} .*{why}.* the model is LTX-{model}"
            with pytest.raises(WeightsError, match=words):
                lora.inspect(path, 1.0, found, text, version=model)


def test_the_newest_model_that_is_here_is_the_default(tmp_path: Path) -> None:
    books = Library(tmp_path)
    assert books.default_model() == "ltx-2-19b-distilled"
    folder = tmp_path / "ltx-2.3-22b-distilled"
    folder.mkdir()
    (folder / "a").write_bytes(b"abc")
    lock = {"files": {"a": {"repo": "r", "commit": "c", "size": 3}}}
    (folder / LOCK).write_text(json.dumps(lock))
    assert books.default_model() == "ltx-2.3-22b-distilled"
    (folder / LOCK).write_text("nope")  # broken: told where it is asked for
    assert books.default_model() == "ltx-2-19b-distilled"


# -- adapters ------------------------------------------------------------------------------


def adapter(path: Path, *, rank: int = 2, prefix: str = "diffusion_model.", **changes: Any) -> Path:
    generator = torch.Generator().manual_seed(0)
    name = changes.pop("name", "transformer_blocks.0.attn1.to_q")
    wide = changes.pop("wide", (32, 32))
    state = {
        f"{prefix}{name}.lora_A.weight": torch.randn(rank, wide[1], generator=generator),
        f"{prefix}{name}.lora_B.weight": torch.randn(wide[0], rank, generator=generator),
    }
    state.update(changes.pop("extra", {}))
    for key in changes.pop("drop", ()):
        state.pop(prefix + name + key)
    save_file(state, path)
    return path


def shapes() -> dict[str, tuple[int, int]]:
    with torch.device("meta"):
        return lora.linear_shapes(LTX2VideoTransformer3DModel(**TINY_2_0.transformer))


def text_shapes() -> dict[str, tuple[int, int]]:
    with torch.device("meta"):
        return lora.linear_shapes(LTX2TextConnectors(**TINY_2_0.connectors))


@pytest.mark.parametrize("alpha", [None, 4.0])
def test_adapters_add_up(tmp_path: Path, alpha: float | None) -> None:
    extra = (
        {}
        if alpha is None
        else {"diffusion_model.transformer_blocks.0.attn1.to_q.alpha": torch.tensor(alpha)}
    )
    path = adapter(tmp_path / "a.safetensors", extra=extra)
    checked = lora.inspect(path, 0.65, shapes())
    model = tiny.build(LTX2VideoTransformer3DModel, TINY_2_0.transformer)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    lora.fuse(model, [checked])
    state = load_file(path)
    down = state["diffusion_model.transformer_blocks.0.attn1.to_q.lora_A.weight"]
    up = state["diffusion_model.transformer_blocks.0.attn1.to_q.lora_B.weight"]
    changed = "transformer_blocks.0.attn1.to_q.weight"
    expected = before[changed] + 0.65 * (1.0 if alpha is None else alpha / 2) * up @ down
    after = model.state_dict()
    torch.testing.assert_close(after[changed], expected)
    assert all(torch.equal(after[k], before[k]) for k in before if k != changed)
    # at load the same sum is made before anything is rounded
    folder = tmp_path / "model"
    write_folder(folder)
    loaded = load(MODEL, folder, adapters=(checked,)).transformer
    torch.testing.assert_close(loaded.state_dict()[changed], expected)
    rounded = load(MODEL, folder, precision="fp8", adapters=(checked,)).transformer
    layer = rounded.get_submodule("transformer_blocks.0.attn1.to_q")
    torch.testing.assert_close(layer.weight.float(), quantize_rows(expected)[0].float())


def test_adapters_under_lightricks_names_find_their_layers(tmp_path: Path) -> None:
    path = adapter(tmp_path / "a.safetensors", name="patchify_proj", wide=(32, 4))
    assert list(lora.inspect(path, 1.0, shapes()).pairs) == ["proj_in"]
    path = adapter(tmp_path / "b.safetensors", name="audio_adaln_single.linear", wide=(6 * 16, 16))
    assert list(lora.inspect(path, 1.0, shapes()).pairs) == ["audio_time_embed.linear"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"drop": (".lora_B.weight",)}, "only one half"),
        ({"wide": (32, 48)}, "does not fit transformer_blocks.0.attn1.to_q"),
        ({"name": "transformer_blocks.7.attn1.to_q"}, "made for another model"),
        (
            {"name": "video_embeddings_connector.transformer_1d_blocks.9.attn1.to_q"},
            "made for another model: it changes video_connector.transformer_blocks.9.attn1.to_q",
        ),
        ({"name": "text_embedding_projection.aggregate_embed"}, "does not fit text_proj_in"),
        (
            {
                "extra": {
                    "diffusion_model.transformer_blocks.0.attn1.to_q.dora_scale": torch.ones(32)
                }
            },
            "dora_scale, which is no part of a LoRA",
        ),
        (
            {"extra": {"diffusion_model.transformer_blocks.0.attn1.to_q.diff_b": torch.ones(32)}},
            "diff_b, which is no part of a LoRA",
        ),
        (
            {
                "drop": (".lora_A.weight",),
                "extra": {
                    "diffusion_model.transformer_blocks.0.attn1.to_q.lora_A.weight": torch.ones(
                        3, 32
                    )
                },
            },
            "mismatched ranks",
        ),
    ],
)
def test_adapters_that_do_not_fit(tmp_path: Path, changes: Any, words: str) -> None:
    if "mismatched" in words:
        path = tmp_path / "a.safetensors"
        key = "diffusion_model.transformer_blocks.0.attn1.to_q"
        save_file(
            {f"{key}.lora_A.weight": torch.ones(3, 32), f"{key}.lora_B.weight": torch.ones(32, 2)},
            path,
        )
    else:
        path = adapter(tmp_path / "a.safetensors", **changes)
    with pytest.raises(WeightsError, match=words):
        lora.inspect(path, 1.0, shapes(), text_shapes())


def test_a_lone_half_is_skipped_with_a_note(tmp_path: Path) -> None:
    """As ``aggregate_embed.lora_A`` of the official distilled adapter."""
    rank, wide = 2, text_shapes()["text_proj_in"]
    half = {"text_embedding_projection.aggregate_embed.lora_A.weight": torch.ones(rank, wide[1])}
    path = adapter(tmp_path / "a.safetensors", extra=half)
    checked = lora.inspect(path, 1.0, shapes(), text_shapes())
    assert set(checked.pairs) == {"transformer_blocks.0.attn1.to_q"}
    assert not checked.text
    assert checked.skipped == ("text_proj_in",)
    engine = small.engine(tmp_path)
    engine.generate(small.portrait(), small.request(loras=[str(path)]), ignore_progress)
    (note,) = [note for note in engine.info.notes if "skipped" in note]
    assert "a.safetensors holds only lora_A of text_proj_in" in note

    # nothing but halves: the file was cut off
    other = adapter(tmp_path / "b.safetensors", drop=(".lora_B.weight",), extra=half)
    with pytest.raises(WeightsError, match="only one half"):
        lora.inspect(other, 1.0, shapes(), text_shapes())
    # and an upper half alone is never right
    upper = adapter(
        tmp_path / "c.safetensors",
        extra={"diffusion_model.transformer_blocks.0.attn1.to_k.lora_B.weight": torch.ones(32, 2)},
    )
    with pytest.raises(WeightsError, match=r"only one half of transformer_blocks.0.attn1.to_k"):
        lora.inspect(upper, 1.0, shapes(), text_shapes())


def test_adapters_are_refused_before_anything_is_built(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    save_file({"weights": torch.ones(2)}, tmp_path / "plain.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0")
    cases: list[tuple[str, type[VivantError], str]] = [
        (str(tmp_path / "none.safetensors"), MissingPartError, "is not there"),
        (str(tmp_path / "plain.safetensors"), WeightsError, "is not a LoRA"),
        (str(tmp_path / "cut.safetensors"), WeightsError, "not a safetensors"),
    ]
    for source, kind, words in cases:
        with pytest.raises(kind, match=words):
            engine.generate(small.portrait(), small.request(loras=[source]), ignore_progress)
        assert engine.loader._loaded is None


def test_an_adapter_changes_the_clip_and_scale_zero_does_not(tmp_path: Path) -> None:
    path = adapter(tmp_path / "a.safetensors")

    def frames(**options: Any) -> Any:
        engine = small.engine(tmp_path)
        clip = engine.generate(
            small.portrait(), small.request(recipe="fast", steps=2, **options), ignore_progress
        )
        return np.concatenate(list(clip.chunks))

    plain = frames()
    np.testing.assert_array_equal(frames(loras=f"{path}:0"), plain)
    assert (frames(loras=f"{path}:1") != plain).mean() > 0.1


def test_adapters_with_values_that_are_not_finite(tmp_path: Path) -> None:
    key = "diffusion_model.transformer_blocks.0.attn1.to_q"
    path = tmp_path / "a.safetensors"
    save_file(
        {
            f"{key}.lora_A.weight": torch.full((2, 32), float("inf")),
            f"{key}.lora_B.weight": torch.ones(32, 2),
        },
        path,
    )
    engine = small.engine(tmp_path)
    with pytest.raises(WeightsError, match="not finite"):
        engine.generate(small.portrait(), small.request(loras=[str(path)]), ignore_progress)


@pytest.mark.parametrize("stable", [False, True])
def test_the_alpha_that_diffusers_writes_for_a_whole_file(tmp_path: Path, stable: bool) -> None:
    path = adapter(tmp_path / "a.safetensors")
    config = {"transformer.r": 2, "transformer.lora_alpha": 8.0, "transformer.use_rslora": stable}
    save_file(load_file(path), path, metadata={"lora_adapter_metadata": json.dumps(config)})
    model = tiny.build(LTX2VideoTransformer3DModel, TINY_2_0.transformer)
    layer = model.transformer_blocks[0].attn1.to_q
    before = layer.weight.clone()
    lora.fuse(model, [lora.inspect(path, 0.5, shapes())])
    down, up = load_file(path).values()
    share = 8 / 2**0.5 if stable else 4.0
    torch.testing.assert_close(layer.weight, before + 0.5 * share * up @ down)


def test_several_adapters_are_summed_before_they_are_rounded(tmp_path: Path) -> None:
    path = adapter(tmp_path / "a.safetensors")
    folder = tmp_path / "model"
    write_folder(folder)
    one, other = (lora.inspect(path, scale, shapes()) for scale in (0.7, -0.7))
    plain = load(MODEL, folder, precision="fp8").transformer
    both = load(MODEL, folder, precision="fp8", adapters=(one, other)).transformer
    assert_same(both, plain)
    # and so where only rounded weights are at hand
    quantize_folder(MODEL, folder)
    for file in (folder / "transformer").iterdir():
        file.unlink()
    (folder / "transformer").rmdir()
    loaded = load(MODEL, folder, precision="fp8", adapters=(one,))
    assert any("already rounded" in note for note in loaded.notes)
    name = "transformer_blocks.0.attn1.to_q"
    exact = load(MODEL, folder, precision="fp8").transformer.get_submodule(name)
    with lora.WeightDeltas([one]) as deltas:
        delta = deltas.of(name, CPU)
    assert delta is not None
    wanted = exact.dequantized(torch.float32) + delta
    ours = loaded.transformer.get_submodule(name).dequantized(torch.float32)
    assert (ours - wanted).norm() / wanted.norm() < 0.04


def test_an_adapter_of_the_text_connectors_changes_what_the_prompt_means(tmp_path: Path) -> None:
    path = adapter(
        tmp_path / "a.safetensors",
        prefix="",
        name="text_embedding_projection.aggregate_embed",
        wide=text_shapes()["text_proj_in"],
        extra={
            "diffusion_model.video_embeddings_connector.transformer_1d_blocks.0.attn1.to_q."
            f"lora_{side}.weight": torch.randn(2, 16) if side == "A" else torch.randn(16, 2)
            for side in "AB"
        },
    )
    checked = lora.inspect(path, 0.5, shapes(), text_shapes())
    assert not checked.pairs
    assert set(checked.text) == {"text_proj_in", "video_connector.transformer_blocks.0.attn1.to_q"}
    folder = tmp_path / "model"
    connectors = tiny.build(LTX2TextConnectors, TINY_2_0.connectors)
    (folder / "connectors").mkdir(parents=True)
    config = {key: value for key, value in connectors.config.items() if not key.startswith("_")}
    (folder / "connectors" / "config.json").write_text(json.dumps(config), "utf-8")
    save_file(connectors.state_dict(), folder / "connectors" / "model.safetensors")
    loaded = load_connectors(folder, None, torch.float32, CPU, (checked,))
    state = load_file(path)
    down = state["text_embedding_projection.aggregate_embed.lora_A.weight"]
    up = state["text_embedding_projection.aggregate_embed.lora_B.weight"]
    torch.testing.assert_close(
        loaded.text_proj_in.weight, connectors.text_proj_in.weight + 0.5 * up @ down
    )

    # the same prompt, cached for the model without the adapter, is another one with it
    engine = small.engine(tmp_path)
    plain, changed = small.request(steps=1), small.request(steps=1, loras=f"{path}:1")
    prompts = []
    for request in (plain, changed, plain):
        list(engine.generate(small.portrait(), request, ignore_progress).chunks)
        prompts.append(engine.prompt_cache.get(request.prompt))
        assert engine.info.provenance["prompts_from_cache"] == (2 if len(prompts) == 3 else 0)
    first, second, third = prompts
    assert first and second and third
    assert (first[0] - second[0]).abs().max() > 0.01
    assert torch.equal(first[0], third[0])


def test_a_bad_adapter_leaves_the_loaded_model_alone(tmp_path: Path) -> None:
    engine = small.engine(tmp_path)
    list(engine.generate(small.portrait(), small.request(steps=1), ignore_progress).chunks)
    kept = engine.loaded
    with pytest.raises(WeightsError):
        path = adapter(tmp_path / "a.safetensors", wide=(32, 48))
        engine.generate(small.portrait(), small.request(loras=[str(path)]), ignore_progress)
    assert engine.loaded is kept
    # a file that has changed is another adapter
    adapter(path)
    engine.generate(small.portrait(), small.request(loras=[str(path)]), ignore_progress)
    first = engine.loaded
    assert engine.info.provenance["lora_sha256"] == [hash_file(path)]
    adapter(path, rank=3)
    engine.generate(small.portrait(), small.request(loras=[str(path)]), ignore_progress)
    assert engine.loaded is not first


def test_adapters_of_the_hub_are_found_by_name(tmp_path: Path) -> None:
    library = Library(tmp_path / "weights")
    for source, folder in (
        ("camera-static", "camera-static"),
        ("someone/style", "someone--style"),
        ("someone/two/a.safetensors", "someone--two--a.safetensors"),
    ):
        with pytest.raises(MissingPartError, match=f"vivant weights pull {source}"):
            lora.find_file(source, library)
        place = library.root / folder
        place.mkdir(parents=True)
        path = adapter(place / "b.safetensors")
        size = path.stat().st_size
        entry = {"repo": "a/b", "commit": "c", "size": size, "sha256": hash_file(path)}
        (place / LOCK).write_text(json.dumps({"model": source, "files": {path.name: entry}}))
        assert lora.find_file(source, library) == path
    for source in ("ltx-2-19b-distilled", "nothing", "a/b/../c.safetensors", "~/x.safetensors"):
        with pytest.raises(MissingPartError, match=r"is not there: give a file, .*camera-static"):
            lora.find_file(source, library)


def test_libraries_are_used_once_where_fp8_kernels_run(tmp_path: Path) -> None:
    """On a CPU: the calls themselves are right, and no thread is started for them."""
    use_libraries(torch.device("cpu"), torch.float32)
    assert begin_first_uses(torch.device("cpu"), tmp_path) is None
